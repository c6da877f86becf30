/**
 * What is revoked, as people say it, and as nodes and stores keep it.
 *
 * @module
 */
import type { Revocation } from "../stores/revocations.ts";
import { claimed } from "./jwt.ts";
import { hashSecret } from "./secrets.ts";
import { twinOf } from "./signature.ts";
import { clientName, SENT_AWAY } from "./validity.ts";

/** What is to be revoked: exactly one of a token, its id, a subject, and a client of a subject. */
export interface RevokeQuery {
  /**
   * A token, as clients show it. Where a program has given it a `tokenId`, revoke that: by the text
   * nobody is let in any more, but who was before stays.
   */
  readonly token?: string;
  /**
   * Its id: `jti` of a JSON Web Token, or the SHA-256 of any other one, in hexadecimal. One that ECDSA
   * signs has two texts that are right: without `jti` revoke it as `token`, which concerns both.
   */
  readonly tokenId?: string;
  /** All tokens of a subject that were issued before now; or, with `clientId`, whose client it is. */
  readonly subject?: string;
  /** Only this client of the subject: its session ends. */
  readonly clientId?: string;
  /**
   * Seconds for which it is refused. A token's default is for good, or until it has expired; a
   * subject's for good, which concerns only tokens of before; a client's 0: it is closed and may come
   * back at once.
   */
  readonly for?: number;
}

/** Something that is revoked. */
export interface RevocationInfo {
  /** Id or hash of a token. */
  readonly tokenId?: string;
  /** A subject, or whose client it is. */
  readonly subject?: string;
  /** A client of the subject. */
  readonly clientId?: string;
  /** What was issued before this is refused, in Unix seconds; a token is at any time. */
  readonly at: number;
  /** When it is forgotten, in Unix seconds; absent if never. */
  readonly until?: number;
}

/** Milliseconds for which an expired token is still refused as a revoked one: clocks may differ. */
const MARGIN = 120_000;

/** Longest time that may be asked for, in seconds: a hundred years. */
export const MAX_REVOKED = 3_155_760_000;

/** What is wrong with a query; `undefined` if nothing is. */
export function faultOf({ token, tokenId, subject, clientId }: RevokeQuery): string | undefined {
  if (clientId !== undefined && subject === undefined) {
    return "A client is one of a subject: name that, too.";
  }
  const named = [token, tokenId, subject].filter((each) => each !== undefined).length;
  if (named !== 1) return "Exactly one of a token, its id and a subject can be revoked at a time.";
}

/**
 * What nodes keep of a query that was checked.
 *
 * @param away longest time in milliseconds after which a client without a name may come back
 */
export function revocationsOf(query: RevokeQuery, now: number, away: number): Revocation[] {
  const { token, tokenId, subject, clientId } = query;
  const lasting = query.for === undefined ? Infinity : now + query.for * 1000;
  if (token !== undefined) {
    const { id, expiresAt = Infinity } = claimed(token);
    const until = query.for === undefined ? Math.max(expiresAt, now) + MARGIN : lasting;
    const texts = [token, twinOf(token)].filter((text) => text !== undefined);
    const names = [...texts.map(hashSecret), ...(id === undefined ? [] : [id])];
    return names.map((name) => ({ kind: "token", name, at: now, until }));
  }
  if (tokenId !== undefined) return [{ kind: "token", name: tokenId, at: now, until: lasting }];
  if (clientId === undefined) {
    // What is issued in this very moment may be of before.
    return [{ kind: "subject", name: subject!, at: now + 1, until: lasting }];
  }
  // Whoever began before this is refused until then: nobody, if it is now.
  const at = now + (query.for ?? 0) * 1000;
  const until = at + Math.max(SENT_AWAY, away);
  return [{ kind: "client", name: clientName(subject!, clientId), at, until }];
}

/** A revocation, as people are told of it. */
export function revocationInfo({ kind, name, at, until }: Revocation): RevocationInfo {
  const [subject, clientId] = name.split("\n");
  const what = kind === "token"
    ? { tokenId: name }
    : kind === "subject"
    ? { subject: name }
    : { subject, clientId };
  const ends = until < Number.MAX_SAFE_INTEGER ? { until: until / 1000 } : {};
  return { ...what, at: at / 1000, ...ends };
}
