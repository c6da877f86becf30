/**
 * Comparing what came with what a vector expects. A pattern is JSON; an object with the one key `$`
 * stands for any value of a kind, and with `as` too the value is kept under that name. An object
 * with the one key `$use` stands for a value that was kept.
 *
 * @module
 */
import { formatEventId, isEpoch, isSeq, parseEventId } from "../../client/protocol/mod.ts";

/** Values that earlier steps of a conversation kept. */
export type Kept = Map<string, unknown>;

/** What a value of a kind looks like. */
const KINDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  "event id": (value) => {
    const place = parseEventId(value);
    return place !== undefined && formatEventId(place.channel, place.epoch, place.seq) === value;
  },
  "presence event id": (value) => typeof value === "string" && value !== "",
  "Unix seconds": (value) => typeof value === "number" && value > 1e9 && value < 1e10,
  "minted client id": (value) => typeof value === "string" && /^[0-9a-f]{32}$/.test(value),
  "poll token": (value) => typeof value === "string" && /^[0-9a-f]{32}$/.test(value),
  secret: (value) => typeof value === "string" && /^[0-9a-f]{32}$/.test(value),
  epoch: isEpoch,
  seq: isSeq,
  sentence: (value) => typeof value === "string" && /^[A-Z'].*\.$/s.test(value),
};

/** Puts kept values in the place of their names. */
export function fill(value: unknown, kept: Kept): unknown {
  if (Array.isArray(value)) return value.map((each) => fill(each, kept));
  if (typeof value !== "object" || value === null) return value;
  if ("$use" in value) {
    const name = String(value.$use);
    if (!kept.has(name)) throw new Error(`Cannot use '${name}': no earlier step kept it`);
    return kept.get(name);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, fill(each, kept)]),
  );
}

/**
 * Compares; keeps what the pattern names.
 *
 * @returns where they differ and how, or `undefined` if they do not
 */
export function differs(
  value: unknown,
  pattern: unknown,
  kept: Kept,
  at = "$",
): string | undefined {
  if (typeof pattern !== "object" || pattern === null) {
    return value === pattern ? undefined : `${at} is ${show(value)}, not ${show(pattern)}`;
  }
  if ("$use" in pattern) return differs(value, fill(pattern, kept), kept, at);
  if ("$" in pattern) {
    const { $: kind, as } = pattern as { $: string; as?: string };
    const is = KINDS[kind];
    if (is === undefined) throw new Error(`There is no kind '${kind}'`);
    if (!is(value)) return `${at} is ${show(value)}, not of the kind '${kind}'`;
    if (as !== undefined) kept.set(as, value);
    return undefined;
  }
  if (
    typeof value !== "object" || value === null || Array.isArray(value) !== Array.isArray(pattern)
  ) {
    return `${at} is ${show(value)}, not ${show(pattern)}`;
  }
  const [found, wanted] = [value, pattern] as Record<string, unknown>[];
  const keys = Object.keys(wanted);
  const extra = Object.keys(found).filter((key) => !Object.hasOwn(wanted, key));
  if (extra.length > 0) return `${at} has ${extra.join(", ")} beside what is expected`;
  for (const key of keys) {
    if (!Object.hasOwn(found, key)) return `${at} has no ${key}`;
    const difference = differs(found[key], wanted[key], kept, `${at}.${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? "absent";
}
