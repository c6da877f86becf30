/**
 * JSON Web Tokens (RFC 7519), signed, as RFC 8725 wants them to be checked.
 *
 * @module
 */
import { type JsonObject, parseJson, PushError } from "@push/client/protocol";
import { readFile } from "node:fs/promises";
import type { Clock } from "../clock.ts";
import type { JwtSettings } from "../options/settings.ts";
import { show } from "../options/wording.ts";
import { checkGrants } from "./grants.ts";
import type { Grant, Identity } from "./identity.ts";
import { PublicKey, type TokenHeader } from "./jwks.ts";
import { ChangingKeys, fetchKeys, type KeySource, OneKey } from "./key_source.ts";
import { hashSecret } from "./secrets.ts";
import { isSpelledRight } from "./signature.ts";
import { isOwnSubject, isSubject } from "./subject.ts";

type Jose = typeof import("jose");

const SECRET_ALGORITHMS = ["HS256"];
const KEY_ALGORITHMS = ["RS256", "ES256", "EdDSA"];
const MAX_NESTING = 16;
const LONGEST_KID = 255;
/** Largest time in a token, in seconds: the end of the year 9999. */
const LATEST = 253_402_300_799;
/** What would have a token say where its key is, or what must be understood beside the standard. */
const REFUSED_HEADERS = ["jku", "x5u", "jwk", "x5c", "crit", "b64", "zip"];

/** What tokens are checked with, and what must be in them. */
export class JwtVerifier {
  readonly #jose: Jose;
  readonly #settings: JwtSettings;
  readonly #clock: Clock;
  readonly #algorithms: ReadonlySet<string>;
  readonly #keys: KeySource | Uint8Array;
  readonly #ended: AbortController;

  private constructor(
    jose: Jose,
    settings: JwtSettings,
    clock: Clock,
    keys: KeySource | Uint8Array,
    ended: AbortController,
  ) {
    this.#jose = jose;
    this.#settings = settings;
    this.#clock = clock;
    this.#keys = keys;
    this.#ended = ended;
    this.#algorithms = algorithmsOf(settings);
  }

  /**
   * Loads what is needed to check tokens.
   *
   * @param settings checked already, with a secret or a place of keys
   * @param failed told why keys could not be read later on
   * @throws {TypeError} if a file of keys cannot be read, or has none that go with the algorithms
   */
  static async open(
    settings: JwtSettings,
    clock: Clock,
    failed: (error: unknown) => void,
  ): Promise<JwtVerifier> {
    const ended = new AbortController();
    const keys = await openKeys(settings, clock, failed, ended.signal);
    return new JwtVerifier(await import("jose"), settings, clock, keys, ended);
  }

  /** Fetches no keys any more. */
  stop(): void {
    this.#ended.abort();
  }

  /**
   * Identity that a token stands for.
   *
   * @throws {PushError} `token_invalid`, `token_expired`; `unavailable` if the keys cannot be read
   */
  async verify(token: string): Promise<Identity> {
    const header = this.#readHeader(token);
    const payload = await this.#check(token, header);
    return this.#read(payload, token);
  }

  #readHeader(token: string): TokenHeader {
    let header;
    try {
      header = this.#jose.decodeProtectedHeader(token);
    } catch {
      throw invalid("it is no signed JSON Web Token");
    }
    if (!isSpelledRight(token)) throw invalid("its signature is not spelled as it must be");
    const { alg, kid } = header;
    if (typeof alg !== "string" || !this.#algorithms.has(alg)) {
      throw invalid("its algorithm is not accepted");
    }
    if (REFUSED_HEADERS.some((name) => Object.hasOwn(header, name))) {
      throw invalid("its header says what no header may");
    }
    if (kid !== undefined && !(typeof kid === "string" && kid.length <= LONGEST_KID)) {
      throw invalid("it names no key");
    }
    return { alg, kid };
  }

  async #check(token: string, header: TokenHeader): Promise<JsonObject> {
    const key = await this.#keyOf(header);
    let text: string;
    try {
      const { payload } = await this.#jose.compactVerify(token, key, { algorithms: [header.alg] });
      text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
    } catch {
      throw invalid("its signature is wrong");
    }
    try {
      const claims = parseJson(text, MAX_NESTING);
      if (typeof claims === "object" && claims !== null && !Array.isArray(claims)) return claims;
    } catch {
      // Signed, and yet not JSON.
    }
    throw invalid("its claims are no JSON object");
  }

  async #keyOf(header: TokenHeader) {
    if (this.#keys instanceof Uint8Array) return this.#keys;
    const key = await this.#keys.find(header);
    if (key === undefined) throw invalid("its key is not known");
    try {
      return await key.for(header.alg, this.#jose.importJWK);
    } catch {
      throw invalid("its key cannot be used");
    }
  }

  #read(claims: JsonObject, token: string): Identity {
    const { issuer, audience, subjectClaim, grantsClaim, clockTolerance } = this.#settings;
    const now = this.#clock.now();
    const { iss, aud, jti } = claims;
    const exp = timeClaim(claims, "exp");
    const nbf = timeClaim(claims, "nbf");
    const iat = timeClaim(claims, "iat");
    if (exp === undefined) throw invalid("the claim 'exp' is missing");
    if (issuer !== undefined && iss !== issuer) throw invalid("its issuer is another one");
    if (audience !== undefined && !isFor(audience, aud)) {
      throw invalid("its audience is another one");
    }
    if (nbf !== undefined && nbf - clockTolerance > now) throw invalid("it is not valid yet");
    // Else it would outlive being revoked by its time of issue.
    if (iat !== undefined && iat - clockTolerance > now) {
      throw invalid("it was issued in the future");
    }
    if (exp + clockTolerance <= now) throw new PushError("token_expired");
    const subject = Object.hasOwn(claims, subjectClaim) ? claims[subjectClaim] : undefined;
    if (!isOwnSubject(subject)) throw invalid(`the claim ${show(subjectClaim)} names no subject`);
    if (jti !== undefined && !isSubject(jti)) throw invalid("the claim 'jti' is no id");
    const push = Object.hasOwn(claims, grantsClaim) ? claims[grantsClaim] : undefined;
    const grants = push === undefined ? undefined : grantsOf(push, grantsClaim);
    return {
      subject,
      ...(grants === undefined ? {} : { grants }),
      expiresAt: exp + clockTolerance,
      ...(iat === undefined ? {} : { issuedAt: iat }),
      tokenId: jti ?? hashSecret(token),
    };
  }
}

/**
 * What a JSON Web Token says of itself, whether it is a right one or not: its id (`jti`), and when it
 * ends (`exp`), in Unix milliseconds; nothing if it is none.
 */
export function claimed(token: string): { readonly id?: string; readonly expiresAt?: number } {
  const [, payload, signature, ...more] = token.split(".");
  if (signature === undefined || more.length > 0) return {};
  try {
    const bytes = Uint8Array.fromBase64(payload, { alphabet: "base64url" });
    const claims = parseJson(new TextDecoder().decode(bytes), MAX_NESTING);
    if (typeof claims !== "object" || claims === null || Array.isArray(claims)) return {};
    const { jti } = claims;
    return { expiresAt: timeClaim(claims, "exp"), ...(isSubject(jti) ? { id: jti } : {}) };
  } catch {
    return {};
  }
}

/** Whether JSON Web Tokens are accepted at all. */
export function acceptsJwt({ secret, keyFile, jwksUrl, jwksFile }: JwtSettings): boolean {
  return [secret, keyFile, jwksUrl, jwksFile].some((each) => each !== undefined);
}

function algorithmsOf({ secret, algorithms }: JwtSettings): ReadonlySet<string> {
  return new Set(algorithms ?? (secret === undefined ? KEY_ALGORITHMS : SECRET_ALGORITHMS));
}

async function openKeys(
  settings: JwtSettings,
  clock: Clock,
  failed: (error: unknown) => void,
  ended: AbortSignal,
): Promise<KeySource | Uint8Array> {
  const { secret, keyFile, jwksUrl, jwksFile } = settings;
  if (secret !== undefined) return new TextEncoder().encode(secret);
  // Fetched with the first token: whoever issues them need not be there first.
  if (jwksUrl !== undefined) {
    return new ChangingKeys(fetchKeys(jwksUrl, clock, ended), clock, failed);
  }
  const algorithms = algorithmsOf(settings);
  if (jwksFile !== undefined) {
    const load = async () => JSON.parse(await readFile(jwksFile, "utf8"));
    const keys = new ChangingKeys(load, clock, failed);
    const set = await keys.open().catch((error) => refuseFile("jwksFile", jwksFile, reason(error)));
    return set.checksAny(algorithms) ? keys : refuseFile("jwksFile", jwksFile, NO_FIT);
  }
  const text = await readFile(keyFile!, "utf8")
    .catch((error) => refuseFile("keyFile", keyFile!, reason(error)));
  const key = readKey(text);
  if (key === undefined) refuseFile("keyFile", keyFile!, "it is no public key as PEM or JWK");
  if (!key.algorithms.some((alg) => algorithms.has(alg))) refuseFile("keyFile", keyFile!, NO_FIT);
  return new OneKey(key);
}

const NO_FIT = "it has no key that goes with push.auth.jwt.algorithms";

function readKey(text: string): PublicKey | undefined {
  if (!text.trimStart().startsWith("{")) return PublicKey.readPem(text);
  try {
    return PublicKey.read(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function refuseFile(option: string, file: string, why: string): never {
  throw new TypeError(`Cannot use option 'push.auth.jwt.${option}' (${show(file)}): ${why}`);
}

function reason(error: unknown): string {
  if (error instanceof SyntaxError) return "it is not JSON";
  return error instanceof Error ? error.message : String(error);
}

function timeClaim(claims: JsonObject, name: "exp" | "nbf" | "iat"): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || value < 0 || value > LATEST) {
    throw invalid(`the claim '${name}' is no time`);
  }
  return value * 1000;
}

function grantsOf(claimed: unknown, name: string): Grant[] {
  try {
    return checkGrants(claimed);
  } catch {
    throw invalid(`the claim ${show(name)} is not a list of grants`);
  }
}

function isFor(audience: string, claim: unknown): boolean {
  return claim === audience || (Array.isArray(claim) && claim.includes(audience));
}

function invalid(why: string): PushError {
  return new PushError("token_invalid", `The token is not valid: ${why}.`);
}
