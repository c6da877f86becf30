/**
 * What a store keeps of tokens, subjects and clients that were revoked.
 *
 * A revocation takes nothing back: of two about the same name the later times count, whichever came
 * first. So it may be written by anybody who knows it, as often as wanted.
 *
 * @module
 */

/** What a revocation is about. */
export type RevocationKind = "token" | "subject" | "client";

/** Voids what was issued before a time. */
export interface Revocation {
  /** What it is about… */
  readonly kind: RevocationKind;
  /** …and which one. Whatever the caller compares: a hash or an id of a token, a subject. */
  readonly name: string;
  /** Unix milliseconds: what was issued before is void. */
  readonly at: number;
  /** Unix milliseconds at which it may be forgotten; `Infinity` for never. */
  readonly until: number;
}

/** What a caller that knows some revocations does not know yet. */
export interface RevocationNews {
  /** Names what the caller knows from now on. Any text. */
  readonly mark: string;
  /**
   * Whether these are all that there are: the caller knows none, or the store cannot tell what came
   * since. What the caller knows beside them, the store has lost.
   */
  readonly isAll: boolean;
  /** Revocations, each as it is now. */
  readonly entries: readonly Revocation[];
}

/** Revocations that a store keeps, unless its limits say otherwise. */
export const MAX_REVOCATIONS = 100_000;

/** Every kind. */
export const REVOCATION_KINDS: readonly RevocationKind[] = ["token", "subject", "client"];

/** Whether a value is a kind of revocation. */
export function isRevocationKind(value: unknown): value is RevocationKind {
  return (REVOCATION_KINDS as readonly unknown[]).includes(value);
}

/**
 * A revocation as it is kept: whole milliseconds, of which none is before 1970 and the largest stands
 * for ever.
 *
 * @throws {TypeError} if one of the times is not a number
 */
export function normalRevocation({ kind, name, at, until }: Revocation): Revocation {
  return { kind, name, at: wholeTime(at), until: wholeTime(until) };
}

/** What two revocations of one name come to: the first itself, where the other one adds nothing. */
export function mergedRevocation(known: Revocation, other: Revocation): Revocation {
  if (known.at >= other.at && known.until >= other.until) return known;
  return {
    ...known,
    at: Math.max(known.at, other.at),
    until: Math.max(known.until, other.until),
  };
}

/** A name for both, kind and name. */
export function keyOfRevocation({ kind, name }: Pick<Revocation, "kind" | "name">): string {
  return `${kind}:${name}`;
}

function wholeTime(time: number): number {
  if (Number.isNaN(time)) throw new TypeError("Cannot revoke as a time is not a number: NaN");
  return Math.min(Math.max(Math.ceil(time), 0), Number.MAX_SAFE_INTEGER);
}
