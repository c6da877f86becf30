import type { Json } from "@push/client/protocol";
import type { Cancel, Clock } from "../clock.ts";
import { RosterNode } from "./roster_node.ts";
import { RosterWriter } from "./roster_writer.ts";
import type { Cluster, NodeRows, RowChanges } from "../stores/cluster.ts";

/** What a roster is made of. */
export interface RosterParts {
  /** The nodes that share one store. */
  readonly cluster: Cluster;
  /** Source of time. */
  readonly clock: Clock;
  /** Called when something has failed and is tried again. */
  readonly failed?: () => void;
}

/** Hears of the rows of other nodes. Must not throw. */
export interface RosterListener {
  /**
   * A row of another node has changed; `null` if it is gone.
   *
   * @param isNews false if the row was there before this node began to listen
   */
  rowChanged(node: string, key: string, row: Json | null, isNews: boolean): void;
  /**
   * This node's rows were lost, because its lease had lapsed or the data was flushed; they are about
   * to be written anew.
   */
  ownRowsLost?(): void;
}

/** Shortest milliseconds between two renewals, unless the lease is shorter than some of them. */
const SHORTEST_RENEWAL = 1_000;
/** Milliseconds in which a rumour that is on its way arrives. */
const SETTLE = 250;
/** Milliseconds after which a renewal that failed is tried again. */
const RETRY_DELAY = 1_000;
const LIVE = "l:";
/** Key of the row by which a node says that it is about to stop. */
const LEAVING = "leaving";

/**
 * What the living nodes say of themselves, as rows: how many subscribers of a channel each has, and
 * who is present on it. Rumours keep it up to date; a comparison of versions every quarter of a
 * lease finds what was missed, and who died.
 *
 * Nothing runs before `start()` and after `stop()`.
 */
export class Roster {
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  readonly #failed: () => void;
  readonly #writer: RosterWriter;
  readonly #others = new Map<string, RosterNode>();
  readonly #live = new Map<string, number>();
  readonly #liveElsewhere = new Map<string, Map<string, number>>();
  readonly #listeners = new Set<RosterListener>();
  /** Nodes that stop, by the time at which this was heard: what they said is kept for a while. */
  readonly #leaving = new Map<string, number>();
  readonly #timers = new Set<Cancel>();
  #renewal: Cancel | undefined;
  #comparing: Promise<void> | undefined;
  #again = false;
  #state: "new" | "loading" | "running" | "stopped" = "new";

  /** @param parts what it is made of */
  constructor({ cluster, clock, failed }: RosterParts) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#failed = failed ?? (() => {});
    this.#writer = new RosterWriter(cluster, clock, {
      failed: this.#failed,
      lost: () => {
        for (const listener of this.#listeners) listener.ownRowsLost?.();
      },
    });
  }

  /** The living nodes that are known, this one among them. */
  get nodes(): string[] {
    const others = [...this.#others.keys()].filter((node) => this.isAlive(node));
    return [this.#cluster.node, ...others];
  }

  /** Whether a node lives, as far as this one knows. */
  isAlive(node: string): boolean {
    return node === this.#cluster.node || (this.#others.has(node) && !this.#leaving.has(node));
  }

  /**
   * Begins: renews the lease, and reads the rows of the other nodes. Never rejects: what fails is
   * tried again. The cluster's rumours must be heard by then.
   */
  async start(): Promise<void> {
    if (this.#state !== "new") return;
    this.#state = "loading";
    this.#writer.start();
    await this.#compare();
  }

  /**
   * Writes what waits to be written, and stops. Other nodes keep what is still set for the time of a
   * lease, in which those whom it is about come to them.
   */
  async leave(): Promise<void> {
    const wasRunning = this.#state === "loading" || this.#state === "running";
    this.stop();
    if (!wasRunning) return;
    this.#writer.set(LEAVING, true);
    await this.#writer.finish();
  }

  /** Stops every timer. */
  stop(): void {
    this.#state = "stopped";
    this.#writer.stop();
    this.#renewal?.();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  /** Listens to the rows of other nodes. */
  listen(listener: RosterListener): void {
    this.#listeners.add(listener);
  }

  /** Sets a row of this node, or removes it; written soon, gathered with others. */
  set(key: string, row: Json | null): void {
    this.#writer.set(key, row);
  }

  /** Says how many subscribers of a channel are connected to this node. */
  setLive(channel: string, count: number): void {
    if ((this.#live.get(channel) ?? 0) === count) return;
    if (count > 0) this.#live.set(channel, count);
    else this.#live.delete(channel);
    this.set(LIVE + channel, count > 0 ? count : null);
  }

  /** How many subscribers of a channel are connected to other nodes. */
  liveElsewhere(channel: string): number {
    let sum = 0;
    for (const count of this.#liveElsewhere.get(channel)?.values() ?? []) sum += count;
    return sum;
  }

  /** See {@linkcode ClusterListener.rows}. */
  rows(node: string, version: number, changes: RowChanges): void {
    if (this.#isIdle || node === this.#cluster.node) return;
    const other = this.#others.get(node) ?? this.#meet(node);
    if (!other.take(version, changes)) this.#read(other);
  }

  /** See {@linkcode ClusterListener.lapse}. */
  lapse(): void {
    if (!this.#isIdle) this.#compare();
  }

  get #isIdle(): boolean {
    return this.#state === "new" || this.#state === "stopped";
  }

  get #interval(): number {
    const { lease } = this.#cluster;
    return Math.max(lease / 4, Math.min(SHORTEST_RENEWAL, lease / 3));
  }

  #meet(node: string): RosterNode {
    const other = new RosterNode(node, this.#state !== "loading", (key, row, isNews) => {
      if (key === LEAVING && row !== null) this.#leaving.set(node, this.#clock.now());
      if (key.startsWith(LIVE)) return this.#countLive(node, key.slice(LIVE.length), row);
      for (const listener of this.#listeners) listener.rowChanged(node, key, row, isNews);
    });
    this.#others.set(node, other);
    return other;
  }

  /** A node lives no more. What one said that was stopped counts for a lease from then on. */
  #gone(other: RosterNode): void {
    const { lease } = this.#cluster;
    const since = this.#leaving.get(other.node);
    const left = since === undefined ? 0 : Math.min(since + lease - this.#clock.now(), lease);
    if (left > 0) this.#after(left, () => this.#drop(other));
    else this.#drop(other);
  }

  #drop(other: RosterNode): void {
    if (this.#others.get(other.node) !== other) return;
    this.#leaving.delete(other.node);
    this.#others.delete(other.node);
    other.clear();
  }

  #countLive(node: string, channel: string, row: Json | null): void {
    const counts = this.#liveElsewhere.get(channel) ?? new Map<string, number>();
    if (typeof row === "number" && row > 0) counts.set(node, row);
    else counts.delete(node);
    if (counts.size > 0) this.#liveElsewhere.set(channel, counts);
    else this.#liveElsewhere.delete(channel);
  }

  #compare(): Promise<void> {
    if (this.#comparing !== undefined) {
      this.#again = true;
      return this.#comparing;
    }
    this.#renewal?.();
    this.#again = false;
    return this.#comparing = this.#compareOnce().then(() => true, () => false).then((isDone) => {
      this.#comparing = undefined;
      if (this.#isIdle) return;
      if (!isDone) this.#failed();
      const wait = isDone ? this.#interval : Math.min(this.#interval, RETRY_DELAY);
      this.#renewal = this.#clock.schedule(this.#again ? 0 : wait, () => this.#compare());
    });
  }

  async #compareOnce(): Promise<void> {
    const { steps } = this.#writer;
    const before = new Map([...this.#others].map(([node, { version }]) => [node, version]));
    const versions = await this.#cluster.renew();
    if (this.#isIdle) return;
    const wasLost = this.#writer.compare(versions.get(this.#cluster.node), steps);
    const reads: Promise<void>[] = [];
    const late: [other: RosterNode, version: number][] = [];
    for (const [node, version] of versions) {
      if (node === this.#cluster.node) continue;
      const other = this.#others.get(node) ?? this.#meet(node);
      if (other.version === version) other.isKnown();
      // Where this node's rows were lost, so may be those of others, which will write theirs anew.
      else if (wasLost && version < other.version) continue;
      // A rumour that is on its way has some time to arrive; what began anew has none under way.
      else if (other.isUnknown || version < (before.get(node) ?? Infinity)) {
        reads.push(this.#read(other));
      } else if (other.version < version) late.push([other, version]);
    }
    if (!wasLost) {
      for (const node of before.keys()) {
        const other = this.#others.get(node);
        if (other !== undefined && !versions.has(node)) this.#gone(other);
      }
    }
    this.#state = "running";
    if (late.length > 0) this.#after(SETTLE, () => this.#readLate(late));
    await Promise.all(reads);
  }

  #readLate(late: readonly (readonly [other: RosterNode, version: number])[]): void {
    for (const [other, version] of late) {
      if (this.#others.get(other.node) === other && other.version < version) this.#read(other);
    }
  }

  async #read(other: RosterNode): Promise<void> {
    if (other.isReading) return;
    other.beginReading();
    let read: NodeRows | undefined;
    try {
      read = await this.#cluster.rows(other.node);
    } catch {
      // The next comparison has it read again.
      other.endReading(undefined);
      return this.#failed();
    }
    if (this.#isIdle || this.#others.get(other.node) !== other) return;
    const fits = other.endReading(read);
    if (read === undefined) this.#gone(other);
    else if (!fits) await this.#read(other);
  }

  #after(delay: number, task: () => void): void {
    const cancel = this.#clock.schedule(delay, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
  }
}
