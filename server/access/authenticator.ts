import { PushError } from "@push/client/protocol";
import { ANONYMOUS, type Identity } from "./identity.ts";
import { hashSecret, isSameHash } from "./secrets.ts";

/** Decides who speaks. */
export class Authenticator {
  readonly #expected: string | undefined;

  /** @param authToken token that everybody shares; `undefined` if none is asked for */
  constructor(authToken: string | undefined) {
    this.#expected = authToken === undefined ? undefined : hashSecret(authToken);
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
  async identify(token: string | undefined): Promise<Identity> {
    if (this.#expected === undefined) return { subject: ANONYMOUS };
    if (token === undefined || token === "") throw new PushError("token_required");
    if (!isSameHash(hashSecret(token), this.#expected)) throw new PushError("token_invalid");
    return await Promise.resolve({ subject: ANONYMOUS });
  }
}
