import { MAX_EARLIER } from "@push/client/protocol";
import type { Era, LogState } from "../stores/store.ts";

const NONE: readonly Era[] = [];

/** What this node knows of one log. */
export class LogView {
  #epoch = "";
  #head = 0;
  #oldest = 1;
  #earlier = NONE;
  #skew: number | undefined;

  /** Epoch; empty as long as nothing is known. */
  get epoch(): string {
    return this.#epoch;
  }
  /** Highest number of the row that is known. */
  get head(): number {
    return this.#head;
  }
  /** Lowest number kept. */
  get oldest(): number {
    return this.#oldest;
  }
  /** Milliseconds that the store's own clock is ahead of this node's, if it has one. */
  get skew(): number | undefined {
    return this.#skew;
  }

  /**
   * Up to which number a position of another epoch goes on in the present one; `undefined` if its
   * numbers mean nothing here.
   */
  baseOf(epoch: string): number | undefined {
    let base = Infinity;
    for (const era of this.#earlier) {
      base = Math.min(base, era.base);
      if (era.epoch === epoch) return base;
    }
    return undefined;
  }

  /** Epochs that go on in the present one, newest first, each with the base that counts for it. */
  get earlier(): Era[] {
    let base = Infinity;
    return this.#earlier.slice(0, MAX_EARLIER).map((era) => {
      base = Math.min(base, era.base);
      return { epoch: era.epoch, base };
    });
  }

  /** Whether who stands in another epoch, even below its base, may have missed messages of it. */
  mayMiss(epoch: string): boolean {
    const last = this.#earlier.findIndex((era) => era.epoch === epoch);
    return this.#earlier.some(({ isLossy }, i) => i <= last && isLossy === true);
  }

  /**
   * Whether an answer of the store can be trusted: it may be older than an epoch that began meanwhile.
   *
   * @param asked the epoch that was known when the store was asked
   */
  isCurrent({ epoch }: LogState, asked: string): boolean {
    return epoch === this.#epoch || asked === this.#epoch;
  }

  /** Another epoch has begun. */
  begin(state: LogState, now: number): void {
    this.#epoch = state.epoch;
    this.#earlier = NONE;
    this.#head = state.head;
    this.#oldest = state.oldest;
    this.note(state, now);
  }

  /** Takes over what an answer of the present epoch says, but for its head. */
  note({ oldest, earlier, time }: LogState, now: number): void {
    this.losesUpTo(oldest - 1);
    if (earlier !== undefined) this.#earlier = earlier;
    if (time !== undefined) this.#skew = time - now;
  }

  /** The row is known up to a number. */
  reaches(head: number): void {
    if (head > this.#head) this.#head = head;
  }

  /** What is at or below a number is not kept. */
  losesUpTo(seq: number): void {
    if (seq + 1 > this.#oldest) this.#oldest = seq + 1;
  }
}
