import type { Cancel } from "./clock.ts";
import { readError } from "./incoming.ts";
import type { Session } from "./session.ts";

/**
 * Shows the gateway a new token, over the connection that is open, before the one in use has expired.
 * If none is to be had, or it is refused, the connection ends with the old one, and the next one
 * begins with another.
 *
 * @param seconds that the token in use is good for; does nothing more if left out
 */
export type Refresh = (seconds?: unknown) => void;

/** Part of a token's time after which a new one is asked for. */
const PART = 0.9;
/** Least seconds before that: who gives the same token again is not asked all the time. */
const LEAST = 1;

/** Makes the refreshing of a session. */
export function refreshOf(session: Session): Refresh {
  const { settings: { clock, authToken }, identity, wire, requests, emitter } = session;
  let cancel: Cancel | undefined;
  const show = async (): Promise<void> => {
    const { link } = wire;
    identity.token = undefined;
    await session.prepare();
    const { token = "" } = identity;
    if (wire.link !== link) return;
    requests.askOnce({ type: "auth.refresh", token }, (reply) => {
      const error = readError(reply);
      if (error) emitter.report(error, "token");
      else refresh(reply.expires_in);
    });
  };
  const refresh: Refresh = (seconds) => {
    cancel?.();
    if (typeof authToken !== "function" || typeof seconds !== "number") return;
    // What goes wrong with `authToken` has been told.
    const task = (): void => void show().catch(() => {});
    cancel = clock.schedule(1000 * Math.max(LEAST, PART * seconds), task);
  };
  return refresh;
}
