import { check } from "./check.ts";
import { randomId } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import type { Code } from "./protocol/codes.ts";
import type { ConnectFrame } from "./protocol/frames.ts";
import type { Room, Session } from "./session.ts";

/** Who the client is: its name, its secret, its token, and the number of its attempt to connect. */
export interface Identity {
  /** Name of the client, given or minted; `undefined` before the first connection if none was given. */
  clientId?: string | undefined;
  /** What others see it as. */
  knownAs?: string | undefined;
  /** Secret of a minted name. */
  secret?: string | undefined;
  /** The token in use; `undefined` if one is to be asked for. */
  token?: string | undefined;
  /**
   * Asks for a token if there is none that is known to be good. Rejects if there is none to get, and
   * with the session itself if that is closed meanwhile.
   */
  getToken(): Promise<void>;
  /** What a new connection is told. */
  introduce(): Pick<ConnectFrame, "token" | "client_id" | "secret" | "instance" | "attempt">;
  /**
   * Whether the client, refused with `code`, may come back as somebody else: with a new token, or
   * with a new name where a minted one is not known any more or its secret is not accepted.
   */
  mend(code: Code): boolean;
}

/** Makes the identity of a client. */
export function identityOf(session: Session): Identity & Room {
  const { authToken, isNamed } = session;
  // Of two claims to one session by the same object the gateway lets the newer attempt win.
  const instance = randomId(session.random);
  let attempt = 0;
  /** Tokens that are asked for. */
  const asking: Set<Deferred<string>> = new Set();

  /** Gives up a minted name. @returns whether there was one */
  const forget = (): boolean => {
    if (isNamed || !session.clientId) return false;
    session.clientId = session.secret = undefined;
    return true;
  };
  return {
    async getToken() {
      if (typeof authToken !== "function") session.token = authToken;
      else if (!session.token) {
        const asked = new Deferred<string>(undefined, asking).rejectedAfter(
          session,
          "token_required",
          "authToken() took too long.",
        );
        new Promise<string>((resolve) => resolve(authToken())).then(asked.resolve, asked.reject);
        session.token = check("authToken()", await asked.promise, /./s);
      }
    },
    introduce: () => ({
      token: session.token,
      client_id: session.clientId,
      secret: session.secret,
      instance,
      attempt: ++attempt,
    }),
    attached({ client_id, known_as, secret }) {
      session.secret = secret ?? (session.clientId === client_id ? session.secret : undefined);
      session.clientId = client_id;
      session.knownAs = known_as ?? client_id;
    },
    mend(code) {
      if (code === "bad_secret" || code === "unknown_session") return forget();
      if (code !== "token_expired") return false;
      session.token = undefined;
      return typeof authToken === "function";
    },
    over(_error, _isWanted, isForgotten) {
      for (const each of asking) each.reject(session);
      if (isForgotten) forget();
    },
  };
}
