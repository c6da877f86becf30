import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { PushError } from "@push/client/protocol";
import type { Clock } from "../clock.ts";
import { hashOf } from "../options/auth.ts";
import type { NamedToken } from "../options/types.ts";
import type { Revocations } from "../nodes/revocations.ts";
import { checkGrants } from "./grants.ts";
import { ANONYMOUS, EVERYBODY, type Identity } from "./identity.ts";
import type { JwtVerifier } from "./jwt.ts";
import { ProgramAnswers } from "./program_answers.ts";
import { hashSecret } from "./secrets.ts";
import { isOwnSubject, isSubject } from "./subject.ts";
import { refusalOf, revoked } from "./validity.ts";

/** What a program that decides by itself who speaks is told of a connection. */
export interface AuthRequest {
  /** Header fields of the request, or of the upgrade; without cookies, which are never an identity. */
  readonly headers: Headers;
  /** Address of the request, without `token` and `ticket`. */
  readonly url: string;
  /** Address of the other end, if it is known. */
  readonly address: string | undefined;
}

/**
 * Decides who speaks: an identity, or `null` for nobody who is let in. What it throws is logged, and
 * the client told to come back; a `PushError` of `token_required`, `token_invalid`, `token_expired` or
 * `unavailable` is passed on.
 *
 * @param token what the client shows, if it shows something; 16 384 characters at most
 */
export type Authenticate = (
  request: AuthRequest,
  token: string | undefined,
) => Identity | null | Promise<Identity | null>;

/** What an {@linkcode Authenticator} decides by. */
export interface AuthenticatorParts {
  readonly clock: Clock;
  /** Token that everybody may share. */
  readonly authToken?: string;
  /** Tokens with a name each. */
  readonly tokens?: readonly NamedToken[];
  /** What JSON Web Tokens are checked with. */
  readonly jwt?: JwtVerifier;
  /** The program that decides alone. */
  readonly authenticate?: Authenticate;
  /** What is revoked. */
  readonly revocations?: Revocations;
  /** Told what the program threw. */
  failed?(error: unknown): void;
}

/** Longest token in characters. */
export const MAX_TOKEN = 16_384;
const PASSED_ON: ReadonlySet<string> = new Set([
  ...["token_required", "token_invalid", "token_expired", "unavailable"],
]);
const NO_REQUEST: AuthRequest = { headers: new Headers(), url: "", address: undefined };

interface KnownToken {
  readonly hash: Buffer;
  readonly identity: Identity;
}

/**
 * Decides who speaks, by the first of these that there is:
 *
 * 1. the program's own `authenticate`, which decides alone;
 * 2. the shared token and the named ones: a token that is one of them is that one;
 * 3. JSON Web Tokens, for every other token.
 *
 * Where there is none of these, everybody is the same subject, `anonymous`, whatever they show. Where
 * there is one, nobody is let in without a right token, and a wrong one is never passed over.
 */
export class Authenticator {
  readonly #parts: AuthenticatorParts;
  readonly #known: readonly KnownToken[];
  readonly #answers: ProgramAnswers;

  /** @param parts what it decides by */
  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
    this.#answers = new ProgramAnswers("authenticate", parts.clock);
    const { authToken, tokens = [] } = parts;
    const shared = authToken === undefined ? [] : [knownToken(hashSecret(authToken), ANONYMOUS)];
    this.#known = [...shared, ...tokens.map((token) => namedToken(token))];
  }

  /** Whether a token is asked for. */
  get isProtected(): boolean {
    const { jwt, authenticate } = this.#parts;
    return this.#known.length > 0 || jwt !== undefined || authenticate !== undefined;
  }

  /** Whether the program decides, which then wants to know of the request. */
  get wantsRequest(): boolean {
    return this.#parts.authenticate !== undefined;
  }

  /**
   * Identity of whoever shows this token.
   *
   * @param request what is known of the connection, for a program that decides
   * @throws {PushError} `token_required` if there is none, `token_invalid` if it is wrong or revoked,
   *   `token_expired`; `unavailable` if it cannot be found out at present; `going_away` once this was
   *   stopped
   */
  async identify(token: string | undefined, request?: AuthRequest): Promise<Identity> {
    // An empty one is none.
    const shown = token === "" ? undefined : token;
    if (shown !== undefined && shown.length > MAX_TOKEN && this.isProtected) {
      throw new PushError("token_invalid", `A token may have at most ${MAX_TOKEN} characters.`);
    }
    const identity = await this.#decide(shown, request);
    this.admit(identity);
    // A program may have a name of its own for a token that was revoked as it is.
    const { revocations } = this.#parts;
    if (shown !== undefined && revocations !== undefined && revocations.size > 0) {
      if (revocations.isVoid("token", hashSecret(shown), undefined)) throw revoked();
    }
    return identity;
  }

  /**
   * Lets an identity pass that was found out earlier.
   *
   * @throws {PushError} `token_expired`, `token_invalid` if its token was revoked meanwhile
   */
  admit(identity: Identity): void {
    const { clock, revocations } = this.#parts;
    const refusal = refusalOf(identity, clock.now(), revocations);
    if (refusal !== undefined) throw refusal;
  }

  /** Waits for nothing any more, neither for the program nor for keys. */
  stop(): void {
    this.#answers.stop();
    this.#parts.jwt?.stop();
  }

  async #decide(token: string | undefined, request: AuthRequest | undefined): Promise<Identity> {
    if (this.#parts.authenticate !== undefined) return await this.#ask(token, request);
    if (!this.isProtected) return EVERYBODY;
    if (token === undefined) throw new PushError("token_required");
    const known = this.#find(hashSecret(token));
    if (known !== undefined) return known;
    const { jwt } = this.#parts;
    if (jwt === undefined) throw new PushError("token_invalid");
    return await jwt.verify(token);
  }

  /** Looks at every token that there is: how long that takes says nothing of which one was right. */
  #find(hash: string): Identity | undefined {
    const bytes = Buffer.from(hash, "hex");
    let found: Identity | undefined;
    for (const known of this.#known) {
      if (timingSafeEqual(known.hash, bytes)) found = known.identity;
    }
    return found;
  }

  async #ask(token: string | undefined, request: AuthRequest | undefined): Promise<Identity> {
    let decided: Identity | null;
    try {
      decided = await this.#answerOf(token, request);
    } catch (error) {
      if (error instanceof PushError && (PASSED_ON.has(error.code) || this.#answers.isStopped)) {
        throw error;
      }
      this.#parts.failed?.(error);
      throw undecided(error);
    }
    if (decided === null) {
      throw new PushError(token === undefined ? "token_required" : "token_invalid");
    }
    try {
      return identityOf(decided, token);
    } catch (error) {
      this.#parts.failed?.(error);
      throw undecided(error);
    }
  }

  /** The program's answer, if it comes in time. */
  async #answerOf(
    token: string | undefined,
    request: AuthRequest = NO_REQUEST,
  ): Promise<Identity | null> {
    const answer = this.#parts.authenticate!(request, token);
    return answer instanceof Promise ? await this.#answers.wait(answer) : answer;
  }
}

function knownToken(hash: string, subject: string, more: Partial<Identity> = {}): KnownToken {
  return { hash: Buffer.from(hash, "hex"), identity: { subject, ...more, tokenId: hash } };
}

function namedToken(token: NamedToken): KnownToken {
  const { name, allow, expires } = token;
  return knownToken(hashOf(token), name, {
    ...(allow === undefined ? {} : { grants: allow }),
    ...(expires === undefined ? {} : { expiresAt: Date.parse(expires) }),
  });
}

/**
 * What the program said, to the last member: a mistake in it must not let anybody in.
 *
 * @throws {TypeError} if it is no identity
 */
function identityOf(decided: Identity, token: string | undefined): Identity {
  const refuse = (what: string): never => {
    throw new TypeError(`authenticate() must resolve to an identity or null: ${what}`);
  };
  if (typeof decided !== "object" || decided === null) return refuse("it is no object");
  const { subject, grants, expiresAt, issuedAt, tokenId } = decided;
  if (!isOwnSubject(subject)) {
    return refuse("'subject' is not 1 to 255 printable characters, or it is 'anonymous'");
  }
  // What is wrong with them is thrown, too.
  const read = grants === undefined ? undefined : checkGrants(grants);
  for (const [name, time] of Object.entries({ expiresAt, issuedAt })) {
    if (time !== undefined && !Number.isFinite(time)) return refuse(`'${name}' is no time`);
  }
  if (tokenId !== undefined && !isSubject(tokenId)) return refuse("'tokenId' is no id");
  const id = tokenId ?? (token === undefined ? undefined : hashSecret(token));
  return {
    subject,
    ...(read === undefined ? {} : { grants: read }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(issuedAt === undefined ? {} : { issuedAt }),
    ...(id === undefined ? {} : { tokenId: id }),
  };
}

function undecided(cause: unknown): PushError {
  return new PushError("unavailable", "Who asks cannot be found out at present: try again.", {
    cause,
  });
}
