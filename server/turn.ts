import type { Clock } from "./clock.ts";

/** Something that may have messages to send. */
export interface Pumped {
  /** Sends what can be sent. */
  pump(): void;
}

/** Something that gathers frames and sends them together. */
export interface Flushed {
  /** Sends what was gathered. */
  flush(): void;
}

/**
 * The end of a turn of the event loop. Whatever became ready during the turn is pumped once, and
 * what the pumps gathered for a connection leaves in one frame: the busier the gateway, the more
 * messages a frame carries, and an idle one adds no delay.
 */
export class Turn {
  readonly #clock: Clock;
  #pumped = new Set<Pumped>();
  #flushed = new Set<Flushed>();
  #scheduled = false;

  /** @param clock source of time */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Pumps `what` at the end of this turn. */
  pump(what: Pumped): void {
    this.#pumped.add(what);
    this.#schedule();
  }

  /** Flushes `what` at the end of this turn, after everything was pumped. */
  flush(what: Flushed): void {
    this.#flushed.add(what);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.schedule(0, () => this.#run());
  }

  #run(): void {
    this.#scheduled = false;
    const pumped = this.#pumped;
    this.#pumped = new Set();
    for (const what of pumped) what.pump();
    const flushed = this.#flushed;
    this.#flushed = new Set();
    for (const what of flushed) what.flush();
  }
}
