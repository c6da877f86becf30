/**
 * Checks the value of one option, and reads it from text. What is wrong is said in one sentence:
 * what cannot be used, what was expected, what was found.
 *
 * @module
 */
import { checkRules } from "../access/grants.ts";
import {
  ALGORITHMS,
  hostInUrl,
  isAddress,
  isFreePath,
  isKeyUrl,
  isNetwork,
  isOrigin,
  isRedisUrl,
} from "./formats.ts";
import { jsType, type Option, type OptionRecord, type OptionValue } from "./option.ts";
import { readNamedToken } from "./tokens.ts";
import {
  cannotUse,
  expected,
  expectedText,
  isArray,
  MASK,
  secretly,
  show,
  shownSafely,
} from "./wording.ts";

const MOST_ENTRIES = 1000;
// A decimal number and nothing else: Number() would also take "", " 1", "0x10" and "Infinity".
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const BYTES = /^(\d+) ?([KMG]iB)$/;
const BYTE_UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const TRUE_TEXTS = ["true", "1", "yes"];
const FALSE_TEXTS = ["false", "0", "no"];

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
      return isRedisUrl(value) && !value.includes(MASK);
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

function parseNumber(option: Option, text: string): number | undefined {
  const bytes = option.type === "bytes" ? BYTES.exec(text) : null;
  if (bytes !== null) return Number(bytes[1]) * BYTE_UNITS[bytes[2]];
  return DECIMAL.test(text) ? Number(text) : undefined;
}
