/** What a client may do in a channel; `admin` is for operators, and of no channel. */
export type Action = "subscribe" | "publish" | "presence" | "history" | "admin";

/** Every action. */
export const ACTIONS: readonly Action[] = ["subscribe", "publish", "presence", "history", "admin"];

/** Allows actions in channels. */
export interface Grant {
  /** Patterns of channel names. */
  readonly channels: readonly string[];
  /** What is allowed in these. */
  readonly actions: readonly Action[];
}

/** Who speaks. Plain JSON: what nodes know of a poller carries it. */
export interface Identity {
  /** Subject: sessions, client ids and publish ids of one subject are invisible to another. */
  readonly subject: string;
  /** What its token says that it may do; `undefined` if the token says nothing of it. */
  readonly grants?: readonly Grant[];
  /** Unix milliseconds from which on its token is no longer valid; never if left out. */
  readonly expiresAt?: number;
  /** Unix milliseconds at which its token was issued, if that is known. */
  readonly issuedAt?: number;
  /** What a revocation calls its token: its id (`jti`), or its hash. */
  readonly tokenId?: string;
}

/** Subject of everybody where no token tells people apart. */
export const ANONYMOUS = "anonymous";
/** Identity of everybody where nothing is asked for: one object for all of them. */
export const EVERYBODY: Identity = Object.freeze({ subject: ANONYMOUS });
