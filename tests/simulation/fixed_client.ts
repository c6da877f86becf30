import { assert } from "@std/assert";
import {
  type GatewayFrame,
  type Json,
  type MessageFrame,
  parseEventId,
} from "@push/client/protocol";
import type { Cancel } from "../../server/clock.ts";
import type { Network, SimulatedSocket } from "./network.ts";

/** Who hears what a {@linkcode FixedClient} is sent. */
export interface FixedHandlers {
  /** Handles a message; what is rejected was not handled. */
  handle(channel: string, data: Json, redelivered: boolean): Promise<void>;
  /** Messages of a channel are gone. */
  gap(channel: string): void;
}

/** What a gateway may say to somebody who never asked for more. */
const SPOKEN = new Set([
  ...["channel.subscribed", "channel_message", "ack_received", "nack_received"],
  ...["presence_join", "presence_leave", "presence_update"],
]);
/** Milliseconds between two pings; as many without an answer as are waited for, and it is dead. */
const PING = 1500;
const PATIENCE = 3;
/** Milliseconds before the next try to connect. */
const PAUSE = 300;

/**
 * A named client of the fixed wire as others write it: it subscribes, acknowledges each message once
 * it is handled, refuses what it could not handle, and comes back when its connection ends. What it
 * has handled it does not handle again.
 *
 * It is strict: what was acknowledged for certain must not come again, nor may anything that the fixed
 * wire does not have.
 */
export class FixedClient {
  readonly #network: Network;
  readonly #name: string;
  readonly #channels: readonly string[];
  readonly #handlers: FixedHandlers;
  /** Event ids, and whether their handling has ended well. */
  readonly #handled = new Map<string, boolean>();
  /** Acknowledged, and the gateway has said so. */
  readonly #settled = new Set<string>();
  readonly #awaited: Set<string>;
  readonly #whole = Promise.withResolvers<void>();
  #socket: SimulatedSocket | undefined;
  /** One whose gateway has crashed, and that does not know it yet. */
  #lost: SimulatedSocket | undefined;
  #cancel: Cancel | undefined;
  #unanswered = 0;
  #isDone = false;

  constructor(
    network: Network,
    name: string,
    channels: readonly string[],
    handlers: FixedHandlers,
  ) {
    this.#network = network;
    this.#name = name;
    this.#channels = channels;
    this.#handlers = handlers;
    this.#awaited = new Set(channels);
  }

  /** Connects; resolves once it is subscribed. */
  connect(): Promise<void> {
    this.#open();
    return this.#whole.promise;
  }

  /** Ends. */
  disconnect(): Promise<void> {
    this.#isDone = true;
    this.#cancel?.();
    this.#socket?.close();
    this.#socket = undefined;
    return Promise.resolve();
  }

  /** A crash may forget what was acknowledged before it: nothing of that is certain any more. */
  gatewayCrashed(): void {
    this.#settled.clear();
    this.#lost = this.#socket;
  }

  #open(): void {
    const socket = new this.#network.WebSocket(`ws://gateway/ws?client_id=${this.#name}`);
    this.#socket = socket;
    this.#unanswered = 0;
    socket.onopen = () => {
      for (const channel of this.#channels) this.#say({ type: "channel.subscribe", channel });
    };
    socket.onmessage = ({ data }) => {
      if (this.#socket === socket) this.#hear(data);
    };
    socket.onclose = () => this.#ended(socket);
    this.#watch(socket);
  }

  #watch(socket: SimulatedSocket): void {
    this.#cancel = this.#network.clock.schedule(PING, () => {
      if (this.#unanswered++ === PATIENCE) {
        socket.close();
        return this.#ended(socket);
      }
      this.#say({ type: "ping" });
      this.#watch(socket);
    });
  }

  #ended(socket: SimulatedSocket): void {
    if (this.#socket !== socket || this.#isDone) return;
    this.#socket = undefined;
    this.#cancel?.();
    this.#cancel = this.#network.clock.schedule(PAUSE, () => this.#open());
  }

  #hear(text: string): void {
    this.#unanswered = 0;
    const frame: GatewayFrame | GatewayFrame[] = JSON.parse(text);
    assert(!Array.isArray(frame), `The fixed wire was sent an array: ${text}`);
    if (frame.type === "pong") return;
    if (frame.type === "error") {
      assert(frame.code === "gap" && frame.channel !== undefined, `An error came: ${text}`);
      return this.#handlers.gap(frame.channel);
    }
    assert(SPOKEN.has(frame.type) && !("request_id" in frame), `The fixed wire was sent ${text}`);
    if (frame.type === "channel.subscribed") this.#subscribed(frame.channel);
    if (frame.type === "ack_received" && frame.ok && this.#socket !== this.#lost) {
      this.#settled.add(frame.event_id);
    }
    if (frame.type === "channel_message") this.#take(frame);
  }

  #subscribed(channel: string): void {
    this.#awaited.delete(channel);
    if (this.#awaited.size === 0) this.#whole.resolve();
  }

  #take({ channel, data, event_id, _redelivered, ...more }: MessageFrame): void {
    assert(parseEventId(event_id)?.channel === channel, `${event_id} is not of ${channel}`);
    assert(!("seq" in more), `The fixed wire was sent ${JSON.stringify(more)}`);
    assert(!this.#settled.has(event_id), `${event_id} came after its acknowledgement`);
    const isHandled = this.#handled.get(event_id);
    if (isHandled === undefined) void this.#handle(channel, data, event_id, _redelivered === true);
    // What is being handled still is acknowledged then.
    else if (isHandled) this.#say({ type: "message_ack", event_id });
  }

  async #handle(channel: string, data: Json, id: string, redelivered: boolean): Promise<void> {
    this.#handled.set(id, false);
    try {
      await this.#handlers.handle(channel, data, redelivered);
      this.#handled.set(id, true);
      this.#say({ type: "message_ack", event_id: id });
    } catch {
      this.#handled.delete(id);
      this.#say({ type: "message_nack", event_id: id });
    }
  }

  #say(frame: { readonly type: string; readonly [member: string]: string }): void {
    this.#socket?.send(JSON.stringify(frame));
  }
}
