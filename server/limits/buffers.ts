/** Somebody with bytes that wait: to be read by a client, or to be handled. */
export interface Buffering {
  /** Bytes that wait now. */
  readonly waiting: number;
  /** All together have too many, and this one the most of them for the longest. Ends it. */
  overflow(detail: string): void;
}

interface Noted {
  bytes: number;
  /** Unix milliseconds. */
  readonly since: number;
}

/** Bytes up to which nobody counts: a socket that is read has no more. */
const SMALL = 65_536;
/** Part of the limit that is left once it was passed, so that it is not passed by the next byte. */
const LEFT = 7 / 8;

/**
 * Counts the bytes that wait in all connections together. Who has few costs nothing; of the others one
 * number is kept. When all have too many, those go that have waited longest with the most.
 */
export class Buffers {
  readonly #most: number;
  readonly #now: () => number;
  readonly #noted = new Map<Buffering, Noted>();
  #total = 0;
  #isRelieving = false;

  /**
   * @param most bytes
   * @param now tells Unix milliseconds
   */
  constructor(most: number, now: () => number) {
    this.#most = most;
    this.#now = now;
  }

  /** Bytes that wait, as far as was told. */
  get total(): number {
    return this.#total;
  }

  /** How many have bytes that count. */
  get size(): number {
    return this.#noted.size;
  }

  /**
   * Hears how many bytes wait of somebody.
   *
   * @param wasNoted what this returned the last time
   * @returns whether they count; who has none that do and no more than a little need not tell
   */
  note(who: Buffering, bytes: number, wasNoted: boolean): boolean {
    if (bytes < SMALL && !wasNoted) return false;
    const isNoted = this.#set(who, bytes);
    if (this.#total > this.#most && !this.#isRelieving) this.#relieve();
    return isNoted;
  }

  #set(who: Buffering, bytes: number): boolean {
    const noted = this.#noted.get(who);
    this.#total -= noted?.bytes ?? 0;
    if (bytes < SMALL) {
      this.#noted.delete(who);
      return false;
    }
    this.#total += bytes;
    if (noted === undefined) this.#noted.set(who, { bytes, since: this.#now() });
    else noted.bytes = bytes;
    return true;
  }

  #relieve(): void {
    this.#isRelieving = true;
    try {
      this.#relieveNow();
    } finally {
      this.#isRelieving = false;
    }
  }

  #relieveNow(): void {
    // A socket does not tell what was read of it.
    for (const who of [...this.#noted.keys()]) this.#set(who, who.waiting);
    if (this.#total > this.#most) {
      const now = this.#now();
      const weight = ({ bytes, since }: Noted) => bytes * (Math.max(now - since, 0) + 1);
      const all = [...this.#noted].sort(([, a], [, b]) => weight(b) - weight(a));
      for (const [who] of all) {
        if (this.#total <= this.#most * LEFT) break;
        this.#set(who, 0);
        who.overflow("Too much waits for all clients together (maxTotalBufferedBytes).");
      }
    }
  }
}
