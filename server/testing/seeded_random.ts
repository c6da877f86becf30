import type { RandomBytes } from "../clock.ts";

/** Random numbers that are the same for the same seed. Not for secrets. */
export interface SeededRandom {
  /** A number from 0 up to, and without, 1. */
  next(): number;
  /** An integer from 0 up to, and without, `end`. */
  below(end: number): number;
  /** One of `items`; there must be one. */
  pick<T>(items: readonly T[]): T;
  /** Random bytes, as the gateway asks for them. */
  readonly bytes: RandomBytes;
}

/**
 * Makes a source of random numbers from a seed, so that what fails once fails again.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand).
 *
 * @param seed an integer
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { seededRandom } from "@push/gateway/testing";
 *
 * assertEquals(seededRandom(7).bytes(16), seededRandom(7).bytes(16));
 * ```
 */
export function seededRandom(seed: number): SeededRandom {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const word = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum | 0;
    return sum >>> 0;
  };
  // Seeds that differ in one bit differ in all after some rounds.
  for (let i = 0; i < 15; i++) word();
  const next = () => word() / 2 ** 32;
  const below = (end: number) => Math.floor(next() * end);
  return {
    next,
    below,
    pick: (items) => items[below(items.length)],
    bytes: (length) => Uint8Array.from({ length }, () => word() & 0xff),
  };
}
