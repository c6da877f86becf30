/**
 * Between the nested form of options, as people write them, and the flat one, by path. What is read
 * may be anybody's: nothing but own, enumerable properties of plain objects counts, each is read
 * once, and nothing is written to an object that came from outside.
 *
 * @module
 */
import { nearest } from "./nearest.ts";
import type { OptionValue } from "./option.ts";
import { OPTION_BY_PATH, OPTIONS } from "./table.ts";
import { checkValue } from "./values.ts";
import { cannotUse, show } from "./wording.ts";

/** Path of the group of options that is switched on by being there. */
export const REDIS = "push.redis";

/** Options by path. `push.redis` itself is there, as `true`, if that group was given. */
export type OptionValues = Map<string, OptionValue>;

/** Says where a value stands, as a sentence about it wants to name it. */
export type NameSubject = (path: string, segments: readonly string[]) => string;

interface Group {
  readonly path: string;
  readonly names: Map<string, Group | undefined>;
}

const ROOT: Group = { path: "", names: new Map() };
for (const { path } of OPTIONS) {
  let group = ROOT;
  const segments = path.split(".");
  const name = segments.pop()!;
  for (const segment of segments) {
    const below = group.names.get(segment) ?? { path: join(group.path, segment), names: new Map() };
    group.names.set(segment, below);
    group = below;
  }
  group.names.set(name, undefined);
}

/** Names an option by its path. */
export const subjectOf: NameSubject = (path) => `option '${path}'`;

/**
 * Reads nested options and checks each by itself. `null` and `undefined` count as absent.
 *
 * @param options any value
 * @param subject how an error names an option
 * @returns the options that were given
 * @throws {TypeError} if a name is unknown or a value of the wrong type
 * @throws {RangeError} if a value is out of range
 */
export function readOptions(options: unknown, subject: NameSubject = subjectOf): OptionValues {
  const values: OptionValues = new Map();
  if (options === undefined || options === null) return values;
  readGroup(ROOT, options, [], values, subject);
  return values;
}

/** The nested form of options by path. */
export function nestOptions(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const nested: Record<string, unknown> = {};
  for (const [path, value] of values) {
    let group = nested;
    const segments = path.split(".");
    const name = segments.pop()!;
    for (const segment of segments) group = (group[segment] ??= {}) as Record<string, unknown>;
    if (path === REDIS && value === true) group[name] ??= {};
    else group[name] = value;
  }
  return nested;
}

function readGroup(
  group: Group,
  object: unknown,
  above: readonly string[],
  values: OptionValues,
  subject: NameSubject,
): void {
  for (const [name, value] of entriesOf(object, group, above, subject)) {
    const segments = [...above, name];
    const path = join(group.path, name);
    if (!group.names.has(name)) {
      const unknown = subject(join(group.path, show(name).slice(1, -1)), segments);
      throw new TypeError(`Cannot use ${unknown}: there is no such option${suggest(group, name)}`);
    }
    if (value === undefined || value === null) continue;
    const below = group.names.get(name);
    if (below === undefined) {
      values.set(path, checkValue(OPTION_BY_PATH.get(path)!, value, subject(path, segments)));
    } else {
      if (path === REDIS) values.set(path, true);
      readGroup(below, value, segments, values, subject);
    }
  }
}

function entriesOf(
  object: unknown,
  group: Group,
  segments: readonly string[],
  subject: NameSubject,
): [string, unknown][] {
  const name = group === ROOT ? "the options" : subject(group.path, segments);
  if (typeof object !== "object") {
    throw new TypeError(cannotUse(name, "an object", show(object)));
  }
  let entries: [string, unknown][] | undefined;
  try {
    if (isPlain(object!)) entries = Object.entries(object!);
  } catch {
    throw new TypeError(`Cannot use ${name}: reading it threw an error`);
  }
  if (entries !== undefined) return entries;
  const found = show(object);
  const kind = found === "an object" ? "one with a prototype of its own" : found;
  throw new TypeError(cannotUse(name, "a plain object", kind));
}

/** Whether an object inherits nothing that would go unnoticed; it may be of another realm. */
function isPlain(object: object): boolean {
  if (Array.isArray(object)) return false;
  const prototype = Object.getPrototypeOf(object);
  if (prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

function suggest(group: Group, name: string): string {
  const here = nearest(name, group.names.keys());
  if (here !== undefined) return `, did you mean '${join(group.path, here)}'?`;
  // A right name in a wrong place.
  const elsewhere = OPTIONS.find(({ path }) => path.endsWith(`.${name}`) || path === name);
  return elsewhere === undefined ? "" : `, did you mean '${elsewhere.path}'?`;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
