import { MIN_REFRESH, REFRESH_PART } from "./bounds.ts";
import type { Cancel } from "./clock.ts";
import { readError } from "./incoming.ts";
import type { Room, Session } from "./session.ts";

/**
 * Makes what keeps a connection alive that began with a token: it shows the gateway a new one, over the
 * connection that is open, before the one in use has expired. If none is to be had, or it is refused,
 * the connection ends with the old one, and the next one begins with another.
 */
export function refreshOf(session: Session): Room {
  let cancel: Cancel | undefined;
  const show = async (): Promise<void> => {
    const { link } = session;
    session.token = undefined;
    await session.prepare();
    const { token = "" } = session;
    if (session.link !== link) return;
    session.askOnce({ type: "auth.refresh", token }, (reply) => {
      const error = readError(reply);
      if (!error) return plan(reply.expires_in);
      session.token = undefined;
      session.report(error, "token");
    });
  };
  /** @param seconds that the token in use is good for, if the gateway says so */
  const plan = (seconds: unknown): void => {
    if (typeof session.authToken !== "function" || typeof seconds !== "number") return;
    // What goes wrong with `authToken` has been told.
    const task = (): void => void show().catch(() => {});
    cancel = session.clock.schedule(1000 * Math.max(MIN_REFRESH, REFRESH_PART * seconds), task);
  };
  return {
    attached: (frame) => plan(frame.token_expires_in),
    detached: () => cancel?.(),
  };
}
