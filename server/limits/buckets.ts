import { Bucket, type BucketTerms } from "./bucket.ts";

/**
 * Buckets by name, a bounded number of them: the one longest unused goes first, as it is the first
 * to be full again.
 */
export class Buckets {
  readonly #terms: BucketTerms;
  readonly #most: number;
  /** In the order in which they were used. */
  readonly #buckets = new Map<string, Bucket>();

  /** @param most how many there may be */
  constructor(terms: BucketTerms, most: number) {
    this.#terms = terms;
    this.#most = most;
  }

  /** How many there are. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Whether there is no limit. */
  get isOpen(): boolean {
    return this.#terms.rate === 0;
  }

  /** The bucket of a name, for use now. */
  use(name: string, now: number): Bucket {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#most) this.#forgetFirst();
      bucket = new Bucket(this.#terms, now);
    } else {
      this.#buckets.delete(name);
    }
    this.#buckets.set(name, bucket);
    return bucket;
  }

  /** The bucket of a name that was used, if it is not forgotten. */
  find(name: string): Bucket | undefined {
    return this.#buckets.get(name);
  }

  /** Forgets those that are full again. */
  sweep(now: number): void {
    for (const [name, bucket] of this.#buckets) {
      if (!bucket.isFull(now)) break;
      this.#buckets.delete(name);
    }
  }

  #forgetFirst(): void {
    for (const name of this.#buckets.keys()) {
      this.#buckets.delete(name);
      return;
    }
  }
}
