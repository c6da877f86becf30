import type { Cancel, Clock } from "./clock.ts";

/**
 * Writes in a round above which the rest waits for the next one. With some more Deno reads in every other
 * turn of the event loop only, and with many it costs a third more to write them.
 */
const MAX_WRITES = 48;
/**
 * Part of the interval that passes at least between the end of a cycle and the next one: the longer a cycle
 * takes the rarer they are, so that time is left for all else.
 */
const BREATH = 3 / 4;
/** A large one counts once more for so many bytes each. */
const WRITE_BYTES = 16_384;

/**
 * Says when the next round of messages may begin.
 *
 * A runtime writes what it was told to send, and reads, when the program has nothing more to do. Large
 * rounds only make the row of writes longer: messages wait in it, and cost a write and memory each, that
 * could wait in the log and leave together. With small ones, whoever has its turn late gets what has come
 * meanwhile.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #go: () => void;
  #writes = 0;
  #hasSent = false;
  /** What is waited for until the next cycle may begin. */
  readonly #rests = new Set<Cancel>();
  #isStopped = false;

  /**
   * @param clock source of time
   * @param interval least time between the first messages of two cycles, milliseconds
   * @param go called when something may begin that could not before
   */
  constructor(clock: Clock, interval: number, go: () => void) {
    this.#clock = clock;
    this.#interval = interval;
    this.#go = go;
  }

  /** Whether nothing may begin any more. */
  get isStopped(): boolean {
    return this.#isStopped;
  }
  /** Whether no cycle may begin yet. */
  get rests(): boolean {
    return this.#rests.size > 0 || this.#isStopped;
  }
  /** Whether so much was sent in this round that the rest belongs to the next. */
  get isFull(): boolean {
    return this.#writes >= MAX_WRITES;
  }

  /** Everybody who has something to send is asked once, in as many rounds as it takes. */
  beginCycle(): void {
    this.#hasSent = false;
  }

  /** Everybody was asked. */
  endCycle(): void {
    if (this.#hasSent && this.#interval > 0) this.#rest(this.#interval * BREATH);
  }

  /** Some of them are asked. */
  beginRound(): void {
    this.#writes = 0;
  }

  /** Hears of messages that are sent. */
  sends(writes: number, bytes: number): void {
    if (!this.#hasSent) {
      this.#hasSent = true;
      if (this.#interval > 0) this.#rest(this.#interval);
    }
    this.#writes += writes + bytes / WRITE_BYTES;
  }

  /** Lets nothing more begin. */
  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#rests) cancel();
  }

  #rest(delay: number): void {
    const cancel = this.#clock.schedule(delay, () => {
      this.#rests.delete(cancel);
      if (this.#rests.size === 0) this.#go();
    });
    this.#rests.add(cancel);
  }
}
