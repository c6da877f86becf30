import { Channel } from "./channel.ts";
import type { HubContext } from "../context.ts";

/** Milliseconds after which a channel is dropped that nobody uses. */
const IDLE = 5_000;

/** The channels of this node: each is there while it is used, and a little longer. */
export class Channels {
  readonly #context: HubContext;
  readonly #channels = new Map<string, Channel>();

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
      this.#channels.set(name, channel);
    }
    return channel;
  }

  /** Connections of all nodes that a channel's messages flow to. */
  subscribers(name: string): number {
    const elsewhere = this.#context.roster?.liveElsewhere(name) ?? 0;
    return (this.#channels.get(name)?.liveCount ?? 0) + elsewhere;
  }

  /** Lets go of what nobody uses. */
  sweep(): void {
    const now = this.#context.clock.now();
    for (const [name, channel] of this.#channels) {
      channel.sweep(now, IDLE);
      if (!channel.isIdle(now, IDLE)) continue;
      channel.stop();
      this.#channels.delete(name);
    }
  }

  /** Stops every timer. */
  stop(): void {
    for (const channel of this.#channels.values()) channel.stop();
  }
}
