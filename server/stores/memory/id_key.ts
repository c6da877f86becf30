import type { RandomBytes } from "../../clock.ts";

/**
 * Spells publish ids as bytes, and hashes them with a secret, so that nobody can choose ids that meet
 * in one place of a table: HalfSipHash with 1 and 3 rounds.
 */
export class IdKeys {
  /** The key that was spelled last, up to `length`. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(512);
  /** How many bytes it has. */
  length = 0;
  /** Its hash. */
  hash = 0;
  readonly #low: number;
  readonly #high: number;

  /** @param random where the secret comes from */
  constructor(random: RandomBytes) {
    const secret = random(8);
    this.#low = wordOf(secret, 0);
    this.#high = wordOf(secret, 4);
  }

  /** Spells an id: no subject and id are spelled as another pair. */
  spell(subject: string, id: string): void {
    const most = 2 * (subject.length + id.length) + 16;
    if (most > this.bytes.length) this.bytes = new Uint8Array(2 * most);
    this.length = write(this.bytes, write(this.bytes, 0, subject), id);
    this.hash = this.#hashOf(this.bytes, this.length);
  }

  /** Takes a key that was spelled before. */
  take(key: Uint8Array): void {
    if (key.length > this.bytes.length) this.bytes = new Uint8Array(2 * key.length);
    this.bytes.set(key);
    this.length = key.length;
    this.hash = this.#hashOf(key, key.length);
  }

  #hashOf(bytes: Uint8Array, length: number): number {
    let a = this.#low;
    let b = this.#high;
    let c = 0x6c796765 ^ a;
    let d = 0x74656462 ^ b;
    const whole = length & ~3;
    // The last word has what is left, and the length; then come the rounds that end it.
    for (let at = 0, rounds = Math.floor(length / 4) + 4; rounds > 0; rounds--, at += 4) {
      const word = at < whole ? wordOf(bytes, at) : at === whole ? endOf(bytes, at, length) : 0;
      if (rounds === 3) c ^= 0xff;
      d ^= word;
      a = (a + b) | 0;
      b = ((b << 5) | (b >>> 27)) ^ a;
      a = (a << 16) | (a >>> 16);
      c = (c + d) | 0;
      d = ((d << 8) | (d >>> 24)) ^ c;
      a = (a + d) | 0;
      d = ((d << 7) | (d >>> 25)) ^ a;
      c = (c + b) | 0;
      b = ((b << 13) | (b >>> 19)) ^ c;
      c = (c << 16) | (c >>> 16);
      a ^= word;
    }
    return (b ^ d) >>> 0;
  }
}

function wordOf(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

function endOf(bytes: Uint8Array, at: number, length: number): number {
  let word = length << 24;
  for (let shift = 0; at < length; shift += 8) word |= bytes[at++] << shift;
  return word;
}

/** Writes a text behind its length; returns where it ends. */
function write(bytes: Uint8Array, start: number, text: string): number {
  const { length } = text;
  let at = writeLength(bytes, start, 2 * length);
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return writeUnits(bytes, start, text);
    bytes[at++] = unit;
  }
  return at;
}

function writeUnits(bytes: Uint8Array, start: number, text: string): number {
  let at = writeLength(bytes, start, 2 * text.length + 1);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes[at++] = unit & 0xff;
    bytes[at++] = unit >> 8;
  }
  return at;
}

function writeLength(bytes: Uint8Array, at: number, length: number): number {
  for (; length >= 0x80; length >>>= 7) bytes[at++] = (length & 0x7f) | 0x80;
  bytes[at++] = length;
  return at;
}
