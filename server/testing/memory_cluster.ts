import { type Json, type JsonObject, PushError } from "@push/client/protocol";
import { type Clock, randomId } from "../clock.ts";
import type {
  Cluster,
  ClusterListener,
  LogNotice,
  NodeRows,
  RowChanges,
  Stop,
} from "../stores/cluster.ts";
import type { AppendResult, Store } from "../stores/store.ts";
import type { SeededRandom } from "./seeded_random.ts";

/** What befalls the rumours between nodes; each is drawn for each receiver. */
export interface Rumours {
  /** Share of them that is lost, 0 to 1. */
  readonly loss: number;
  /** Share of them that arrives twice, 0 to 1. */
  readonly repeats: number;
  /** Milliseconds that each takes; 0 arrives at the end of the turn. */
  readonly delay: number;
  /** Up to so many milliseconds more, so that they overtake each other. */
  readonly jitter: number;
}

/** Options of {@linkcode MemoryCluster}. */
export interface MemoryClusterOptions {
  /** Source of time. */
  readonly clock: Clock;
  /** Names the nodes, and draws what befalls the rumours. */
  readonly random: SeededRandom;
  /** Milliseconds that a node counts as alive after it renewed its lease. Default 10 000. */
  readonly lease?: number;
  /** Whether the nodes share sessions and positions. Default true. */
  readonly sharesSessions?: boolean;
}

interface Table {
  until: number;
  version: number;
  readonly rows: Map<string, Json>;
}

const DEFAULT_LEASE = 10_000;
/** Bytes of payload that a notice carries at most; larger messages are read from the log. */
const MAX_NOTICE = 64 * 1024;
const WELL: Rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };

/**
 * Several nodes in one process, for tests: what each of them says to the others can be lost,
 * doubled, late or out of order, and each can be cut off or killed. All of it repeats with the seed.
 *
 * The nodes share a store by making handles on the same data, each wrapped by
 * {@linkcode MemoryNode.clustered}, which tells the others of what is appended.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ManualClock, MemoryCluster, seededRandom } from "@push/gateway/testing";
 *
 * const clock = new ManualClock();
 * const cluster = new MemoryCluster({ clock, random: seededRandom(1), lease: 10_000 });
 * const [one, two] = [cluster.join(), cluster.join()];
 * await one.renew();
 * await one.write(new Map([["colour", "red"]]));
 * assertEquals((await two.rows(one.node))?.rows.get("colour"), "red");
 *
 * one.kill();
 * await clock.advance(10_000);
 * assertEquals(await two.rows(one.node), undefined);
 * ```
 */
export class MemoryCluster {
  /** Milliseconds that a node counts as alive after it renewed its lease. */
  readonly lease: number;
  /** Whether the nodes share sessions and positions. */
  readonly sharesSessions: boolean;
  /** What befalls rumours from now on. Default: they arrive, in order, at the end of the turn. */
  rumours: Rumours = WELL;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #nodes = new Map<string, MemoryNode>();
  readonly #tables = new Map<string, Table>();
  readonly #kept = new Map<string, Kept>();

  /**
   * Makes a cluster without nodes.
   *
   * @param options time, chance and the length of a lease
   */
  constructor({ clock, random, lease, sharesSessions }: MemoryClusterOptions) {
    this.#clock = clock;
    this.#random = random;
    this.lease = lease ?? DEFAULT_LEASE;
    this.sharesSessions = sharesSessions ?? true;
  }

  /** Adds a node, which lives once it has renewed its lease. */
  join(): MemoryNode {
    const node: MemoryNode = new MemoryNode(this, randomId(this.#random.bytes), {
      tables: this.#living,
      kept: this.#texts,
      clock: this.#clock,
      spread: (deliver, to) => this.#spread(deliver, to),
    });
    this.#nodes.set(node.node, node);
    return node;
  }

  /** Whether a node has renewed its lease in time, and has not left. */
  isAlive(node: string): boolean {
    return this.#living().has(node);
  }

  /** Loses all rows, leases and kept texts, as an engine does whose data is flushed. */
  flush(): void {
    this.#tables.clear();
    this.#kept.clear();
  }

  readonly #living = (): Map<string, Table> => {
    const now = this.#clock.now();
    for (const [node, { until }] of this.#tables) if (until <= now) this.#tables.delete(node);
    return this.#tables;
  };

  readonly #texts = (): Map<string, Kept> => {
    const now = this.#clock.now();
    for (const [name, { until }] of this.#kept) if (until <= now) this.#kept.delete(name);
    return this.#kept;
  };

  /** Hands a rumour to one node or to all; what befalls it is drawn for each of them. */
  #spread(deliver: (to: MemoryNode) => void, to: string | null): void {
    const { loss, repeats, delay, jitter } = this.rumours;
    for (const [name, node] of this.#nodes) {
      if (to !== null && to !== name) continue;
      // Drawn only where asked for, so that a quiet cluster draws nothing.
      if (loss > 0 && this.#random.next() < loss) continue;
      const times = repeats > 0 && this.#random.next() < repeats ? 2 : 1;
      for (let i = 0; i < times; i++) {
        const late = jitter > 0 ? this.#random.below(jitter + 1) : 0;
        this.#clock.schedule(delay + late, () => deliver(node));
      }
    }
  }
}

/** What a node shares with the others. */
interface Kept {
  readonly text: string;
  readonly until: number;
  readonly version: number;
}

interface Shared {
  readonly clock: Clock;
  tables(): Map<string, Table>;
  kept(): Map<string, Kept>;
  spread(deliver: (to: MemoryNode) => void, to: string | null): void;
}

/** One node of a {@linkcode MemoryCluster}. */
export class MemoryNode implements Cluster {
  /** Its name: random. */
  readonly node: string;
  readonly #cluster: MemoryCluster;
  readonly #shared: Shared;
  readonly #followers = new Map<string, Set<(notice: LogNotice) => void>>();
  #listener: ClusterListener | undefined;
  #state: "well" | "cut off" | "dead" = "well";

  /** For {@linkcode MemoryCluster.join} alone. */
  constructor(cluster: MemoryCluster, node: string, shared: Shared) {
    this.#cluster = cluster;
    this.node = node;
    this.#shared = shared;
  }

  /** Milliseconds that a node counts as alive after it renewed its lease. */
  get lease(): number {
    return this.#cluster.lease;
  }
  /** Whether sessions and positions are shared. */
  get sharesSessions(): boolean {
    return this.#cluster.sharesSessions;
  }

  /**
   * A store that tells the cluster of what is appended through it, and rejects with `unavailable`
   * while the node is cut off. Disposing it makes the node leave.
   *
   * @param store this node's handle on the data that the nodes share
   */
  clustered(store: Store): Store {
    return new Proxy(store, {
      get: (target, name) => {
        if (name === "cluster") return this;
        if (name === "trouble" && this.#state !== "well") return TROUBLE;
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        if (name === Symbol.asyncDispose) {
          return async () => {
            if (this.#state === "well") this.#shared.tables().delete(this.node);
            this.kill();
            await target[Symbol.asyncDispose]();
          };
        }
        return async (...values: unknown[]) => {
          this.#reach();
          const result = await value.apply(target, values);
          if (name === "append") this.#tell(values[0] as string, result);
          return result;
        };
      },
    });
  }

  /** Whether it is neither cut off nor dead. */
  get isWell(): boolean {
    return this.#state === "well";
  }

  /** Cuts the node off: its operations reject with `unavailable`, and it hears nothing. */
  cut(): void {
    if (this.#state === "well") this.#state = "cut off";
  }

  /** Ends that; the node is told that it may have missed something. */
  heal(): void {
    if (this.#state !== "cut off") return;
    this.#state = "well";
    this.#shared.clock.schedule(0, () => this.#listener?.lapse());
  }

  /** The node's process dies: nothing works any more, and its lease and rows lapse in time. */
  kill(): void {
    this.#state = "dead";
    this.#listener = undefined;
    this.#followers.clear();
  }

  /** Listens to other nodes (see {@linkcode Cluster.listen}). */
  listen(listener: ClusterListener): Promise<Stop> {
    return this.#do(() => {
      this.#listener = listener;
      return () => {
        if (this.#listener === listener) this.#listener = undefined;
      };
    });
  }

  /** Follows a channel (see {@linkcode Cluster.follow}). */
  follow(channel: string, listener: (notice: LogNotice) => void): Promise<Stop> {
    return this.#do(() => {
      let followers = this.#followers.get(channel);
      if (followers === undefined) this.#followers.set(channel, followers = new Set());
      followers.add(listener);
      return () => {
        followers.delete(listener);
        if (followers.size === 0 && this.#followers.get(channel) === followers) {
          this.#followers.delete(channel);
        }
      };
    });
  }

  /** Sends a note (see {@linkcode Cluster.send}). */
  send(to: string | null, note: JsonObject): Promise<void> {
    return this.#do(() => {
      const text = JSON.stringify(note);
      this.#shared.spread((node) => {
        if (to === null && node === this) return;
        node.#hear((listener) => listener.note(this.node, JSON.parse(text)));
      }, to);
    });
  }

  /** Keeps this node's lease (see {@linkcode Cluster.renew}). */
  renew(): Promise<ReadonlyMap<string, number>> {
    return this.#do(() => {
      this.#table().until = this.#shared.clock.now() + this.lease;
      return new Map([...this.#shared.tables()].map(([node, { version }]) => [node, version]));
    });
  }

  /** Changes rows (see {@linkcode Cluster.write}). A lease that has lapsed begins anew. */
  write(changes: RowChanges): Promise<number> {
    return this.#do(() => {
      const table = this.#table();
      // What others get is a copy, as it would be over a wire.
      const entries: [string, Json][] = JSON.parse(JSON.stringify([...changes]));
      for (const [key, row] of entries) {
        if (row === null) table.rows.delete(key);
        else table.rows.set(key, row);
      }
      const version = ++table.version;
      const told = new Map(entries);
      this.#shared.spread((node) => {
        node.#hear((listener) => listener.rows(this.node, version, told));
      }, null);
      return version;
    });
  }

  /** Rows of a node (see {@linkcode Cluster.rows}). */
  rows(node: string): Promise<NodeRows | undefined> {
    return this.#do(() => {
      const table = this.#shared.tables().get(node);
      return table && { version: table.version, rows: new Map(table.rows) };
    });
  }

  /** Keeps a text (see {@linkcode Cluster.keep}). */
  keep(name: string, text: string, ttl: number, version = 0): Promise<boolean> {
    return this.#do(() => {
      const texts = this.#shared.kept();
      if ((texts.get(name)?.version ?? 0) > version) return false;
      texts.set(name, { text, until: this.#shared.clock.now() + ttl, version });
      return true;
    });
  }

  /** The text that was kept (see {@linkcode Cluster.kept}). */
  kept(name: string): Promise<string | undefined> {
    return this.#do(() => this.#shared.kept().get(name)?.text);
  }

  /** Takes the text that was kept (see {@linkcode Cluster.take}). */
  take(name: string): Promise<string | undefined> {
    return this.#do(() => {
      const texts = this.#shared.kept();
      const text = texts.get(name)?.text;
      texts.delete(name);
      return text;
    });
  }

  /** Keeps it no longer (see {@linkcode Cluster.drop}). */
  drop(name: string): Promise<void> {
    return this.#do(() => {
      this.#shared.kept().delete(name);
    });
  }

  /** Does nothing at once; what is thrown becomes a rejection. */
  async #do<T>(task: () => T): Promise<T> {
    this.#reach();
    await undefined;
    return task();
  }

  #reach(): void {
    if (this.#state !== "well") throw new PushError("unavailable", TROUBLE);
  }

  #hear(tell: (listener: ClusterListener) => void): void {
    if (this.#state === "well" && this.#listener !== undefined) tell(this.#listener);
  }

  #tell(channel: string, { epoch, head, oldest, earlier, messages }: AppendResult): void {
    if (messages.length === 0) return;
    const bytes = messages.reduce((sum, message) => sum + message.bytes, 0);
    const state = { epoch, head, oldest, ...(earlier === undefined ? {} : { earlier }) };
    const notice = { ...state, messages: bytes > MAX_NOTICE ? [] : [...messages] };
    this.#shared.spread((node) => {
      if (node.#state !== "well") return;
      for (const listener of node.#followers.get(channel) ?? []) listener(notice);
    }, null);
  }

  #table(): Table {
    const tables = this.#shared.tables();
    let table = tables.get(this.node);
    if (table === undefined) {
      table = { until: this.#shared.clock.now() + this.lease, version: 0, rows: new Map() };
      tables.set(this.node, table);
    }
    return table;
  }
}

const TROUBLE = "The node is cut off from the others.";
