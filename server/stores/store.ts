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
import type { Cluster } from "./cluster.ts";
import type { Revocation, RevocationNews } from "./revocations.ts";

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

/** An epoch that ended, and the last of its numbers that means the same in the epochs after it. */
export interface Era {
  /** The epoch. */
  readonly epoch: string;
  /** Its numbers up to this one go on to mean the same messages; what was above is lost. */
  readonly base: number;
  /**
   * Whether there may have been messages above the base that were answered. Who had not received all
   * of the epoch is told of a gap then, wherever it stands. Default false.
   */
  readonly isLossy?: boolean;
}

/** State of a channel's log. */
export interface LogState {
  /** Epoch: numbers of another epoch mean nothing here, unless `earlier` says so. */
  readonly epoch: string;
  /** Highest number given; 0 if none was. */
  readonly head: number;
  /** Lowest number kept; `head + 1` if none is. */
  readonly oldest: number;
  /**
   * Epochs before this one whose log goes on in this one, newest first: an engine that may have lost
   * its last writes begins a new epoch and says how far the old one is kept. None by default.
   */
  readonly earlier?: readonly Era[];
  /** Unix milliseconds on the engine's own clock when this was true, if it has one. */
  readonly time?: number;
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
  /** Key of the session. It says whose the session is (`session_key.ts`). */
  readonly key: string;
  /**
   * The connection that asks, by a random id. The holder may ask again, for it may not have heard the
   * answer: nothing changes then, and the answer is the same.
   */
  readonly holder: string;
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
  /**
   * Most sessions that its subject may have once it has begun. Default: as many as there may be in all
   * (see `StoreLimits.maxSessions`).
   */
  readonly most?: number;
  /** Only go on with an existing session; do not begin a new one. */
  readonly existing?: boolean;
  /** Take it over even from a connection of another node that is alive. */
  readonly force?: boolean;
  /**
   * The holder that this one goes on for, in its stead: the claim counts only if that one, or another
   * holder of this very instance and attempt, was the last to hold the session. For a long-poller whose
   * next request reaches another node.
   */
  readonly from?: string;
}

/** What became of a claim. */
export type Claimed =
  | {
    readonly ok: true;
    /** Grows with each claim; what an older one writes is refused. */
    readonly generation: number;
    /** The generation before: whoever holds that in memory knows all that was stored. 0 for none. */
    readonly previous: number;
    /** Whether the session existed. */
    readonly resumed: boolean;
    /** Names of the channels that have a stored position. */
    readonly channels: readonly string[];
  }
  | { readonly ok: false; readonly reason: "replaced" | "bad_secret" | "unknown" }
  | {
    readonly ok: false;
    /**
     * There is no room for a new session: its subject has as many as the claim says, or all together
     * have, and not enough of that subject's are without a connection.
     */
    readonly reason: "subject_full" | "full";
  }
  | {
    readonly ok: false;
    /** Another node has it attached, and `force` was not set: that node can be asked to yield. */
    readonly reason: "held";
    /** The node. */
    readonly node: string;
  };

/** What became of a session that was to be renewed. */
export interface Renewed {
  /** Its key. */
  readonly key: string;
  /** Whether the generation that asked still is the newest, and the session has not ended. */
  readonly held: boolean;
  /**
   * Only where it is not held: no newer claim of it is known to the store. It has ended, or the store
   * has lost it, or has gone back to an older claim, whose holder may be alive on another node. Whoever
   * has its connection may claim it anew and store what it knows.
   */
  readonly lost?: true;
  /** Channels with redriven messages that the holder has not loaded. */
  readonly redriven: readonly string[];
}

/** Limits of dead letters, sessions and revocations. Times in milliseconds. */
export interface StoreLimits {
  /**
   * Most sessions. A new one takes the place of the one that is longest away among the detached
   * sessions of its own subject; another subject's is never touched.
   */
  readonly maxSessions: number;
  /** No dead letter is kept longer. */
  readonly deadLetterTtl: number;
  /** Most dead letters of one subscription; the oldest go first. */
  readonly maxDeadLetters: number;
  /** Most revocations; a further one is refused. Default {@linkcode MAX_REVOCATIONS}. */
  readonly maxRevocations?: number;
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
  /**
   * Entries and values that nobody can read, which were set aside or let go of, as far as this handle
   * has met them.
   */
  readonly quarantined: number;
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
  /** Why operations fail at present, as a sentence for people; `undefined` while all is well. */
  readonly trouble: string | undefined;
  /** What nodes that share this data say to each other; absent where one process has it alone. */
  readonly cluster?: Cluster;

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
  /** States of logs; `undefined` where there is no such channel, and none is created. */
  states(channels: readonly string[], now: number): Promise<(LogState | undefined)[]>;

  // Sessions and positions.

  /**
   * Takes a session over, or begins one. A claim by the instance that holds it counts only if its
   * attempt is newer, or its holder is the same.
   */
  claim(claim: Claim, now: number): Promise<Claimed>;
  /**
   * Positions of a session in these channels; `undefined` where there is none, and instead of the
   * list if a newer generation was seen. For the session's holder: a redriven message counts as known
   * to it once it is loaded (see `redrive`), and from then on what an older generation writes of
   * these positions is refused.
   */
  load(
    key: string,
    generation: number,
    channels: readonly string[],
    now: number,
  ): Promise<(Cursor | undefined)[] | undefined>;
  /**
   * Stores positions of one session. Does nothing, and resolves to false, if `generation` is not the
   * session's newest, or the session is no more: `renew` tells which; a store whose sessions and positions are apart may notice that only once the
   * newest has loaded or stored the position. A position never goes backwards within an epoch: a commit with a lower floor
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
  /**
   * Keeps the leases of sessions while they are attached; called every few seconds. Without it a
   * store that several nodes share takes a session for released once the node's lease is over.
   *
   * @returns those that are held no more, or have news
   */
  renew(
    keys: readonly { readonly key: string; readonly generation: number }[],
    now: number,
  ): Promise<readonly Renewed[]>;
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

  // Revocations.

  /**
   * Keeps a revocation until its end. Of what is known of its name already the later times stay, so
   * it may be repeated. It survives what a publish survives. Where there is no room it is refused
   * with `store_full`: none that was answered is forgotten before its end.
   *
   * @returns whether it is kept; it is not if its end is past
   */
  revoke(revocation: Revocation, now: number): Promise<boolean>;
  /**
   * Revocations that have changed since this was asked before; called twice a second by each node.
   *
   * @param known the mark of the last answer; `undefined` to learn them all
   */
  revocations(known: string | undefined, now: number): Promise<RevocationNews>;

  /** Lets go of what has expired. Called every few seconds. */
  sweep(now: number): Promise<void>;
  /** Counts, for health and metrics. */
  stats(now: number): Promise<StoreStats>;
  /** Lets everything go; idempotent. Every operation after it rejects with `unavailable`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Bytes that a message counts against limits beside its payload. */
export const MESSAGE_OVERHEAD = 64;
