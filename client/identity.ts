import { type RandomBytes, randomId } from "./clock.ts";
import type { TokenSource } from "./options.ts";
import type { Code } from "./protocol/codes.ts";
import type { ConnectedFrame } from "./protocol/frames.ts";

/** Who the client is: its name, its secret, its token, and the number of its attempt to connect. */
export class Identity {
  /** Random id of this object: of two claims to one session the gateway lets the newer attempt win. */
  readonly instance: string;
  readonly #named: boolean;
  readonly #source: string | TokenSource | undefined;
  #clientId: string | undefined;
  #secret: string | undefined;
  #token: string | undefined;
  #attempt = 0;

  /**
   * @param clientId name given by the application
   * @param source token, or what gives it
   * @param random source of randomness
   */
  constructor(
    clientId: string | undefined,
    source: string | TokenSource | undefined,
    random: RandomBytes,
  ) {
    this.instance = randomId(random);
    this.#named = clientId !== undefined;
    this.#clientId = clientId;
    this.#source = source;
  }

  /** Name of the client, given or minted; `undefined` before the first connection if none was given. */
  get clientId(): string | undefined {
    return this.#clientId;
  }

  /** Secret of a minted name. */
  get secret(): string | undefined {
    return this.#secret;
  }

  /** Number of the next attempt. */
  nextAttempt(): number {
    return ++this.#attempt;
  }

  /** The token to connect with; asked for if there is none that is known to be good. */
  async token(): Promise<string | undefined> {
    if (typeof this.#source !== "function") return this.#source;
    if (this.#token !== undefined) return this.#token;
    const token: unknown = await this.#source();
    if (typeof token === "string" && token !== "") return this.#token = token;
    throw new TypeError("Cannot connect as 'authToken' must return a string that is not empty");
  }

  /** Asks for a new token next time. */
  forgetToken(): void {
    this.#token = undefined;
  }

  /** Gives up a minted name. */
  forgetName(): void {
    if (this.#named) return;
    this.#clientId = this.#secret = undefined;
  }

  /** Takes over a name that was minted before a reload of the page. */
  restore(clientId: string, secret: string | undefined): void {
    if (this.#named || this.#clientId !== undefined) return;
    this.#clientId = clientId;
    this.#secret = secret;
  }

  /** The gateway has accepted the client. */
  accepted(frame: ConnectedFrame): void {
    if (this.#clientId !== frame.client_id) this.#secret = undefined;
    this.#clientId = frame.client_id;
    this.#secret = frame.secret ?? this.#secret;
  }

  /**
   * Whether the client, refused with `code`, may come back as somebody else: with a new token, or
   * with a new name where a minted one is not known any more or its secret is not accepted.
   */
  mend(code: Code): boolean {
    if (code === "token_expired" && typeof this.#source === "function") {
      this.forgetToken();
      return true;
    }
    if (code !== "bad_secret" && code !== "unknown_session") return false;
    if (this.#named || this.#clientId === undefined) return false;
    this.forgetName();
    return true;
  }
}
