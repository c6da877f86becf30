import { MIN_REFRESH, REFRESH_PART } from "./bounds.ts";
import type { Cancel } from "./clock.ts";
import { readError } from "./incoming.ts";
import type { Session } from "./session.ts";

/** Keeps a connection alive that began with a token. */
export interface Refresh {
  /**
   * Shows the gateway a new token, over the connection that is open, before the one in use has
   * expired. If none is to be had, or it is refused, the connection ends with the old one, and the
   * next one begins with another.
   *
   * @param seconds that the token in use is good for; does nothing more if left out
   */
  refresh(seconds?: unknown): void;
}

/** Makes the refreshing of a session. */
export function refreshOf(session: Session): Refresh {
  let cancel: Cancel | undefined;
  const show = async (): Promise<void> => {
    const { link } = session;
    session.token = undefined;
    await session.prepare();
    const { token = "" } = session;
    if (session.link !== link) return;
    session.askOnce({ type: "auth.refresh", token }, (reply) => {
      const error = readError(reply);
      if (error) session.report(error, "token");
      else refresh(reply.expires_in);
    });
  };
  const refresh = (seconds?: unknown): void => {
    cancel?.();
    if (typeof session.authToken !== "function" || typeof seconds !== "number") return;
    // What goes wrong with `authToken` has been told.
    const task = (): void => void show().catch(() => {});
    cancel = session.clock.schedule(1000 * Math.max(MIN_REFRESH, REFRESH_PART * seconds), task);
  };
  return { refresh };
}
