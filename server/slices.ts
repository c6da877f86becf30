import type { Clock } from "./clock.ts";

/** Units of work that one socket may cause in a turn of the event loop; the rest waits. */
const SLICE = 32;
/** Milliseconds without more than a slice after which a socket may cause a whole one again. */
export const SPAN = 20;
/** Units that all waiting sockets together get in a turn. */
const TURN = 4 * SLICE;
/** Characters that count as one unit more. */
const UNIT = 4096;

/** Units of work that a text is, beside the frames in it. */
export function workOf(text: string): number {
  return Math.floor(text.length / UNIT);
}

/** A socket that has sent more than a slice. */
export interface Sliced {
  /** Does the next slice. @returns whether there is more to do */
  resume(): boolean;
}

/**
 * Sockets whose frames wait for a turn. A runtime hands over all that it has read from a socket
 * without a turn of the event loop between: so without slices one socket that sends thousands of
 * frames at once keeps all others waiting until the last of them is handled.
 *
 * Under a clock that knows nothing of sockets nobody waits.
 */
export class Slices {
  readonly #clock: Clock;
  readonly #waiting = new Set<Sliced>();
  #isScheduled = false;

  /** @param clock source of time */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Units of work of a slice. */
  get units(): number {
    return this.#clock.afterIo === undefined ? Infinity : SLICE;
  }

  /** Sockets that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Lets a socket go on in the next turn, or when those that wait longer have had theirs. */
  wait(who: Sliced): void {
    this.#waiting.add(who);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#clock.afterIo?.(() => this.#run());
  }

  #run(): void {
    this.#isScheduled = false;
    // One that goes on waiting stands at the end, and gets what nobody else takes of the turn.
    let slices = TURN / SLICE;
    for (const who of this.#waiting) {
      if (slices-- === 0) break;
      this.#waiting.delete(who);
      if (who.resume()) this.#waiting.add(who);
    }
    const [next] = this.#waiting;
    if (next !== undefined) this.wait(next);
  }
}
