/**
 * What holds between the options of who may connect.
 *
 * @module
 */
import { hashSecret } from "../access/secrets.ts";
import type { OptionValue } from "./option.ts";
import type { NamedToken } from "./types.ts";
import { OPTION_BY_PATH } from "./table.ts";
import { cannotUse, show } from "./wording.ts";

const JWT = "push.auth.jwt";
/** Options of which one says with what tokens are checked. */
const KEYS = ["secret", "keyFile", "jwksUrl", "jwksFile"].map((name) => `${JWT}.${name}`);
const [SECRET] = KEYS;
const ALGORITHMS = `${JWT}.algorithms`;
/** Shortest secret in bytes by algorithm: as long as its hash (RFC 7518 section 3.2). */
const SHORTEST: { readonly [algorithm: string]: number } = { HS256: 32, HS384: 48, HS512: 64 };

type Values = ReadonlyMap<string, OptionValue | undefined>;

/**
 * Checks that no two named tokens are one.
 *
 * @param name what an error calls an option
 * @throws {RangeError} if a token is there twice, or is `authToken`
 */
export function checkTokens(values: Values, name: (path: string) => string): void {
  const path = "push.auth.tokens";
  const tokens = (values.get(path) ?? []) as unknown as readonly NamedToken[];
  const hashes = new Set<string>();
  const shared = values.get("authToken");
  if (typeof shared === "string" && tokens.length > 0) hashes.add(hashSecret(shared));
  for (const token of tokens) {
    const hash = hashOf(token);
    if (hashes.has(hash)) {
      const wanted = "tokens that differ, also from authToken";
      throw new RangeError(cannotUse(name(path), wanted, `one twice, named ${show(token.name)}`));
    }
    hashes.add(hash);
  }
}

/** Hash of a named token. */
export function hashOf({ token, tokenHash }: NamedToken): string {
  return tokenHash ?? hashSecret(token!);
}

/**
 * Checks the options of JSON Web Tokens: one kind of key, and the algorithms that go with it. A public
 * key is never used as a secret, which whoever knows it could sign with (RFC 8725 section 2.1).
 *
 * @throws {TypeError} if options are missing or exclude each other
 * @throws {RangeError} if the secret is too short, or an algorithm does not go with the key
 */
export function checkJwt(given: Values, name: (path: string) => string): void {
  const keys = KEYS.filter((path) => given.has(path));
  if (keys.length > 1) {
    throw new TypeError(
      `Cannot use ${name(keys[0])} and ${name(keys[1])}: they exclude each other`,
    );
  }
  if (keys.length === 0) {
    // What is as it would be anyway was printed, not meant.
    const other = given.entries().find(([path, value]) =>
      path.startsWith(`${JWT}.`) && value !== OPTION_BY_PATH.get(path)?.default
    )?.[0];
    if (other === undefined) return;
    throw new TypeError(`Cannot use ${name(other)} without one of ${KEYS.join(", ")}`);
  }
  const isSecret = keys[0] === SECRET;
  const algorithms = given.get(ALGORITHMS) as readonly string[] | undefined ??
    (isSecret ? ["HS256"] : []);
  const stray = algorithms.find((algorithm) => algorithm.startsWith("HS") !== isSecret);
  if (stray !== undefined) {
    const wanted = isSecret
      ? "algorithms that go with a secret: HS256, HS384, HS512"
      : "algorithms that go with public keys, none of HS256, HS384, HS512";
    throw new RangeError(cannotUse(name(ALGORITHMS), wanted, stray));
  }
  if (given.has(ALGORITHMS) && algorithms.length === 0) {
    throw new RangeError(cannotUse(name(ALGORITHMS), "one algorithm at least", "none"));
  }
  if (!isSecret) return;
  const least = Math.max(...algorithms.map((algorithm) => SHORTEST[algorithm]));
  const { length } = String(given.get(SECRET));
  if (length < least) {
    const wanted = `at least ${least} characters for ${algorithms.join(", ")}`;
    throw new RangeError(cannotUse(name(SECRET), wanted, `${length} characters`));
  }
}
