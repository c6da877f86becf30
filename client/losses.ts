import type { GapFrame } from "./protocol/frames.ts";

/** Which messages of a channel are gone. */
export interface Loss {
  /** Whether it is a single one that was to come again, and not all up to a number. */
  readonly isOne: boolean;
  /** Whether the notice repeats one that was told. */
  readonly isTold: boolean;
}

/** Losses of single messages that are remembered as told. */
const MAX_SINGLE = 4096;

/** Which gaps of the present epoch of a channel were told. */
export class Losses {
  /** Number of the last one behind all that had arrived. */
  #gap: number | undefined;
  /** Numbers of single messages. */
  readonly #single: Set<number> = new Set();
  /** Number of the one on entering the epoch; -1 if its notice has not come yet. */
  #entry: number | undefined;

  /** A notice has come. @param isNew whether its number is above all that had arrived */
  tell({ seq, reason }: GapFrame, isNew: boolean): Loss {
    if (reason === "epoch") {
      const isTold = !isNew && (this.#entry === -1 || seq === this.#entry);
      this.#entry = seq;
      return { isOne: false, isTold };
    }
    // A poll states the position again before the notice that was on its way has come.
    const isOne = !isNew && seq !== this.#gap;
    const isTold = !isNew && (!isOne || this.#single.has(seq));
    if (isNew) this.#gap = seq;
    if (isOne) this.#single.add(seq);
    if (this.#single.size > MAX_SINGLE) this.#single.clear();
    return { isOne, isTold };
  }

  /** The gap on entering the epoch is told before its notice comes. */
  expect(): void {
    this.#entry = -1;
  }

  /** A new epoch begins. @param base numbers above it mean nothing any more */
  changeEpoch(base: number): void {
    this.#entry = undefined;
    if ((this.#gap ?? 0) > base) this.#gap = undefined;
    for (const seq of this.#single) if (seq > base) this.#single.delete(seq);
  }
}
