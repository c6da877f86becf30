import { createHash } from "node:crypto";
import { preambled } from "./preamble.ts";

/**
 * A Lua script: one change of state, or one reading of it, that nothing interrupts. It may be repeated
 * where its answer was lost, so its effect must not be.
 */
export interface Script {
  /** What it is called in errors. */
  readonly name: string;
  /**
   * Its text, which begins with its contract as a comment: what it does, KEYS, ARGV, what it returns.
   * `ARGV[1]` is always what `now()` and `runs()` of the preamble need: the offset of the store's time in
   * milliseconds, and perhaps `!` and runs of the server.
   */
  readonly lua: string;
}

/** The text of a script as Redis gets it, and the digest that names it there. */
export interface Prepared {
  /** Text, with the preamble. */
  readonly text: string;
  /** SHA-1 of the text, in hexadecimal. */
  readonly sha: string;
}

const prepared = new WeakMap<Script, Prepared>();

/** A script with the preamble before it. */
export function prepare(script: Script): Prepared {
  const known = prepared.get(script);
  if (known !== undefined) return known;
  const text = preambled(script);
  const made = { text, sha: createHash("sha1").update(text).digest("hex") };
  prepared.set(script, made);
  return made;
}
