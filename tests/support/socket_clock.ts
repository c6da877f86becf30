import type { Cancel } from "../../server/clock.ts";
import { systemClock } from "../../server/clock.ts";
import { ManualClock } from "../../server/testing/mod.ts";

/**
 * A manual clock for tests over real sockets: what is to run at the end of this turn of the event
 * loop runs there, so that messages flow; what has a delay waits until the test advances the clock.
 */
export class SocketClock extends ManualClock {
  /** See {@linkcode ManualClock.schedule}. */
  override schedule(delay: number, task: () => void): Cancel {
    return delay <= 0 ? systemClock.schedule(0, task) : super.schedule(delay, task);
  }
}
