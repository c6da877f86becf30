/**
 * Time and randomness as parameters. This is the only file of the gateway that names the real ones,
 * so that everything else runs under a manual clock.
 *
 * @module
 */

/** Cancels what was scheduled; does nothing if it has run or was cancelled. */
export type Cancel = () => void;

/** Source of time. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump with the machine's clock. */
  now(): number;
  /**
   * Runs `task` once, `delay` milliseconds from now, whatever the machine's clock does meanwhile.
   * A delay of 0 means at the end of this turn of the event loop.
   */
  schedule(delay: number, task: () => void): Cancel;
  /**
   * Runs `task` once the runtime has asked for what its sockets have received. A clock without it
   * knows nothing of sockets.
   */
  afterIo?(task: () => void): Cancel;
  /** Milliseconds since some moment, with fractions, whatever the machine's clock does. */
  elapsed?(): number;
}

/** Source of randomness: `length` random bytes. */
export type RandomBytes = (length: number) => Uint8Array;

// A timer's delay is a signed 32-bit integer of milliseconds (HTML, "timer initialisation steps").
const LONGEST_DELAY = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(delay, task) {
    if (delay <= 0) {
      const handle = setImmediate(task);
      return () => clearImmediate(handle);
    }
    const handle = setTimeout(task, Math.min(delay, LONGEST_DELAY));
    return () => clearTimeout(handle);
  },
  // As long as something runs at the end of every turn Deno asks only in every 61st: it has to wait.
  afterIo(task) {
    const handle = setTimeout(task, 1);
    return () => clearTimeout(handle);
  },
  elapsed: () => performance.now(),
};

/** Bytes that are asked for at once: each question costs more than hundreds of bytes do. */
const RANDOM_POOL = 4096;
let pool = new Uint8Array(0);
let taken = 0;

/** The machine's cryptographic randomness. No byte is given twice. */
export const systemRandom: RandomBytes = (length) => {
  if (length > RANDOM_POOL) return crypto.getRandomValues(new Uint8Array(length));
  const view = take(length);
  const bytes = view.slice();
  view.fill(0);
  return bytes;
};

/** Bytes of the pool that nobody else gets. */
function take(length: number): Uint8Array {
  if (taken + length > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(RANDOM_POOL));
    taken = 0;
  }
  return pool.subarray(taken, taken += length);
}

/** A random id of 128 bits, as 32 hexadecimal digits. */
export function randomId(random: RandomBytes): string {
  if (random !== systemRandom) return random(16).toHex();
  // Nobody needs bytes of their own.
  const view = take(16);
  const id = view.toHex();
  view.fill(0);
  return id;
}

/** A random epoch of about 51 bits, as 10 of `a-z 0-9`. */
export function randomEpoch(random: RandomBytes): string {
  return Array.from(random(10), (byte) => "abcdefghijklmnopqrstuvwxyz0123456789"[byte % 36]).join(
    "",
  );
}
