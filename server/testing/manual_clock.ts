import { type Cancel, type Clock, systemClock } from "../clock.ts";
import { Heap, HeapEntry } from "../stores/memory/heap.ts";

// Far above what one step of a test needs; a task that always schedules the next one meets it.
const MAX_TASKS = 1_000_000;

/**
 * A clock that stands still until it is told to go on. Nothing waits: an hour passes in the time
 * that its tasks take.
 *
 * Between two tasks every promise settles that can settle without time passing, so what a test sees
 * does not depend on how many promises deep the code is.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ManualClock } from "@push/gateway/testing";
 *
 * const clock = new ManualClock();
 * const rung: number[] = [];
 * const start = clock.now();
 * clock.schedule(2000, () => rung.push(clock.now() - start));
 * await clock.advance(1999);
 * assertEquals(rung, []);
 * await clock.advance(1);
 * assertEquals(rung, [2000]);
 * ```
 */
export class ManualClock implements Clock {
  readonly #tasks = new Heap<() => void>();
  #wall: number;
  /** Milliseconds that have passed; the machine's clock jumps, this does not. */
  #passed = 0;

  /**
   * Makes a clock that stands still.
   *
   * @param start what `now()` says at first, Unix milliseconds. Default the year 2025.
   */
  constructor(start: number = Date.UTC(2025, 0, 1)) {
    this.#wall = start;
  }

  /** How many tasks wait. */
  get pending(): number {
    return this.#tasks.size;
  }

  /** Milliseconds until the next task; `undefined` if none waits. */
  get untilNext(): number | undefined {
    const { first } = this.#tasks;
    return first === undefined ? undefined : first.key - this.#passed;
  }

  /** Unix milliseconds. */
  now(): number {
    return this.#wall + this.#passed;
  }

  /** Runs `task` once, `delay` milliseconds from now. A task without delay waits for the next step. */
  schedule(delay: number, task: () => void): Cancel {
    const entry = new HeapEntry(task);
    this.#tasks.set(entry, this.#passed + (delay > 0 ? delay : 0));
    return () => this.#tasks.remove(entry);
  }

  /**
   * Lets time pass, and runs what falls due in the order of its times, also what such tasks schedule.
   *
   * @param ms milliseconds; 0 runs what is due now, until nothing is
   * @throws whatever a task throws; time then stands at that task
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) {
      throw new RangeError(`Cannot advance the clock as time does not go back: ${ms} milliseconds`);
    }
    const end = this.#passed + ms;
    await settled();
    for (let run = 0; this.#tasks.size > 0 && this.#tasks.first!.key <= end; run++) {
      if (run === MAX_TASKS) {
        throw new Error(`Cannot advance the clock as tasks without end fall due in ${ms} ms`);
      }
      await this.#runFirst();
    }
    this.#passed = end;
  }

  /** Runs what is due now, but not what that schedules: one turn of the event loop. */
  async turn(): Promise<void> {
    await settled();
    const last = new HeapEntry(() => {});
    this.#tasks.set(last, this.#passed);
    try {
      while (last.index >= 0) await this.#runFirst();
    } finally {
      this.#tasks.remove(last);
    }
  }

  /**
   * Lets time pass until no task waits.
   *
   * @param limit milliseconds after which to give up
   * @throws {Error} if tasks still wait then
   */
  async runAll(limit: number = 86_400_000): Promise<void> {
    const end = this.#passed + limit;
    await settled();
    while (this.untilNext !== undefined && this.#passed + this.untilNext <= end) {
      await this.advance(this.untilNext);
    }
    if (this.pending > 0) {
      throw new Error(`Cannot run all tasks as ${this.pending} wait after ${limit} ms`);
    }
  }

  /** The machine's clock is set: `now()` jumps, and no task comes nearer. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  async #runFirst(): Promise<void> {
    const first = this.#tasks.first!;
    this.#tasks.remove(first);
    this.#passed = Math.max(this.#passed, first.key);
    first.item();
    await settled();
  }
}

/** Resolves when nothing is left to do but what waits for time or for the outside. */
function settled(): Promise<void> {
  // A turn of the real event loop comes after every chain of promises, however long.
  return new Promise((resolve) => systemClock.schedule(0, resolve));
}
