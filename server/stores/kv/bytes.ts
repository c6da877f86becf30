const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
// Up to here a loop is faster than a call of the encoder.
const SHORT = 48;

/** Writes numbers and texts one behind the other. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param capacity bytes to begin with; it grows by itself */
  constructor(capacity: number = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Bytes that it holds without growing. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** How many bytes were written. */
  get length(): number {
    return this.#length;
  }

  /** A whole number from 0. */
  number(value: number): void {
    this.#reserve(8);
    while (value >= 0x80) {
      this.#bytes[this.#length++] = (value & 0x7f) | 0x80;
      // Numbers have up to 53 bits, and shifting only 32.
      value = value < 0x80000000 ? value >>> 7 : Math.floor(value / 128);
    }
    this.#bytes[this.#length++] = value;
  }

  /** A whole number that may be negative. */
  signed(value: number): void {
    this.number(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** A text, of which every unit comes back, halves of surrogate pairs too. */
  text(value: string): void {
    const { length } = value;
    if (length <= SHORT && this.#ascii(value)) return;
    if (!value.isWellFormed()) return this.#units(value);
    this.#reserve(16 + 3 * length);
    // The length stands first and is known last. It mostly is that of a text with as many bytes as
    // units; else the text moves by a byte or two.
    const start = this.#length;
    const guess = start + widthOf(2 * length);
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(guess));
    const begin = start + widthOf(2 * written);
    if (begin !== guess) this.#bytes.copyWithin(begin, guess, guess + written);
    this.number(2 * written);
    this.#length += written;
  }

  /** Bytes as they are. */
  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** A copy of what was written, from an offset on. */
  copy(from: number = 0): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(from, this.#length);
  }

  /** Takes back what was written behind an offset. */
  truncate(length: number): void {
    this.#length = length;
  }

  #ascii(value: string): boolean {
    const { length } = value;
    this.#reserve(8 + length);
    const bytes = this.#bytes;
    const start = this.#length;
    this.number(2 * length);
    let end = this.#length;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) {
        this.#length = start;
        return false;
      }
      bytes[end++] = unit;
    }
    this.#length = end;
    return true;
  }

  #units(value: string): void {
    this.number(4 * value.length + 1);
    this.#reserve(2 * value.length);
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      this.#bytes[this.#length++] = unit & 0xff;
      this.#bytes[this.#length++] = unit >> 8;
    }
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}

/** Bytes that a number takes. */
function widthOf(value: number): number {
  let width = 1;
  for (; value >= 0x80; value = Math.floor(value / 128)) width++;
  return width;
}

/** Reads what a {@linkcode ByteWriter} wrote. Throws a `RangeError` where that cannot be. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;

  /** @param at offset to begin at */
  constructor(bytes: Uint8Array, at: number = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Offset of what comes next. */
  get at(): number {
    return this.#at;
  }

  /** Whether everything was read. */
  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** A whole number from 0. */
  number(): number {
    let value = 0;
    let scale = 1;
    while (true) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError("There are fewer bytes than there should be.");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    if (!Number.isSafeInteger(value)) throw new RangeError("A number is too large.");
    return value;
  }

  /** A whole number that may be negative. */
  signed(): number {
    const value = this.number();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** A text. */
  text(): string {
    return this.textBehind(this.number());
  }

  /** Passes over a text. */
  skipText(): void {
    this.skipBehind(this.number());
  }

  /** A text whose header was read: twice its bytes in UTF-8, or one more than that in UTF-16. */
  textBehind(header: number): string {
    const bytes = this.bytes(Math.floor(header / 2));
    if (header % 2 === 0) return decoder.decode(bytes);
    let text = "";
    for (let i = 0; i + 1 < bytes.length; i += 2) {
      text += String.fromCharCode(bytes[i] | (bytes[i + 1] << 8));
    }
    return text;
  }

  /** Passes over a text whose header was read. */
  skipBehind(header: number): void {
    this.bytes(Math.floor(header / 2));
  }

  /** So many bytes, not copied. */
  bytes(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) {
      throw new RangeError("There are fewer bytes than there should be.");
    }
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** @throws {RangeError} unless everything was read */
  end(): void {
    if (!this.isAtEnd) throw new RangeError("There are more bytes than there should be.");
  }
}
