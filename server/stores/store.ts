/**
 * What a store must do, in the words of the domain. Memory, Deno KV and Redis implement it, and one
 * suite of named cases (`@push/gateway/testing`) proves each.
 *
 * A store has no clock: every operation that depends on time is told the time, except where the
 * engine has one clock for many nodes and says so. Every operation may reject with a
 * {@linkcode PushError}: `unavailable` (nothing was done), `outcome_unknown` (it may have been),
 * `store_full` (there was no room).
 *
 * @module
 */
import type { Json, Ranges } from "@push/client/protocol";

/** A message on its way into the log. */
export interface Draft {
  /** Publish id, unique per (subject, channel) within the idempotency window. */
  readonly id?: string;
  /** Subject of the publisher; the namespace of `id`. */
  readonly subject: string;
  /** Session that does not get the message, because it published it; null if nobody is left out. */
  readonly origin: string | null;
  /** Client id of the publisher; null for a program without one. */
  readonly source: string | null;
  /** JSON text of the payload. */
  readonly payload: string;
}

/** A message in the log. */
export interface StoredMessage extends Omit<Draft, "subject"> {
  /** Number in the channel's log: consecutive from 1. */
  readonly seq: number;
  /** Unix milliseconds at which it was stored. */
  readonly at: number;
  /** Size that counts against limits, in bytes: the payload's, and a constant for the rest. */
  readonly bytes: number;
}

/** Where one draft came to stand. */
export interface Appended {
  /** Its number; that of the first one, for a repeated id. */
  readonly seq: number;
  /** Whether its id had been published before; nothing was stored then. */
  readonly duplicate: boolean;
}

/** State of a channel's log. */
export interface LogState {
  /** Epoch: numbers of another epoch mean nothing here. */
  readonly epoch: string;
  /** Highest number given; 0 if none was. */
  readonly head: number;
  /** Lowest number kept; `head + 1` if none is. */
  readonly oldest: number;
}

/** Result of {@linkcode Store.append}. */
export interface AppendResult extends LogState {
  /** Where each draft came to stand, in the order given. */
  readonly appended: readonly Appended[];
  /** The messages that were stored now, ascending. */
  readonly messages: readonly StoredMessage[];
}

/** A part of a log. */
export interface Page extends LogState {
  /** Messages after the asked number, ascending; numbers may jump. */
  readonly messages: readonly StoredMessage[];
}

/** How much of a log is kept. Sizes are in bytes, times in milliseconds. */
export interface Retention {
  /** Nothing is kept longer. */
  readonly messageTtl: number;
  /** Kept even when every session has settled it: that many messages… */
  readonly historySize: number;
  /** …and that many bytes at most. */
  readonly historyBytes: number;
  /** Hard end of one channel. */
  readonly maxChannelBytes: number;
  /** Hard end of all channels together. */
  readonly maxStoreBytes: number;
  /** How long an empty channel's epoch and head are remembered. */
  readonly metaTtl: number;
  /** How long publish ids are remembered. */
  readonly idempotencyWindow: number;
}

/** A message that waits for redelivery, out of order. */
export interface LateRecord {
  /** Its number. */
  readonly seq: number;
  /** Attempts that failed. */
  readonly attempts: number;
  /** Only for a redriven message: the message itself, since the log may have lost it. */
  readonly redriven?: StoredMessage;
}

/** Position of one session in one channel. */
export interface Cursor {
  /** Epoch that the numbers belong to. */
  readonly epoch: string;
  /** Everything at or below is settled, or in `late`. */
  readonly floor: number;
  /** Highest number sent. */
  readonly sent: number;
  /** The session's own messages up to this number are delivered to it too. */
  readonly own: number;
  /** Settled above the floor. */
  readonly settled: Ranges;
  /** Waiting for redelivery. */
  readonly late: readonly LateRecord[];
}

/** A message that a subscription gave up. */
export interface DeadLetter {
  /** Session of the subscription… */
  readonly session: string;
  /** …and its channel. */
  readonly channel: string;
  /** Epoch that the message's number belongs to. */
  readonly epoch: string;
  /** The message. */
  readonly message: StoredMessage;
  /** Deliveries that failed. */
  readonly attempts: number;
  /** Why the last one failed. */
  readonly reason: "timeout" | "nack";
  /** Unix milliseconds at which it was given up. */
  readonly at: number;
}

/** Which dead letters. */
export interface DeadLetterQuery {
  /** Only of this channel. */
  readonly channel?: string;
  /** Only of this session. */
  readonly session?: string;
  /** One letter of one subscription. */
  readonly seq?: number;
  /** At most that many. */
  readonly limit: number;
}

/** A change to one subscription's position, and what it settled by giving up. */
export interface Commit {
  /** Channel of the subscription. */
  readonly channel: string;
  /** Where it stands now. */
  readonly cursor: Cursor;
  /** Given up with this very change; both are stored, or neither is. */
  readonly deadLetters?: readonly DeadLetter[];
}

/** Who asks for a session, and on what terms. */
export interface Claim {
  /** Key of the session. */
  readonly key: string;
  /** Client object that asks… */
  readonly instance: string;
  /** …and which of its attempts this is. */
  readonly attempt: number;
  /** Milliseconds that the session outlives its connection. */
  readonly ttl: number;
  /**
   * For a minted client id, the hash of its secret: stored if the session is new, and compared with
   * the stored one otherwise.
   */
  readonly secretHash?: string;
  /** Only go on with an existing session; do not begin a new one. */
  readonly existing?: boolean;
}

/** What became of a claim. */
export type Claimed =
  | {
    readonly ok: true;
    /** Grows with each claim; what an older one writes is refused. */
    readonly generation: number;
    /** Whether the session existed. */
    readonly resumed: boolean;
    /** Names of the channels that have a stored position. */
    readonly channels: readonly string[];
  }
  | { readonly ok: false; readonly reason: "replaced" | "bad_secret" | "unknown" | "full" };

/** Limits of dead letters and sessions. Times in milliseconds. */
export interface StoreLimits {
  /** Most sessions; the detached one that is longest away goes first. */
  readonly maxSessions: number;
  /** No dead letter is kept longer. */
  readonly deadLetterTtl: number;
  /** Most dead letters of one subscription; the oldest go first. */
  readonly maxDeadLetters: number;
}

/** What a store has and has lost on purpose, since it was opened. */
export interface StoreStats {
  /** Channels, remembered ones too. */
  readonly channels: number;
  /** Messages in their logs… */
  readonly messages: number;
  /** …and the bytes of these. */
  readonly bytes: number;
  /** Sessions, attached and detached. */
  readonly sessions: number;
  /** Dead letters. */
  readonly deadLetters: number;
  /**
   * Messages dropped by a size limit while somebody had not settled them, or nobody was asked; and
   * dead letters dropped so.
   */
  readonly evicted: number;
  /** Messages dropped by age. */
  readonly expired: number;
  /** Sessions forgotten because there were too many. */
  readonly sessionsForgotten: number;
}

/** A channel as listed. */
export interface ChannelRecord extends LogState {
  /** Its name. */
  readonly name: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** What the first `create` said of it. */
  readonly metadata: { readonly [key: string]: Json };
}

/** The contract. */
export interface Store extends AsyncDisposable {
  /** Which store: what `--store` names. */
  readonly name: string;
  /** What an answered publish survives, in a few words for people. */
  readonly survives: string;

  /** Begins to work. Called once, before anything else. */
  open(): Promise<void>;

  // The log.

  /** Makes sure that a channel exists; resolves to whether it is new. */
  create(
    channel: string,
    metadata: { readonly [key: string]: Json },
    now: number,
  ): Promise<boolean>;
  /** Names and states of all channels. */
  channels(now: number): Promise<ChannelRecord[]>;
  /**
   * Appends drafts, all or none, and gives them consecutive numbers in the order given. A draft
   * whose id was published by its subject within the window is not stored again. Creates the channel
   * if need be. Resolves once the drafts survive what the store says they survive.
   */
  append(channel: string, drafts: readonly Draft[], now: number): Promise<AppendResult>;
  /**
   * Reads what comes after number `after`: at most `limit` messages, and fewer only where the log
   * ends. Leaves out what has expired.
   * A caller whose `after + 1` is below `oldest` has lost messages. Creates the channel if need be:
   * a position needs an epoch that lasts.
   */
  read(channel: string, after: number, limit: number, now: number): Promise<Page>;

  // Sessions and positions.

  /**
   * Takes a session over, or begins one. A claim by the instance that holds it counts only if its
   * attempt is newer.
   */
  claim(claim: Claim, now: number): Promise<Claimed>;
  /**
   * Positions of a session in these channels; `undefined` where there is none. For the session's
   * holder: a redriven message counts as known to it once it is loaded (see `redrive`).
   */
  load(key: string, channels: readonly string[], now: number): Promise<(Cursor | undefined)[]>;
  /**
   * Stores positions of one session. Does nothing, and resolves to false, if `generation` is not the
   * session's newest. A position never goes backwards within an epoch: a commit with a lower floor
   * is passed over, with its dead letters. A position of another epoch replaces the stored one.
   */
  commit(
    key: string,
    generation: number,
    commits: readonly Commit[],
    now: number,
  ): Promise<boolean>;
  /** Forgets a position; with it, what the channel kept for it. Fenced as `commit`. */
  forget(key: string, generation: number, channel: string, now: number): Promise<boolean>;
  /** The session has no connection since now: it ends after its ttl. Fenced as `commit`. */
  release(key: string, generation: number, now: number): Promise<boolean>;
  /** Keeps the session's lease while it is attached; called well within any ttl. */
  renew(
    keys: readonly { readonly key: string; readonly generation: number }[],
    now: number,
  ): Promise<void>;
  /** Ends a session and its positions. Fenced as `commit`. */
  end(key: string, generation: number, now: number): Promise<boolean>;

  // Dead letters.

  /** Dead letters, oldest first. */
  deadLetters(query: DeadLetterQuery, now: number): Promise<DeadLetter[]>;
  /**
   * Puts dead letters back: each becomes a late message of its subscription with no attempts. Only
   * where the subscription still exists, in the letter's epoch. Resolves to those put back.
   *
   * A session's holder learns of them by `load`. Until it has loaded them, or has itself committed
   * them as late, its commits leave them as they are: it cannot have settled what it does not know.
   */
  redrive(query: DeadLetterQuery, now: number): Promise<DeadLetter[]>;

  /** Lets go of what has expired. Called every few seconds. */
  sweep(now: number): Promise<void>;
  /** Counts, for health and metrics. */
  stats(now: number): Promise<StoreStats>;
  /** Lets everything go; idempotent. Every operation after it rejects with `unavailable`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Bytes that a message counts against limits beside its payload. */
export const MESSAGE_OVERHEAD = 64;
