/**
 * What may stand in a line: cut to a length, and without secrets. Nobody hands secrets to a log on
 * purpose; this is for those that hide in the texts of errors.
 *
 * @module
 */
import type { LogFields } from "./record.ts";

/** Stands for a secret. */
const MASK = "***";
/** Most characters of a field… */
export const MAX_FIELD = 256;
/** …and of a stack. */
const MAX_STACK = 2_000;
/** A secret that is shorter is a word that may stand anywhere. */
const MIN_SECRET = 6;

const HIDDEN: readonly (readonly [pattern: RegExp, shown: string])[] = [
  // Values of the names that secrets have in addresses, in JSON and in texts…
  [
    /\b((?:auth_|poll_|access_|id_)?(?:token|ticket|secret|password|cookie|authorization)["']?\s{0,4}[=:]\s{0,4}["']?)(?:(?:bearer|basic)\s{1,4})?[^\s"'&,;}]{1,4096}/gi,
    `$1${MASK}`,
  ],
  // …of an Authorization field…
  [/\b(bearer|basic)\s{1,4}[\w.~+/=-]{4,4096}/gi, `$1 ${MASK}`],
  // …user and password of a URL…
  [/(\/\/)[^\s/@]{1,1024}@/g, `$1${MASK}@`],
  // …and a JSON Web Token.
  [/\beyJ[\w-]{4,4096}\.[\w-]{1,8192}\.?[\w-]{0,4096}/g, MASK],
];

/** Fields as they may be written. What is `undefined` is left out. */
export function cleaned(fields: LogFields, secrets: readonly string[]): LogFields {
  const clean: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    clean[name] = typeof value === "string"
      ? cut(masked(value, secrets), name === "stack" ? MAX_STACK : MAX_FIELD)
      : value;
  }
  return clean;
}

/** Name and message of what was thrown. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  // The message of a parser quotes what it could not read, which may be a payload.
  return error instanceof SyntaxError ? error.name : `${error.name}: ${error.message}`;
}

/** Where it was thrown, without its message; `undefined` if nobody knows. */
export function stackText(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.stack === undefined) return undefined;
  const lines = error.stack.split("\n").filter((line) => /^\s+at /.test(line));
  return lines.map((line) => line.trim()).join(" ");
}

function masked(text: string, secrets: readonly string[]): string {
  // Nothing of a longer text is written: it need not be searched.
  let clean = text.slice(0, 2 * MAX_STACK);
  for (const secret of secrets) {
    if (secret.length >= MIN_SECRET) clean = clean.replaceAll(secret, MASK);
  }
  for (const [pattern, shown] of HIDDEN) clean = clean.replace(pattern, shown);
  return clean;
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
