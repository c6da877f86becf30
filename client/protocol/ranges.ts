import type { Ranges } from "./frames.ts";
import { isSeq } from "./event_id.ts";

/** Whether `value` is a sorted list of disjoint pairs of message numbers, at most `limit` pairs. */
export function isRanges(value: unknown, limit = 4096): value is Ranges {
  if (!Array.isArray(value) || value.length % 2 !== 0 || value.length > 2 * limit) return false;
  let last = 0;
  for (let i = 0; i < value.length; i += 2) {
    const from = value[i];
    const to = value[i + 1];
    if (!isSeq(from) || !isSeq(to) || from <= last || to < from) return false;
    last = to;
  }
  return true;
}

/**
 * A sorted set of message numbers, kept as ranges. Small by nature: it holds what is settled out of
 * order, so it has at most as many ranges as messages may be outstanding.
 */
export class RangeSet {
  /** Flat pairs, sorted and disjoint, never touching. */
  #pairs: number[];
  #size = 0;

  /**
   * A set of these numbers.
   *
   * @param ranges flat pairs, sorted and disjoint
   */
  constructor(ranges: Ranges = []) {
    this.#pairs = [];
    for (let i = 0; i < ranges.length; i += 2) this.addRange(ranges[i], ranges[i + 1]);
  }

  /** How many numbers are in the set. */
  get size(): number {
    return this.#size;
  }

  /** How many ranges the set is kept as. */
  get rangeCount(): number {
    return this.#pairs.length / 2;
  }

  /** Lowest number; `undefined` if the set is empty. */
  get first(): number | undefined {
    return this.#pairs[0];
  }

  /** Whether `n` is in the set. */
  has(n: number): boolean {
    const i = this.#find(n);
    return i < this.#pairs.length && this.#pairs[i] <= n;
  }

  /** Adds `n`; returns whether it was new. */
  add(n: number): boolean {
    if (this.has(n)) return false;
    this.addRange(n, n);
    return true;
  }

  /** Adds everything from `from` to `to`. */
  addRange(from: number, to: number): void {
    const pairs = this.#pairs;
    // First range that touches or follows from - 1.
    const start = this.#find(from - 1);
    let end = start;
    let low = from;
    let high = to;
    let removed = 0;
    while (end < pairs.length && pairs[end] <= to + 1) {
      low = Math.min(low, pairs[end]);
      high = Math.max(high, pairs[end + 1]);
      removed += pairs[end + 1] - pairs[end] + 1;
      end += 2;
    }
    pairs.splice(start, end - start, low, high);
    this.#size += high - low + 1 - removed;
  }

  /** Removes `n`; returns whether it was in the set. */
  delete(n: number): boolean {
    const pairs = this.#pairs;
    const i = this.#find(n);
    if (i >= pairs.length || pairs[i] > n) return false;
    const [from, to] = [pairs[i], pairs[i + 1]];
    const rest: number[] = [];
    if (from < n) rest.push(from, n - 1);
    if (n < to) rest.push(n + 1, to);
    pairs.splice(i, 2, ...rest);
    this.#size--;
    return true;
  }

  /** Removes everything at or below `n`. */
  dropUpTo(n: number): void {
    const pairs = this.#pairs;
    let whole = 0;
    while (whole < pairs.length && pairs[whole + 1] <= n) {
      this.#size -= pairs[whole + 1] - pairs[whole] + 1;
      whole += 2;
    }
    if (whole > 0) pairs.splice(0, whole);
    if (pairs.length > 0 && pairs[0] <= n) {
      this.#size -= n - pairs[0] + 1;
      pairs[0] = n + 1;
    }
  }

  /** Removes everything above `n`. */
  dropAbove(n: number): void {
    this.#size = this.countUpTo(n);
    this.#pairs = this.#pairs.filter((end) => end <= n);
    // An odd number of ends: the last range goes beyond.
    if (this.#pairs.length % 2 === 1) this.#pairs.push(n);
  }

  /** How many numbers of the set are at or below `n`. */
  countUpTo(n: number): number {
    const pairs = this.#pairs;
    if (pairs.length === 0 || pairs[pairs.length - 1] <= n) return this.#size;
    let count = 0;
    for (let i = 0; i < pairs.length && pairs[i] <= n; i += 2) {
      count += Math.min(pairs[i + 1], n) - pairs[i] + 1;
    }
    return count;
  }

  /** End of the range that `n` is in; `undefined` if it is in none. */
  endOfRange(n: number): number | undefined {
    const i = this.#find(n);
    return i < this.#pairs.length && this.#pairs[i] <= n ? this.#pairs[i + 1] : undefined;
  }

  /** The set as flat pairs, a copy. */
  toRanges(): Ranges {
    return this.#pairs.slice();
  }

  /** Every number, ascending. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let i = 0; i < this.#pairs.length; i += 2) {
      for (let n = this.#pairs[i]; n <= this.#pairs[i + 1]; n++) yield n;
    }
  }

  /** Index of the first pair whose end is at or above `n`. */
  #find(n: number): number {
    let low = 0;
    let high = this.#pairs.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#pairs[2 * middle + 1] < n) low = middle + 1;
      else high = middle;
    }
    return 2 * low;
  }
}
