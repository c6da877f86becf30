import { CHECK_TIMEOUT, GRACE, PING_INTERVAL } from "./bounds.ts";
import type { Cancel } from "./clock.ts";
import type { HeartbeatFrame } from "./protocol/frames.ts";
import type { Room, Session } from "./session.ts";

/**
 * Signs of life in both directions. A dead network closes no socket: what says nothing for longer
 * than the answer to a beat could take is given up without waiting for its close.
 */
export interface Heartbeat {
  /** What the next beats say of the client. */
  status: Pick<HeartbeatFrame, "status" | "metadata">;
  /** The other side has said something. */
  heard(): void;
  /** Asks for a sign of life, to come soon: the page slept, or the network changed. */
  checkBeat(): void;
}

/** Makes the heartbeat of a session. */
export function heartbeatOf(session: Session): Heartbeat & Room {
  const { terms, heartbeatInterval = Infinity } = session;
  /** Milliseconds between ticks, of which every second one is a beat. */
  let half = 0;
  /** Ticks since something was heard: counted, because what is heard often must cost nothing. */
  let quiet = 0;
  /** Whether this tick is none of the beats. */
  let isOff = false;
  let cancel: Cancel | undefined;
  const beat = (): void =>
    session.send(
      terms.heartbeatInterval
        ? { type: "presence.heartbeat", ...session.status }
        : { type: "ping" },
    );
  const tick = (delay = half): void => {
    cancel?.();
    cancel = session.clock.schedule(delay, () => {
      if (++quiet * half > 2 * half + GRACE) {
        return session.abandon("Nothing was heard for too long.");
      }
      isOff = !isOff;
      if (!isOff) beat();
      tick();
    });
  };
  return {
    status: {},
    attached() {
      half = Math.min(terms.heartbeatInterval || PING_INTERVAL, heartbeatInterval) / 2;
      // The gateway does not remember the status of a client that it had lost.
      if (terms.heartbeatInterval && session.status.status) beat();
      isOff = false;
      quiet = 0;
      tick();
    },
    detached: () => cancel?.(),
    heard() {
      quiet = 0;
    },
    checkBeat() {
      if (!session.link) return;
      session.send({ type: "ping" });
      quiet = Infinity;
      tick(CHECK_TIMEOUT);
    },
  };
}
