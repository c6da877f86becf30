import type { Cancel } from "../../server/clock.ts";
import { systemClock } from "../../server/clock.ts";
import { ManualClock } from "../../server/testing/mod.ts";

/** Longest delay in milliseconds that passes by itself. */
const MOMENT = 50;

/**
 * A manual clock for tests over real sockets: what is to run at the end of this turn of the event
 * loop, or in a moment, runs then, so that messages flow; what has a longer delay waits until the
 * test advances the clock.
 */
export class SocketClock extends ManualClock {
  /** See {@linkcode ManualClock.schedule}. */
  override schedule(delay: number, task: () => void): Cancel {
    return delay <= MOMENT ? systemClock.schedule(delay, task) : super.schedule(delay, task);
  }
}
