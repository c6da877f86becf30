import type { Consumer } from "./consumer.ts";
import { Deferred } from "./deferred.ts";
import type { Inbox } from "./inbox.ts";
import type { Message } from "./message.ts";

/** How a {@linkcode MessageIterator} acknowledges. */
export type AckMode = "auto" | "manual";

/**
 * Messages of a channel, one by one. Asking for the next one acknowledges those handed out before,
 * unless acknowledgement is manual. Leaving a loop early gives back what was handed out and not
 * acknowledged, for whoever reads on; the gateway hears nothing of it.
 */
export class MessageIterator<T> implements AsyncIterableIterator<Message<T>> {
  readonly #consumer: Consumer;
  readonly #mode: AckMode;
  readonly #ended: (iterator: MessageIterator<T>) => void;
  readonly #asking: Deferred<IteratorResult<Message<T>>>[] = [];
  #handed: Message<T>[] = [];
  #state: "open" | "failed" | "over" = "open";
  #error: unknown;

  /** @param inbox of the channel @param mode who acknowledges @param ended told at the end */
  constructor(inbox: Inbox, mode: AckMode, ended: (iterator: MessageIterator<T>) => void) {
    this.#mode = mode;
    this.#ended = ended;
    this.#consumer = inbox.attach({
      room: 0,
      hand: (message) => this.#hand(message as Message<T>),
    });
  }

  /** The same iterator. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Acknowledges what was handed out and waits for the next message. */
  next(): Promise<IteratorResult<Message<T>>> {
    if (this.#mode === "auto") {
      for (const message of this.#handed.splice(0)) message.ack();
    }
    const answer = new Deferred<IteratorResult<Message<T>>>();
    if (this.#state === "failed") {
      this.#state = "over";
      answer.reject(this.#error);
    } else if (this.#state === "over") {
      answer.resolve({ done: true, value: undefined });
    } else {
      this.#asking.push(answer);
      this.#consumer.more();
    }
    return answer.promise;
  }

  /** Ends the loop early: gives back what was handed out and not acknowledged. */
  return(): Promise<IteratorResult<Message<T>>> {
    this.#handed = [];
    this.#consumer.release();
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends the iterator from outside. @param error what the next call rejects with, if anything */
  end(error?: unknown): void {
    if (this.#state !== "open") return;
    this.#state = error === undefined ? "over" : "failed";
    this.#error = error;
    this.#consumer.detach();
    this.#ended(this);
    for (const answer of this.#asking.splice(0)) {
      if (this.#state === "failed") answer.reject(error);
      else answer.resolve({ done: true, value: undefined });
      this.#state = "over";
    }
  }

  #hand(message: Message<T>): void {
    this.#handed = this.#handed.filter((handed) => !handed.settled);
    this.#handed.push(message);
    this.#asking.shift()?.resolve({ done: false, value: message });
  }
}
