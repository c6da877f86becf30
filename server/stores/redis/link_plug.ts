import type { Command, Redis, RedisOptions } from "ioredis";
import type { Cancel, Clock, RandomBytes } from "../../clock.ts";
import { type Address, type Endpoint, textOf } from "./link_address.ts";
import { Line } from "./link_line.ts";

/** Told of one connection. */
export interface LineHooks {
  /** What is to be done before a connection can be used; where it fails, the connection is dropped. */
  prepare?(redis: Redis): Promise<void>;
  /** A connection stands, and can be used from now on. */
  onReady?(redis: Redis): void;
  /** A connection that stood is lost, or an attempt failed. */
  onLost?(): void;
}

/** The parts of `ioredis` that are used, which is loaded only where Redis is configured. */
export interface Driver {
  readonly Redis: new (options: RedisOptions) => Redis;
  readonly Command: typeof Command;
}

/** What a Sentinel knows of the primary. */
interface Known {
  readonly primary: Endpoint;
  /** Number of the failover that it knows of; -1 if it does not say. */
  readonly epoch: number;
}

/**
 * Milliseconds that the other Sentinels have once one has named a primary. Who is silent for longer is
 * not heard: it may be the one that knows best, but it may be gone as well.
 */
const OTHERS = 1_000;
/** Milliseconds that the other end gets to take leave, before a socket is dropped. */
const LEAVE = 200;

/** Makes lines to servers of one Redis, all by the same settings. */
export class Plug {
  readonly #driver: Driver;
  readonly #address: Address;
  readonly #commandTimeout: number;
  readonly #clock: Clock;
  readonly #random: RandomBytes;

  /**
   * @param address where Redis is
   * @param commandTimeout milliseconds to wait for an answer
   */
  constructor(
    driver: Driver,
    address: Address,
    commandTimeout: number,
    clock: Clock,
    random: RandomBytes,
  ) {
    this.#driver = driver;
    this.#address = address;
    this.#commandTimeout = commandTimeout;
    this.#clock = clock;
    this.#random = random;
  }

  /** A line that is not begun: to one node of a Cluster, or to the primary. */
  line(node: Endpoint | undefined, hooks: LineHooks = {}): Line {
    const { peer, sentinels, server } = this.#address;
    const target = node ?? server;
    return new Line({
      peer: node === undefined ? peer : `Redis at ${textOf(node)}`,
      make: async (signal) =>
        sentinels.length > 0 && node === undefined
          ? this.#make(await this.#primary(signal))
          : this.#make(target),
      admit: async (redis) => {
        const reason = await refusal(redis);
        if (reason === undefined) await hooks.prepare?.(redis);
        return reason;
      },
      clock: this.#clock,
      random: this.#random,
      onReady: hooks.onReady,
      onLost: hooks.onLost,
    });
  }

  /**
   * Asks all Sentinels for the primary, and believes the one that knows of the latest failover: the
   * others hear of it up to seconds later, and an old primary may be back by then and take writes.
   */
  async #primary(signal: AbortSignal): Promise<Endpoint> {
    if (signal.aborted) throw new Error("the store is closed");
    const { sentinels, sentinel, sentinelName } = this.#address;
    const over = new AbortController();
    const end = (): void => over.abort();
    signal.addEventListener("abort", end);
    let best: Known | undefined;
    let cancel: Cancel | undefined;
    try {
      await Promise.all(sentinels.map(async (endpoint) => {
        const known = await this.#ask(this.#make(endpoint, sentinel), sentinelName, over.signal);
        if (known === undefined) return;
        if (best === undefined || known.epoch > best.epoch) best = known;
        cancel ??= this.#clock.schedule(OTHERS, end);
      }));
    } finally {
      cancel?.();
      signal.removeEventListener("abort", end);
    }
    if (best === undefined) throw new Error(`no Sentinel knows '${sentinelName}'`);
    return best.primary;
  }

  /** What a Sentinel knows; nothing if it does not answer. */
  async #ask(redis: Redis, name: string, signal: AbortSignal): Promise<Known | undefined> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const drop = (): void => {
      if (redis.status !== "end") redis.disconnect();
    };
    redis.on("error", () => {});
    redis.once("end", () => end());
    signal.addEventListener("abort", drop);
    try {
      await redis.connect();
      const [found, epoch] = await Promise.all([
        redis.call("sentinel", "get-master-addr-by-name", name),
        redis.call("sentinel", "master", name).then(epochOf, () => -1),
      ]);
      if (!Array.isArray(found)) return undefined;
      return { primary: { host: String(found[0]), port: Number(found[1]) }, epoch };
    } catch {
      return undefined;
    } finally {
      signal.removeEventListener("abort", drop);
      drop();
      await ended;
    }
  }

  #make(target: Endpoint, options: RedisOptions = this.#address.options): Redis {
    const timeout = this.#commandTimeout;
    return new this.#driver.Redis({
      ...options,
      ...target,
      // RESP2: a connection of subscriptions has nothing else on it, and scripts answer the same.
      protocol: 2,
      lazyConnect: true,
      // One object is one connection. What is on its way when it ends is rejected, never sent again,
      // and nothing is kept for later: a publish either was sent now or is refused now.
      retryStrategy: () => null,
      enableOfflineQueue: false,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: null,
      // Its own check waits by a timer that nothing can cancel.
      enableReadyCheck: false,
      connectTimeout: timeout,
      commandTimeout: timeout,
      socketTimeout: timeout,
      disconnectTimeout: LEAVE,
    });
  }
}

/** Number of the last failover, by what a Sentinel says of the primary; -1 if it does not. */
function epochOf(master: unknown): number {
  if (!Array.isArray(master)) return -1;
  const at = master.indexOf("config-epoch");
  return at >= 0 && /^\d+$/.test(String(master[at + 1])) ? Number(master[at + 1]) : -1;
}

/** Why a server cannot be used at present, as the end of a sentence. */
async function refusal(redis: Redis): Promise<string | undefined> {
  let info: string;
  try {
    info = await redis.info();
  } catch (error) {
    // Who may not ask finds out by what the first commands say.
    if (error instanceof Error && /^NOPERM/.test(error.message)) return undefined;
    throw error;
  }
  if (/^loading:1/m.test(info)) return "it is still loading its data";
  if (/^role:slave/m.test(info)) return "it is a replica, not the primary";
  return undefined;
}
