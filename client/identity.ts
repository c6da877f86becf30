import { check } from "./check.ts";
import { randomId } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import type { ClientSettings } from "./options.ts";
import type { Code } from "./protocol/codes.ts";
import type { ConnectedFrame, ConnectFrame } from "./protocol/frames.ts";

/** Who the client is: its name, its secret, its token, and the number of its attempt to connect. */
export interface Identity {
  /** Name of the client, given or minted; `undefined` before the first connection if none was given. */
  clientId: string | undefined;
  /** What others see it as. */
  knownAs: string | undefined;
  /** Secret of a minted name. */
  secret: string | undefined;
  /** The token in use; `undefined` if one is to be asked for. */
  token?: string | undefined;
  /** What must never be shown. */
  readonly secrets: unknown[];
  /** Asks for a token if there is none that is known to be good. Rejects if there is none to get. */
  prepare(): Promise<void>;
  /** What a new connection is told. */
  hello(): Pick<ConnectFrame, "token" | "client_id" | "secret" | "instance" | "attempt">;
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
  // Of two claims to one session by the same object the gateway lets the newer attempt win.
  const instance = randomId(random);
  const isAsked = typeof source === "function";
  let attempt = 0;

  const own: Identity = {
    clientId,
    knownAs: undefined,
    secret: undefined,
    get secrets() {
      return [own.secret, own.token, source];
    },
    async prepare() {
      if (!isAsked) own.token = source;
      else if (own.token === undefined) {
        const asked = new Deferred<string>();
        asked.rejectedAfter(clock, requestTimeout, "token_required", "authToken() took too long.");
        new Promise<string>((resolve) => resolve(source())).then(asked.resolve, asked.reject);
        own.token = check("authToken()", await asked.promise, /./s);
      }
    },
    hello: () => ({
      token: own.token,
      client_id: own.clientId,
      secret: own.secret,
      instance,
      attempt: ++attempt,
    }),
    forgetName() {
      if (clientId || !own.clientId) return false;
      own.clientId = own.secret = undefined;
      return true;
    },
    accepted({ client_id, known_as, secret }) {
      own.secret = secret ?? (own.clientId === client_id ? own.secret : undefined);
      own.clientId = client_id;
      own.knownAs = known_as ?? client_id;
    },
    mend(code) {
      if (code === "bad_secret" || code === "unknown_session") return own.forgetName();
      if (code !== "token_expired") return false;
      own.token = undefined;
      return isAsked;
    },
  };
  return own;
}
