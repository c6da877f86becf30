/**
 * Checks of what an embedding program passes to the methods of a gateway. Each throws a `TypeError`
 * for a wrong type and a `RangeError` for a wrong value, and names the argument and the value found.
 *
 * @module
 */
import { isChannelName, MAX_PUBLISH_ID } from "@push/client/protocol";
import { nearest } from "./options/nearest.ts";
import { show } from "./options/values.ts";
import type { DeadLetterQuery as StoreQuery } from "./stores/store.ts";
import type { DeadLetterQuery } from "./views.ts";

const DEFAULT_LISTED = 100;
const MAX_LISTED = 1000;
const MAX_SESSION_KEY = 1024;

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
