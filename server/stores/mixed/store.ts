import { randomId, systemClock } from "../../clock.ts";
import { MemoryStore } from "../memory/store.ts";
import { LogStore } from "../redis/log_store.ts";
import { inTurns } from "../redis/settle.ts";
import type { RedisStoreOptions } from "../redis/store.ts";
import type {
  Claim,
  Claimed,
  Commit,
  Cursor,
  DeadLetter,
  DeadLetterQuery,
  Renewed,
  Store,
  StoreStats,
} from "../store.ts";
import { MixedData } from "./data.ts";
import { Floors } from "./floors.ts";

export { MixedData } from "./data.ts";

/** Options of {@linkcode MixedStore}. */
export interface MixedStoreOptions extends RedisStoreOptions {
  /** Sessions, positions and dead letters; its own if left out. */
  readonly data?: MixedData;
}

/**
 * Logs in Redis, which many gateways share; sessions, positions and dead letters in this one.
 *
 * What holds:
 *
 * - Messages are where the Redis store has them: order, numbers, publish ids and gaps are the same on
 *   every node, and a publish is answered and kept as there.
 * - A session lives as long as this process. A client that comes back to this node goes on from its
 *   position; at another node, or after a restart, it has none. `@push/client` brings its own, and
 *   goes on from there: nothing is lost, and what was acknowledged less than a second before may come
 *   again. A client of the fixed wire begins at the head: what came in between it does not get.
 * - A log keeps what a living session of any node has not settled: each node keeps one entry for each
 *   channel in Redis, the number up to which all its sessions have settled. It is told at once where
 *   more is needed, and within a second where less is. When a node dies its entries go within minutes;
 *   until then more is kept than is needed.
 * - Two nodes may each have a session of the same client. Neither knows what the other has settled, so
 *   a message may be delivered by both; the gateways tell each other to close the older connection.
 * - Dead letters are listed and put back on the node that gave them up, with their messages, and end
 *   with it.
 */
export class MixedStore extends LogStore implements Store {
  /** Name of the store: where its logs are, and where its sessions are. */
  readonly name = "redis+memory";
  /** What an answered publish survives. */
  readonly survives = "a crash of every gateway, and of Redis as far as it writes to disk; " +
    "who has received what is kept in this gateway only";
  readonly #memory: MemoryStore;
  readonly #floors: Floors;

  /** @param options where Redis is, and what to keep */
  constructor(options: MixedStoreOptions) {
    const { settings: { lease }, retention, limits, random, clock = systemClock } = options;
    const { data = new MixedData(), node = randomId(random) } = options;
    super({ ...options, node, clock, sharesSessions: false });
    this.#memory = new MemoryStore({ retention, limits, random, data });
    const { link, keys } = this.base;
    this.#floors = new Floors({ link, keys, node, lease, needs: data.needs, clock });
  }

  /** Entries and values in Redis that could not be read, and were set aside. */
  get quarantined(): number {
    return this.base.quarantined;
  }

  /** Takes a session over, or begins one (see {@linkcode Store.claim}). */
  async claim(claim: Claim, now: number): Promise<Claimed> {
    return await this.#moving(this.#memory.claim(claim, now));
  }

  /** Positions of a session (see {@linkcode Store.load}). */
  async load(
    key: string,
    generation: number,
    channels: readonly string[],
    now: number,
  ): Promise<(Cursor | undefined)[] | undefined> {
    return await this.#moving(this.#memory.load(key, generation, channels, now));
  }

  /** Stores positions (see {@linkcode Store.commit}). */
  async commit(
    key: string,
    generation: number,
    commits: readonly Commit[],
    now: number,
  ): Promise<boolean> {
    return await this.#moving(this.#memory.commit(key, generation, commits, now));
  }

  /** Forgets a position (see {@linkcode Store.forget}). */
  async forget(key: string, generation: number, channel: string, now: number): Promise<boolean> {
    return await this.#moving(this.#memory.forget(key, generation, channel, now));
  }

  /** The session has no connection since now (see {@linkcode Store.release}). */
  async release(key: string, generation: number, now: number): Promise<boolean> {
    return await this.#moving(this.#memory.release(key, generation, now));
  }

  /** Tells which sessions are held no more, or have news (see {@linkcode Store.renew}). */
  renew(
    sessions: readonly { readonly key: string; readonly generation: number }[],
    now: number,
  ): Promise<readonly Renewed[]> {
    return this.#memory.renew(sessions, now);
  }

  /** Ends a session and its positions (see {@linkcode Store.end}). */
  async end(key: string, generation: number, now: number): Promise<boolean> {
    return await this.#moving(this.#memory.end(key, generation, now));
  }

  /** Dead letters of this node, oldest first (see {@linkcode Store.deadLetters}). */
  deadLetters(query: DeadLetterQuery, now: number): Promise<DeadLetter[]> {
    return this.#memory.deadLetters(query, now);
  }

  /** Puts dead letters of this node back (see {@linkcode Store.redrive}). */
  redrive(query: DeadLetterQuery, now: number): Promise<DeadLetter[]> {
    return this.#memory.redrive(query, now);
  }

  /** Lets go of what has expired (see {@linkcode Store.sweep}). */
  async sweep(now: number): Promise<void> {
    await this.#memory.sweep(now);
    await inTurns([() => this.#floors.sweep(), () => this.base.log.sweep()]);
  }

  /** Counts: logs of all nodes, sessions and dead letters of this one (see {@linkcode Store.stats}). */
  async stats(now: number): Promise<StoreStats> {
    const [logs, own] = await Promise.all([this.base.log.stats(), this.#memory.stats(now)]);
    const { sessions, deadLetters, sessionsForgotten, evicted } = own;
    return {
      ...logs,
      sessions,
      deadLetters,
      sessionsForgotten,
      evicted: logs.evicted + evicted,
      quarantined: this.quarantined,
    };
  }

  /** Leaves the other nodes and lets every connection go; idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#memory[Symbol.asyncDispose]();
    await this.#floors.close();
    await this.base[Symbol.asyncDispose]();
  }

  /** After something that may have moved positions: sees to it that Redis keeps what they need. */
  async #moving<T>(work: Promise<T>): Promise<T> {
    const result = await work;
    await this.#floors.changed();
    return result;
  }
}
