import type { Cancel, Clock } from "./clock.ts";
import type { HeartbeatFrame } from "./protocol/frames.ts";
import type { Wire } from "./wire.ts";

/** What a {@linkcode Heartbeat} needs around it. */
export interface HeartbeatContext {
  readonly clock: Clock;
  readonly wire: Wire;
  /** Most milliseconds between beats that the application allows. */
  readonly limit: number | undefined;
  /** The other side has been silent for too long. */
  silent(reason: string): void;
}

/**
 * Signs of life in both directions. A dead network closes no socket: what says nothing for longer
 * than the answer to a beat could take is given up without waiting for its close.
 */
export interface Heartbeat {
  /** What the next beats say of the client. */
  status: Pick<HeartbeatFrame, "status" | "metadata">;
  /** Seconds since something was heard; `undefined` without a connection. */
  readonly silence: number | undefined;
  /** A connection has begun. @param interval milliseconds between beats; 0 if there is no presence */
  start(interval: number): void;
  /** The connection is gone. */
  stop(): void;
  /** The other side has said something. */
  heard(): void;
  /** Asks for a sign of life, to come soon: the page slept, or the network changed. */
  check(): void;
}

/** Milliseconds between signs of life where the gateway knows no presence. */
const PING_INTERVAL = 25_000;
/** Milliseconds of silence beyond the interval after which a connection counts as lost. */
const GRACE = 10_000;
/** Parts that the silence is measured in: what is heard costs no timer, and may count a part late. */
const PARTS = 5;
/** Milliseconds in which a connection that is asked for a sign of life must give one. */
const CHECK_TIMEOUT = 5000;

/** Makes a {@linkcode Heartbeat}. @param context what is around */
export function heartbeatOf(
  { clock, wire, limit = Infinity, silent }: HeartbeatContext,
): Heartbeat {
  let hasPresence = false;
  let interval = 0;
  let quiet = 0;
  let heardAt = 0;
  let cancelBeat: Cancel | undefined;
  let cancelWatch: Cancel | undefined;
  const beat = (): void =>
    wire.send(hasPresence ? { type: "presence.heartbeat", ...own.status } : { type: "ping" });
  const plan = (): void => {
    cancelBeat = clock.schedule(interval, () => {
      beat();
      plan();
    });
  };
  const watch = (delay = (interval + GRACE) / PARTS): void => {
    cancelWatch?.();
    cancelWatch = clock.schedule(delay, () => {
      if (++quiet <= PARTS) return watch();
      own.stop();
      silent("Nothing was heard for too long.");
    });
  };
  const own: Heartbeat = {
    status: {},
    get silence() {
      return cancelWatch && (clock.now() - heardAt) / 1000;
    },
    start(asked) {
      own.stop();
      hasPresence = asked > 0;
      interval = Math.min(asked || PING_INTERVAL, limit);
      // The gateway does not remember the status of a client that it had lost.
      if (hasPresence && own.status.status !== undefined) beat();
      plan();
      own.heard();
      watch();
    },
    stop() {
      cancelBeat?.();
      cancelWatch?.();
      cancelBeat = cancelWatch = undefined;
    },
    heard() {
      quiet = 0;
      heardAt = clock.now();
    },
    check() {
      if (!cancelWatch) return;
      wire.send({ type: "ping" });
      quiet = PARTS;
      watch(CHECK_TIMEOUT);
    },
  };
  return own;
}
