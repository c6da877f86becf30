import { PushError } from "@push/client/protocol";
import type { Clock } from "../clock.ts";
import type { Store } from "../stores/store.ts";

/** What {@linkcode StoredChannels} works with. */
export interface StoredChannelsParts {
  readonly clock: Clock;
  readonly store: Pick<Store, "states" | "stats">;
  /** Most channels. */
  readonly most: number;
  /** Most characters of a name. */
  readonly longest: number;
  /** Whether this node uses a channel now, so that it was let in before. */
  isInUse(name: string): boolean;
}

/** Milliseconds after which the store is asked again how many there are, before a refusal… */
const FRESH = 1_000;
/** …and in passing, once a part of all may have come: other nodes make channels, too. */
const STALE = 5_000;
const PART = 0.01;

/**
 * Lets channels come into being, as long as the store has not too many. One that exists goes on, and
 * counts until the store forgets it.
 *
 * Between two answers of the store each name that is not in use here counts as a new channel; the store
 * is asked when these are a hundredth of all, and for each name at the limit. Nodes that share a store
 * may go past the limit by that much each, and by what they make within a few seconds.
 */
export class StoredChannels {
  readonly #parts: StoredChannelsParts;
  /** Names that the store is asked about, so that who asks first is let in first. */
  readonly #asked = new Map<string, Promise<void>>();
  #known = 0;
  /** Channels that may have come since they were counted… */
  #since = 0;
  /** …and those that were let in before, and may not have been stored by then. */
  #settling = 0;
  #countedAt = -Infinity;
  #counting: Promise<void> | undefined;

  /** @param parts what is around */
  constructor(parts: StoredChannelsParts) {
    this.#parts = parts;
  }

  /** Whether this node uses a channel now. */
  isInUse(name: string): boolean {
    return this.#parts.isInUse(name);
  }

  /**
   * Lets a channel be used.
   *
   * @returns nothing where that is known at once
   * @throws {PushError} rejects with `too_many_stored_channels`, `channel_name_too_long`; as the store
   */
  admit(name: string): Promise<void> | undefined {
    const { most, longest, clock } = this.#parts;
    if (this.#parts.isInUse(name)) return undefined;
    if (name.length > longest) {
      const refused = Promise.reject(
        new PushError(
          "channel_name_too_long",
          `A channel's name may have at most ${longest} characters (maxChannelName).`,
        ),
      );
      // Who only looks whether it is known at once asks again.
      refused.catch(() => {});
      return refused;
    }
    const asked = this.#asked.get(name);
    if (asked !== undefined) return asked;
    if (this.#sum < most) {
      // Before this one is stored. Where the store does not answer, what is wanted of it fails anyway.
      const isDue = this.#since >= PART * most && this.#isOlder(STALE, clock.now());
      if (isDue) this.#count().catch(() => {});
      this.#since++;
      return undefined;
    }
    const asking = this.#ask(name).finally(() => this.#asked.delete(name));
    // Whoever asked may be gone by then.
    asking.catch(() => {});
    this.#asked.set(name, asking);
    return asking;
  }

  async #ask(name: string): Promise<void> {
    const { store, clock, most } = this.#parts;
    const [state] = await store.states([name], clock.now());
    if (state !== undefined) return;
    if (this.#isOlder(FRESH, clock.now())) await this.#count();
    if (this.#sum >= most) {
      throw new PushError(
        "too_many_stored_channels",
        `The gateway stores ${most} channels (maxStoredChannels), and has as many.`,
      );
    }
    this.#since++;
  }

  /** Never too low for what was let in here. */
  get #sum(): number {
    return this.#known + this.#settling + this.#since;
  }

  #isOlder(age: number, now: number): boolean {
    // A clock that went back makes nothing young for ever.
    return Math.abs(now - this.#countedAt) >= age;
  }

  #count(): Promise<void> {
    return this.#counting ??= this.#doCount().finally(() => this.#counting = undefined);
  }

  async #doCount(): Promise<void> {
    const { store, clock } = this.#parts;
    const before = this.#since;
    const { channels } = await store.stats(clock.now());
    this.#known = channels;
    this.#since -= before;
    this.#settling = before;
    this.#countedAt = clock.now();
  }
}
