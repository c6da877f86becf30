/**
 * Checks of what the application passes in. Each throws at once, a `TypeError` for a wrong type and
 * a `RangeError` for a wrong value, and names the argument and the value found.
 *
 * @module
 */
import { CHANNEL_NAME } from "./protocol/channel_name.ts";

/** What an argument must be. */
export type Kind<T> = readonly [
  /** In words, after "must be". */
  wanted: string,
  /** Its type: a name that `typeof` gives, or a test. */
  type: string | ((value: unknown) => boolean),
  /** Whether a value of that type will do. Default any. */
  // `never` lets a test name the type that was found before it is asked.
  fits?: ((value: never) => boolean) | undefined,
  /** What it is if it is left out as a member of an object. */
  fallback?: T,
];

/** Kinds of the members of an object. */
export type Shape = { readonly [name: string]: Kind<unknown> };

/** Members of an object, checked. */
export type Checked<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Kind<infer T> ? T : never;
};

/** An object that is neither `null` nor an array. */
export const OBJECT: Kind<Record<string, unknown>> = ["an object", isRecord];

/** A channel name. */
export const CHANNEL: Kind<string | undefined> = pattern(CHANNEL_NAME);

/** A string that matches, or nothing. */
export function pattern<T extends string>(like: RegExp, fallback?: T): Kind<T | undefined> {
  return [`a string like ${like}`, "string", (value: string) => like.test(value), fallback];
}

/** A string of 1 to `most` characters. */
export function text<T extends string>(most: number, fallback?: T): Kind<T | undefined> {
  return pattern(new RegExp(`^.{1,${most}}$`, "s"), fallback);
}

/** An object with methods of these names. */
export function having<T>(methods: readonly string[], fallback: T): Kind<T> {
  return [
    `an object with ${methods.join(" and ")}`,
    (value) => isRecord(value) && methods.every((method) => typeof value[method] === "function"),
    undefined,
    fallback,
  ];
}

/** Anything of a type that `typeof` gives, but never `null`. */
export function typed<T>(type: "boolean" | "function" | "object", fallback: T): Kind<T> {
  return [`of type ${type}`, type, undefined, fallback];
}

/**
 * A finite number in a range.
 *
 * @param most the largest
 * @param least the smallest; by default anything above 0
 * @param whole whether it must be an integer
 */
export function number<F extends number | undefined>(
  fallback: F,
  most: number = Number.MAX_VALUE,
  least: number = Number.MIN_VALUE,
  whole?: boolean,
): Kind<number | F> {
  const low = least > 0 && least < 1 ? "above 0" : `from ${least}`;
  return [
    `${whole ? "an integer" : "a number"} ${low}${most < Number.MAX_VALUE ? ` to ${most}` : ""}`,
    "number",
    (value: number) => value >= least && value <= most && !(whole && value % 1),
    fallback,
  ];
}

/**
 * A value of a kind.
 *
 * @throws {TypeError | RangeError} `Cannot <act> as '<name>' must be <wanted>: current value is <value>`
 */
export function check<T>(
  act: string,
  name: string,
  value: unknown,
  [wanted, type, fits]: Kind<T>,
): T {
  const found: string = typeof value;
  const isTyped = typeof type === "string" ? found === type && value !== null : type(value);
  if (isTyped && (!fits || fits(value as never))) return value as T;
  throw new (isTyped ? RangeError : TypeError)(
    `Cannot ${act} as '${name}' must be ${wanted}: current value is ${show(value)}`,
  );
}

/** The members of an object that may have these and no others, or be left out altogether. */
export function members<S extends Shape>(
  act: string,
  name: string,
  value: unknown,
  shape: S,
  prefix = "",
): Checked<S> {
  const given = value === undefined ? {} : check(act, name, value, OBJECT);
  const known = Object.keys(shape);
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot ${act} as '${name}' has no member ${show(unknown)}: it may have ${known.join(", ")}`,
    );
  }
  return Object.fromEntries(known.map((key) => {
    const kind = shape[key];
    return [key, given[key] === undefined ? kind[3] : check(act, prefix + key, given[key], kind)];
  })) as Checked<S>;
}

/** Whether a value is an object that is neither `null` nor an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value, short and safe to print. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60));
  return Object(value) === value ? `of type ${typeof value}` : String(value);
}
