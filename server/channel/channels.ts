import { Channel } from "./channel.ts";
import type { Cancel } from "../clock.ts";
import type { HubContext } from "../context.ts";

/** Milliseconds after which a channel is dropped that nobody uses. */
const IDLE = 5_000;
/** Channels that are swept without a pause, and milliseconds of the pause: others wait meanwhile. */
const SLICE = 256;
const PAUSE = 1;

/** The channels of this node: each is there while it is used, and a little longer. */
export class Channels {
  readonly #context: HubContext;
  readonly #channels = new Map<string, Channel>();
  /** Ends the pause of a sweep. */
  #cancel: Cancel | undefined;
  #isStopped = false;

  /** @param context what every part of the hub shares */
  constructor(context: HubContext) {
    this.#context = context;
  }

  /** All that are there. */
  all(): Iterable<Channel> {
    return this.#channels.values();
  }

  /** Whether there is a channel of this name. */
  has(name: string): boolean {
    return this.#channels.has(name);
  }

  /** The channel of this name. */
  get(name: string): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new Channel(name, this.#context);
      // A request that took long finds a store that is closed: nothing is tried again.
      if (this.#isStopped) channel.stop();
      this.#channels.set(name, channel);
    }
    return channel;
  }

  /** Connections of all nodes that a channel's messages flow to. */
  subscribers(name: string): number {
    const elsewhere = this.#context.roster?.liveElsewhere(name) ?? 0;
    return (this.#channels.get(name)?.liveCount ?? 0) + elsewhere;
  }

  /** Lets go of what nobody uses; does nothing while that is under way. */
  sweep(): void {
    if (this.#cancel === undefined) this.#sweep(this.#channels.entries());
  }

  /** Stops every timer. */
  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
    for (const channel of this.#channels.values()) channel.stop();
  }

  #sweep(rest: IterableIterator<[string, Channel]>): void {
    const { clock } = this.#context;
    const now = clock.now();
    for (let swept = 0; swept < SLICE; swept++) {
      const next = rest.next();
      if (next.done) return;
      const [name, channel] = next.value;
      channel.sweep(now, IDLE);
      if (!channel.isIdle(now, IDLE)) continue;
      channel.stop();
      this.#channels.delete(name);
    }
    this.#cancel = clock.schedule(PAUSE, () => {
      this.#cancel = undefined;
      this.#sweep(rest);
    });
  }
}
