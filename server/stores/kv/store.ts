import { type Json, PushError } from "@push/client/protocol";
import type { RandomBytes } from "../../clock.ts";
import { KvAppend } from "./append.ts";
import { IN_MEMORY, type OpenDatabase, openDatabase } from "./engine.ts";
import type { KvFile } from "./file.ts";
import { type Lease, lease } from "./files.ts";
import type { KvLetter } from "./letters.ts";
import type { KvLog } from "./log.ts";
import { holdingPayloads, withPayloads } from "./payloads.ts";
import { MemoryStore } from "../memory/store.ts";
import type { Revocation, RevocationNews } from "../revocations.ts";
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
import type { StoreNews } from "../news.ts";

/** Options of {@linkcode KvStore}. */
export interface KvStoreOptions {
  /**
   * File of the database, made if it is not there. `:memory:` is one in memory, and `:memory:NAME` one
   * that all stores of this process with the same name share.
   */
  readonly path: string;
  /** How much of a log is kept. */
  readonly retention: Retention;
  /** Limits of dead letters and sessions. */
  readonly limits: StoreLimits;
  /** Source of randomness, for epochs. */
  readonly random: RandomBytes;
  /**
   * Opens the database. Default: with `Deno.openKv` where the flag `--unstable-kv` is on, else with
   * the package `npm:@deno/kv`.
   */
  readonly openDatabase?: OpenDatabase;
  /** Takes what the store has to say. Default: nobody hears it. */
  readonly tell?: StoreNews;
}

/**
 * A store in a file, by Deno KV. What was answered survives the process and the machine.
 *
 * - Stores of one process with one path are handles on the same data. Another process is refused: a
 *   lock on the file `PATH.lock` says whose it is.
 * - Everything but payloads is in memory too, and decides what happens just as in the memory store; a
 *   change is answered once it is in the file. Publishes gather while a commit is under way, so the
 *   busier the store, the more go into one.
 * - Bounds are those of the memory store: `maxStoreBytes` for messages, dead letters and about 1 KiB
 *   for each channel, and 2 097 152 publish ids. What is dropped leaves the file within seconds.
 * - Where the file cannot be written (the disk is full, or broken), everything that changes something
 *   is refused as `unavailable`, and `trouble` says why. Publishes and claims have no effect then.
 *   Positions, dead letters, revocations, releases and ends have it in memory, and are written with the next write
 *   that succeeds. `sweep()` finds out when that is possible again.
 * - After a crash each session that had a connection counts as left alone from the first operation on.
 *
 * @example
 * ```ts
 * import { KvStore } from "./store.ts";
 *
 * const MIB = 2 ** 20;
 * await using store = new KvStore({
 *   path: ":memory:",
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
export class KvStore implements Store {
  /** Name of the store. */
  readonly name = "kv";
  /** What an answered publish survives. */
  readonly survives: string;
  readonly #options: KvStoreOptions;
  #lease: Lease | undefined;
  #memory: MemoryStore | undefined;
  #closing: Promise<void> | undefined;

  /** @param options what to keep, and where */
  constructor(options: KvStoreOptions) {
    this.#options = options;
    this.survives = options.path.startsWith(IN_MEMORY)
      ? "the life of the process"
      : "a crash and a power cut, as far as the disk keeps what it confirmed";
  }

  /** Why the file cannot be used at present; `undefined` while it can. */
  get trouble(): string | undefined {
    return this.#lease?.file.trouble;
  }

  /**
   * Opens the file.
   *
   * @throws {TypeError} if the file cannot be used: another gateway has it, its format is of another
   *   version, its folder is not there
   */
  async open(): Promise<void> {
    const { path, retention, limits, random } = this.#options;
    const held = await lease(path, { openDatabase, ...this.#options });
    this.#lease = held;
    this.#memory = new MemoryStore({ retention, limits, random, data: held.file.data });
  }

  /** Makes sure that a channel exists (see {@linkcode Store.create}). */
  async create(
    channel: string,
    metadata: { readonly [key: string]: Json },
    now: number,
  ): Promise<boolean> {
    const file = this.#file(now);
    const made = this.#memory!.create(channel, metadata, now);
    const log = file.data.channels.get(channel) as KvLog | undefined;
    await made;
    const isNew = !log!.isAnnounced;
    await this.#lasting(log!);
    return isNew;
  }

  /** Names and states of all channels (see {@linkcode Store.channels}). */
  async channels(now: number): Promise<ChannelRecord[]> {
    const { data } = this.#file(now);
    const records = await this.#memory!.channels(now);
    // One that could not be written is none.
    return records.filter(({ name }) => (data.channels.get(name) as KvLog)?.isDurable);
  }

  /** Appends drafts (see {@linkcode Store.append}). */
  async append(channel: string, drafts: readonly Draft[], now: number): Promise<AppendResult> {
    const file = this.#file(now);
    const append = new KvAppend(file, channel, drafts, this.#options, now);
    file.committer.append(append);
    return await append.result;
  }

  /** Reads what comes after a number (see {@linkcode Store.read}). */
  async read(channel: string, after: number, limit: number, now: number): Promise<Page> {
    while (true) {
      const { data, reader } = this.#file(now);
      const log = data.log(channel, now, this.#options) as KvLog;
      data.channels.settle(log, now);
      await this.#lasting(log);
      const picks = log.shelf.select(after, limit, now - this.#options.retention.messageTtl);
      const state = log.state();
      if (picks.length === 0) return { ...state, messages: [] };
      const fetched = await reader.messages(log, picks);
      if ("messages" in fetched) return { ...state, messages: fetched.messages };
      const isPresent = data.channels.get(channel) === log && log.shelf.has(fetched.lost.last);
      // Else it was dropped meanwhile, and what is there now is read.
      if (isPresent) this.#lose(log, fetched.lost.last, now);
    }
  }

  /** States of logs (see {@linkcode Store.states}). */
  async states(channels: readonly string[], now: number): Promise<(LogState | undefined)[]> {
    const { data } = this.#file(now);
    await Promise.all(channels.map(async (channel) => {
      const log = data.channels.get(channel) as KvLog | undefined;
      if (log !== undefined) await this.#lasting(log);
    }));
    return await this.#memory!.states(channels, now);
  }

  /** Takes a session over, or begins one (see {@linkcode Store.claim}). */
  async claim(claim: Claim, now: number): Promise<Claimed> {
    const { data: { sessions }, committer } = this.#file(now);
    const { result, written } = committer.collect(() => this.#memory!.claim(claim, now));
    const taken = sessions.taken(claim.key);
    const claimed = await result;
    if (!claimed.ok) return claimed;
    try {
      await written;
    } catch (error) {
      taken?.undo(now);
      throw error;
    }
    taken?.done();
    return claimed;
  }

  /** Positions of a session (see {@linkcode Store.load}). */
  async load(
    key: string,
    generation: number,
    channels: readonly string[],
    now: number,
  ): Promise<(Cursor | undefined)[] | undefined> {
    const { data } = this.#file(now);
    const session = data.sessions.find(key, now);
    const isNewest = session !== undefined && session.generation <= generation;
    for (const channel of isNewest ? channels : []) {
      const position = session?.positions.get(channel);
      if (position !== undefined && position.unseen.length > 0) data.moved(session!, position.log);
    }
    return await this.#memory!.load(key, generation, channels, now);
  }

  /** Stores positions (see {@linkcode Store.commit}). */
  async commit(
    key: string,
    generation: number,
    commits: readonly Commit[],
    now: number,
  ): Promise<boolean> {
    return await this.#writing(now, (memory) => memory.commit(key, generation, commits, now));
  }

  /** Forgets a position (see {@linkcode Store.forget}). */
  async forget(key: string, generation: number, channel: string, now: number): Promise<boolean> {
    return await this.#writing(now, (memory) => memory.forget(key, generation, channel, now));
  }

  /** The session has no connection since now (see {@linkcode Store.release}). */
  async release(key: string, generation: number, now: number): Promise<boolean> {
    return await this.#writing(now, (memory) => memory.release(key, generation, now));
  }

  /** Says what became of sessions; there are no leases here (see {@linkcode Store.renew}). */
  async renew(
    keys: readonly { readonly key: string; readonly generation: number }[],
    now: number,
  ): Promise<readonly Renewed[]> {
    this.#file(now);
    return await this.#memory!.renew(keys, now);
  }

  /** Ends a session and its positions (see {@linkcode Store.end}). */
  async end(key: string, generation: number, now: number): Promise<boolean> {
    return await this.#writing(now, (memory) => memory.end(key, generation, now));
  }

  /** Dead letters, oldest first (see {@linkcode Store.deadLetters}). */
  async deadLetters(query: DeadLetterQuery, now: number): Promise<DeadLetter[]> {
    const file = this.#file(now);
    const found = await this.#memory!.deadLetters(query, now);
    return await withPayloads(file, found as KvLetter[]);
  }

  /** Puts dead letters back (see {@linkcode Store.redrive}). */
  async redrive(query: DeadLetterQuery, now: number): Promise<DeadLetter[]> {
    const file = this.#file(now);
    // What goes back into a position does so with its payload.
    const find = () => file.data.redrivable(query, now) as KvLetter[];
    return await holdingPayloads(file, find, async () => {
      const moved = await this.#writing(now, (memory) => memory.redrive(query, now)) as KvLetter[];
      return moved.map((letter) => letter.plain(letter.message.payload));
    });
  }

  /** Keeps a revocation (see {@linkcode Store.revoke}). */
  async revoke(revocation: Revocation, now: number): Promise<boolean> {
    return await this.#writing(now, (memory) => memory.revoke(revocation, now));
  }

  /** Revocations that have changed (see {@linkcode Store.revocations}). */
  async revocations(known: string | undefined, now: number): Promise<RevocationNews> {
    this.#file(now);
    return await this.#memory!.revocations(known, now);
  }

  /** Lets go of what has expired (see {@linkcode Store.sweep}). */
  async sweep(now: number): Promise<void> {
    const file = this.#file(now);
    const { journal, committer } = file;
    await this.#memory!.sweep(now);
    journal.expire(now - this.#options.retention.idempotencyWindow);
    if (journal.hasSpent) committer.changed(journal);
    await file.retry();
    await committer.drain();
  }

  /** Counts, for health and metrics (see {@linkcode Store.stats}). */
  async stats(now: number): Promise<StoreStats> {
    const { quarantined } = this.#file(now);
    return { ...await this.#memory!.stats(now), quarantined };
  }

  /** Lets the file go, once everything is written; idempotent. Other handles on it go on. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const held = this.#lease;
    this.#lease = undefined;
    await held?.end();
  }

  get #opened(): KvFile {
    if (this.#lease === undefined) throw new PushError("unavailable", "The store is closed.");
    return this.#lease.file;
  }

  #file(now: number): KvFile {
    const file = this.#opened;
    file.hear(now);
    return file;
  }

  /** Does something that takes no time in memory, and waits until the file has it. */
  async #writing<T>(now: number, work: (memory: MemoryStore) => Promise<T>): Promise<T> {
    const { committer } = this.#file(now);
    const { result, written } = committer.collect(() => work(this.#memory!));
    const value = await result;
    await written;
    return value;
  }

  /** Makes sure that the file knows a log, before anybody hears of its epoch. */
  async #lasting(log: KvLog): Promise<void> {
    if (log.isDurable) return;
    log.isAnnounced = true;
    try {
      // A commit that is under way may write it already, and fail.
      while (!log.isDurable && !log.isClosed) await this.#opened.committer.want(log);
    } catch (error) {
      if (!log.isDurable) log.isAnnounced = false;
      throw error;
    }
  }

  /** Lets go of what cannot be read, and of what is older: a log has no holes. */
  #lose(log: KvLog, seq: number, now: number): void {
    const file = this.#opened;
    const { data, path } = file;
    file.quarantined++;
    this.#options.tell?.(
      "damaged",
      `The store '${path}' cannot read message ${seq} of channel '${log.name}'. ` +
        "It is told as lost, with what is older.",
    );
    while (log.count > 0 && log.oldest <= seq) log.evict();
    data.channels.settle(log, now);
  }
}
