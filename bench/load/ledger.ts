/** Who has got what: whether every message came to every subscriber, once and in order. */

/** What went wrong; all are 0 in a run whose figures count. */
export interface Verdict {
  /** Messages that did not come. */
  readonly missing: number;
  /** Messages that came again. */
  readonly repeated: number;
  /** Messages that came before one that was published earlier by the same publisher. */
  readonly early: number;
}

/** The numbers of each publisher that each subscriber has got. */
export class Ledger {
  readonly #publishers: number;
  /** By subscriber and publisher: the highest number that came. */
  readonly #last: Int32Array;
  /** By the same: what was passed over, and may come yet. Empty in a run without mistakes. */
  readonly #holes = new Map<number, Set<number>>();
  #received = 0;
  #repeated = 0;
  #early = 0;

  constructor(subscribers: number, publishers: number) {
    this.#publishers = publishers;
    this.#last = new Int32Array(subscribers * publishers);
  }

  /** Messages that came, each counted once. */
  get received(): number {
    return this.#received;
  }

  /**
   * A message came. Numbers of a publisher begin with 1.
   *
   * @returns whether it came for the first time
   */
  take(subscriber: number, publisher: number, number: number): boolean {
    const place = subscriber * this.#publishers + publisher;
    const last = this.#last[place];
    if (number === last + 1) {
      this.#last[place] = number;
      this.#received++;
      return true;
    }
    return this.#takeOther(place, last, number);
  }

  /** The highest number of a publisher that came to a subscriber. */
  last(subscriber: number, publisher: number): number {
    return this.#last[subscriber * this.#publishers + publisher];
  }

  /**
   * What went wrong.
   *
   * @param sent messages that a subscriber should have got of a publisher
   */
  verdict(sent: (subscriber: number, publisher: number) => number): Verdict {
    let missing = 0;
    for (const [place, last] of this.#last.entries()) {
      const publisher = place % this.#publishers;
      const expected = sent((place - publisher) / this.#publishers, publisher);
      missing += Math.max(0, expected - last) + (this.#holes.get(place)?.size ?? 0);
      // What was never sent cannot come.
      this.#repeated += Math.max(0, last - expected);
    }
    return { missing, repeated: this.#repeated, early: this.#early };
  }

  #takeOther(place: number, last: number, number: number): boolean {
    const holes = this.#holes.get(place) ?? new Set();
    if (number > last) {
      this.#early++;
      for (let n = last + 1; n < number; n++) holes.add(n);
      this.#holes.set(place, holes);
      this.#last[place] = number;
    } else if (!holes.delete(number)) {
      this.#repeated++;
      return false;
    }
    this.#received++;
    return true;
  }
}

/** Whether nothing went wrong. */
export function isRight({ missing, repeated, early }: Verdict): boolean {
  return missing === 0 && repeated === 0 && early === 0;
}
