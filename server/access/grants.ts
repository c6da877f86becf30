/**
 * Grants and rules of anybody's, checked before they count: from a token's claims, the configuration
 * or the embedding program.
 *
 * @module
 */
import { type Action, ACTIONS, type Grant } from "./identity.ts";
import { Pattern } from "./pattern.ts";
import { isSubject } from "./subject.ts";

/** Allows actions in channels to subjects. */
export interface Rule extends Grant {
  /** Who is meant: subjects, or `"*"` for everybody. */
  readonly subjects: readonly string[];
}

/** Stands for every subject in a rule. */
export const EVERYBODY = "*";

/** Most grants of one token. */
export const MAX_GRANTS = 64;
/** Most rules. */
export const MAX_RULES = 1000;
/** Most entries of a list in a grant or a rule. */
export const MAX_LISTED = 256;

/**
 * Checks grants, and copies them: nobody can change them afterwards.
 *
 * @param value what should be grants
 * @throws {RangeError} if it is none; the message says what was expected, and where
 */
export function checkGrants(value: unknown): Grant[] {
  return listOf(value, "the list", MAX_GRANTS, "grants").map((each, i) => {
    const { channels, actions } = membersOf(each, `grant ${i + 1}`, ["channels", "actions"]);
    return grantOf(channels, actions, `grant ${i + 1}`);
  });
}

/**
 * Checks rules, and copies them.
 *
 * @param value what should be rules
 * @throws {RangeError} as {@linkcode checkGrants}
 */
export function checkRules(value: unknown): Rule[] {
  return listOf(value, "the list", MAX_RULES, "rules").map((each, i) => {
    const where = `rule ${i + 1}`;
    const members = membersOf(each, where, ["subjects", "channels", "actions"]);
    const grant = grantOf(members.channels, members.actions, where);
    return { subjects: textsOf(members.subjects, `'subjects' of ${where}`, isSubject), ...grant };
  });
}

function grantOf(channels: unknown, actions: unknown, where: string): Grant {
  const allowed = textsOf(actions, `'actions' of ${where}`, isAction, ACTIONS.join(", "));
  const patterns = textsOf(channels, `'channels' of ${where}`, () => true).map((text) => {
    try {
      return new Pattern(text);
    } catch (error) {
      throw new RangeError(`'channels' of ${where}: ${(error as Error).message}`);
    }
  });
  // Else a grant for a few channels would be one for the whole gateway.
  if (allowed.includes("admin") && !patterns.some(({ isAll }) => isAll)) {
    throw new RangeError(`'channels' of ${where} must have "**", as 'admin' is of no one channel`);
  }
  return { channels: patterns.map(({ text }) => text), actions: allowed };
}

function isAction(text: string): text is Action {
  return (ACTIONS as readonly string[]).includes(text);
}

function textsOf<T extends string>(
  value: unknown,
  where: string,
  fits: (text: string) => text is T,
  wanted?: string,
): T[];
function textsOf(
  value: unknown,
  where: string,
  fits: (text: string) => boolean,
  wanted?: string,
): string[];
function textsOf(
  value: unknown,
  where: string,
  fits: (text: string) => boolean,
  wanted = `texts of 1 to 255 printable characters`,
): string[] {
  const texts = listOf(value, where, MAX_LISTED, "texts");
  if (texts.length === 0) throw new RangeError(`${where} must not be empty`);
  return texts.map((text) => {
    if (typeof text === "string" && fits(text)) return text;
    throw new RangeError(`${where} must be of ${wanted}`);
  });
}

function listOf(value: unknown, where: string, most: number, what: string): unknown[] {
  if (Array.isArray(value) && value.length <= most) return [...value];
  throw new RangeError(`${where} must be an array of at most ${most} ${what}`);
}

/** Members of an object that has these, and no others. */
function membersOf(
  value: unknown,
  where: string,
  names: readonly string[],
): { readonly [name: string]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new RangeError(`${where} must be an object`);
  }
  const stray = Object.keys(value).find((name) => !names.includes(name));
  if (stray !== undefined) {
    throw new RangeError(`${where} must have ${names.join(", ")} only: found another member`);
  }
  return value as { readonly [name: string]: unknown };
}
