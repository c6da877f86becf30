import type { Entry } from "./entry.ts";

/** Messages in a row of a log, ascending. */
export interface Stretch {
  /** Holds every kept message above this number… */
  readonly from: number;
  /** …up to this one. */
  readonly to: number;
  readonly entries: readonly Entry[];
}

const MAX_COUNT = 2048;
const MAX_BYTES = 2 * 1024 * 1024;

/** The newest messages of a channel, in memory. */
export class Tail implements Stretch {
  #entries: Entry[] = [];
  #bytes = 0;
  #from = 0;
  #to = 0;

  /** See {@linkcode Stretch.from}. */
  get from(): number {
    return this.#from;
  }
  /** See {@linkcode Stretch.to}. */
  get to(): number {
    return this.#to;
  }
  /** See {@linkcode Stretch.entries}. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Forgets everything: what follows comes after `from`. */
  reset(from: number): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#from = this.#to = from;
  }

  /**
   * Takes in the messages between two numbers, every one that is kept there. Where the row is
   * broken, what was there before is forgotten.
   */
  extend(from: number, to: number, entries: Iterable<Entry>): void {
    if (to <= this.#to) return;
    if (from > this.#to) this.reset(from);
    for (const entry of entries) {
      if (entry.seq <= this.#to) continue;
      this.#entries.push(entry);
      this.#bytes += entry.message.bytes;
    }
    this.#to = to;
    this.#trim();
  }

  /**
   * Lets go of what was stored at or before `limitAt`.
   *
   * @returns whether there was any
   */
  expire(limitAt: number): boolean {
    let drop = 0;
    while (drop < this.#entries.length && this.#entries[drop].message.at <= limitAt) {
      this.#bytes -= this.#entries[drop++].message.bytes;
    }
    if (drop === 0) return false;
    this.#drop(drop);
    return true;
  }

  #trim(): void {
    if (this.#entries.length <= MAX_COUNT && this.#bytes <= MAX_BYTES) return;
    // One message may be larger than all of this.
    if (this.#entries.length === 1) return;
    let drop = 0;
    // Half of it at once, so that trimming costs little per message.
    while (
      this.#entries.length - drop > MAX_COUNT / 2 ||
      (this.#bytes > MAX_BYTES / 2 && this.#entries.length - drop > 1)
    ) {
      this.#bytes -= this.#entries[drop++].message.bytes;
    }
    this.#drop(drop);
  }

  #drop(count: number): void {
    this.#from = this.#entries[count - 1].seq;
    this.#entries = this.#entries.slice(count);
  }
}

/** Index of the first entry whose number is above `after`. */
export function indexAfter(entries: readonly Entry[], after: number): number {
  if (entries.length === 0) return 0;
  const guess = after + 1 - entries[0].seq;
  if (guess >= 0 && guess < entries.length && entries[guess].seq === after + 1) return guess;
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle].seq <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
