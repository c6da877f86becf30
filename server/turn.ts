import type { Clock } from "./clock.ts";
import { Pace } from "./pace.ts";

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
 * The end of a turn of the event loop. Whatever became ready is pumped once, and what the pumps
 * gathered for a connection leaves together: the busier the gateway, the more messages leave at once,
 * and an idle one adds no delay. Where many are to be pumped that takes several turns, so that the
 * runtime writes and reads between; what gathered without a pump, as answers do, waits for none.
 */
export class Turn {
  readonly #clock: Clock;
  readonly #pace: Pace;
  /** Whom the next cycle is for. */
  #pumped = new Set<Pumped>();
  /** Who is left of this one. */
  #left = new Set<Pumped>();
  /** Who had more to send than left at once. */
  #more = new Set<Pumped>();
  /** Whether those who are left are a cycle, or go on behind one. */
  #isCycle = false;
  #flushed = new Set<Flushed>();
  #scheduled = false;
  #pass = 0;

  /**
   * @param clock source of time
   * @param interval least time between the first messages of two cycles, milliseconds
   */
  constructor(clock: Clock, interval = 0) {
    this.#clock = clock;
    this.#pace = new Pace(clock, interval, () => {
      if (this.#mayPump) this.#schedule();
    });
  }

  /** Whether so much was sent in this turn that the rest belongs to the next. */
  get isFull(): boolean {
    return this.#pace.isFull;
  }

  /** Counts how often everybody was asked who had something to send. */
  get pass(): number {
    return this.#pass;
  }

  /** Pumps `what` at the end of this turn, or once those before it had theirs. */
  pump(what: Pumped): void {
    this.#pumped.add(what);
    if (this.#mayPump) this.#schedule();
  }

  /** Pumps `what`, which has more to send than left at once, whether or not a cycle may begin. */
  goOn(what: Pumped): void {
    this.#more.add(what);
    if (this.#mayPump) this.#schedule();
  }

  /** Pumps `what` in this cycle still. For a pump that finds the turn full. */
  pumpSoon(what: Pumped): void {
    this.#left.add(what);
  }

  /** Flushes `what` at the end of this turn, after everything was pumped. */
  flush(what: Flushed): void {
    this.#flushed.add(what);
    this.#schedule();
  }

  /**
   * Hears of messages that a pump has sent.
   *
   * @param writes how many writes that takes
   */
  sends(writes: number, bytes: number): void {
    this.#pace.sends(writes, bytes);
  }

  /** Pumps nobody any more. */
  stop(): void {
    this.#pace.stop();
  }

  get #mayPump(): boolean {
    if (this.#pace.isStopped) return false;
    if (this.#left.size > 0 || this.#more.size > 0) return true;
    return this.#pumped.size > 0 && !this.#pace.rests;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.schedule(0, () => this.#run());
  }

  #run(): void {
    this.#scheduled = false;
    if (this.#mayPump) this.#pump();
    const flushed = this.#flushed;
    this.#flushed = new Set();
    for (const what of flushed) what.flush();
    if (this.#mayPump) this.#schedule();
  }

  #pump(): void {
    if (this.#left.size === 0) this.#begin();
    this.#pace.beginRound();
    for (const what of this.#left) {
      this.#left.delete(what);
      what.pump();
      if (this.#pace.isFull) break;
    }
    if (this.#isCycle && this.#left.size === 0) this.#pace.endCycle();
  }

  #begin(): void {
    this.#pass++;
    this.#isCycle = !this.#pace.rests;
    if (this.#isCycle) {
      [this.#left, this.#pumped] = [this.#pumped, this.#left];
      this.#pace.beginCycle();
    }
    for (const what of this.#more) this.#left.add(what);
    this.#more.clear();
  }
}
