import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { PushError } from "@push/client/protocol";

/** Who speaks. */
export interface Identity {
  /** Subject: sessions, client ids and publish ids of one subject are invisible to another. */
  readonly subject: string;
}

/** Subject of everybody where no token tells people apart. */
export const ANONYMOUS = "anonymous";

/** Hash under which a secret is kept: SHA-256, hexadecimal. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Decides who speaks. */
export class Policy {
  readonly #expected: Uint8Array | undefined;

  /** @param authToken token that everybody shares; `undefined` if none is asked for */
  constructor(authToken: string | undefined) {
    this.#expected = authToken === undefined ? undefined : digest(authToken);
  }

  /** Whether a token is asked for. */
  get isProtected(): boolean {
    return this.#expected !== undefined;
  }

  /**
   * Identity of whoever shows this token.
   *
   * @throws {PushError} `token_required` if there is none, `token_invalid` if it is another
   */
  identify(token: string | undefined): Identity {
    if (this.#expected === undefined) return { subject: ANONYMOUS };
    if (token === undefined || token === "") throw new PushError("token_required");
    if (!timingSafeEqual(digest(token), this.#expected)) throw new PushError("token_invalid");
    return { subject: ANONYMOUS };
  }
}

/** Token of an `Authorization: Bearer …` header (RFC 6750 section 2.1), if it is one. */
export function bearerToken(header: string | null): string | undefined {
  const match = header?.match(/^Bearer +(\S+) *$/i);
  return match?.[1];
}

/** Equal length, whatever the token: comparing takes the same time for all. */
function digest(text: string): Uint8Array {
  return Buffer.from(hashSecret(text), "hex");
}
