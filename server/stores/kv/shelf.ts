import { Fifo } from "../memory/fifo.ts";
import type { Shelf } from "../memory/shelf.ts";
import type { Packed, Segment } from "./segment.ts";
import type { StoredMessage } from "../store.ts";

/** Some messages of one segment, by their indexes in it. */
export interface Pick {
  readonly segment: Segment;
  readonly indexes: readonly number[];
}

/**
 * Where one channel's messages are in the file, oldest first. The messages themselves are not in
 * memory, but for a few bytes of the newest segment.
 */
export class KvShelf implements Shelf {
  readonly #onSpent: () => void;
  readonly #segments = new Fifo<Segment | undefined>(undefined);
  /** Segments of which every message is dropped, and which are still in the file. */
  #spent: Segment[] = [];
  #count = 0;
  /** Segments that are being written. */
  #coming: readonly Segment[] | undefined;

  /** @param onSpent called when every message of a segment is dropped */
  constructor(onSpent: () => void) {
    this.#onSpent = onSpent;
  }

  /** How many messages there are. */
  get count(): number {
    return this.#count;
  }

  /** When the oldest message was stored; `undefined` if there is none. */
  get oldestAt(): number | undefined {
    const segment = this.#count === 0 ? undefined : this.#segments.at(0)!;
    return segment?.timeOf(segment.dropped);
  }

  /** The newest segment, if there is one. */
  get tail(): Segment | undefined {
    const { length } = this.#segments;
    return length === 0 ? undefined : this.#segments.at(length - 1);
  }

  /** Whether there is something to delete from the file. */
  get hasSpent(): boolean {
    return this.#spent.length > 0;
  }

  /** Takes in a segment that is in the file. Returns the bytes of its messages. */
  restore(segment: Segment): number {
    this.#segments.push(segment);
    this.#count += segment.sizes.length;
    return segment.sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Says into which segments the messages go that are added next. */
  expect(packed: readonly Packed[]): void {
    this.#coming = packed.map(({ segment }) => segment);
  }

  /** Takes in the expected segments, which are in the file now. */
  add(messages: readonly StoredMessage[]): void {
    if (messages.length === 0) return;
    const [first, ...rest] = this.#coming!;
    this.#coming = undefined;
    this.#count += messages.length;
    const { tail } = this;
    if (tail?.first === first.first) {
      first.dropped = tail.dropped;
      this.#segments.replaceLast(first);
    } else {
      // What it fills up may have been dropped while it was written; the file has it still.
      const spent = this.#spent.findIndex((segment) => segment.first === first.first);
      if (spent >= 0) {
        first.dropped = this.#spent[spent].dropped;
        this.#spent.splice(spent, 1);
      }
      this.#segments.push(first);
    }
    for (const segment of rest) this.#segments.push(segment);
  }

  /** Drops the oldest message, of which there must be one; returns its bytes. */
  drop(): number {
    const segment = this.#segments.at(0)!;
    const bytes = segment.sizes[segment.dropped++];
    this.#count--;
    if (segment.isSpent) {
      this.#spent.push(this.#segments.shift()!);
      this.#onSpent();
    }
    return bytes;
  }

  /** Takes segments that are to be deleted from the file: about so many values, one segment at least. */
  takeSpent(most: number): Segment[] {
    let count = 0;
    while (count < this.#spent.length && most > 0) most -= this.#spent[count++].chunks + 1;
    return this.#spent.splice(0, count);
  }

  /** Gives back segments that could not be deleted. */
  keepSpent(segments: readonly Segment[]): void {
    this.#spent.unshift(...segments);
  }

  /** Whether a message is there still, by its number. */
  has(seq: number): boolean {
    const { tail } = this;
    return tail !== undefined && seq <= tail.last && seq > tail.last - this.#count;
  }

  /** At most `limit` messages after a number, without those stored at or before `limitAt`. */
  select(after: number, limit: number, limitAt: number): Pick[] {
    const picks: Pick[] = [];
    for (let i = this.#indexAfter(after); i < this.#segments.length && limit > 0; i++) {
      const segment = this.#segments.at(i)!;
      const from = Math.max(after + 1 - segment.first, segment.dropped);
      const indexes: number[] = [];
      for (let index = from; index < segment.sizes.length && indexes.length < limit; index++) {
        if (segment.timeOf(index) > limitAt) indexes.push(index);
      }
      if (indexes.length > 0) picks.push({ segment, indexes });
      limit -= indexes.length;
    }
    return picks;
  }

  /** Index of the first segment with a message above a number. */
  #indexAfter(after: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#segments.at(middle)!.last <= after) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
