import type { LogEvent } from "./events.ts";

/** How much a line matters, least first. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Least level that is written; nothing is with `off`. */
export type LogThreshold = LogLevel | "off";

/** How lines are written. */
export type LogFormat = "text" | "json";

/** What a line may tell beside its sentence. No field ever holds a token, a secret or a payload. */
export interface LogFields {
  /** Code of the table in `PROTOCOL.md`. */
  readonly code?: string;
  /** Address of the other end. */
  readonly peer?: string;
  /** Who spoke. */
  readonly subject?: string;
  /** Client of the subject. */
  readonly clientId?: string;
  /** What somebody wanted to do: a frame's type, or a route. */
  readonly action?: string;
  /** Channel in which. */
  readonly channel?: string;
  /** Way of a connection. */
  readonly transport?: string;
  /** Header `Origin` of a request. */
  readonly origin?: string;
  /** Header `Host` of a request, or where the gateway listens. */
  readonly host?: string;
  /** Port where the gateway listens. */
  readonly port?: number;
  /** Method of a request. */
  readonly method?: string;
  /** Path of a request, without what follows the `?`. */
  readonly path?: string;
  /** Name of the store. */
  readonly store?: string;
  /** Name of this node among others. */
  readonly node?: string;
  /** What a revocation calls a token; never the token. */
  readonly tokenId?: string;
  /** Event that another line is about. */
  readonly about?: string;
  /** How many. */
  readonly count?: number;
  /** A sentence of the part that tells it. */
  readonly detail?: string;
  /** Name and message of what was thrown. */
  readonly error?: string;
  /** Where it was thrown; only at level `debug`. */
  readonly stack?: string;
}

/** One line of the log. */
export interface LogRecord {
  /** Unix milliseconds. */
  readonly time: number;
  /** How much it matters. */
  readonly level: LogLevel;
  /** Stable name of what happened. */
  readonly event: LogEvent;
  /** The same for people; one constant sentence for each event. */
  readonly message: string;
  /** Texts are cut and free of secrets. They may hold what a peer sent: escape them for a terminal. */
  readonly fields: LogFields;
}

/** Takes the lines of a log. What it throws is ignored. */
export type LogSink = (record: LogRecord) => void;
