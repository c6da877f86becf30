/**
 * Checks named tokens, as options have them.
 *
 * @module
 */
import { checkGrants } from "../access/grants.ts";
import type { Grant } from "../access/identity.ts";
import { isOwnSubject } from "../access/subject.ts";
import type { OptionRecord } from "./option.ts";
import type { NamedToken } from "./types.ts";

/** What is wrong with an entry: what was expected, without what was found, which may be secret. */
export type Flaw = { readonly expected: string };

const LONGEST_TOKEN = 1024;
const TOKEN = /^[\x21-\x7e]+$/;
const HASH = /^[0-9a-f]{64}$/i;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;
const MEMBERS: ReadonlySet<string> = new Set(["name", "token", "tokenHash", "allow", "expires"]);

/** Reads a named token; copies what counts. */
export function readNamedToken(entry: OptionRecord): NamedToken | Flaw {
  const { name, token, tokenHash, allow, expires } = entry;
  const stray = Object.keys(entry).find((key) => !MEMBERS.has(key));
  if (stray !== undefined) {
    return { expected: "only the members name, token, tokenHash, allow and expires" };
  }
  if (!isOwnSubject(name)) {
    return { expected: "a 'name' of 1 to 255 printable characters, not 'anonymous'" };
  }
  if ((token === undefined) === (tokenHash === undefined)) {
    return { expected: "one, and only one, of 'token' and 'tokenHash'" };
  }
  if (token !== undefined && !isToken(token)) {
    return { expected: "a 'token' of 1 to 1024 printable ASCII characters without spaces" };
  }
  if (tokenHash !== undefined && !(typeof tokenHash === "string" && HASH.test(tokenHash))) {
    return { expected: "a 'tokenHash' of 64 hexadecimal digits" };
  }
  let grants: Grant[] | undefined;
  try {
    if (allow !== undefined) grants = checkGrants(allow);
  } catch (error) {
    return { expected: `a right 'allow': ${(error as Error).message}` };
  }
  if (expires !== undefined && !isTime(expires)) {
    return { expected: "an 'expires' such as '2027-01-31T00:00:00Z'" };
  }
  return {
    name,
    ...(token === undefined ? {} : { token: token as string }),
    ...(tokenHash === undefined ? {} : { tokenHash: (tokenHash as string).toLowerCase() }),
    ...(grants === undefined ? {} : { allow: grants }),
    ...(expires === undefined ? {} : { expires: expires as string }),
  };
}

function isToken(value: unknown): value is string {
  // Three stars stand for a secret in what is printed.
  return typeof value === "string" && value.length <= LONGEST_TOKEN && TOKEN.test(value) &&
    value !== "***";
}

function isTime(value: unknown): value is string {
  return typeof value === "string" && ISO.test(value) && !Number.isNaN(Date.parse(value));
}
