import type { Member } from "./channel.ts";
import { Deferred } from "./deferred.ts";
import { attachHandler } from "./handler.ts";
import type { Message } from "./message.ts";
import { PushError } from "./protocol/error.ts";
import type { Schema } from "./schema.ts";
import type { Session } from "./session.ts";

/** How {@linkcode waitFor} waits, after checking and defaults. */
export interface WaitForSettings {
  /** Seconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly match: ((message: Message<never>) => boolean) | undefined;
  readonly schema: Schema<never> | undefined;
}

/**
 * Joins a channel until a message matches, and leaves it again. What comes before that counts as
 * handled. A backlog that a named client has at the gateway outlives it.
 */
export function waitFor<T>(
  session: Session,
  channel: string,
  { timeout, signal, match, schema }: WaitForSettings,
): Promise<Message<T>> {
  const { channels, settings: { clock, clientId } } = session;
  const found = new Deferred<Message<T>>()
    .abortedBy(signal)
    .rejectedAfter(clock, 1000 * timeout, () => {
      const reason = `No message came on ${channel} within ${timeout} s.`;
      return new DOMException(reason, "TimeoutError");
    });
  if (found.settled) return found.promise;
  const end = (error = new PushError("disconnected", `The wait on ${channel} was ended.`)): void =>
    found.reject(error);
  const member: Member = { end, pause: end };
  const hand = (message: Message<T>): void => {
    // A schema may take its time.
    if (found.settled) return consumer.release();
    message.ack();
    try {
      if (!match || match(message as Message<never>)) found.resolve(message);
    } catch (error) {
      found.reject(error);
    }
    consumer.more();
  };
  const inbox = channels.join(channel, member, {});
  const consumer = attachHandler(session, inbox, hand, { schema, ack: "pull" });
  found.whenSettled(() => {
    consumer.detach();
    void channels.leave(channel, member, clientId !== undefined);
  });
  channels.ready(channel, signal).catch(end);
  return found.promise;
}
