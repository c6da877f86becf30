import { Fifo } from "./fifo.ts";
import type { StoredMessage } from "../store.ts";

/** Where a log has its messages, oldest first. */
export interface Shelf {
  /** How many there are. */
  readonly count: number;
  /** When the oldest was stored; `undefined` if there is none. */
  readonly oldestAt: number | undefined;
  /** Puts messages behind the newest. */
  add(messages: readonly StoredMessage[]): void;
  /** Drops the oldest, of which there must be one; returns its bytes. */
  drop(): number;
}

/** The messages themselves, in memory: the same object for every reader. */
export class MemoryShelf implements Shelf {
  readonly #messages = new Fifo<StoredMessage | undefined>(undefined);

  /** How many there are. */
  get count(): number {
    return this.#messages.length;
  }

  /** When the oldest was stored; `undefined` if there is none. */
  get oldestAt(): number | undefined {
    return this.count === 0 ? undefined : this.#messages.at(0)!.at;
  }

  /** Puts messages behind the newest. */
  add(messages: readonly StoredMessage[]): void {
    for (const message of messages) this.#messages.push(message);
  }

  /** Drops the oldest, of which there must be one; returns its bytes. */
  drop(): number {
    return this.#messages.shift()!.bytes;
  }

  /** Messages from an index on, without those stored at or before `limitAt`. */
  read(from: number, limit: number, limitAt: number): StoredMessage[] {
    const page = this.#messages.slice(from, from + limit) as StoredMessage[];
    // When the machine's clock went back, some in the middle are older than the first.
    if (page.every(({ at }) => at > limitAt)) return page;
    const rest = this.#messages.slice(from, this.count) as StoredMessage[];
    return rest.filter(({ at }) => at > limitAt).slice(0, limit);
  }
}
