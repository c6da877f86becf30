/** How fast a bucket fills, and how much it holds. */
export interface BucketTerms {
  /** Tokens a second; 0 if there is no limit. */
  readonly rate: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
}

/** Characters or bytes that one token pays for. */
const UNIT = 4096;
/** Part of a token that sums of fractions may lack. */
const ROUNDING = 1e-6;

/** Tokens that something of a size costs: one, and one more for each 4 KiB. */
export function costOf(size: number): number {
  return 1 + Math.floor(size / UNIT);
}

/**
 * A token bucket: what is taken within a time is at most what a full one holds and what flowed in
 * meanwhile. It is two numbers; nothing runs while nobody asks.
 *
 * A clock that goes back gives nothing, and one that jumps ahead fills the bucket once.
 */
export class Bucket {
  readonly #terms: BucketTerms;
  #left: number;
  #at: number;

  /** @param now Unix milliseconds; the bucket is full then */
  constructor(terms: BucketTerms, now: number) {
    this.#terms = terms;
    this.#left = terms.burst;
    this.#at = now;
  }

  /**
   * Takes tokens, all or none.
   *
   * @returns whether they were there
   */
  take(now: number, tokens = 1): boolean {
    if (this.#terms.rate === 0) return true;
    this.#fill(now);
    if (this.#left < tokens - ROUNDING) return false;
    this.#left -= tokens;
    return true;
  }

  /** The same for one thing of a size, which a full bucket always pays for. */
  pay(now: number, size: number): boolean {
    return this.take(now, Math.min(costOf(size), this.#terms.burst));
  }

  /** Takes tokens that may be owed: until they have come, none are there. */
  charge(now: number, cost: number): void {
    const { rate, burst } = this.#terms;
    if (rate === 0) return;
    this.#fill(now);
    this.#left = Math.max(this.#left - cost, -burst);
  }

  /** Gives back a token that was taken for something that does not count. */
  refund(): void {
    this.#left = Math.min(this.#left + 1, this.#terms.burst);
  }

  /** Milliseconds until so many tokens are there, or the bucket is full. */
  wait(now: number, tokens = 1): number {
    const { rate, burst } = this.#terms;
    if (rate === 0) return 0;
    this.#fill(now);
    return Math.max(Math.min(tokens, burst) - this.#left, 0) * 1000 / rate;
  }

  /** Whether it is as if it had never been used. */
  isFull(now: number): boolean {
    this.#fill(now);
    return this.#terms.rate === 0 || this.#left >= this.#terms.burst;
  }

  #fill(now: number): void {
    const { rate, burst } = this.#terms;
    const since = now - this.#at;
    this.#at = now;
    if (since > 0) this.#left = Math.min(this.#left + since * rate / 1000, burst);
  }
}
