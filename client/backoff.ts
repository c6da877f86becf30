import { type RandomBytes, randomFraction } from "./clock.ts";

/** Range of a growing wait, in milliseconds. */
export interface BackoffRange {
  /** Longest first wait. */
  readonly min: number;
  /** Longest wait of all. */
  readonly max: number;
}

/**
 * How long to wait before try number `tries`: anything from nothing to a ceiling that doubles from
 * `min` to `max`. The cap comes first and the jitter after it, from the first retry on, so that
 * thousands of clients that lost one gateway at one moment never come back at one moment, neither
 * at first nor when all of them have reached the cap.
 *
 * @param tries how many waits there were before this one
 * @param range the ceiling's ends, in milliseconds
 * @param random source of randomness
 * @returns milliseconds
 */
export function backoffDelay(tries: number, range: BackoffRange, random: RandomBytes): number {
  return randomFraction(random) * Math.min(range.max, range.min * 2 ** tries);
}
