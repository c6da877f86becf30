import { ANONYMOUS } from "./identity.ts";

const LONGEST = 255;
// No control characters, line separators, unassigned characters or lone surrogates.
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

/** Whether a text names a subject: 1 to 255 printable characters. */
export function isSubject(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST && PRINTABLE.test(value);
}

/**
 * Whether a token of its own may have this subject: not that of everybody whom no token tells apart,
 * who would be let into their sessions otherwise.
 */
export function isOwnSubject(value: unknown): value is string {
  return isSubject(value) && value !== ANONYMOUS;
}
