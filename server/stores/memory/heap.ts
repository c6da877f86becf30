/** An item's place in a {@linkcode Heap}. The item's owner keeps it, so that no table is needed. */
export class HeapEntry<T> {
  /** The item. */
  readonly item: T;
  /** What the heap is sorted by. Only the heap changes it. */
  key = 0;
  /** Decides between equal keys. Only the heap changes it. */
  order = 0;
  /** Index in the heap; -1 outside it. Only the heap changes it. */
  index = -1;

  /** @param item what is to be found in the heap */
  constructor(item: T) {
    this.item = item;
  }
}

/**
 * A binary heap whose entries can be moved and removed. Of entries with equal keys, the one whose
 * key was set first comes first.
 */
export class Heap<T> {
  #entries: HeapEntry<T>[] = [];
  #order = 0;

  /** How many entries are in the heap. */
  get size(): number {
    return this.#entries.length;
  }

  /** Entry with the lowest key, if there is one. */
  get first(): HeapEntry<T> | undefined {
    return this.#entries[0];
  }

  /** Puts an entry in, or gives it another key. */
  set(entry: HeapEntry<T>, key: number): void {
    entry.key = key;
    entry.order = this.#order++;
    if (entry.index < 0) {
      entry.index = this.#entries.length;
      this.#entries.push(entry);
    }
    this.#settle(entry);
  }

  /** Takes an entry out; does nothing if it is not in the heap. */
  remove(entry: HeapEntry<T>): void {
    const { index } = entry;
    if (index < 0) return;
    entry.index = -1;
    const last = this.#entries.pop()!;
    if (last === entry) return;
    this.#put(last, index);
    this.#settle(last);
  }

  #settle(entry: HeapEntry<T>): void {
    let { index } = entry;
    while (index > 0) {
      const parent = this.#entries[(index - 1) >> 1];
      if (!isBefore(entry, parent)) break;
      this.#put(parent, index);
      index = (index - 1) >> 1;
    }
    while (true) {
      const left = this.#entries[2 * index + 1];
      const right = this.#entries[2 * index + 2];
      const child = right !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, entry)) break;
      const next = child.index;
      this.#put(child, index);
      index = next;
    }
    this.#put(entry, index);
  }

  #put(entry: HeapEntry<T>, index: number): void {
    this.#entries[index] = entry;
    entry.index = index;
  }
}

function isBefore<T>(a: HeapEntry<T>, b: HeapEntry<T>): boolean {
  return a.key < b.key || (a.key === b.key && a.order < b.order);
}
