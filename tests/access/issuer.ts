import {
  base64url,
  CompactSign,
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  SignJWT,
} from "jose";

/** Claims of a token. */
export type Claims = { readonly [name: string]: unknown };

/** Seconds as tokens have them, from milliseconds. */
export function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

/** Who signs tokens with a real key of one algorithm. */
export class Issuer {
  /** The public key. */
  readonly jwk: JWK;
  /** The public key as PEM. */
  readonly pem: string;
  /** The private key as JWK. */
  readonly secret: JWK;
  readonly #alg: string;
  readonly #key: CryptoKey;

  private constructor(alg: string, key: CryptoKey, jwk: JWK, pem: string, secret: JWK) {
    this.#alg = alg;
    this.#key = key;
    this.jwk = jwk;
    this.pem = pem;
    this.secret = secret;
  }

  /** Makes a pair of keys. */
  static async make(alg: string, kid?: string, modulusLength = 2048): Promise<Issuer> {
    const pair = await generateKeyPair(alg, { extractable: true, modulusLength });
    const named = kid === undefined ? {} : { kid };
    const jwk = { ...await exportJWK(pair.publicKey), ...named };
    const secret = { ...await exportJWK(pair.privateKey), ...named };
    return new Issuer(alg, pair.privateKey, jwk, await exportSPKI(pair.publicKey), secret);
  }

  /** A signed token. */
  sign(claims: Claims, header: Claims = {}): Promise<string> {
    return new SignJWT(claims).setProtectedHeader({ alg: this.#alg, ...header }).sign(this.#key);
  }

  /** A signed token of any payload. */
  signText(payload: string, header: Claims = {}): Promise<string> {
    return new CompactSign(new TextEncoder().encode(payload))
      .setProtectedHeader({ alg: this.#alg, ...header }).sign(this.#key);
  }
}

/** A token signed with a secret. */
export function signWith(secret: string | Uint8Array, claims: Claims, header: Claims = {}) {
  const key = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256", ...header }).sign(key);
}

/** A token whose header and claims are as they are, with no signature or another one's. */
export function forge(header: Claims, claims: Claims, signature = ""): string {
  const part = (value: Claims) => base64url.encode(JSON.stringify(value));
  return `${part(header)}.${part(claims)}.${signature}`;
}
