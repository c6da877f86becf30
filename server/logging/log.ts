import type { Clock } from "../clock.ts";
import { LOG_EVENTS, type LogEvent } from "./events.ts";
import { Floods } from "./floods.ts";
import { cleaned, errorText, stackText } from "./clean.ts";
import type { LogFields, LogLevel, LogSink, LogThreshold } from "./record.ts";

const RANKS: { readonly [level in LogThreshold]: number } = {
  debug: 0,
  info: 1,
  warn: 2,
  error: 3,
  off: 4,
};

/** What a log is made of. */
export interface LogParts {
  readonly clock: Clock;
  readonly level: LogThreshold;
  readonly sink: LogSink;
  /** Texts that never appear, wherever they come from. */
  readonly secrets?: readonly string[];
}

/** Writes lines: below a level none, of one event only so many a second, and never throws. */
export class Log {
  /** Whether lines of level `debug` are written: what they tell need not be gathered otherwise. */
  readonly isDebugging: boolean;
  readonly #clock: Clock;
  readonly #least: number;
  readonly #sink: LogSink;
  readonly #secrets: readonly string[];
  readonly #floods: Floods;

  /** @param parts what it is made of */
  constructor({ clock, level, sink, secrets = [] }: LogParts) {
    this.#clock = clock;
    this.#least = RANKS[level];
    this.#sink = sink;
    this.#secrets = secrets;
    this.isDebugging = level === "debug";
    this.#floods = new Floods(clock, (about, count) => this.#put("log.omitted", { about, count }));
  }

  /** Whether lines of a level are written. */
  writes(level: LogLevel): boolean {
    return RANKS[level] >= this.#least;
  }

  /** Writes a line. */
  write(event: LogEvent, fields: LogFields = {}): void {
    if (!this.writes(LOG_EVENTS[event][0]) || !this.#floods.admits(event)) return;
    this.#put(event, fields);
  }

  /** Writes a line about what was thrown; its stack only at level `debug`. */
  failure(event: LogEvent, error: unknown, fields: LogFields = {}): void {
    const stack = this.isDebugging ? stackText(error) : undefined;
    const more = stack === undefined ? {} : { stack };
    this.write(event, { ...fields, error: errorText(error), ...more });
  }

  /** Tells what was left out up to now, and stops its timers. */
  close(): void {
    this.#floods.close();
  }

  #put(event: LogEvent, fields: LogFields): void {
    const [level, message] = LOG_EVENTS[event];
    const time = this.#clock.now();
    try {
      this.#sink({ time, level, event, message, fields: cleaned(fields, this.#secrets) });
    } catch {
      // A log that cannot be written must not stop what it tells of.
    }
  }
}

/** Writes nothing. */
export function silentLog(clock: Clock): Log {
  return new Log({ clock, level: "off", sink: () => {} });
}
