/**
 * Checks of what the application passes in. Each throws at once, a `TypeError` for a wrong type and
 * a `RangeError` for a wrong value, and names the argument and the value found.
 *
 * @module
 */
import { isChannelName } from "./protocol/channel_name.ts";

/** Range of a number. */
export interface NumberRange {
  readonly min?: number;
  readonly max?: number;
  /** Whether it must be an integer. Default false. */
  readonly integer?: boolean;
  /** Whether `min` itself is too small. Default false. */
  readonly above?: boolean;
}

/** Throws a `TypeError`: `Cannot <act> as '<name>' must be <wanted>: current value is <value>`. */
export function refuseType(act: string, name: string, wanted: string, value: unknown): never {
  throw new TypeError(sentence(act, name, wanted, value));
}

/** Throws a `RangeError` of the same form. */
export function refuseRange(act: string, name: string, wanted: string, value: unknown): never {
  throw new RangeError(sentence(act, name, wanted, value));
}

/** A finite number in a range; `fallback` for `undefined`. */
export function numberOf<F extends number | undefined>(
  act: string,
  name: string,
  value: unknown,
  range: NumberRange,
  fallback: F,
): number | F {
  if (value === undefined) return fallback;
  const { min = 0, max = Infinity, integer = false, above = false } = range;
  const kind = integer ? "an integer" : "a number";
  const low = above ? `above ${min}` : `from ${min}`;
  const wanted = max === Infinity ? `${kind} ${low}` : `${kind} ${low} to ${max}`;
  if (typeof value !== "number") refuseType(act, name, wanted, value);
  const fits = Number.isFinite(value) && value <= max && (above ? value > min : value >= min);
  if (!fits || (integer && !Number.isInteger(value))) refuseRange(act, name, wanted, value);
  return value;
}

/** A boolean; `fallback` for `undefined`. */
export function booleanOf(act: string, name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  return typeof value === "boolean" ? value : refuseType(act, name, "a boolean", value);
}

/** A function, if there is a value at all. */
export function functionOf<T>(act: string, name: string, value: T): T {
  if (value === undefined || typeof value === "function") return value;
  return refuseType(act, name, "a function", value);
}

/** An object without other members than `known`; an empty one for `undefined`. */
export function membersOf<T extends object>(
  act: string,
  name: string,
  value: T | undefined,
  known: readonly (keyof T & string)[],
): Partial<T> {
  if (value === undefined) return {};
  if (!isRecord(value)) refuseType(act, name, "an object", value);
  for (const key of Object.keys(value)) {
    if ((known as readonly string[]).includes(key)) continue;
    throw new TypeError(
      `Cannot ${act} as '${name}' has no member ${show(key)}: it may have ${known.join(", ")}`,
    );
  }
  return value;
}

/** An `AbortSignal`, if there is a value at all. */
export function signalOf(act: string, value: AbortSignal | undefined): AbortSignal | undefined {
  if (value === undefined || (isRecord(value) && typeof value.aborted === "boolean")) return value;
  return refuseType(act, "signal", "an AbortSignal", value);
}

/** A channel name. */
export function channelOf(act: string, value: unknown): string {
  if (typeof value !== "string") refuseType(act, "channel", "a string", value);
  if (isChannelName(value)) return value;
  return refuseRange(act, "channel", "1 to 255 of A-Z a-z 0-9 _ : . -", value);
}

/** An object that is neither `null` nor an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value, short and safe to print. */
export function show(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  }
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  return isRecord(value) ? "an object" : String(value);
}

function sentence(act: string, name: string, wanted: string, value: unknown): string {
  return `Cannot ${act} as '${name}' must be ${wanted}: current value is ${show(value)}`;
}
