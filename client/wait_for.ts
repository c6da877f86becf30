import type { Member } from "./channel.ts";
import { Deferred } from "./deferred.ts";
import type { Message } from "./message.ts";
import { PushError } from "./protocol/error.ts";
import type { Session } from "./session.ts";

/** How {@linkcode waitFor} waits, after checking and defaults. */
export interface WaitForSettings<T> {
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly match: ((message: Message<T>) => boolean) | undefined;
}

/**
 * Joins a channel until a message matches, and leaves it again. What comes before that counts as
 * handled. A backlog that a named client has at the gateway outlives it.
 */
export function waitFor<T>(
  session: Session,
  channel: string,
  { timeout, signal, match }: WaitForSettings<T>,
): Promise<Message<T>> {
  const { channels, settings: { clock, clientId } } = session;
  const found = new Deferred<Message<T>>()
    .abortedBy(signal)
    .rejectedAfter(clock, timeout, () => {
      const reason = `No message came on ${channel} within ${timeout / 1000} s.`;
      return new DOMException(reason, "TimeoutError");
    });
  if (found.settled) return found.promise;
  const over = (error = new PushError("disconnected", `The wait on ${channel} was ended.`)): void =>
    found.reject(error);
  const member: Member = { end: over, pause: over };
  const consumer = channels.join(channel, member, {}).attach({
    room: 1,
    hand(message) {
      message.ack();
      try {
        if (match?.(message as Message<T>) ?? true) found.resolve(message as Message<T>);
      } catch (error) {
        found.reject(error);
      }
      consumer.more();
    },
  });
  found.whenSettled(() => {
    consumer.detach();
    void channels.leave(channel, member, clientId !== undefined);
  });
  channels.ready(channel, signal).catch(over);
  return found.promise;
}
