import type { Command, Redis, RedisOptions } from "ioredis";
import type { Clock, RandomBytes } from "../../clock.ts";
import { type Address, type Endpoint, textOf } from "./link_address.ts";
import { Line } from "./link_line.ts";

/** Told of one connection. */
export interface LineHooks {
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
      make: async (attempt, signal) =>
        sentinels.length > 0 && node === undefined
          ? this.#make(await this.#primary(attempt, signal))
          : this.#make(target),
      admit: (redis) => refusal(redis),
      clock: this.#clock,
      random: this.#random,
      ...hooks,
    });
  }

  /** Asks the Sentinels for the primary, each attempt another one first. */
  async #primary(attempt: number, signal: AbortSignal): Promise<Endpoint> {
    const { sentinels, sentinel, sentinelName } = this.#address;
    for (const endpoint of rotated(sentinels, attempt)) {
      if (signal.aborted) break;
      const found = await this.#ask(this.#make(endpoint, sentinel), sentinelName, signal);
      if (found !== undefined) return found;
    }
    throw new Error(`no Sentinel knows '${sentinelName}'`);
  }

  async #ask(redis: Redis, name: string, signal: AbortSignal): Promise<Endpoint | undefined> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const drop = (): void => {
      if (redis.status !== "end") redis.disconnect();
    };
    redis.on("error", () => {});
    redis.once("end", () => end());
    signal.addEventListener("abort", drop);
    try {
      await redis.connect();
      const found = await redis.call("sentinel", "get-master-addr-by-name", name);
      if (!Array.isArray(found)) return undefined;
      return { host: String(found[0]), port: Number(found[1]) };
    } catch {
      return undefined; // The next one is asked.
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

function rotated<T>(list: readonly T[], by: number): T[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
