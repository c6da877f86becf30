// Below this many dropped items, moving the rest costs more than it frees.
const FEW = 64;

/** A queue that is also read by index: everything but the odd compaction takes constant time. */
export class Fifo<T> {
  readonly #blank: T;
  #items: T[] = [];
  #start = 0;

  /** @param blank what stands in for an item that was taken, so that nothing keeps it alive */
  constructor(blank: T) {
    this.#blank = blank;
  }

  /** How many items are in the queue. */
  get length(): number {
    return this.#items.length - this.#start;
  }

  /** The item at `index`, counted from the front. */
  at(index: number): T {
    return this.#items[this.#start + index];
  }

  /** Adds an item at the end. */
  push(item: T): void {
    this.#items.push(item);
  }

  /** Puts another item in the place of the last; there must be one. */
  replaceLast(item: T): void {
    this.#items[this.#items.length - 1] = item;
  }

  /** Takes the item at the front; there must be one. */
  shift(): T {
    const item = this.#items[this.#start];
    this.#items[this.#start++] = this.#blank;
    if (this.#start > FEW && this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return item;
  }

  /** Items from index `from` up to, and without, `to`: a copy. */
  slice(from: number, to: number): T[] {
    return this.#items.slice(this.#start + from, this.#start + to);
  }
}
