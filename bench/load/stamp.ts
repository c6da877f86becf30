/**
 * The mark that every message of a benchmark carries: who published it, which of the publisher's it is,
 * and when. It is found in bytes without parsing the text around it, so that the receiver is not what
 * is measured.
 */

/** The first byte of a mark: `~`, which nothing else that a server sends has in it. */
const MARK = 0x7e;
/** From the mark to its first digit: `~":"`. */
const TO_DIGITS = 4;
const PUBLISHER_DIGITS = 5;
const NUMBER_DIGITS = 9;
const TIME_DIGITS = 13;
const LENGTH = TO_DIGITS + PUBLISHER_DIGITS + NUMBER_DIGITS + TIME_DIGITS;

/** Fills a message up to 128 bytes. */
const PADDING = "x".repeat(86);

/**
 * The payload of a message, as JSON of 128 bytes.
 *
 * @param publisher 0 to 99999
 * @param number from 1 to 999999999
 * @param time in microseconds, on the clock of whoever receives it
 */
export function payload(publisher: number, number: number, time: number): string {
  return `{"~":"${digits(publisher, PUBLISHER_DIGITS)}${digits(number, NUMBER_DIGITS)}${
    digits(Math.round(time), TIME_DIGITS)
  }","p":"${PADDING}"}`;
}

/** Hears of a mark. */
export interface StampHandler {
  (publisher: number, number: number, time: number): void;
}

/**
 * Finds the marks in some bytes. Messages of one run are of about one length, so the next mark is where
 * it was the last time; only where it is not there it is looked for.
 */
export class Stamps {
  #stride = LENGTH;
  #shortest = Infinity;

  /** Hands out each mark from `start` to before `end`, in order; returns how many there were. */
  read(bytes: Uint8Array, start: number, end: number, handle: StampHandler): number {
    let count = 0;
    let at = find(bytes, start, end);
    while (at >= 0) {
      count++;
      const digits = at + TO_DIGITS;
      handle(
        read(bytes, digits, PUBLISHER_DIGITS),
        read(bytes, digits + PUBLISHER_DIGITS, NUMBER_DIGITS),
        read(bytes, digits + PUBLISHER_DIGITS + NUMBER_DIGITS, TIME_DIGITS),
      );
      const guess = at + this.#stride;
      if (guess + LENGTH <= end && bytes[guess] === MARK) {
        at = guess;
        continue;
      }
      const next = find(bytes, at + 1, end);
      if (next >= 0) this.#learn(next - at);
      at = next;
    }
    return count;
  }

  /** A stride over something that is no message would pass over messages the next time. */
  #learn(stride: number): void {
    this.#shortest = Math.min(this.#shortest, stride);
    if (stride < 1.5 * this.#shortest) this.#stride = stride;
  }
}

/** Where the first mark from `from` on is; -1 if there is none before `end`. */
function find(bytes: Uint8Array, from: number, end: number): number {
  const found = bytes.indexOf(MARK, from);
  return found >= 0 && found + LENGTH <= end ? found : -1;
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, "0");
}

function read(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) value = value * 10 + bytes[i] - 48;
  return value;
}
