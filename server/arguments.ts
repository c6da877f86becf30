/**
 * Checks of what an embedding program passes to the methods of a gateway. Each throws a `TypeError`
 * for a wrong type and a `RangeError` for a wrong value, and names the argument and the value found.
 *
 * @module
 */
import { isChannelName, isClientId, MAX_CLIENT_ID, MAX_PUBLISH_ID } from "@push/client/protocol";
import { faultOf, MAX_REVOKED, type RevokeQuery } from "./access/revoking.ts";
import { isSubject } from "./access/subject.ts";
import { nearest } from "./options/nearest.ts";
import { show } from "./options/wording.ts";
import type { DeadLetterQuery as StoreQuery } from "./stores/store.ts";
import type { DeadLetterQuery } from "./views.ts";

const DEFAULT_LISTED = 100;
const MAX_LISTED = 1000;
const MAX_SESSION_KEY = 1024;
const MAX_TOKEN = 16_384;
const MAX_SUBJECT = 255;

/** A channel name. */
export function channelOf(act: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(must(act, "channel", "a string", value));
  if (isChannelName(value)) return value;
  throw new RangeError(must(act, "channel", "1 to 255 of A-Z a-z 0-9 _ : . -", value));
}

/** The JSON of a value, if it has one. */
export function jsonOf(act: string, value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Cannot ${act} as 'data' must be what JSON can carry: ${found}`, { cause });
  }
  if (text !== undefined) return text;
  throw new TypeError(must(act, "data", "what JSON can carry", value));
}

/** The options of `publish`. */
export function publishOptionsOf(value: unknown): { readonly id?: string } {
  const act = "publish";
  const { id } = membersOf(act, "options", value, ["id"]);
  return { id: textOf(act, "id", id, MAX_PUBLISH_ID) };
}

/** Which dead letters, with the defaults filled in. */
export function queryOf(act: string, value: DeadLetterQuery): StoreQuery {
  const query = membersOf(act, "query", value, ["channel", "session", "seq", "limit"]);
  const { channel, session, seq, limit } = query;
  return {
    channel: channel === undefined ? undefined : channelOf(act, channel),
    session: textOf(act, "session", session, MAX_SESSION_KEY),
    seq: integerOf(act, "seq", seq, Number.MAX_SAFE_INTEGER),
    limit: integerOf(act, "limit", limit, MAX_LISTED) ?? DEFAULT_LISTED,
  };
}

/** Which clients. */
export function whomOf(
  act: string,
  value: unknown,
): { readonly subject?: string; readonly clientId?: string } {
  const { subject, clientId } = membersOf(act, "whom", value, ["subject", "clientId"]);
  return {
    subject: textOf(act, "subject", subject, MAX_SUBJECT),
    clientId: textOf(act, "clientId", clientId, MAX_CLIENT_ID),
  };
}

/** What is to be revoked. */
export function revokeQueryOf(value: unknown): RevokeQuery {
  const act = "revoke";
  const names = ["token", "tokenId", "subject", "clientId", "for"] as const;
  const members = membersOf(act, "query", value, names);
  const query: RevokeQuery = {
    token: textOf(act, "token", members.token, MAX_TOKEN),
    tokenId: printableOf(act, "tokenId", members.tokenId),
    subject: printableOf(act, "subject", members.subject),
    clientId: clientIdOf(act, members.clientId),
    for: secondsOf(act, "for", members.for),
  };
  const wrong = faultOf(query);
  if (wrong !== undefined) throw new TypeError(`Cannot ${act}: ${wrong}`);
  return query;
}

/** One of the names there are. */
export function nameOf(act: string, name: string, value: unknown, names: readonly string[]): void {
  if (names.includes(value as string)) return;
  const meant = typeof value === "string" ? nearest(value, names) : undefined;
  const hint = meant === undefined ? "" : `, did you mean '${meant}'?`;
  throw new TypeError(must(act, name, `one of ${names.join(", ")}`, value) + hint);
}

/** A function. */
export function functionOf(act: string, name: string, value: unknown): void {
  if (typeof value !== "function") throw new TypeError(must(act, name, "a function", value));
}

/** An object without other members than `known`. */
function membersOf<Name extends string>(
  act: string,
  name: string,
  value: unknown,
  known: readonly Name[],
): { readonly [key in Name]?: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(must(act, name, "an object", value));
  }
  for (const key of Object.keys(value)) {
    if ((known as readonly string[]).includes(key)) continue;
    throw new TypeError(
      `Cannot ${act} as '${name}' has no member ${show(key)}: it may have ${known.join(", ")}`,
    );
  }
  return value;
}

function textOf(act: string, name: string, value: unknown, max: number): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw new TypeError(must(act, name, "a string", value));
  if (value !== "" && value.length <= max) return value;
  throw new RangeError(must(act, name, `1 to ${max} characters`, value));
}

function printableOf(act: string, name: string, value: unknown): string | undefined {
  const text = textOf(act, name, value, MAX_SUBJECT);
  if (text === undefined || isSubject(text)) return text;
  throw new RangeError(must(act, name, "1 to 255 printable characters", value));
}

function clientIdOf(act: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw new TypeError(must(act, "clientId", "a string", value));
  if (isClientId(value)) return value;
  throw new RangeError(must(act, "clientId", "1 to 128 of A-Z a-z 0-9 _ : . - + @ = /", value));
}

function secondsOf(act: string, name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number") throw new TypeError(must(act, name, "a number of seconds", value));
  if (value >= 0 && value <= MAX_REVOKED) return value;
  throw new RangeError(must(act, name, `0 to ${MAX_REVOKED} seconds`, value));
}

function integerOf(act: string, name: string, value: unknown, max: number): number | undefined {
  if (value === undefined) return undefined;
  const wanted = `an integer from 1 to ${max}`;
  if (typeof value !== "number") throw new TypeError(must(act, name, wanted, value));
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new RangeError(must(act, name, wanted, value));
}

function must(act: string, name: string, wanted: string, value: unknown): string {
  return `Cannot ${act} as '${name}' must be ${wanted}: current value is ${show(value)}`;
}
