import type { Clock, RandomBytes } from "../../clock.ts";
import type { RedisSettings } from "../../options/settings.ts";
import type { StoreNews } from "../news.ts";
import type { Retention, StoreLimits } from "../store.ts";
import { checkServers } from "./checks.ts";
import { RedisCluster } from "./cluster.ts";
import { RedisKeys } from "./keys.ts";
import { RedisLink } from "./link.ts";
import { addressOf } from "./link_address.ts";
import { RedisLog } from "./log.ts";
import { RedisRevocations } from "./revocations.ts";

/** What a {@linkcode RedisBase} is made with. */
export interface RedisBaseOptions {
  /** Where Redis is. */
  readonly settings: RedisSettings;
  /** How much of a log is kept. */
  readonly retention: Retention;
  /** Limits, of which those of revocations count here. */
  readonly limits: StoreLimits;
  /** Source of randomness. */
  readonly random: RandomBytes;
  /** Names this node among the others. */
  readonly node: string;
  /** Source of time for waits and probes. */
  readonly clock: Clock;
  /** Whether sessions and positions are in Redis, too. */
  readonly sharesSessions: boolean;
  /** Takes what the store has to say. Default: nobody hears it. */
  readonly tell?: StoreNews;
}

/** What every store on Redis has there: connection, logs, revocations, and what nodes say to each other. */
export class RedisBase implements AsyncDisposable {
  /** The connection. */
  readonly link: RedisLink;
  /** Names of keys. */
  readonly keys: RedisKeys;
  /** The logs. */
  readonly log: RedisLog;
  /** Revocations. */
  readonly revocations: RedisRevocations;
  /** What nodes say to each other. */
  readonly cluster: RedisCluster;
  readonly #tell: StoreNews | undefined;
  #closing: Promise<void> | undefined;

  /** @param options where Redis is */
  constructor(options: RedisBaseOptions) {
    const { settings, retention, limits, random, node, clock, sharesSessions } = options;
    this.#tell = options.tell;
    const link = this.link = new RedisLink({ settings, clock, random });
    const keys = this.keys = new RedisKeys(settings.prefix, addressOf(settings).options.db);
    this.log = new RedisLog({
      link,
      keys,
      retention,
      random,
      clock,
      retryFor: settings.commandTimeout,
    });
    this.revocations = new RedisRevocations(link, keys, limits.maxRevocations);
    this.cluster = new RedisCluster({
      link,
      keys,
      node,
      lease: settings.lease,
      sharesSessions,
      clock,
    });
  }

  /** Why operations fail at present, as a sentence. */
  get trouble(): string | undefined {
    return this.link.trouble ?? this.cluster.trouble;
  }

  /** Entries and values of logs and revocations that could not be read, and were set aside. */
  get quarantined(): number {
    return this.log.quarantined + this.revocations.quarantined;
  }

  /**
   * Connects and looks at the server; lets go of everything where that fails.
   *
   * @throws {PushError} `unavailable` if Redis cannot be reached
   * @throws {TypeError} if it cannot be used as it is
   */
  async open(): Promise<void> {
    try {
      await this.link.open();
      for (const doubt of await checkServers(this.link)) this.#tell?.("doubtful", `${doubt}.`);
      await this.log.open();
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Leaves the other nodes and lets every connection go; idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.log.close();
    await this.cluster[Symbol.asyncDispose]();
    await this.link[Symbol.asyncDispose]();
  }
}
