import { PushError } from "@push/client/protocol";
import type { Revocations } from "../nodes/revocations.ts";
import type { Identity } from "./identity.ts";

/** Milliseconds for which a client that was only sent away is remembered, for nodes that were late. */
export const SENT_AWAY = 60_000;

/** What revocations call a client. Neither a subject nor a client id has a line break. */
export function clientName(subject: string, clientId: string): string {
  return `${subject}\n${clientId}`;
}

/** Why an identity counts no more; `undefined` if it does. */
export function refusalOf(
  identity: Identity,
  now: number,
  revocations: Pick<Revocations, "isVoid" | "size"> | undefined,
): PushError | undefined {
  const { subject, tokenId, issuedAt, expiresAt } = identity;
  if (expiresAt !== undefined && now >= expiresAt) return new PushError("token_expired");
  if (revocations === undefined || revocations.size === 0) return undefined;
  // A token has one life, whenever it was issued.
  const isVoid = (tokenId !== undefined && revocations.isVoid("token", tokenId, undefined)) ||
    revocations.isVoid("subject", subject, issuedAt);
  return isVoid ? revoked() : undefined;
}

/** What is wrong with a token that was revoked. */
export function revoked(): PushError {
  return new PushError("token_invalid", "The token was revoked.");
}

/**
 * Why a client's session may not go on; `undefined` if it may.
 *
 * @param who whose session; a name that an application gave may be taken up again by others
 * @param since when its connection began to ask for it, in Unix milliseconds
 */
export function clientRefusalOf(
  who: { readonly subject: string; readonly clientId: string; readonly named: boolean },
  since: number,
  now: number,
  revocations: Pick<Revocations, "find" | "size">,
): PushError | undefined {
  if (revocations.size === 0) return undefined;
  const entry = revocations.find("client", clientName(who.subject, who.clientId));
  // An id of the gateway's own is given once: what is revoked of it was there before.
  if (entry === undefined || (who.named && since >= entry.at)) return undefined;
  return now < entry.at
    ? new PushError("token_invalid", "The client was revoked.")
    : new PushError("unknown_session", "The session was ended.");
}
