import type { WaitForOptions } from "./arguments.ts";
import { ended, type Member } from "./channel.ts";
import type { Consumer } from "./consumer.ts";
import { Deferred, LATE } from "./deferred.ts";
import { attachHandler } from "./handler.ts";
import type { Message } from "./message.ts";
import type { Session } from "./session.ts";

/**
 * Joins a channel until a message matches, and leaves it again. What comes before that counts as
 * handled. A backlog that a named client has at the gateway outlives it.
 */
export function waitFor<T>(
  session: Session,
  channel: string,
  { timeout = 60, signal, match, schema }: WaitForOptions<T>,
): Promise<Message<T>> {
  const found = new Deferred<Message<T>>(signal);
  found.whenSettled(session.clock.schedule(1000 * timeout, () => {
    found.reject(new DOMException(LATE, "TimeoutError"));
  }));
  if (found.settled) return found.promise;
  const end = (error = ended(channel)): void => found.reject(error);
  const member: Member = { end, pause: end };
  const joined = session.join(channel, member, {});
  const consumer: Consumer = attachHandler<T>(session, joined, (message): void => {
    // A schema may take its time.
    if (found.settled) return consumer.release();
    message.ack();
    try {
      if (!match || match(message)) found.resolve(message);
    } catch (error) {
      found.reject(error);
    }
  }, { schema, ack: "manual" });
  found.whenSettled(() => {
    consumer.detach();
    void joined.leave(member, session.isNamed);
  });
  joined.ready(signal).catch(end);
  return found.promise;
}
