import type { Cancel, Clock } from "./clock.ts";

/** Writes in a round above which the rest waits for the next one… */
const MAX_WRITES = 256;
/** …a large one counting once more for so many bytes each. */
const WRITE_BYTES = 16_384;
/** Writes after which the runtime is let do them, and read, before there are more. */
const FEW = 64;

/**
 * Says when the next round of messages may begin.
 *
 * A runtime writes what it was told to send, and reads, when the program has nothing more to do. Rounds
 * without a pause between only make the row of writes longer: messages wait in it, and cost a write and
 * memory each, that could wait in the log and leave together. With one, whoever has its turn late gets
 * what has come meanwhile.
 *
 * Under a clock that knows nothing of sockets there is no pause.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #go: () => void;
  #writes = 0;
  #hasSent = false;
  #pauses = false;
  #cancelRest: Cancel | undefined;
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

  /** Whether no round may begin yet. */
  get pauses(): boolean {
    return this.#pauses || this.#isStopped;
  }
  /** Whether no cycle may begin yet. */
  get rests(): boolean {
    return this.#cancelRest !== undefined || this.#isStopped;
  }
  /** Whether so much was sent in this round that the rest belongs to the next. */
  get isFull(): boolean {
    return this.#writes >= MAX_WRITES;
  }

  /** Everybody who has something to send is asked once, in as many rounds as it takes. */
  beginCycle(): void {
    this.#hasSent = false;
  }

  /** Some of them are asked. */
  beginRound(): void {
    this.#writes = 0;
  }

  /** Hears of messages that are sent. */
  sends(writes: number, bytes: number): void {
    if (!this.#hasSent) {
      this.#hasSent = true;
      if (this.#interval > 0) this.#rest();
    }
    this.#writes += writes + bytes / WRITE_BYTES;
    if (this.#writes >= FEW && !this.#pauses) this.#pause();
  }

  /** Lets nothing more begin. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelRest?.();
  }

  #rest(): void {
    this.#cancelRest ??= this.#clock.schedule(this.#interval, () => {
      this.#cancelRest = undefined;
      this.#go();
    });
  }

  // From within the round: while the program does the rest of it the time of the pause passes.
  #pause(): void {
    if (this.#clock.afterIo === undefined) return;
    this.#pauses = true;
    this.#clock.afterIo(() => {
      this.#pauses = false;
      this.#go();
    });
  }
}
