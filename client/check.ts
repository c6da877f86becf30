/**
 * Checks of what the application passes in. Each throws at once, a `TypeError` for a wrong type and
 * a `RangeError` for a wrong value, and names the argument and the value found.
 *
 * @module
 */

/** What an argument must be: of a type that `typeof` gives (never `null`), a string that matches, or else. */
export type Kind =
  | "boolean"
  | "function"
  | "object"
  | RegExp
  | readonly [
    /** In words, after "must be". */
    wanted: string,
    /** Whether it is of the right type. */
    isTyped: (value: unknown) => unknown,
    /** Whether a value of that type will do. Default any. */
    // `never` lets a test name the type that was found before it is asked.
    fits?: (value: never) => unknown,
  ];

/** Members of an object that were checked; those with a default are there. */
export type Checked<T, D> =
  & T
  & { readonly [K in keyof T & keyof D]-?: Exclude<T[K], undefined> };

/** An object that is neither `null` nor an array. */
export const OBJECT: Kind = ["an object", isRecord];

/** Least of a number that must be above 0: a millisecond, of what is given in seconds. */
export const ABOVE_0 = 0.001;

/** A number in a range. @param step what it must be a multiple of: 1 for an integer, 0 for any number */
export function number(least: number = ABOVE_0, most = 1e9, step = 0): Kind {
  return [
    `${step ? "an integer" : "a number"} from ${least} to ${most}`,
    (value) => typeof value === "number",
    (value: number) => value >= least && value <= most && !(value % step),
  ];
}

/**
 * A value of a kind.
 *
 * @throws {TypeError | RangeError} `'<name>' must be <wanted>: current value is <value>`
 */
export function check<T>(name: string, value: T, kind: Kind): T {
  const [wanted, isTyped, fits]: Exclude<Kind, string | RegExp> = typeof kind === "string"
    ? [`of type ${kind}`, (value) => typeof value === kind && value !== null]
    : kind instanceof RegExp
    ? [`a string like ${kind}`, isText, (value) => kind.test(value)]
    : kind;
  const known = isTyped(value);
  if (known && (!fits || fits(value as never))) return value;
  throw new (known ? RangeError : TypeError)(
    `'${name}' must be ${wanted}: current value is ${show(value)}`,
  );
}

/**
 * A copy of an object that may have members of these kinds and no others, or be left out altogether.
 *
 * @param defaults what members are that are left out
 * @param name of the object, and before the names of its members, where it is a member itself
 */
export function members<T extends object, D extends Partial<T>>(
  value: T = {} as T,
  shape: { readonly [K in keyof T]-?: Kind },
  defaults?: D,
  name?: string,
): Checked<T, D> {
  const checked: { [name: string]: unknown } = { ...defaults };
  const whole = name ?? "options";
  check(whole, value, OBJECT);
  for (const key in { ...shape, ...value }) {
    const each = value[key];
    if (!Object.hasOwn(shape, key)) {
      const known = Object.keys(shape).join(", ");
      throw new TypeError(`'${whole}' has no member ${show(key)}: it may have ${known}`);
    }
    if (each !== undefined) checked[key] = check(name ? `${name}.${key}` : key, each, shape[key]);
  }
  return checked as Checked<T, D>;
}

/** Whether a value is an object that is neither `null` nor an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether JSON is nested more than so many levels deep. */
export function isDeeper(json: unknown, levels: number): boolean {
  return Object(json) === json &&
    (levels < 1 || Object.values(json as object).some((each) => isDeeper(each, levels - 1)));
}

/** Whether a value is a string. */
export function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** A value, short and safe to print. */
function show(value: unknown): string {
  if (isText(value)) return JSON.stringify(value.slice(0, 60));
  return Object(value) === value ? `of type ${typeof value}` : String(value);
}
