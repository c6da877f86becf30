/**
 * Every key of the KV store. Names of channels and sessions are in values only, so whatever they
 * contain, keys are short and cannot collide.
 *
 * @module
 */
import type { KvKey } from "./engine.ts";

const ROOT = "push";

/** Tables: what the second part of a key says. */
export const TABLES = {
  /** By channel: name, epoch, metadata. */
  channel: "c",
  /** By channel: head of an empty log, time of last use. */
  head: "h",
  /** By channel and first number: what a segment contains. */
  segment: "x",
  /** By channel and first number: the messages of a segment. */
  messages: "m",
  /** By page: publish ids. */
  ids: "i",
  /** By session: who holds it. */
  session: "s",
  /** By session and channel: where the session stands. */
  position: "p",
  /** By letter: a dead letter without its payload. */
  letter: "d",
  /** By revocation: what is void. */
  revocation: "r",
  /** By letter or redriven message: its payload. */
  payload: "t",
  /** By commit: what a commit in several steps has written so far. */
  step: "g",
  /** Entries that could not be read, with their own keys behind a number. */
  aside: "q",
} as const;

/** Name of a table. */
export type Table = typeof TABLES[keyof typeof TABLES];

/** Version of the format. */
export const VERSION_KEY: KvKey = [ROOT, "version"];

/** Number of the last commit, and what else only grows. */
export const STATE_KEY: KvKey = [ROOT, "state"];

/** Where it is tried whether anything can be written. */
export const PROBE_KEY: KvKey = [ROOT, "probe"];

/** Everything of the store. */
export const EVERYTHING: KvKey = [ROOT];

/** Key of a table, or in it. */
export function keyOf(table: Table, ...numbers: readonly number[]): KvKey {
  return [ROOT, table, ...numbers];
}

/** Numbers of a key of a table; `undefined` if the key is not one that the store makes. */
export function numbersOf(key: readonly unknown[]): readonly number[] | undefined {
  const numbers = key.slice(2);
  const isOurs = numbers.every((part) => Number.isSafeInteger(part) && part as number >= 0);
  return isOurs ? numbers as number[] : undefined;
}

/** Length that a key counts with against the limits of a commit; a little more than it has. */
export function keyBytes(key: KvKey): number {
  let bytes = 0;
  for (const part of key) bytes += typeof part === "number" ? 9 : part.length + 2;
  return bytes;
}
