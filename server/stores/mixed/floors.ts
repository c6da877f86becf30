import type { Cancel, Clock } from "../../clock.ts";
import type { RedisKeys } from "../redis/keys.ts";
import type { RedisLink } from "../redis/link.ts";
import { NodeFloors } from "../redis/node_floors.ts";
import type { Needs } from "./needs.ts";

/** What {@linkcode Floors} are made with. */
export interface FloorsOptions {
  /** The connection. */
  readonly link: RedisLink;
  /** Names of keys. */
  readonly keys: RedisKeys;
  /** Names this node among the others. */
  readonly node: string;
  /** Milliseconds that a node counts as alive. */
  readonly lease: number;
  /** What the sessions of this node need. */
  readonly needs: Needs;
  /** Source of time, for writing behind. */
  readonly clock: Clock;
}

/** Milliseconds after which a change is told to Redis. */
const DELAY = 1_000;
/** A node is dead for this purpose after so many leases, and so many milliseconds: it is not urgent. */
const LEASES = 4;
const AT_LEAST = 60_000;
/** Channels that are listed in one step. */
const BATCH = 500;

/**
 * Tells the logs in Redis what the sessions of this node have not settled, so that it is kept for them:
 * one entry for each channel, whatever the number of sessions. Where more is needed than before it is
 * told at once, where less is needed within a second. The entries of a node that died are removed by
 * the others.
 */
export class Floors {
  readonly #options: FloorsOptions;
  readonly #floors: NodeFloors;
  readonly #lease: number;
  /** Channels that Redis has an entry of. */
  readonly #told = new Set<string>();
  /** Channels that are in Redis' list of those with an entry. */
  readonly #listed = new Set<string>();
  #lives = 0;
  #isHeld = false;
  #cancel: Cancel | undefined;
  #flushing: Promise<void> = Promise.resolve();
  #isClosed = false;
  readonly #unwatch: () => void;

  /** @param options whose needs, and where to tell them */
  constructor(options: FloorsOptions) {
    this.#options = options;
    this.#floors = new NodeFloors(options.link, options.keys);
    // A server that comes back, or stands in for another, may have lost what it was told last.
    this.#unwatch = options.link.watch(() => this.#doubt());
    this.#lease = Math.max(LEASES * options.lease, AT_LEAST);
  }

  /** Something may have changed. Resolves once what is needed more than before was told. */
  async changed(): Promise<void> {
    if (this.#isClosed) return;
    const lowered = this.#options.needs.takeLowered();
    this.#plan();
    if (lowered.length > 0) await this.#tell(lowered);
  }

  /** Tells all that has changed; what cannot be told now is told later. */
  flush(): Promise<void> {
    return this.#tell(this.#options.needs.takeChanged());
  }

  /** Keeps this node's lease, tells all that has changed, and removes what dead nodes have left. */
  async sweep(): Promise<void> {
    const over = await this.#hold();
    await this.flush();
    for (const name of over) await this.#floors.bury(name);
  }

  /** Removes everything of this node, as far as Redis can be reached; idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unwatch();
    this.#cancel?.();
    await this.#flushing;
    if (this.#isHeld) await this.#floors.bury(this.#name).catch(() => {});
  }

  /** Name of this node's entries: another one after its lease was over, as others remove the old. */
  get #name(): string {
    return `${this.#options.node}.${this.#lives}`;
  }

  #plan(): void {
    const { needs, clock } = this.#options;
    if (this.#isClosed || !needs.hasChanged) return;
    this.#cancel ??= clock.schedule(DELAY, () => {
      this.#cancel = undefined;
      this.flush();
    });
  }

  /** Tells everything again, soon. */
  #doubt(): void {
    const { needs } = this.#options;
    this.#listed.clear();
    for (const channel of needs.channels) needs.doubt(channel);
    this.#plan();
  }

  async #hold(): Promise<string[]> {
    const { had, over } = await this.#floors.hold(this.#name, this.#lease);
    if (!had && this.#isHeld) {
      this.#lives++;
      this.#isHeld = false;
      this.#told.clear();
      this.#doubt();
      return await this.#hold();
    }
    this.#isHeld = true;
    return over;
  }

  /** One after the other, so that what is told last is what is true. */
  #tell(channels: readonly string[]): Promise<void> {
    if (channels.length === 0) return this.#flushing;
    // Where Redis is away nothing is dropped there either: it is told later.
    return this.#flushing = this.#flushing.then(() => this.#tellNow(channels)).catch(() => {
      for (const channel of channels) this.#options.needs.doubt(channel);
      this.#plan();
    });
  }

  async #tellNow(channels: readonly string[]): Promise<void> {
    const { needs } = this.#options;
    if (!this.#isHeld) await this.#hold();
    const fresh = channels.filter((channel) =>
      !this.#listed.has(channel) && needs.of(channel).length > 0
    );
    // First the list of what there is to remove, so that nothing is left behind for good.
    for (let i = 0; i < fresh.length; i += BATCH) {
      const some = fresh.slice(i, i + BATCH);
      await this.#floors.list(this.#name, some);
      for (const channel of some) this.#listed.add(channel);
    }
    await Promise.all(channels.map(async (channel) => {
      const pairs = needs.of(channel);
      if (pairs.length === 0 && !this.#told.has(channel)) return;
      await this.#floors.tell(channel, this.#name, pairs);
      if (pairs.length > 0) {
        this.#told.add(channel);
      } else {
        this.#told.delete(channel);
        this.#listed.delete(channel);
        await this.#floors.unlist(this.#name, [channel]);
      }
    }));
  }
}
