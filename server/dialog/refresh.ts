import { type JsonObject, PushError, type RefreshedFrame } from "@push/client/protocol";
import type { Authenticator, AuthRequest } from "../access/authenticator.ts";
import { MAX_TOKEN } from "../access/authenticator.ts";
import type { Identity } from "../access/identity.ts";
import type { Hub } from "../hub.ts";
import type { Session } from "../session/session.ts";
import type { Connection } from "../transports/connection.ts";
import { requiredString } from "./fields.ts";

/** Who shows another token. */
export interface Refreshing {
  readonly hub: Hub;
  readonly authenticator: Authenticator;
  readonly session: Session;
  readonly connection: Connection;
  /** What is known of the connection, for a program that decides. */
  readonly request?: AuthRequest;
}

/**
 * Goes on with the token of a frame: its rights and its time count from now on. If it is refused,
 * everything stays as it was.
 *
 * @throws {PushError} `bad_request`; `token_invalid` also for a token of another subject;
 *   `token_expired`, `unavailable`; `replaced` if the connection has no session any more
 */
export async function refresh(
  { hub, authenticator, session, connection, request }: Refreshing,
  frame: JsonObject,
): Promise<RefreshedFrame> {
  const token = requiredString(frame, "token", MAX_TOKEN);
  const identity = await authenticator.identify(token, request);
  if (identity.subject !== session.identity.subject) {
    throw new PushError("token_invalid", "The token is of another subject.");
  }
  if (session.connection !== connection) throw new PushError("replaced");
  await hub.identify(session, identity);
  const seconds = secondsLeft(identity, hub.context.clock.now());
  return { type: "auth.refreshed", ...(seconds === undefined ? {} : { expires_in: seconds }) };
}

/** Seconds until an identity ends; `undefined` if it does not. */
export function secondsLeft({ expiresAt }: Identity, now: number): number | undefined {
  return expiresAt === undefined ? undefined : Math.max(expiresAt - now, 0) / 1000;
}
