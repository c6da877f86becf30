import type { Redis } from "ioredis";
import type { Cancel, Clock } from "../../clock.ts";
import { type Endpoint, textOf } from "./link_address.ts";
import { unavailable } from "./link_errors.ts";
import type { Line } from "./link_line.ts";
import type { LineHooks, Plug } from "./link_plug.ts";
import { rangesOf, type SlotRange, SLOTS } from "./link_slots.ts";

/** A primary of the Cluster, and the line for commands to it. */
interface Node {
  readonly endpoint: Endpoint;
  readonly line: Line;
}

/** What {@linkcode ClusterNodes} is made with. */
export interface ClusterNodesOptions {
  /** Makes the lines. */
  readonly plug: Plug;
  /** Nodes to ask first, and again whenever no other is left. */
  readonly seeds: readonly Endpoint[];
  /** How errors call the Cluster. */
  readonly peer: string;
  /** Source of time. */
  readonly clock: Clock;
  /** Lines for commands that there may be at most. */
  readonly most: number;
  /** Told whenever other nodes have the slots than before. */
  onChange(): void;
}

/** Milliseconds between two looks at who has which slots: all being well… */
const CALM = 15_000;
/** …and while a node cannot be reached, or one has said that a slot moved. */
const ALARM = 500;
/** What is noticed together is looked at once. */
const SOON = 1;

/** The primaries of a Redis Cluster, each with a line for commands, and who has which slot. */
export class ClusterNodes {
  readonly #options: ClusterNodesOptions;
  readonly #nodes = new Map<string, Node>();
  readonly #owners: (string | undefined)[] = new Array(SLOTS).fill(undefined);
  #ranges: readonly SlotRange[] = [];
  #cancelLook: Cancel | undefined;
  #looking: Promise<void> | undefined;
  #isSoon = false;
  #seed: Line | undefined;
  #why: string | undefined;
  #tooMany: string | undefined;
  #isClosed = false;
  readonly #leaving = new Set<Promise<void>>();

  /** @param options whom to ask, and how to reach them */
  constructor(options: ClusterNodesOptions) {
    this.#options = options;
  }

  /**
   * Finds the nodes and connects to all primaries.
   *
   * @throws {PushError} `unavailable` if none answers
   * @throws {TypeError} if there are more than may be connected to
   */
  async open(): Promise<void> {
    await this.#look();
    if (this.#ranges.length === 0) throw unavailable(this.trouble);
    if (this.#tooMany !== undefined) throw new TypeError(this.#tooMany);
    await Promise.all(Array.from(this.#nodes.values(), ({ line }) => line.settled()));
    this.#plan();
  }

  /** Why some commands fail, as a sentence; `undefined` if none do. */
  get trouble(): string | undefined {
    if (this.#ranges.length === 0) {
      return this.#why ?? `${this.#options.peer} is not connected yet.`;
    }
    if (this.#tooMany !== undefined) return this.#tooMany;
    for (const { line } of this.#nodes.values()) {
      if (line.trouble !== undefined) return line.trouble;
    }
    return undefined;
  }

  /** Names of the primaries. */
  get names(): string[] {
    return [...this.#nodes.keys()];
  }

  /** Name of the node that has a slot; `undefined` while that is not known. */
  ownerOf(slot: number): string | undefined {
    return this.#owners[slot];
  }

  /** Address of a node. */
  endpointOf(name: string): Endpoint | undefined {
    return this.#nodes.get(name)?.endpoint;
  }

  /** Line to a node. */
  lineOf(name: string): Line | undefined {
    return this.#nodes.get(name)?.line;
  }

  /** A node that can be asked, whichever. */
  any(): Line | undefined {
    for (const { line } of this.#nodes.values()) if (line.redis !== undefined) return line;
    return undefined;
  }

  /** A node has said that another one has a slot. */
  moved(slot: number, endpoint: Endpoint): void {
    const name = textOf(endpoint);
    const isNews = this.#owners[slot] !== name;
    this.#reach(endpoint);
    this.#owners[slot] = name;
    if (isNews) this.#options.onChange();
    this.look();
  }

  /** Line to a node that may be new; `undefined` if that were one too many. */
  reach(endpoint: Endpoint): Line | undefined {
    return this.#reach(endpoint);
  }

  /** Finds out soon who has which slots now. */
  look(): void {
    if (this.#isClosed || this.#looking !== undefined || this.#isSoon) return;
    this.#cancelLook?.();
    this.#isSoon = true;
    this.#cancelLook = this.#options.clock.schedule(SOON, () => this.#lookAgain());
  }

  /** Closes every line. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelLook?.();
    const lines = Array.from(this.#nodes.values(), ({ line }) => line.close());
    await Promise.all([...lines, this.#seed?.close(), ...this.#leaving]);
    await this.#looking?.catch(() => {});
  }

  #lookAgain(): void {
    this.#isSoon = false;
    this.#look().catch(() => {}).finally(() => this.#plan());
  }

  #plan(): void {
    if (this.#isClosed || this.#isSoon) return;
    this.#cancelLook?.();
    const wait = this.trouble === undefined ? CALM : ALARM;
    this.#cancelLook = this.#options.clock.schedule(wait, () => this.#lookAgain());
  }

  #look(): Promise<void> {
    return this.#looking ??= this.#ask().finally(() => this.#looking = undefined);
  }

  async #ask(): Promise<void> {
    for (const { line, endpoint } of this.#nodes.values()) {
      const { redis } = line;
      if (redis !== undefined && await this.#learn(redis, endpoint)) return;
    }
    // No node that is known answers: those that the settings name know where the others are.
    for (const endpoint of this.#options.seeds) {
      if (this.#isClosed) return;
      const seed = this.#seed = this.#options.plug.line(endpoint).start();
      try {
        if (await this.#learn(await seed.settled(), endpoint)) {
          this.#seed = undefined;
          return;
        }
      } catch {
        // The next one is asked.
        this.#why = seed.trouble;
      } finally {
        await seed.close();
      }
    }
  }

  /** Asks a node who has which slots; returns whether it knew. */
  async #learn(redis: Redis, endpoint: Endpoint): Promise<boolean> {
    try {
      const ranges = rangesOf(await redis.call("cluster", "slots"), endpoint);
      if (ranges.length === 0) return false;
      this.#adopt(ranges);
      return true;
    } catch (error) {
      this.#why = `Redis at ${textOf(endpoint)} knows no Cluster: ${(error as Error).message}.`;
      return false;
    }
  }

  #adopt(ranges: readonly SlotRange[]): void {
    if (this.#isClosed) return;
    this.#tooMany = undefined;
    this.#ranges = ranges;
    const wanted = new Set<string>();
    const owners = new Array<string | undefined>(SLOTS).fill(undefined);
    for (const { from, to, node } of ranges) {
      wanted.add(textOf(node));
      owners.fill(textOf(node), from, to + 1);
    }
    for (const [name, { line }] of this.#nodes) {
      if (wanted.has(name)) continue;
      this.#nodes.delete(name);
      const left = line.close().finally(() => this.#leaving.delete(left));
      this.#leaving.add(left);
    }
    for (const { node } of ranges) this.#reach(node);
    const isNews = owners.some((name, slot) => name !== this.#owners[slot]);
    owners.forEach((name, slot) => this.#owners[slot] = name);
    if (isNews) this.#options.onChange();
  }

  #reach(endpoint: Endpoint): Line | undefined {
    const name = textOf(endpoint);
    const known = this.#nodes.get(name);
    if (known !== undefined) return known.line;
    const { plug, most, peer } = this.#options;
    if (this.#nodes.size >= most) {
      this.#tooMany = `Cannot use ${peer}: it has more than ${most} primaries. Each takes two ` +
        "connections, and one is for finding them: raise 'push.redis.maxConnections'.";
      return undefined;
    }
    const hooks: LineHooks = { onLost: () => this.look() };
    const line = plug.line(endpoint, hooks).start();
    this.#nodes.set(name, { endpoint, line });
    return line;
  }
}
