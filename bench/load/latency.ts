/** Times in classes, each a hundredth wider than the one before: millions take no room. */

const CLASSES = 2000;
const GROWTH = Math.log(1.01);

/** How often times were how long. */
export class Latencies {
  readonly #counts = new Uint32Array(CLASSES);
  #count = 0;

  /** A time, in microseconds. */
  add(time: number): void {
    const place = time <= 1 ? 0 : Math.log(time) / GROWTH | 0;
    this.#counts[place < CLASSES ? place : CLASSES - 1]++;
    this.#count++;
  }

  /** Forgets all. */
  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
  }

  /** The time that this share, 0 to 1, of all is not above, in milliseconds; 0 if there are none. */
  quantile(share: number): number {
    let rest = Math.ceil(this.#count * share);
    if (rest === 0) return 0;
    for (const [place, count] of this.#counts.entries()) {
      rest -= count;
      if (rest <= 0) return Math.exp((place + 0.5) * GROWTH) / 1000;
    }
    return Infinity;
  }
}
