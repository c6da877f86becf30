/**
 * Public keys that tokens are checked with, as JWK (RFC 7517).
 *
 * @module
 */
import { createPublicKey } from "node:crypto";
import type { CryptoKey, JWK } from "jose";

/** What the header of a token says of its signature. */
export interface TokenHeader {
  readonly alg: string;
  /** Name of the key, if it says so. */
  readonly kid: string | undefined;
}

/** Imports a key for one algorithm. */
export type ImportKey = (jwk: JWK, alg: string) => Promise<CryptoKey | Uint8Array>;

/** Shortest modulus of RSA in bits (RFC 7518 section 3.3). */
const SHORTEST_MODULUS = 2048;
const MOST_KEYS = 100;
const LONGEST_KID = 255;
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const CURVES: { readonly [curve: string]: readonly [kty: string, alg: string] } = {
  "P-256": ["EC", "ES256"],
  "P-384": ["EC", "ES384"],
  "P-521": ["EC", "ES512"],
  "Ed25519": ["OKP", "EdDSA"],
};

/** One public key. */
export class PublicKey {
  /** Its name, if it has one. */
  readonly kid: string | undefined;
  /** What it can check. */
  readonly algorithms: readonly string[];
  readonly #jwk: JWK;
  readonly #imported = new Map<string, Promise<CryptoKey | Uint8Array>>();

  private constructor(jwk: JWK, kid: string | undefined, algorithms: readonly string[]) {
    this.#jwk = jwk;
    this.kid = kid;
    this.algorithms = algorithms;
  }

  /**
   * A key of a JWK; `undefined` if that is none that can check signatures: a secret, a private key, too
   * short, or meant for something else.
   */
  static read(value: unknown): PublicKey | undefined {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    const { kty, crv, n, e, x, y, kid, alg, use, key_ops: operations, d, k } = value as JWK;
    if (d !== undefined || k !== undefined) return undefined;
    if (use !== undefined && use !== "sig") return undefined;
    if (operations !== undefined) {
      if (!Array.isArray(operations) || !operations.includes("verify")) return undefined;
    }
    if (kid !== undefined && !isKid(kid)) return undefined;
    const can = algorithmsOf({ kty, crv, n, e });
    const algorithms = alg === undefined ? can : can.filter((each) => each === alg);
    if (algorithms.length === 0) return undefined;
    const jwk = kty === "RSA" ? { kty, n, e } : { kty, crv, x, ...(kty === "EC" ? { y } : {}) };
    return new PublicKey(jwk as JWK, kid, algorithms);
  }

  /** A key of a PEM text (`PUBLIC KEY`, `RSA PUBLIC KEY`); `undefined` if it is none. */
  static readPem(text: string): PublicKey | undefined {
    if (!/^-----BEGIN (RSA )?PUBLIC KEY-----$/m.test(text)) return undefined;
    try {
      return PublicKey.read(createPublicKey(text).export({ format: "jwk" }));
    } catch {
      return undefined;
    }
  }

  /** The key, ready to check with an algorithm. */
  for(alg: string, load: ImportKey): Promise<CryptoKey | Uint8Array> {
    let imported = this.#imported.get(alg);
    if (imported === undefined) {
      imported = load(this.#jwk, alg);
      this.#imported.set(alg, imported);
    }
    return imported;
  }
}

/** A set of keys, from which the header of a token chooses. */
export class KeySet {
  readonly #keys: readonly PublicKey[];

  /** @param keys at least one */
  constructor(keys: readonly PublicKey[]) {
    this.#keys = keys;
  }

  /**
   * Keys of a JWK set; those that cannot check signatures are passed over.
   *
   * @returns `undefined` if it is no set, or has no key that can
   */
  static read(value: unknown): KeySet | undefined {
    if (typeof value !== "object" || value === null || !("keys" in value)) return undefined;
    const { keys } = value;
    if (!Array.isArray(keys) || keys.length > MOST_KEYS) return undefined;
    const read = keys.map(PublicKey.read).filter((key) => key !== undefined);
    return read.length === 0 ? undefined : new KeySet(read);
  }

  /** Whether one of its keys can check one of these algorithms. */
  checksAny(algorithms: ReadonlySet<string>): boolean {
    return this.#keys.some((key) => key.algorithms.some((alg) => algorithms.has(alg)));
  }

  /** Whether it has a key of a name, whatever that can check. */
  has(kid: string): boolean {
    return this.#keys.some((key) => key.kid === kid);
  }

  /** The key that a token means; one without a name of a key only where there is no choice. */
  find({ alg, kid }: TokenHeader): PublicKey | undefined {
    const able = this.#keys.filter(({ algorithms }) => algorithms.includes(alg));
    if (kid !== undefined) return able.find((key) => key.kid === kid);
    return able.length === 1 ? able[0] : undefined;
  }
}

function isKid(kid: unknown): boolean {
  return typeof kid === "string" && kid.length <= LONGEST_KID;
}

function algorithmsOf({ kty, crv, n, e }: Pick<JWK, "kty" | "crv" | "n" | "e">): readonly string[] {
  if (kty === "RSA") {
    if (typeof n !== "string" || typeof e !== "string") return [];
    // Six bits a character; zeros in front do not count.
    return n.replace(/^A+/, "").length * 6 >= SHORTEST_MODULUS ? RSA : [];
  }
  if (typeof crv !== "string" || !Object.hasOwn(CURVES, crv)) return [];
  const [wanted, alg] = CURVES[crv];
  return kty === wanted ? [alg] : [];
}
