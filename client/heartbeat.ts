import type { Cancel } from "./clock.ts";
import type { HeartbeatFrame } from "./protocol/frames.ts";
import type { Session } from "./session.ts";

/**
 * Signs of life in both directions. A dead network closes no socket: what says nothing for longer
 * than the answer to a beat could take is given up without waiting for its close.
 */
export interface Heartbeat {
  /** What the next beats say of the client. */
  status: Pick<HeartbeatFrame, "status" | "metadata">;
  /** A connection has begun. */
  start(): void;
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

/** Makes the heartbeat of a session. */
export function heartbeatOf(session: Session): Heartbeat {
  const { settings: { clock, heartbeatInterval = Infinity }, wire, terms } = session;
  let interval = 0;
  let quiet = 0;
  let cancelBeat: Cancel | undefined;
  let cancelWatch: Cancel | undefined;
  const beat = (): void =>
    wire.send(
      terms.heartbeatInterval ? { type: "presence.heartbeat", ...own.status } : { type: "ping" },
    );
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
      session.connector.abandon("Nothing was heard for too long.");
    });
  };
  const own: Heartbeat = {
    status: {},
    start() {
      own.stop();
      interval = Math.min(terms.heartbeatInterval || PING_INTERVAL, heartbeatInterval);
      // The gateway does not remember the status of a client that it had lost.
      if (terms.heartbeatInterval && own.status.status) beat();
      plan();
      own.heard();
      watch();
    },
    stop() {
      cancelBeat?.();
      cancelWatch?.();
      cancelWatch = undefined;
    },
    heard() {
      quiet = 0;
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
