import type { Cancel, Clock } from "../clock.ts";
import type { LogEvent } from "./events.ts";

/** Lines of one event in a second… */
export const LINES_PER_EVENT = 50;
/** …in milliseconds. */
const SECOND = 1_000;

/** Lines of one event since a moment. */
interface Count {
  since: number;
  lines: number;
  omitted: number;
  /** Ends the wait for the line that tells how many were left out. */
  cancel: Cancel | undefined;
}

/** Keeps a flood of one event from drowning the others, and counts what it leaves out. */
export class Floods {
  readonly #clock: Clock;
  readonly #tell: (about: LogEvent, count: number) => void;
  /** One for each event at most. */
  readonly #counts = new Map<LogEvent, Count>();

  /** @param tell called with how many lines of an event were left out */
  constructor(clock: Clock, tell: (about: LogEvent, count: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Whether another line of an event is written now. */
  admits(event: LogEvent): boolean {
    const now = this.#clock.now();
    let count = this.#counts.get(event);
    if (count === undefined) {
      this.#counts.set(event, count = { since: now, lines: 0, omitted: 0, cancel: undefined });
    }
    // The timer ends a flood; the machine's clock may have been set back meanwhile.
    if (count.cancel === undefined && (now - count.since >= SECOND || now < count.since)) {
      count.since = now;
      count.lines = 0;
    }
    if (count.lines < LINES_PER_EVENT) {
      count.lines++;
      return true;
    }
    const full = count;
    full.omitted++;
    full.cancel ??= this.#clock.schedule(SECOND, () => this.#end(event, full));
    return false;
  }

  /** Tells of what was left out, and waits no longer. */
  close(): void {
    for (const [event, count] of this.#counts) {
      count.cancel?.();
      if (count.omitted > 0) this.#end(event, count);
    }
  }

  #end(event: LogEvent, count: Count): void {
    const { omitted } = count;
    count.cancel = undefined;
    count.omitted = 0;
    count.lines = 0;
    count.since = this.#clock.now();
    this.#tell(event, omitted);
  }
}
