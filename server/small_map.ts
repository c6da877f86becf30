/**
 * A map that mostly has one entry: that one takes no table, which would be some 150 bytes more. Only of
 * two or more there is one.
 */
export class SmallMap<K, V> {
  #key: K | undefined;
  #value: V | undefined;
  /** Every entry, from the second on. */
  #more: Map<K, V> | undefined;

  /** How many entries there are. */
  get size(): number {
    if (this.#more !== undefined) return this.#more.size;
    return this.#value === undefined ? 0 : 1;
  }

  /** The value of a key. */
  get(key: K): V | undefined {
    if (this.#more !== undefined) return this.#more.get(key);
    return this.#key === key ? this.#value : undefined;
  }

  /** Whether a key has a value. */
  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  /** Gives a key a value, which is not `undefined`. */
  set(key: K, value: V): void {
    if (this.#more !== undefined) {
      this.#more.set(key, value);
    } else if (this.#value === undefined || this.#key === key) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#more = new Map([[this.#key!, this.#value], [key, value]]);
      this.#key = this.#value = undefined;
    }
  }

  /** Takes a key out; returns whether it was there. */
  delete(key: K): boolean {
    if (this.#more !== undefined) return this.#more.delete(key);
    if (this.#value === undefined || this.#key !== key) return false;
    this.#key = this.#value = undefined;
    return true;
  }

  /** Every key, in the order in which they came. What changes meanwhile may be left out. */
  keys(): Iterable<K> {
    return this.#more?.keys() ?? (this.#value === undefined ? [] : [this.#key!]);
  }

  /** Every value, in the same order. */
  values(): Iterable<V> {
    return this.#more?.values() ?? (this.#value === undefined ? [] : [this.#value]);
  }

  /** Every entry, in the same order. */
  [Symbol.iterator](): Iterator<[K, V]> {
    if (this.#more !== undefined) return this.#more[Symbol.iterator]();
    const entries: [K, V][] = this.#value === undefined ? [] : [[this.#key!, this.#value]];
    return entries[Symbol.iterator]();
  }
}
