/**
 * Checks the value of one option, and reads it from text. What is wrong is said in one sentence:
 * what cannot be used, what was expected, what was found.
 *
 * @module
 */
import { checkRules } from "../access/grants.ts";
import { parseNetwork } from "../http/address.ts";
import { LOOPBACK } from "../http/peer.ts";
import type { Option, OptionRecord, OptionValue } from "./option.ts";
import { readNamedToken } from "./tokens.ts";

/** Stands for a secret in what is printed; refused as a secret, so that a print is not mistaken. */
export const MASK = "***";

const LONGEST_SHOWN = 60;
const MOST_ENTRIES = 1000;
const LONGEST_ORIGIN = 300;
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._~[\]:-]+$/;
const REDIS_PROTOCOLS = ["redis:", "rediss:"];
// A decimal number and nothing else: Number() would also take "", " 1", "0x10" and "Infinity".
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const BYTES = /^(\d+) ?([KMG]iB)$/;
const BYTE_UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
/** Signatures of JSON Web Tokens that can be accepted (RFC 7518 section 3.1, RFC 8037). */
export const ALGORITHMS: readonly string[] = [
  ...["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA"],
];
const TRUE_TEXTS = ["true", "1", "yes"];
const FALSE_TEXTS = ["false", "0", "no"];
// Control characters that JSON leaves as they are, and those that turn the direction of writing.
const UNSAFE = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Checks a value.
 *
 * @param option the option it is meant for
 * @param value any value, but neither `null` nor `undefined`
 * @param subject what the error says cannot be used, such as `option 'port'`
 * @returns the value
 * @throws {TypeError} if it is of another type
 * @throws {RangeError} if it is of the type, but not one of the values that the option takes
 */
export function checkValue(option: Option, value: unknown, subject: string): OptionValue {
  if (jsType(option) === "list") return checkList(option, value, subject);
  if (jsType(option) === "records") return checkRecords(option, value, subject);
  const type: string = typeof value;
  if (type !== jsType(option)) {
    throw new TypeError(cannotUse(subject, expected(option), shownSafely(option, value)));
  }
  const checked = value as OptionValue;
  const fits = typeof checked === "number"
    ? fitsNumber(option, checked)
    : typeof checked !== "string" || fitsText(option, checked);
  if (fits) return Object.is(checked, -0) ? 0 : checked;
  throw new RangeError(cannotUse(subject, expected(option), shownSafely(option, checked)));
}

/**
 * Reads a value from the command line or the environment, and checks it.
 *
 * @param option the option it is meant for
 * @param text text of the value
 * @param subject what the error says cannot be used, such as `--port`
 * @returns the value
 * @throws {TypeError} if the text does not read as the type of the option
 * @throws {RangeError} as {@linkcode checkValue}
 */
export function parseValue(option: Option, text: string, subject: string): OptionValue {
  const refused = `${expectedText(option)}, found ${shownSafely(option, text)}`;
  switch (jsType(option)) {
    case "string":
      return checkValue(option, text, subject);
    case "list":
      return checkValue(option, text.split(",").map((entry) => entry.trim()), subject);
    case "records": {
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        throw new TypeError(`Cannot use ${subject}: expected ${refused}`);
      }
      return checkValue(option, value, subject);
    }
    case "boolean": {
      const word = text.toLowerCase();
      if (TRUE_TEXTS.includes(word)) return true;
      if (FALSE_TEXTS.includes(word)) return false;
      throw new TypeError(`Cannot use ${subject}: expected ${refused}`);
    }
    default: {
      const number = parseNumber(option, text);
      if (number === undefined) throw new TypeError(`Cannot use ${subject}: expected ${refused}`);
      if (fitsNumber(option, number)) return Object.is(number, -0) ? 0 : number;
      throw new RangeError(`Cannot use ${subject}: expected ${refused}`);
    }
  }
}

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
      return `a URL that begins with redis:// or rediss://, without ${MASK}`;
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

/**
 * Host as it stands in a URL; `undefined` if it is none. A shortened or numeric address comes out
 * in full (`127.1` as `127.0.0.1`).
 */
export function hostInUrl(host: string): string | undefined {
  if (!/^[\w.:-]{1,255}$/.test(host)) return undefined;
  return URL.parse(`http://${host.includes(":") ? `[${host}]` : host}/`)?.hostname;
}

/** Type of an option's value in JavaScript; a list is an array of texts, records one of objects. */
export function jsType(option: Option): "boolean" | "number" | "string" | "list" | "records" {
  switch (option.type) {
    case "boolean":
      return "boolean";
    case "integer":
    case "number":
    case "seconds":
    case "bytes":
      return "number";
    case "networks":
    case "hosts":
    case "origins":
    case "algorithms":
      return "list";
    case "rules":
    case "tokens":
      return "records";
    default:
      return "string";
  }
}

/** Checks a list, and copies it: nobody can change it afterwards. */
function checkList(option: Option, value: unknown, subject: string): readonly string[] {
  const found = typeof value === "object" && value !== null && isArray(value)
    ? entriesOf(value as unknown[])
    : undefined;
  if (found === undefined) throw new TypeError(cannotUse(subject, expected(option), show(value)));
  for (const entry of found) {
    const refused = cannotUse(subject, expected(option), show(entry));
    if (typeof entry !== "string") throw new TypeError(refused);
    if (!fitsEntry(option, entry)) throw new RangeError(refused);
  }
  return found as string[];
}

/** Checks a list of objects, and copies what counts of it. */
function checkRecords(option: Option, value: unknown, subject: string): readonly OptionRecord[] {
  const found = typeof value === "object" && value !== null && isArray(value)
    ? entriesOf(value as unknown[])
    : undefined;
  const refuse = (wanted: string, what: unknown): never => {
    throw new TypeError(cannotUse(subject, wanted, show(what)));
  };
  if (found === undefined) return refuse(expected(option), secretly(value));
  const records = found.map((entry) => copyOf(entry) ?? refuse(expected(option), secretly(entry)));
  if (option.type === "rules") return checkedRules(records, subject, expected(option));
  return records.map((own) => {
    // What was found may be a secret.
    const read = readNamedToken(own);
    if ("expected" in read) {
      throw new RangeError(cannotUse(subject, expected(option), `one without ${read.expected}`));
    }
    return { ...read };
  });
}

function checkedRules(
  records: readonly OptionRecord[],
  subject: string,
  wanted: string,
): readonly OptionRecord[] {
  try {
    return checkRules(records).map((rule) => ({ ...rule }));
  } catch (error) {
    throw new RangeError(cannotUse(subject, wanted, `a mistake: ${(error as Error).message}`));
  }
}

/** What may be shown of a value that may be a secret. */
function secretly(value: unknown): unknown {
  return typeof value === "string" ? MASK : value;
}

/** The members of a plain object, all the way down; `undefined` if it is none, or reading it throws. */
function copyOf(value: unknown): OptionRecord | undefined {
  if (typeof value !== "object" || value === null || isArray(value)) return undefined;
  try {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return undefined;
    const copy: unknown = JSON.parse(JSON.stringify(value));
    return typeof copy === "object" && copy !== null && !isArray(copy)
      ? copy as OptionRecord
      : undefined;
  } catch {
    return undefined;
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

/** The entries of an array; none if there are too many, or reading them throws. */
function entriesOf(array: unknown[]): unknown[] | undefined {
  try {
    return array.length > MOST_ENTRIES ? undefined : Array.from(array);
  } catch {
    return undefined;
  }
}

function fitsEntry({ type }: Option, entry: string): boolean {
  switch (type) {
    case "networks":
      return isNetwork(entry);
    case "algorithms":
      return ALGORITHMS.includes(entry);
    case "hosts":
      return entry === "*" || hostInUrl(entry) !== undefined;
    default:
      return isOrigin(entry);
  }
}

/** Whether a text names trusted proxies. */
function isNetwork(text: string): boolean {
  return text === LOOPBACK || parseNetwork(text) !== undefined;
}

/** Whether a text is written as browsers write the header Origin, or is the wildcard. */
function isOrigin(text: string): boolean {
  if (text === "*") return true;
  if (text.length > LONGEST_ORIGIN || !ORIGIN.test(text)) return false;
  const url = URL.parse(text);
  // Of another scheme than the web's nothing has an origin of its own, and browsers send it as it is.
  return url !== null && (url.origin === text || url.origin === "null");
}

function fitsNumber(option: Option, value: number): boolean {
  const [least, most] = option.range!;
  const whole = option.type === "integer" || option.type === "bytes";
  return value >= least && value <= most && (!whole || Number.isInteger(value));
}

function fitsText(option: Option, value: string): boolean {
  if (option.range !== undefined) {
    const [least, most] = option.range;
    if (value.length < least || value.length > most || value.includes("\0")) return false;
  }
  switch (option.type) {
    case "enum":
      return option.values!.includes(value);
    case "host":
      return hostInUrl(value) !== undefined;
    case "path":
      return isFreePath(value);
    case "redis-url":
      return isRedisUrl(value);
    case "key-url":
      return isKeyUrl(value);
    case "addresses":
      return value.split(",").every((address) => isAddress(address.trim()));
    case "secret":
      return /^[\x21-\x7e]+$/.test(value) && value !== MASK;
    default:
      return true;
  }
}

function isFreePath(path: string): boolean {
  // What a URL would spell in another way could never be requested, or would name another path.
  if (!path.startsWith("/") || URL.parse(path, "http://localhost")?.pathname !== path) return false;
  return !/^\/(health|metrics|api\/push)(\/|$)/.test(path);
}

function isRedisUrl(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || !REDIS_PROTOCOLS.includes(url.protocol) || url.hostname === "") return false;
  return !value.includes(MASK);
}

/** Whether nobody on the way can change what is at an address. */
function isKeyUrl(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || url.hash !== "" || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && /^(localhost|\[::1\]|127(\.\d+){3})$/.test(url.hostname);
}

/** Whether a text is a host, or a host and a port; an IPv6 address stands in brackets. */
function isAddress(text: string): boolean {
  const [, host, port] = /^([^:[\]]+|\[[^\]]*:[^\]]*\])(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || hostInUrl(host.replace(/[[\]]/g, "")) === undefined) return false;
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
}

function parseNumber(option: Option, text: string): number | undefined {
  const bytes = option.type === "bytes" ? BYTES.exec(text) : null;
  if (bytes !== null) return Number(bytes[1]) * BYTE_UNITS[bytes[2]];
  return DECIMAL.test(text) ? Number(text) : undefined;
}

function expectedText(option: Option): string {
  if (option.type === "boolean") return "true, false, yes, no, 1 or 0";
  if (jsType(option) === "records") return `JSON: ${expected(option)}`;
  return option.type === "bytes" ? `${expected(option)} or a size such as 64KiB` : expected(option);
}

function shownSafely(option: Option, value: unknown): string {
  if (typeof value !== "string") return show(value);
  if (option.type === "tokens") return `${value.length} characters`;
  if (option.type === "secret") return value === MASK ? show(MASK) : `${value.length} characters`;
  return show(option.type === "redis-url" ? maskUrl(value) : value);
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

function isArray(value: object): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false; // a revoked proxy
  }
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
