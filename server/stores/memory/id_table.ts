import type { IdKeys } from "./id_key.ts";

// Places of the smallest table, and bytes of its keys; powers of two, as all sizes here.
const FEW = 8;
const FEW_BYTES = 128;

/**
 * Publish ids and the numbers of their messages, in the order in which they came. It is arrays of
 * numbers alone: a `Map` of strings takes a microsecond for each id, most of it for memory.
 */
export class IdTable {
  #count = 0;
  /** Place of the oldest. */
  #first = 0;
  /** Where the key of the oldest begins, and where that of the next one will. */
  #start = 0;
  #end = 0;
  /** By place: number and time. */
  #facts: Float64Array;
  /** By place: hash, and where the key begins. */
  #places: Uint32Array;
  /** By hash, or behind: one more than a place. There are twice as many as places. */
  #slots: Int32Array;
  #bytes: Uint8Array<ArrayBuffer>;

  /** @param count how many it has room for without growing */
  constructor(count: number = FEW) {
    const capacity = powerFrom(Math.max(count, FEW));
    this.#facts = new Float64Array(2 * capacity);
    this.#places = new Uint32Array(2 * capacity);
    this.#slots = new Int32Array(2 * capacity);
    this.#bytes = new Uint8Array(FEW_BYTES / FEW * capacity);
  }

  /** How many there are. */
  get size(): number {
    return this.#count;
  }

  /** Bytes of their keys. */
  get bytes(): number {
    return (this.#end - this.#start) >>> 0;
  }

  /** Number of the message whose id was spelled last, if it is here. */
  find({ bytes, length, hash }: IdKeys): number | undefined {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] - 1;
      if (this.#places[2 * place] === hash && this.#is(place, bytes, length)) {
        return this.#facts[2 * place];
      }
    }
  }

  /** Adds the id that was spelled last, which is not here. */
  add({ bytes, length, hash }: IdKeys, seq: number, at: number): void {
    this.#reserve(1, length);
    this.#putBytes(bytes, 0, length);
    this.#put(hash, length, seq, at);
  }

  /** Adds everything of a table from which nothing was taken, and nothing of which is here. */
  addAll(other: IdTable, at: number): void {
    const count = other.#count;
    this.#reserve(count, other.bytes);
    this.#putBytes(other.#bytes, 0, other.#end);
    for (let i = 0; i < count; i++) {
      this.#put(other.#places[2 * i], other.lengthAt(i), other.#facts[2 * i], at);
    }
  }

  /** Number of the message of an id, by its index from the oldest. */
  seqAt(index: number): number {
    return this.#facts[2 * this.#placeOf(index)];
  }

  /** When an id came. */
  timeAt(index: number): number {
    return this.#facts[2 * this.#placeOf(index) + 1];
  }

  /** Bytes of an id's key. */
  lengthAt(index: number): number {
    return this.#lengthOf(this.#placeOf(index));
  }

  /** Keys of some ids, one behind the other, of a table from which nothing was taken. Not a copy. */
  keys(from: number, to: number): Uint8Array<ArrayBuffer> {
    const end = to === this.#count ? this.#end : this.#places[2 * to + 1];
    return this.#bytes.subarray(from === this.#count ? end : this.#places[2 * from + 1], end);
  }

  /** Takes the oldest away; there must be one. */
  shift(): void {
    const place = this.#first;
    this.#start = (this.#start + this.#lengthOf(place)) >>> 0;
    this.#free(place);
    this.#first = (place + 1) & (this.#capacity - 1);
    this.#count--;
    if (this.#capacity > FEW && 8 * this.#count < this.#capacity) {
      this.#resize(this.#capacity / 4, powerFrom(Math.max(this.bytes, FEW_BYTES)));
    }
  }

  get #capacity(): number {
    return this.#places.length / 2;
  }

  #placeOf(index: number): number {
    return (this.#first + index) & (this.#capacity - 1);
  }

  #lengthOf(place: number): number {
    const next = (place + 1) & (this.#capacity - 1);
    const isLast = next === this.#placeOf(this.#count);
    const end = isLast ? this.#end : this.#places[2 * next + 1];
    return (end - this.#places[2 * place + 1]) >>> 0;
  }

  #is(place: number, bytes: Uint8Array, length: number): boolean {
    if (this.#lengthOf(place) !== length) return false;
    const own = this.#bytes;
    const mask = own.length - 1;
    const start = this.#places[2 * place + 1];
    for (let i = 0; i < length; i++) if (own[(start + i) & mask] !== bytes[i]) return false;
    return true;
  }

  /** Copies bytes to the end, around the corner if need be. Where they begin is still the end. */
  #putBytes(bytes: Uint8Array, from: number, to: number): void {
    const own = this.#bytes;
    const start = this.#end & (own.length - 1);
    if (start + to - from > own.length) {
      const corner = from + own.length - start;
      own.set(bytes.subarray(from, corner), start);
      own.set(bytes.subarray(corner, to));
    } else if (to - from < 64) {
      for (let i = from; i < to; i++) own[start + i - from] = bytes[i];
    } else {
      own.set(bytes.subarray(from, to), start);
    }
  }

  /** Adds an id whose bytes are there. */
  #put(hash: number, length: number, seq: number, at: number): void {
    const place = this.#placeOf(this.#count++);
    this.#facts[2 * place] = seq;
    this.#facts[2 * place + 1] = at;
    this.#places[2 * place] = hash;
    this.#places[2 * place + 1] = this.#end;
    this.#end = (this.#end + length) >>> 0;
    this.#putSlot(hash, place);
  }

  #putSlot(hash: number, place: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = place + 1;
  }

  /** Frees the slot of a place; those behind that were pushed away move up. */
  #free(place: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#places[2 * place] & mask;
    while (slots[hole] !== place + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#places[2 * (slots[slot] - 1)] & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      slots[hole] = slots[slot];
      hole = slot;
    }
    slots[hole] = 0;
  }

  #reserve(count: number, bytes: number): void {
    const places = this.#count + count;
    const length = this.bytes + bytes;
    if (places <= this.#capacity && length <= this.#bytes.length) return;
    this.#resize(
      Math.max(powerFrom(places), this.#capacity),
      Math.max(powerFrom(length), this.#bytes.length),
    );
  }

  #resize(capacity: number, bytes: number): void {
    const count = this.#count;
    const keys = new Uint8Array(bytes);
    const length = this.bytes;
    const start = this.#start & (this.#bytes.length - 1);
    keys.set(this.#bytes.subarray(start, start + length));
    const around = start + length - this.#bytes.length;
    if (around > 0) keys.set(this.#bytes.subarray(0, around), length - around);
    const facts = new Float64Array(2 * capacity);
    const places = new Uint32Array(2 * capacity);
    for (let i = 0; i < count; i++) {
      const place = this.#placeOf(i);
      facts[2 * i] = this.#facts[2 * place];
      facts[2 * i + 1] = this.#facts[2 * place + 1];
      places[2 * i] = this.#places[2 * place];
      places[2 * i + 1] = this.#places[2 * place + 1] - this.#start;
    }
    this.#facts = facts;
    this.#places = places;
    this.#bytes = keys;
    this.#first = 0;
    this.#start = 0;
    this.#end = length;
    this.#slots = new Int32Array(2 * capacity);
    for (let i = 0; i < count; i++) this.#putSlot(places[2 * i], i);
  }
}

/** The lowest power of two that is no less. */
function powerFrom(number: number): number {
  let power = 1;
  while (power < number) power *= 2;
  return power;
}
