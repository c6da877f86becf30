import type { Cancel, Clock } from "./clock.ts";

/** Something that wants to be called at a time; it has at most one place in a wheel. */
export interface Timed {
  /** Slot that it waits in; 0 if it waits in none. Only the wheel writes it. */
  slot: number;
  /** Called once the time has come; may ask for another. */
  onTime(): void;
}

/** After a pause of the process, or a jump of the machine's clock, time goes on by at most this many steps. */
const LONGEST_STRIDE = 4;

/**
 * One timer for everything that waits. Times are rounded up to the wheel's step, so that thousands
 * that are due about together cost one wake-up; an empty wheel costs none.
 *
 * The wheel keeps a time of its own, which goes on evenly when the machine's clock jumps or the
 * process was stopped: a jump of an hour makes nothing due.
 */
export class TimingWheel {
  readonly #clock: Clock;
  readonly #step: number;
  readonly #slots = new Map<number, Set<Timed>>();
  #elapsed = 0;
  #turned = 0;
  #lastNow: number;
  #cancel: Cancel | undefined;
  #stopped = false;

  /**
   * @param clock source of time
   * @param step milliseconds of one slot
   */
  constructor(clock: Clock, step: number) {
    this.#clock = clock;
    this.#step = step;
    this.#lastNow = clock.now();
  }

  /** The wheel's own time, in milliseconds. */
  get time(): number {
    const since = this.#clock.now() - this.#lastNow;
    return this.#elapsed + Math.min(Math.max(since, 0), LONGEST_STRIDE * this.#step);
  }

  /** How many wait. */
  get size(): number {
    let size = 0;
    for (const slot of this.#slots.values()) size += slot.size;
    return size;
  }

  /** Calls `timed` once the wheel's time is `at`, or a little later. Replaces an earlier call. */
  schedule(timed: Timed, at: number): void {
    if (this.#stopped) return;
    if (this.#cancel === undefined) {
      this.#elapsed = this.time;
      this.#lastNow = this.#clock.now();
      this.#turned = Math.floor(this.#elapsed / this.#step);
    }
    const slot = Math.max(Math.ceil(at / this.#step), this.#turned + 1);
    if (timed.slot !== slot) {
      this.cancel(timed);
      timed.slot = slot;
      const waiting = this.#slots.get(slot);
      if (waiting === undefined) this.#slots.set(slot, new Set([timed]));
      else waiting.add(timed);
    }
    this.#cancel ??= this.#clock.schedule(this.#step, () => this.#turn());
  }

  /** Calls `timed` no more. */
  cancel(timed: Timed): void {
    if (timed.slot === 0) return;
    const waiting = this.#slots.get(timed.slot);
    waiting?.delete(timed);
    if (waiting?.size === 0) this.#slots.delete(timed.slot);
    timed.slot = 0;
  }

  /** Forgets everything and stops for good. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
    for (const waiting of this.#slots.values()) {
      for (const timed of waiting) timed.slot = 0;
    }
    this.#slots.clear();
  }

  #turn(): void {
    const now = this.#clock.now();
    const since = Math.max(now - this.#lastNow, this.#step);
    this.#elapsed += Math.min(since, LONGEST_STRIDE * this.#step);
    this.#lastNow = now;
    const current = Math.floor(this.#elapsed / this.#step);
    while (this.#turned < current) {
      const waiting = this.#slots.get(++this.#turned);
      if (waiting === undefined) continue;
      this.#slots.delete(this.#turned);
      for (const timed of waiting) {
        // Another one of this slot may have cancelled it.
        if (timed.slot !== this.#turned) continue;
        timed.slot = 0;
        timed.onTime();
      }
    }
    this.#cancel = this.#slots.size > 0
      ? this.#clock.schedule(this.#step, () => this.#turn())
      : undefined;
  }
}
