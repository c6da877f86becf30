import type { Member } from "./channel.ts";
import type { Consumer } from "./consumer.ts";
import { asyncDispose } from "./dispose.ts";
import type { Inbox } from "./inbox.ts";
import { type AckMode, MessageIterator } from "./iterator.ts";
import type { Message } from "./message.ts";
import type { Json } from "./protocol/frames.ts";

/** What a {@linkcode Subscription} is made of. */
export interface SubscriptionParts {
  /** Name of the channel. */
  readonly channel: string;
  /** Who acknowledges what an iterator hands out. */
  readonly mode: AckMode;
  /** Joins the channel, and gives its inbox. */
  join(member: Member): Inbox;
  /** Leaves the channel. */
  leave(member: Member): Promise<void>;
  /** Attaches the handler, if there is one. */
  readonly attach: ((inbox: Inbox) => Consumer) | undefined;
  /** Whether the client is closed, so that nothing can come. */
  closed(): boolean;
  /** Told when it has ended. */
  ended(): void;
}

/**
 * One subscription to a channel, made by `PushClient.subscribe`. It outlives lost connections, and
 * `disconnect()` too if the client is connected again.
 *
 * Without a handler it is read with `for await`; its messages wait until somebody reads them, unless
 * the client has listeners of `channel_message`.
 *
 * @typeParam T what the publishers of the channel are known to send; nothing checks it
 */
export class Subscription<T = Json> implements AsyncIterable<Message<T>>, AsyncDisposable {
  /** Name of the channel. */
  readonly channel: string;
  readonly #parts: SubscriptionParts;
  readonly #member: Member;
  readonly #inbox: Inbox;
  readonly #consumer: Consumer | undefined;
  readonly #iterators: Set<MessageIterator<T>> = new Set();
  #state: "active" | "ended" = "active";
  #error: unknown;

  /** Made by `PushClient.subscribe`. @param parts what it is made of */
  constructor(parts: SubscriptionParts) {
    this.channel = parts.channel;
    this.#parts = parts;
    this.#member = {
      end: (error) => this.#end(error),
      pause: (error) => this.#endIterators(error),
    };
    this.#inbox = parts.join(this.#member);
    this.#consumer = parts.attach?.(this.#inbox);
  }

  /** Whether messages may come: false after `unsubscribe()`, and after the gateway has refused the channel. */
  get active(): boolean {
    return this.#state === "active";
  }

  /**
   * Reads the messages one by one. Asking for the next one acknowledges the last (unless the
   * subscription was made with `ack: "manual"`). Leaving the loop early (`break`, `return`, a throw)
   * ends only the loop: the message in hand, if `message.ack()` was not called, stays
   * unacknowledged, and the next loop begins with it; the subscription stays.
   *
   * The loop ends when the subscription ends or the client is closed on purpose, and throws the
   * `PushError` if the gateway closed it.
   *
   * @throws {TypeError} if the subscription has a handler
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>> {
    if (this.#consumer) {
      throw new TypeError(`Cannot iterate the subscription to ${this.channel} as it has a handler`);
    }
    const ended = (iterator: MessageIterator<T>): boolean => this.#iterators.delete(iterator);
    const iterator = new MessageIterator<T>(this.#inbox, this.#parts.mode, ended);
    this.#iterators.add(iterator);
    if (!this.active || this.#parts.closed()) iterator.end(this.#error);
    return iterator;
  }

  /**
   * Ends the subscription. Messages that wait are dropped, and a handler that runs is not waited
   * for. The last subscription of a channel ends it at the gateway too, with its position. Idempotent.
   *
   * @returns a promise that fulfills when the gateway has followed; without a connection at once, and
   * the gateway is told later. It never rejects.
   */
  unsubscribe(): Promise<void> {
    const left = this.#parts.leave(this.#member);
    this.#end();
    return left;
  }

  /** The same as {@linkcode Subscription.unsubscribe}, for `await using`. */
  [asyncDispose](): Promise<void> {
    return this.unsubscribe();
  }

  #end(error?: unknown): void {
    if (!this.active) return;
    this.#state = "ended";
    this.#error = error;
    this.#consumer?.detach();
    this.#endIterators(error);
    this.#parts.ended();
  }

  #endIterators(error?: unknown): void {
    for (const iterator of [...this.#iterators]) iterator.end(error);
  }
}
