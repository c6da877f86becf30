import { randomId } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import type { ClientSettings } from "./options.ts";
import type { Code } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";
import type { ConnectedFrame, ConnectFrame } from "./protocol/frames.ts";

/** Who the client is: its name, its secret, its token, and the number of its attempt to connect. */
export interface Identity {
  /** Name of the client, given or minted; `undefined` before the first connection if none was given. */
  clientId: string | undefined;
  /** Secret of a minted name. */
  secret: string | undefined;
  /** What must never be shown. */
  readonly secrets: unknown[];
  /** Asks for a token if there is none that is known to be good. Rejects if there is none to get. */
  prepare(): Promise<void>;
  /** What a new connection is told. */
  hello(): Pick<ConnectFrame, "token" | "client_id" | "secret" | "instance" | "attempt">;
  /** Asks for a new token next time. */
  forgetToken(): void;
  /** Gives up a minted name. @returns whether there was one */
  forgetName(): boolean;
  /** The gateway has accepted the client. */
  accepted(frame: ConnectedFrame): void;
  /**
   * Whether the client, refused with `code`, may come back as somebody else: with a new token, or
   * with a new name where a minted one is not known any more or its secret is not accepted.
   */
  mend(code: Code): boolean;
}

/** Makes the identity of a client. */
export function identityOf(
  { clientId, authToken: source, clock, random, requestTimeout }: ClientSettings,
): Identity {
  // Of two claims to one session by the same object the gateway lets the newer attempt win. */
  const instance = randomId(random);
  let attempt = 0;
  let token: string | undefined;
  const isAsked = typeof source === "function";

  const identity: Identity = {
    clientId,
    secret: undefined,
    get secrets() {
      return [identity.secret, token, source];
    },
    async prepare() {
      if (!isAsked) token = source;
      else if (token === undefined) {
        const asked = new Deferred<unknown>().rejectedAfter(clock, requestTimeout, () => {
          return new PushError("token_required", "'authToken' did not answer in time.");
        });
        new Promise((resolve) => resolve(source())).then(asked.resolve, asked.reject);
        const given = await asked.promise;
        if (typeof given !== "string" || given === "") {
          throw new TypeError("'authToken' must return a string that is not empty.");
        }
        token = given;
      }
    },
    hello: () => ({
      token,
      client_id: identity.clientId,
      secret: identity.secret,
      instance,
      attempt: ++attempt,
    }),
    forgetToken: () => token = undefined,
    forgetName() {
      if (clientId !== undefined || identity.clientId === undefined) return false;
      identity.clientId = identity.secret = undefined;
      return true;
    },
    accepted({ client_id, secret }) {
      identity.secret = secret ?? (identity.clientId === client_id ? identity.secret : undefined);
      identity.clientId = client_id;
    },
    mend(code) {
      if (code !== "token_expired") {
        return (code === "bad_secret" || code === "unknown_session") && identity.forgetName();
      }
      identity.forgetToken();
      return isAsked;
    },
  };
  return identity;
}
