import { type Clock, type RandomBytes, systemClock, systemRandom } from "../../clock.ts";
import type { RedisSettings } from "../../options/settings.ts";
import { RedisKeys } from "./keys.ts";
import { Lineage } from "./lineage.ts";
import { type Address, addressOf, type Endpoint } from "./link_address.ts";
import { failed, replyCode, unavailable } from "./link_errors.ts";
import type { Line } from "./link_line.ts";
import { ClusterNodes } from "./link_nodes.ts";
import { type Driver, type LineHooks, Plug } from "./link_plug.ts";
import { redirection, slotOf } from "./link_slots.ts";
import { prepare, type Script } from "./script.ts";

/** An argument of a command or a script. */
export type Argument = string | number;

/** Where a link goes and what it lives by. */
export interface RedisLinkOptions {
  /** Where Redis is. */
  readonly settings: RedisSettings;
  /** Source of time, for waits. Default: the machine's. */
  readonly clock?: Clock;
  /** Source of randomness, for waits. Default: the machine's. */
  readonly random?: RandomBytes;
}

const CLOSED = "The store is closed.";
/** Name of the one server that there is without a Cluster. */
const PRIMARY = "";
/** How often a command follows redirections of a Cluster, or waits for keys that are moving. */
const TRIES = 16;
/** Milliseconds between two tries while keys are moving. */
const MOVING = 100;

/**
 * The connection to Redis: one server, the primary of a Sentinel set, or a Cluster. Comes back by
 * itself; while it is away everything is refused at once.
 *
 * Rejects with a {@linkcode PushError}: `unavailable` if the command was surely not executed,
 * `outcome_unknown` if it was sent and not answered in time, `store_full` if Redis has no memory left,
 * `internal` for anything else.
 */
export class RedisLink implements AsyncDisposable {
  /** Whether keys are spread over several servers, so that one script may use those of one slot. */
  readonly isCluster: boolean;
  /** What errors call it. */
  readonly peer: string;
  /** Milliseconds by which the store's time is ahead of the server's. 0, but in tests. */
  timeOffset = 0;
  readonly #settings: RedisSettings;
  readonly #address: Address;
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  readonly #watchers = new Set<() => void>();
  #driver: Driver | undefined;
  #plug: Plug | undefined;
  #line: Line | undefined;
  #nodes: ClusterNodes | undefined;
  readonly #lineage: Lineage;
  #closing: Promise<void> | undefined;
  readonly #pauses = new Set<() => void>();

  /** @param options where Redis is */
  constructor({ settings, clock = systemClock, random = systemRandom }: RedisLinkOptions) {
    this.#settings = settings;
    this.#address = addressOf(settings);
    this.#clock = clock;
    this.#random = random;
    this.isCluster = this.#address.cluster.length > 0;
    this.peer = this.#address.peer;
    this.#lineage = new Lineage({
      keys: new RedisKeys(settings.prefix),
      isOne: !this.isCluster && this.#address.sentinels.length === 0,
      clock,
    });
  }

  /** Why commands fail at present, as a sentence; `undefined` while they do not. */
  get trouble(): string | undefined {
    if (this.#closing !== undefined) return CLOSED;
    if (this.#plug === undefined) return "The store is not open.";
    return this.#nodes === undefined ? this.#line?.trouble : this.#nodes.trouble;
  }

  /**
   * Names of runs of the server with nothing lost between them, the present one first (`lineage.ts`);
   * empty if none are known.
   */
  get runs(): string {
    return this.#lineage.runs;
  }

  /**
   * Connects.
   *
   * @throws {PushError} `unavailable` if Redis cannot be reached
   * @throws {TypeError} if `maxConnections` is too small for the Cluster
   */
  async open(): Promise<void> {
    const { Redis, Command } = await import("ioredis");
    if (this.#closing !== undefined) throw unavailable(this.trouble);
    const driver = this.#driver = { Redis, Command };
    const { commandTimeout, maxConnections } = this.#settings;
    const [clock, random] = [this.#clock, this.#random];
    const plug = this.#plug = new Plug(driver, this.#address, commandTimeout, clock, random);
    if (!this.isCluster) {
      this.#line = plug.line(undefined, {
        prepare: (redis) => this.#lineage.learn(redis),
        onLost: () => this.#changed(),
      }).start();
      await this.#line.settled();
      return;
    }
    this.#nodes = new ClusterNodes({
      plug,
      seeds: this.#address.cluster,
      peer: this.peer,
      clock,
      // Each takes a connection for commands and one for subscriptions; one more finds them.
      most: Math.floor((maxConnections - 1) / 2),
      onChange: () => this.#changed(),
    });
    await this.#nodes.open();
  }

  /**
   * Runs a script. In a Cluster all its keys must be of one slot.
   *
   * @returns what the script returned: integers as numbers, texts as strings, lists, `null`
   */
  async run(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[] = [],
  ): Promise<unknown> {
    const { text, sha } = prepare(script);
    // Made anew each time: the server may have been started again in between.
    const rest = () => [keys.length, ...keys, this.#lineage.behind(this.timeOffset), ...args];
    const slot = this.isCluster ? slotOf(keys[0]) : undefined;
    try {
      return await this.#send(slot, "evalsha", [sha, ...rest()]).catch((error) => {
        // The server has not seen it yet, or has forgotten it: a restart, a failover, SCRIPT FLUSH.
        if (replyCode(error) !== "NOSCRIPT") throw error;
        return this.#send(slot, "eval", [text, ...rest()]);
      });
    } catch (error) {
      throw failed(`script '${script.name}'`, error);
    }
  }

  /** Runs a command. In a Cluster it goes to the node that has its keys, or to any if it has none. */
  async command(name: string, ...args: Argument[]): Promise<unknown> {
    try {
      return await this.#send(this.isCluster ? this.#slot(name, args) : undefined, name, args);
    } catch (error) {
      throw failed(`'${name}'`, error);
    }
  }

  /** Runs a command on every primary; what each answered. */
  async everywhere(name: string, ...args: Argument[]): Promise<unknown[]> {
    if (this.#nodes === undefined) return [await this.command(name, ...args)];
    const nodes = this.#nodes;
    return await Promise.all(nodes.names.map(async (node) => {
      try {
        return await this.#sendTo(nodes.lineOf(node), name, args);
      } catch (error) {
        throw failed(`'${name}'`, error);
      }
    }));
  }

  // What the bus needs to know of it.

  /** Name of the server that a topic lives on; `undefined` while that is not known. */
  ownerOf(topic: string): string | undefined {
    return this.#nodes === undefined ? PRIMARY : this.#nodes.ownerOf(slotOf(topic));
  }

  /** Another line to a server, for subscriptions; `undefined` if it is no longer one. */
  subscriber(owner: string, hooks: LineHooks): Line | undefined {
    if (this.#closing !== undefined || this.#plug === undefined) return undefined;
    if (this.#nodes === undefined) return this.#plug.line(undefined, hooks);
    const endpoint: Endpoint | undefined = this.#nodes.endpointOf(owner);
    return endpoint === undefined ? undefined : this.#plug.line(endpoint, hooks);
  }

  /** Finds out soon who has which slots now. */
  look(): void {
    this.#nodes?.look();
  }

  /** Calls a listener whenever a server may have another role than before. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** Closes every connection; idempotent. What is on its way is rejected. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#watchers.clear();
    for (const end of this.#pauses) end();
    await Promise.all([this.#line?.close(), this.#nodes?.close(), this.#lineage.close()]);
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #slot(name: string, args: readonly Argument[]): number | undefined {
    const Command = this.#driver?.Command;
    if (Command === undefined) return undefined;
    const [key] = new Command(name, args.map(String)).getKeys();
    return key === undefined ? undefined : slotOf(String(key));
  }

  async #send(slot: number | undefined, name: string, args: readonly Argument[]): Promise<unknown> {
    const nodes = this.#nodes;
    if (nodes === undefined) return await this.#sendTo(this.#line, name, args);
    if (slot === undefined) return await this.#sendTo(nodes.any(), name, args);
    for (let tries = 1;; tries++) {
      const owner = nodes.ownerOf(slot);
      const asked = owner === undefined ? undefined : nodes.endpointOf(owner);
      try {
        return await this.#sendTo(
          owner === undefined ? undefined : nodes.lineOf(owner),
          name,
          args,
        );
      } catch (error) {
        const code = replyCode(error);
        if (code === "CLUSTERDOWN") nodes.look();
        if (tries === TRIES || asked === undefined) throw error;
        const elsewhere = redirection((error as Error).message, asked);
        if (code === "TRYAGAIN") {
          await this.#pause(MOVING);
        } else if (code === "MOVED" && elsewhere !== undefined) {
          nodes.moved(elsewhere.slot, elsewhere.node);
          await nodes.reach(elsewhere.node)?.settled();
        } else if (code === "ASK" && elsewhere !== undefined) {
          try {
            return await this.#askThere(nodes.reach(elsewhere.node), name, args);
          } catch (there) {
            if (replyCode(there) !== "TRYAGAIN") throw there;
            await this.#pause(MOVING);
          }
        } else {
          throw error;
        }
      }
    }
  }

  async #sendTo(line: Line | undefined, name: string, args: readonly Argument[]): Promise<unknown> {
    const redis = line?.redis;
    if (redis === undefined) throw unavailable(line?.trouble ?? this.trouble);
    try {
      return await redis.call(name, args as Argument[]);
    } catch (error) {
      // It was the primary, and is none any more: the next attempt asks who is.
      if (replyCode(error) === "READONLY") {
        line!.renew("it is a replica, not the primary");
        this.look();
      }
      throw error;
    }
  }

  /** Asks a node for keys of a slot that is on its way to it. */
  async #askThere(
    line: Line | undefined,
    name: string,
    args: readonly Argument[],
  ): Promise<unknown> {
    const redis = await line?.settled();
    if (redis === undefined) throw unavailable(this.trouble);
    // Both are written at once, so that nothing comes between them.
    const asking = redis.asking();
    const answer = redis.call(name, args as Argument[]);
    await Promise.allSettled([asking, answer]);
    return await answer;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const cancel = this.#clock.schedule(ms, end);
      this.#pauses.add(end);
    });
  }
}
