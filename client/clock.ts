/**
 * Time and randomness as parameters. This is the only file of the client that names the real ones,
 * so that everything else runs under a manual clock.
 *
 * @module
 */

/** Cancels what was scheduled; does nothing if it has run or was cancelled. */
export type Cancel = () => void;

/** Source of time, of the same shape as the gateway's: one manual clock serves both. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump with the machine's clock. */
  now(): number;
  /** Runs `task` once, `delay` milliseconds from now, whatever the machine's clock does meanwhile. */
  schedule(delay: number, task: () => void): Cancel;
}

/** Source of randomness: `length` random bytes. */
export type RandomBytes = (length: number) => Uint8Array;

// A timer's delay is a signed 32-bit integer of milliseconds (HTML, "timer initialisation steps").
const LONGEST_DELAY = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(delay, task) {
    const handle = setTimeout(task, Math.min(delay, LONGEST_DELAY));
    return () => clearTimeout(handle);
  },
};

/** The machine's cryptographic randomness. */
export const systemRandom: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

/** A random id of 128 bits, as 32 hexadecimal digits. */
export function randomId(random: RandomBytes): string {
  return Array.from(random(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A random fraction, evenly spread: at least 0, less than 1. */
export function randomFraction(random: RandomBytes): number {
  return random(4).reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 32;
}
