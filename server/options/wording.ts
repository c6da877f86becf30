/**
 * How options and their values are told: what is expected, what was found, and nothing that is secret.
 *
 * @module
 */
import { ALGORITHMS } from "./formats.ts";
import { jsType, type Option, type OptionRecord, type OptionValue } from "./option.ts";

/** Stands for a secret in what is printed; refused as a secret, so that a print is not mistaken. */
export const MASK = "***";

const LONGEST_SHOWN = 60;
// Control characters that JSON leaves as they are, and those that turn the direction of writing.
const UNSAFE = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** The sentence that refuses something. */
export function cannotUse(subject: string, expectation: string, found: string): string {
  return `Cannot use ${subject}: expected ${expectation}, found ${found}`;
}

/** What an option takes, in words that follow "expected". */
export function expected(option: Option): string {
  const range = option.range === undefined ? "" : ` from ${option.range[0]} to ${option.range[1]}`;
  switch (option.type) {
    case "boolean":
      return "true or false";
    case "integer":
      return `an integer${range}`;
    case "number":
      return `a number${range}`;
    case "seconds":
      return `a number of seconds${range}`;
    case "bytes":
      return `a whole number of bytes${range}`;
    case "string":
      return `a text of ${option.range![0]} to ${option.range![1]} characters`;
    case "enum":
      return new Intl.ListFormat("en", { type: "disjunction" })
        .format(option.values!.map((value) => JSON.stringify(value)));
    case "host":
      return "a host name or an IP address, without a port";
    case "path":
      return "a URL path such as /ws, other than /health, /metrics and those under /api/push";
    case "redis-url":
      return "a URL such as redis://user:password@host:6379/0, or with rediss://, without " +
        `${MASK} and with special characters as %XX`;
    case "addresses":
      return `addresses separated by commas, such as "10.0.0.1:6379,[::1]:6380"`;
    case "networks":
      return `addresses or networks such as "10.0.0.0/8", or "loopback"`;
    case "hosts":
      return `hosts without a port such as "push.example", or "*" for any`;
    case "tokens":
      return `a list of tokens such as [{ "name": "backend", "token": "…" }]`;
    case "rules":
      return `a list of rules such as ` +
        `[{ "subjects": ["*"], "channels": ["news:**"], "actions": ["subscribe"] }]`;
    case "algorithms":
      return `algorithms among ${ALGORITHMS.join(", ")}`;
    case "key-url":
      return "a URL that begins with https://, or with http:// on this machine";
    case "origins":
      return `origins such as "https://app.example", or "*" for any`;
    case "secret":
      return `a secret of ${option.range![0]} to ${option.range![1]} ` +
        `printable ASCII characters without spaces, other than ${MASK}`;
  }
}

/** What an option takes, and how that can be written as text. */
export function expectedText(option: Option): string {
  if (option.type === "boolean") return "true, false, yes, no, 1 or 0";
  if (jsType(option) === "records") return `JSON: ${expected(option)}`;
  return option.type === "bytes" ? `${expected(option)} or a size such as 64KiB` : expected(option);
}

/** A value of anybody's, safe to print: short, on one line, without control characters. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string": {
      const short = value.length > LONGEST_SHOWN ? `${value.slice(0, LONGEST_SHOWN)}…` : value;
      return JSON.stringify(short).replace(UNSAFE, escape);
    }
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "boolean":
    case "undefined":
      return String(value);
    case "object":
      if (value === null) return "null";
      return isArray(value) ? "an array" : "an object";
    default:
      return `a ${typeof value}`;
  }
}

/** The value as it may be printed: secrets are masked. */
export function masked(option: Option, value: OptionValue): OptionValue {
  if (option.type === "secret") return MASK;
  if (option.type === "tokens") return (value as readonly OptionRecord[]).map(maskToken);
  return option.type === "redis-url" ? maskUrl(String(value)) : value;
}

/** What was found, without what is secret. */
export function shownSafely(option: Option, value: unknown): string {
  if (typeof value !== "string") return show(value);
  if (option.type === "tokens") return `${value.length} characters`;
  if (option.type === "secret") return value === MASK ? show(MASK) : `${value.length} characters`;
  return show(option.type === "redis-url" ? maskUrl(value) : value);
}

/** What may be shown of a value that may be a secret. */
export function secretly(value: unknown): unknown {
  return typeof value === "string" ? MASK : value;
}

/** Whether an object is an array; never throws. */
export function isArray(value: object): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false; // a revoked proxy
  }
}

/** A named token without its secret. */
function maskToken({ token, tokenHash, ...more }: OptionRecord): OptionRecord {
  return {
    ...more,
    ...(token === undefined ? {} : { token: MASK }),
    ...(tokenHash === undefined ? {} : { tokenHash: MASK }),
  };
}

function maskUrl(text: string): string {
  const url = URL.parse(text);
  // In a text that is no URL, or was cut at a stray character, a password may stand anywhere.
  if (/[@#?]/.test(url === null ? text : url.pathname + url.hash)) return MASK;
  if (url === null) return text;
  if (url.password !== "") url.password = MASK;
  else if (url.username !== "") url.username = MASK;
  for (const name of new Set(url.searchParams.keys())) {
    if (/pass|auth|secret|token/i.test(name)) url.searchParams.set(name, MASK);
  }
  return url.href;
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
