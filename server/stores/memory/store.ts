// deno-lint-ignore-file require-await -- "async" makes a rejection of whatever is thrown
import { type Json, PushError } from "@push/client/protocol";
import type { RandomBytes } from "../../clock.ts";
import type { Cluster } from "../cluster.ts";
import { type LogTerms, MemoryData } from "./data.ts";
import type { MemoryLog } from "./log.ts";
import { Position } from "./position.ts";
import type { NodeLease } from "./sessions.ts";
import type { MemoryShelf } from "./shelf.ts";
import { MAX_REVOCATIONS, type Revocation, type RevocationNews } from "../revocations.ts";
import type {
  AppendResult,
  ChannelRecord,
  Claim,
  Claimed,
  Commit,
  Cursor,
  DeadLetter,
  DeadLetterQuery,
  Draft,
  LogState,
  Page,
  Renewed,
  Retention,
  Store,
  StoreLimits,
  StoreStats,
} from "../store.ts";

export { MemoryData } from "./data.ts";

/** Options of {@linkcode MemoryStore}. */
export interface MemoryStoreOptions {
  /** How much of a log is kept. */
  readonly retention: Retention;
  /** Limits of dead letters and sessions. */
  readonly limits: StoreLimits;
  /** Source of randomness, for epochs. */
  readonly random: RandomBytes;
  /** Data that stores with the same retention and limits share; its own if left out. */
  readonly data?: MemoryData;
  /** Node that this store is of, where stores of one process stand for nodes; none if left out. */
  readonly cluster?: Cluster;
}

/**
 * A store in the memory of the process. What it has lasts as long as the process.
 *
 * - Two stores made with one {@linkcode MemoryData} are two handles on the same data. If each has a
 *   `cluster`, they stand for nodes, and each holds its sessions by a lease.
 * - A message is one object for as long as it is kept: `append` and `read` always give the same one.
 * - `maxStoreBytes` bounds messages, dead letters and about 1 KiB for each channel. When they do not
 *   fit, the channels that were idle for longest are forgotten first (a position in them then meets
 *   another epoch, so the loss is told); then the oldest message or dead letter of the whole store
 *   goes, whosever it is. A message that does not fit even so is refused with `store_full`.
 * - Publish ids are remembered for the idempotency window, at most 2 097 152 of them: past that the
 *   oldest ids of the busiest channels are forgotten earlier.
 * - A channel that is read or created anew before its time is over is remembered for longer.
 *
 * @example
 * ```ts
 * import { MemoryStore } from "./store.ts";
 *
 * const MIB = 2 ** 20;
 * await using store = new MemoryStore({
 *   retention: {
 *     messageTtl: 86_400_000,
 *     historySize: 1000,
 *     historyBytes: MIB,
 *     maxChannelBytes: 16 * MIB,
 *     maxStoreBytes: 256 * MIB,
 *     metaTtl: 172_800_000,
 *     idempotencyWindow: 300_000,
 *   },
 *   limits: { maxSessions: 100_000, deadLetterTtl: 604_800_000, maxDeadLetters: 1000 },
 *   random: (length) => crypto.getRandomValues(new Uint8Array(length)),
 * });
 * await store.open();
 * const draft = { subject: "anonymous", origin: null, source: null, payload: '{"level":"info"}' };
 * const { head } = await store.append("alerts", [draft], Date.now());
 * console.log(head); // 1
 * ```
 */
export class MemoryStore implements Store {
  /** Name of the store. */
  readonly name = "memory";
  /** What an answered publish survives. */
  readonly survives = "the life of the process";
  /** Nothing fails here that was not asked for. */
  readonly trouble: undefined = undefined;
  /** Node that this store is of, if it was made with one. */
  readonly cluster?: Cluster;
  readonly #retention: Retention;
  readonly #limits: StoreLimits;
  readonly #terms: LogTerms;
  #shared: MemoryData | undefined;

  /**
   * Makes a handle on the data of the options, or on fresh data.
   *
   * @param options what to keep, and whose data
   */
  constructor(options: MemoryStoreOptions) {
    this.#retention = options.retention;
    this.#limits = options.limits;
    this.#terms = { retention: options.retention, random: options.random };
    this.#shared = options.data ?? new MemoryData();
    if (options.cluster !== undefined) this.cluster = options.cluster;
  }

  /** Begins to work; there is nothing to wait for. */
  async open(): Promise<void> {
    this.#data;
  }

  /** Makes sure that a channel exists (see {@linkcode Store.create}). */
  async create(
    channel: string,
    metadata: { readonly [key: string]: Json },
    now: number,
  ): Promise<boolean> {
    const { channels } = this.#data;
    const isNew = channels.get(channel) === undefined;
    channels.settle(this.#log(channel, now, metadata), now);
    return isNew;
  }

  /** Names and states of all channels (see {@linkcode Store.channels}). */
  async channels(now: number): Promise<ChannelRecord[]> {
    const { channels } = this.#data;
    channels.sweep(this.#retention, now);
    return Array.from(channels.all(), (log) => log.record());
  }

  /** Appends drafts (see {@linkcode Store.append}). */
  async append(channel: string, drafts: readonly Draft[], now: number): Promise<AppendResult> {
    const data = this.#data;
    const log = this.#log(channel, now);
    return data.add(log, data.draw(log, drafts, this.#terms, now), this.#retention, now);
  }

  /** Reads what comes after a number (see {@linkcode Store.read}). */
  async read(channel: string, after: number, limit: number, now: number): Promise<Page> {
    const log = this.#log(channel, now);
    this.#data.channels.settle(log, now);
    const shelf = log.shelf as MemoryShelf;
    const from = Math.max(after + 1 - log.oldest, 0);
    const messages = shelf.read(from, limit, now - this.#retention.messageTtl);
    return { ...log.state(), messages };
  }

  /** States of logs (see {@linkcode Store.states}). */
  async states(channels: readonly string[], now: number): Promise<(LogState | undefined)[]> {
    const data = this.#data;
    return channels.map((channel) => {
      const log = data.channels.get(channel);
      if (log !== undefined && log.count > 0) {
        log.expire(now - this.#retention.messageTtl);
        // Only now does its time without messages begin.
        if (log.count === 0) data.channels.settle(log, now);
      }
      return log?.state();
    });
  }

  /** Takes a session over, or begins one (see {@linkcode Store.claim}). */
  async claim(claim: Claim, now: number): Promise<Claimed> {
    return this.#data.sessions.claim(claim, this.#limits.maxSessions, now, this.#lease);
  }

  /** Positions of a session (see {@linkcode Store.load}). */
  async load(
    key: string,
    generation: number,
    channels: readonly string[],
    now: number,
  ): Promise<(Cursor | undefined)[] | undefined> {
    const session = this.#data.sessions.find(key, now);
    if (session !== undefined && session.generation > generation) return undefined;
    const positions = session?.positions;
    return channels.map((channel) => {
      const position = positions?.get(channel);
      const cursor = position?.load();
      // A redriven message that was late already is no longer needed in the log.
      position?.log.place(position);
      return cursor;
    });
  }

  /** Stores positions (see {@linkcode Store.commit}). */
  async commit(
    key: string,
    generation: number,
    commits: readonly Commit[],
    now: number,
  ): Promise<boolean> {
    const data = this.#data;
    const session = data.sessions.held(key, generation, now);
    if (session === undefined) return false;
    for (const { channel, cursor, deadLetters = [] } of commits) {
      const known = session.positions.get(channel);
      if (known !== undefined && !known.moveTo(cursor)) continue;
      // A position is never refused: there is room for it among the sessions, not in the log.
      const position = known ?? new Position(this.#log(channel, now, {}, Infinity), cursor);
      session.positions.set(channel, position);
      position.log.place(position);
      data.moved(session, position.log);
      data.channels.settle(position.log, now);
      for (const letter of deadLetters) data.letters.add(letter, this.#limits.maxDeadLetters);
    }
    data.makeRoom(this.#retention.maxStoreBytes, now);
    return true;
  }

  /** Forgets a position (see {@linkcode Store.forget}). */
  async forget(key: string, generation: number, channel: string, now: number): Promise<boolean> {
    const { sessions } = this.#data;
    const session = sessions.held(key, generation, now);
    if (session === undefined) return false;
    sessions.forget(session, channel, now);
    return true;
  }

  /** The session has no connection since now (see {@linkcode Store.release}). */
  async release(key: string, generation: number, now: number): Promise<boolean> {
    const { sessions } = this.#data;
    const session = sessions.held(key, generation, now);
    if (session === undefined) return false;
    sessions.release(session, now);
    return true;
  }

  /** Keeps the leases of sessions, if there are any (see {@linkcode Store.renew}). */
  async renew(
    keys: readonly { readonly key: string; readonly generation: number }[],
    now: number,
  ): Promise<readonly Renewed[]> {
    const { sessions } = this.#data;
    const renewed: Renewed[] = [];
    for (const { key, generation } of keys) {
      const session = sessions.held(key, generation, now);
      if (session === undefined) {
        const lost = sessions.find(key, now) === undefined;
        renewed.push({ key, held: false, ...(lost ? { lost } : {}), redriven: [] });
        continue;
      }
      sessions.renew(session, now, this.#lease);
      const redriven = sessions.newsOf(session);
      if (redriven.length > 0) renewed.push({ key, held: true, redriven });
    }
    return renewed;
  }

  /** Ends a session and its positions (see {@linkcode Store.end}). */
  async end(key: string, generation: number, now: number): Promise<boolean> {
    const { sessions } = this.#data;
    const session = sessions.held(key, generation, now);
    if (session === undefined) return false;
    sessions.end(session, now);
    return true;
  }

  /** Dead letters, oldest first (see {@linkcode Store.deadLetters}). */
  async deadLetters(query: DeadLetterQuery, now: number): Promise<DeadLetter[]> {
    const { letters } = this.#data;
    letters.expire(now - this.#limits.deadLetterTtl);
    return letters.find(query);
  }

  /** Puts dead letters back (see {@linkcode Store.redrive}). */
  async redrive(query: DeadLetterQuery, now: number): Promise<DeadLetter[]> {
    const data = this.#data;
    data.letters.expire(now - this.#limits.deadLetterTtl);
    const found = data.redrivable(query, now);
    for (const letter of found) {
      const session = data.sessions.find(letter.session, now)!;
      const position = session.positions.get(letter.channel)!;
      position.putBack(letter.message);
      data.sessions.addNews(session);
      data.letters.remove(letter);
      data.moved(session, position.log);
    }
    return found;
  }

  /** Keeps a revocation (see {@linkcode Store.revoke}). */
  async revoke(revocation: Revocation, now: number): Promise<boolean> {
    const { maxRevocations = MAX_REVOCATIONS } = this.#limits;
    return this.#data.revocations.revoke(revocation, maxRevocations, now);
  }

  /** Revocations that have changed (see {@linkcode Store.revocations}). */
  async revocations(known: string | undefined, now: number): Promise<RevocationNews> {
    return this.#data.revocations.news(known, now);
  }

  /** Lets go of what has expired (see {@linkcode Store.sweep}). */
  async sweep(now: number): Promise<void> {
    const { sessions, letters, channels } = this.#data;
    sessions.sweep(now);
    letters.expire(now - this.#limits.deadLetterTtl);
    channels.sweep(this.#retention, now);
  }

  /** Counts, for health and metrics (see {@linkcode Store.stats}). */
  async stats(_now: number): Promise<StoreStats> {
    const { tally, channels, sessions } = this.#data;
    return {
      channels: channels.size,
      messages: tally.messages,
      bytes: tally.messageBytes,
      sessions: sessions.size,
      deadLetters: tally.deadLetters,
      evicted: tally.evicted,
      expired: tally.expired,
      sessionsForgotten: tally.sessionsForgotten,
      quarantined: 0,
    };
  }

  /** Lets the data go; idempotent. Other handles on it go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#shared = undefined;
  }

  get #data(): MemoryData {
    if (this.#shared === undefined) throw new PushError("unavailable", "The store is closed.");
    return this.#shared;
  }

  /** By what sessions are held, where nodes share them. */
  get #lease(): NodeLease | undefined {
    return this.cluster?.sharesSessions ? this.cluster : undefined;
  }

  #log(
    channel: string,
    now: number,
    metadata?: { readonly [key: string]: Json },
    maxStoreBytes?: number,
  ): MemoryLog {
    return this.#data.log(channel, now, this.#terms, metadata, maxStoreBytes);
  }
}
