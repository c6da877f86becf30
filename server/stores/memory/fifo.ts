// Below this many dropped items, moving the rest costs more than it frees.
const FEW = 64;

/** A queue that is also read by index: everything but the odd compaction takes constant time. */
export class Fifo<T> {
  readonly #blank: T;
  /** Absent while it is empty: most queues are, or have one item. */
  #items: T[] | undefined;
  #start = 0;

  /** @param blank what stands in for an item that was taken, so that nothing keeps it alive */
  constructor(blank: T) {
    this.#blank = blank;
  }

  /** How many items are in the queue. */
  get length(): number {
    return this.#items === undefined ? 0 : this.#items.length - this.#start;
  }

  /** The item at `index`, counted from the front; there must be one. */
  at(index: number): T {
    return this.#items![this.#start + index];
  }

  /** Adds an item at the end. */
  push(item: T): void {
    if (this.#items === undefined) this.#items = [item];
    else this.#items.push(item);
  }

  /** Puts another item in the place of the last; there must be one. */
  replaceLast(item: T): void {
    const items = this.#items!;
    items[items.length - 1] = item;
  }

  /** Takes the item at the front; there must be one. */
  shift(): T {
    const items = this.#items!;
    const item = items[this.#start];
    items[this.#start++] = this.#blank;
    if (this.#start === items.length) {
      this.#items = undefined;
      this.#start = 0;
    } else if (this.#start > FEW && this.#start * 2 > items.length) {
      this.#items = items.slice(this.#start);
      this.#start = 0;
    }
    return item;
  }

  /** Items from index `from` up to, and without, `to`: a copy. */
  slice(from: number, to: number): T[] {
    return this.#items?.slice(this.#start + from, this.#start + to) ?? [];
  }
}
