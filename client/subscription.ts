import type { Member } from "./channel.ts";
import { asyncDispose } from "./dispose.ts";
import { attachHandler, type HandlerOptions, type MessageHandler } from "./handler.ts";
import { iteratorOf, type MessageIterator } from "./iterator.ts";
import type { Message } from "./message.ts";
import type { Json, Start } from "./protocol/frames.ts";
import type { Session } from "./session.ts";

/**
 * One subscription to a channel, made by `PushClient.subscribe`. It outlives lost connections, and
 * `disconnect()` too if the client is connected again.
 *
 * Without a handler it is read with `for await`; while it is not, its messages wait for the first who
 * takes them: a loop, `waitFor`, a handler of another subscription to the channel, or a listener of
 * `channel_message`. Who comes later does not get them.
 *
 * @typeParam T what the publishers of the channel are known to send; only a schema checks it
 */
export interface Subscription<T = Json> extends AsyncIterable<Message<T>>, AsyncDisposable {
  /** Name of the channel. */
  readonly channel: string;
  /** Whether messages may come: false after `unsubscribe()`, and after the gateway has refused the channel. */
  readonly active: boolean;
  /**
   * Reads the messages one by one. Asking for the next one acknowledges the last (unless the
   * subscription was made with `ack: "manual"`). Leaving the loop early (`break`, `return`, a throw)
   * ends only the loop: the message in hand, if `message.ack()` was not called, stays
   * unacknowledged, and the next loop begins with it, unless somebody else takes it or has handled it;
   * the subscription stays.
   *
   * The loop ends when the subscription ends or the client is closed on purpose, and throws the
   * `PushError` if the gateway closed it.
   *
   * @throws {TypeError} if the subscription has a handler
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>>;
  /**
   * Ends the subscription. Messages that wait are dropped, and a handler that runs is not waited
   * for. The last subscription of a channel ends it at the gateway too, with its position. Idempotent.
   *
   * @returns a promise that fulfills when the gateway has followed; without a connection at once, and
   * the gateway is told later. It never rejects.
   */
  unsubscribe(): Promise<void>;
}

/** How a {@linkcode Subscription} starts, and how its messages are handled. */
export interface SubscriptionOptions extends HandlerOptions {
  readonly start: Start;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a subscription, and waits until its messages flow.
 *
 * @param handler what handles its messages, unless an iterator reads them
 */
export async function subscribe<T>(
  session: Session,
  channel: string,
  handler: MessageHandler<T> | undefined,
  options: SubscriptionOptions,
): Promise<Subscription<T>> {
  const { start, signal } = options;
  const [name] = Object.keys(start);
  if (name && session.channels.get(channel)?.members.size) {
    throw new TypeError(`'${name}' is not possible: ${channel} is subscribed already`);
  }
  signal?.throwIfAborted();
  const iterators: Set<MessageIterator<T>> = new Set();
  let active = true;
  let failure: unknown;

  const pause = (error?: unknown): void => iterators.forEach((iterator) => iterator.end(error));
  const member: Member = {
    end(error) {
      if (!active) return;
      active = false;
      failure = error;
      consumer?.detach();
      pause(error);
      signal?.removeEventListener("abort", unsubscribe);
    },
    pause,
  };
  const unsubscribe = (): Promise<void> => {
    const left = joined.leave(member);
    member.end();
    return left;
  };
  const joined = session.join(channel, member, start);
  const consumer = handler && attachHandler(session, joined, handler, options);
  try {
    const ready = joined.ready(signal);
    // After the wait's own listener, which gives the reason.
    signal?.addEventListener("abort", unsubscribe);
    await ready;
  } catch (error) {
    void unsubscribe();
    throw error;
  }
  return {
    channel,
    get active() {
      return active;
    },
    [Symbol.asyncIterator]() {
      if (consumer) {
        throw new TypeError(`The subscription to ${channel} has a handler`);
      }
      const iterator = iteratorOf<T>(
        (hand) => attachHandler(session, joined, hand, { ...options, ack: "pull", concurrency: 0 }),
        options.ack === "manual",
        (ended) => iterators.delete(ended),
      );
      iterators.add(iterator);
      if (!active || session.state === "closed") iterator.end(failure);
      return iterator;
    },
    unsubscribe,
    [asyncDispose]: unsubscribe,
  };
}
