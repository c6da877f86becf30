import type { Channel } from "./channel.ts";
import type { HubContext } from "../context.ts";

/** Channels of one question. */
const SLICE = 500;

/**
 * Compares what is known of followed channels with the store: the notice of a message may have been
 * lost, and with it the only word of an epoch.
 */
export class Heads {
  readonly #context: HubContext;
  readonly #channels: () => Iterable<Channel>;
  #comparing: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  /** @param channels all of this node */
  constructor(context: HubContext, channels: () => Iterable<Channel>) {
    this.#context = context;
    this.#channels = channels;
  }

  /** Compares all; who asks while that is under way gets another one after it. Never rejects. */
  compare(): Promise<void> {
    this.#again = this.#comparing !== undefined;
    return this.#comparing ??= this.#compare().finally(() => {
      this.#comparing = undefined;
      if (this.#again) this.compare();
    });
  }

  /** Asks nothing more. */
  stop(): void {
    this.#stopped = true;
  }

  async #compare(): Promise<void> {
    const { store, clock, metrics } = this.#context;
    const followed = [...this.#channels()].filter(({ isFollowed }) => isFollowed);
    for (let at = 0; at < followed.length && !this.#stopped; at += SLICE) {
      const slice = followed.slice(at, at + SLICE);
      const epochs = slice.map(({ epoch }) => epoch);
      try {
        const states = await store.states(slice.map(({ name }) => name), clock.now());
        slice.forEach((channel, i) => channel.compare(states[i], epochs[i]));
      } catch {
        metrics.clusterErrors++;
      }
    }
  }
}
