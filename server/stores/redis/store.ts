import { type Clock, type RandomBytes, randomId, systemClock } from "../../clock.ts";
import type { RedisSettings } from "../../options/settings.ts";
import type { StoreNews } from "../news.ts";
import type {
  Claim,
  Claimed,
  Commit,
  Cursor,
  DeadLetter,
  DeadLetterQuery,
  Renewed,
  Retention,
  Store,
  StoreLimits,
  StoreStats,
} from "../store.ts";
import { LogStore } from "./log_store.ts";
import { NodeFloors } from "./node_floors.ts";
import { RedisLetters } from "./letters.ts";
import { RedisPositions } from "./positions.ts";
import { sessionParts, type SessionTally } from "./session_parts.ts";
import { RedisSessions } from "./sessions.ts";
import { inTurns } from "./settle.ts";

/** Options of {@linkcode RedisStore}. */
export interface RedisStoreOptions {
  /** Where Redis is. */
  readonly settings: RedisSettings;
  /** How much of a log is kept. */
  readonly retention: Retention;
  /** Limits of dead letters and sessions. */
  readonly limits: StoreLimits;
  /** Source of randomness, for epochs. */
  readonly random: RandomBytes;
  /** Names this node among the others. Default: a random name. */
  readonly node?: string;
  /** Source of time for waits and probes. What is stored bears the time of Redis. Default: the machine's. */
  readonly clock?: Clock;
  /** Takes what the store has to say. Default: nobody hears it. */
  readonly tell?: StoreNews;
}

/**
 * A store in Redis, which many gateways share: 7 or later, alone, behind Sentinels or as a Cluster.
 *
 * - A publish is answered once the primary has carried the append out. What that survives is what the
 *   primary's persistence and its replicas keep: with `appendfsync always` a crash of the machine, with
 *   `everysec` all but its last second. After a restart or a failover every channel has a new epoch, and
 *   says up to which number the old one goes on: a subscriber beyond it is told of the gap.
 * - Time is the time of Redis; the `now` of the operations counts for nothing but how long this node
 *   may rely on what it has seen.
 * - While Redis is away everything is refused as `unavailable`, at once. A command that was sent and not
 *   answered within `commandTimeout` is `outcome_unknown`; appends ask again under the same name first.
 * - A session whose node does not renew its lease counts as released since the lease was over.
 * - Sessions and positions live in other slots than each other: a fence between two nodes may be
 *   noticed one step later than in memory, as the contract allows.
 *
 * @example
 * ```ts ignore
 * import { RedisStore } from "./store.ts";
 *
 * await using store = new RedisStore({ settings, retention, limits, random });
 * await store.open();
 * const draft = { subject: "anonymous", origin: null, source: null, payload: '{"level":"info"}' };
 * const { head } = await store.append("alerts", [draft], Date.now());
 * ```
 */
export class RedisStore extends LogStore implements Store {
  /** Name of the store. */
  readonly name = "redis";
  /** What an answered publish survives. */
  readonly survives = "a crash of every gateway, and of Redis as far as it writes to disk";
  readonly #sessions: RedisSessions;
  readonly #positions: RedisPositions;
  readonly #letters: RedisLetters;
  readonly #floors: NodeFloors;
  readonly #tally: SessionTally;

  /** @param options where Redis is, and what to keep there */
  constructor(options: RedisStoreOptions) {
    const { settings: { lease, commandTimeout: patience }, limits, random } = options;
    const { clock = systemClock } = options;
    const node = options.node ?? randomId(random);
    super({ ...options, node, clock, sharesSessions: true });
    const { link, keys } = this.base;
    const parts = sessionParts({ link, keys, limits, node, lease, patience });
    this.#tally = parts.tally;
    this.#positions = new RedisPositions(parts);
    this.#sessions = new RedisSessions(parts, this.#positions);
    this.#letters = new RedisLetters(parts);
    this.#floors = new NodeFloors(link, keys);
  }

  /** Entries and values in Redis that could not be read, and were set aside. */
  get quarantined(): number {
    return this.base.quarantined + this.#tally.quarantined;
  }

  /** Takes a session over, or begins one (see {@linkcode Store.claim}). */
  claim(claim: Claim, now: number): Promise<Claimed> {
    return this.#sessions.claim(claim, now);
  }

  /** Positions of a session (see {@linkcode Store.load}). */
  load(
    key: string,
    generation: number,
    channels: readonly string[],
  ): Promise<(Cursor | undefined)[] | undefined> {
    return this.#positions.load(key, generation, channels);
  }

  /** Stores positions (see {@linkcode Store.commit}). */
  commit(
    key: string,
    generation: number,
    commits: readonly Commit[],
    now: number,
  ): Promise<boolean> {
    return this.#positions.commit(key, generation, commits, now);
  }

  /** Forgets a position (see {@linkcode Store.forget}). */
  forget(key: string, generation: number, channel: string): Promise<boolean> {
    return this.#positions.forget(key, generation, channel);
  }

  /** The session has no connection since now (see {@linkcode Store.release}). */
  release(key: string, generation: number): Promise<boolean> {
    return this.#sessions.release(key, generation);
  }

  /** Keeps the leases of sessions (see {@linkcode Store.renew}). */
  renew(
    sessions: readonly { readonly key: string; readonly generation: number }[],
    now: number,
  ): Promise<readonly Renewed[]> {
    return this.#sessions.renew(sessions, now);
  }

  /** Ends a session and its positions (see {@linkcode Store.end}). */
  end(key: string, generation: number): Promise<boolean> {
    return this.#sessions.end(key, generation);
  }

  /** Dead letters, oldest first (see {@linkcode Store.deadLetters}). */
  deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.#letters.deadLetters(query);
  }

  /** Puts dead letters back (see {@linkcode Store.redrive}). */
  redrive(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.#letters.redrive(query);
  }

  /** Lets go of what has expired (see {@linkcode Store.sweep}). */
  async sweep(now: number): Promise<void> {
    await inTurns([
      () => this.#sessions.sweep(now),
      () => this.#positions.sweep(),
      () => this.#letters.sweep(),
      () => this.#floors.sweep(),
      () => this.base.log.sweep(),
    ]);
  }

  /** Counts, for health and metrics (see {@linkcode Store.stats}). */
  async stats(): Promise<StoreStats> {
    const [logs, sessions, letters] = await Promise.all([
      this.base.log.stats(),
      this.#sessions.stats(),
      this.#letters.stats(),
    ]);
    const evicted = logs.evicted + letters.evicted;
    return { ...logs, ...sessions, ...letters, evicted, quarantined: this.quarantined };
  }

  /** Leaves the other nodes and lets every connection go; idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.base[Symbol.asyncDispose]();
  }
}
