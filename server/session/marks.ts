import type { RangeSet } from "@push/client/protocol";
import type { DeliveryCursor } from "./cursor.ts";
import type { Flight } from "./flight.ts";

/**
 * When what one subscription has in flight is overdue, without a clock per message: two marks say
 * "all up to here was sent before then". They move every half `ackTimeout`, so a delivery counts as
 * failed after 1 to 1.5 of it. Times are those of the timing wheel.
 */
export class Marks {
  #next = 0;
  #olderSeq = 0;
  #olderAt = 0;
  #newerSeq = 0;
  #newerAt = 0;
  #renewed: RangeSet | undefined;
  #renewedAt = 0;

  /** When the marks move on; 0 if nothing is in flight in order. */
  get next(): number {
    return this.#next;
  }

  /** Sets the first mark: something is in flight up to `sent`. */
  begin(sent: number, now: number, ackTimeout: number): void {
    this.#newerSeq = sent;
    this.#newerAt = now;
    this.#olderSeq = 0;
    this.#next = now + ackTimeout / 2;
  }

  /** Starts the time anew of messages that wait in the client for their handler. */
  renew(ranges: RangeSet, now: number): void {
    this.#renewed = ranges;
    this.#renewedAt = now;
  }

  /** Messages whose time is over. */
  overdue(cursor: DeliveryCursor, now: number, ackTimeout: number): number[] {
    if (this.#olderAt + ackTimeout > now) return [];
    const renewed = this.#renewedAt + ackTimeout > now ? this.#renewed : undefined;
    return [...cursor.outstandingUpTo(this.#olderSeq)].filter((seq) => !renewed?.has(seq));
  }

  /** Moves both marks on. */
  advance({ sent, floor }: DeliveryCursor, now: number, ackTimeout: number): void {
    this.#olderSeq = this.#newerSeq;
    this.#olderAt = this.#newerAt;
    this.#newerSeq = sent;
    this.#newerAt = now;
    this.#next = sent > floor ? now + ackTimeout / 2 : 0;
  }

  /** What is in flight is sent anew: its times mean nothing any more. */
  forget(): void {
    this.#next = this.#olderSeq = 0;
    this.#renewed = undefined;
  }

  /** The marks as another node can go on with them. */
  measure(now: number): Pick<Flight, "older" | "newer" | "next"> {
    return {
      older: [this.#olderSeq, now - this.#olderAt],
      newer: [this.#newerSeq, now - this.#newerAt],
      ...(this.#next === 0 ? {} : { next: this.#next - now }),
    };
  }

  /** Goes on with the marks of another node. */
  restore({ older, newer, next }: Flight, now: number): void {
    if (next === undefined) return;
    [this.#olderSeq, this.#olderAt] = [older[0], now - older[1]];
    [this.#newerSeq, this.#newerAt] = [newer[0], now - newer[1]];
    this.#next = Math.max(now + next, 1);
  }
}
