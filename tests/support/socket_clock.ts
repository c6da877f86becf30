import type { Cancel } from "../../server/clock.ts";
import { systemClock } from "../../server/clock.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { within } from "./within.ts";

/**
 * A manual clock for tests over real sockets: what is to run at the end of this turn of the event
 * loop, or in a moment, runs then, so that messages flow; what has a longer delay waits until the
 * test advances the clock.
 */
export class SocketClock extends ManualClock {
  readonly #moment: number;
  readonly #watched = new Map<number, () => void>();

  /** @param moment longest delay in milliseconds that passes by itself */
  constructor(moment = 50) {
    super();
    this.#moment = moment;
  }

  /** See {@linkcode ManualClock.schedule}. */
  override schedule(delay: number, task: () => void): Cancel {
    const cancel = delay <= this.#moment
      ? systemClock.schedule(delay, task)
      : super.schedule(delay, task);
    this.#watched.get(delay)?.();
    return cancel;
  }

  /**
   * Resolves once a task with just this delay, in milliseconds, is scheduled after this call: the
   * sign that a request has got so far as to wait for it.
   */
  async scheduled(delay: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#watched.set(delay, resolve);
    await within(promise, `a task to be scheduled in ${delay} ms`);
    this.#watched.delete(delay);
  }
}
