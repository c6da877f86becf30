import type { GatewayFrame, Json, JsonObject, MessageFrame, Start } from "@push/client/protocol";
import { Dialog } from "../../server/dialog/dialog.ts";
import type { Hub } from "../../server/hub.ts";
import type { Identity } from "../../server/access/identity.ts";
import type { Authenticator } from "../../server/access/authenticator.ts";
import {
  type FrameOf,
  MemoryConnection,
  type MemoryConnectionOptions,
} from "../../server/testing/mod.ts";

/** A frame as a client says it; tests also say wrong ones. */
export type Said = { readonly type: string; readonly [member: string]: unknown };

/** A connection that tells its owner when the gateway closes it, as a socket does. */
class Pipe extends MemoryConnection {
  onClose: (() => void) | undefined;

  override close(...how: Parameters<MemoryConnection["close"]>): void {
    if (this.closed !== undefined) return;
    super.close(...how);
    this.onClose?.();
  }
}

/** What a client needs of its world. */
export interface Surroundings {
  readonly hub: Hub;
  readonly authenticator: Authenticator;
  /** Everything settles that can settle without time passing. */
  settle(): Promise<void>;
}

/** A client over an in-memory connection, with the gateway's own dialog behind it. */
export class TestClient {
  readonly connection: Pipe;
  readonly #world: Surroundings;
  readonly #dialog: Dialog;
  #isGone = false;

  constructor(
    world: Surroundings,
    terms: { identity?: Identity; clientId?: string },
    options: MemoryConnectionOptions = {},
  ) {
    this.#world = world;
    this.connection = new Pipe(options);
    this.#dialog = new Dialog(world.hub, world.authenticator, this.connection, {
      ...terms,
      onExtended: () => {},
    });
    this.connection.onClose = () => this.#dialog.closed(1006, false);
  }

  /** Code that the gateway closed the connection with. */
  get closed(): string | undefined {
    return this.connection.closed?.code;
  }
  /** Whether the client has ended the connection. */
  get isGone(): boolean {
    return this.#isGone;
  }
  /** Every frame so far. */
  get frames(): GatewayFrame[] {
    return this.connection.frames;
  }
  /** Every message so far. */
  get messages(): MessageFrame[] {
    return this.frames.filter((frame) => frame.type === "channel_message");
  }
  /** Payloads of every message so far. */
  get data(): Json[] {
    return this.messages.map(({ data }) => data);
  }
  /** Messages that were not taken before. */
  take(): MessageFrame[] {
    return this.connection.take("channel_message");
  }
  /** Payloads of the messages that were not taken before. */
  takeData(): Json[] {
    return this.take().map(({ data }) => data);
  }
  /** Error codes so far. */
  get errors(): string[] {
    return this.frames.filter((frame) => frame.type === "error").map(({ code }) => code);
  }

  /** Says one frame, or several as a batch, and waits for nothing. */
  say(...frames: Said[]): void {
    this.sayText(JSON.stringify(frames.length === 1 ? frames[0] : frames));
  }
  /** Says any text. */
  sayText(text: string): void {
    this.#dialog.receive(text);
  }
  /** Sends something that is no text. */
  sayBinary(): void {
    this.#dialog.receiveBinary();
  }
  /** Says a frame, and waits for the answer of this type. */
  async ask<T extends GatewayFrame["type"]>(
    frame: Said,
    answer: T,
  ): Promise<FrameOf<T>> {
    const reply = this.connection.next(answer);
    this.say(frame);
    await this.#world.settle();
    return reply;
  }

  subscribe(channel: string, start: Start = {}): Promise<FrameOf<"channel.subscribed">> {
    return this.ask({ type: "channel.subscribe", channel, ...start }, "channel.subscribed");
  }
  unsubscribe(channel: string): Promise<FrameOf<"channel.unsubscribed">> {
    return this.ask({ type: "channel.unsubscribe", channel }, "channel.unsubscribed");
  }
  publish(
    channel: string,
    data: Json,
    options: { id?: string; echo?: boolean } = {},
  ): Promise<FrameOf<"channel.published">> {
    return this.ask({ type: "channel.publish", channel, data, ...options }, "channel.published");
  }
  /** Acknowledges by event id; resolves to whether that counted. */
  async ack(message: MessageFrame): Promise<boolean> {
    const { event_id } = message;
    return (await this.ask({ type: "message_ack", event_id }, "ack_received")).ok;
  }
  /** Refuses by event id; resolves to whether that counted. */
  async nack(message: MessageFrame, delay?: number): Promise<boolean> {
    const frame = { type: "message_nack", event_id: message.event_id };
    return (await this.ask(delay === undefined ? frame : { ...frame, delay }, "nack_received")).ok;
  }
  /** Acknowledges by position (extended wire only). */
  async ackUpTo(message: MessageFrame): Promise<void> {
    const { channel, epoch, seq } = message;
    this.say({ type: "ack", acks: [{ channel, epoch, upto: seq }] });
    await this.#world.settle();
  }
  heartbeat(status?: string, metadata?: JsonObject): Promise<FrameOf<"presence.heartbeat_ack">> {
    return this.ask({
      type: "presence.heartbeat",
      ...(status === undefined ? {} : { status }),
      ...(metadata === undefined ? {} : { metadata }),
    }, "presence.heartbeat_ack");
  }
  async presence(channel: string | null = null): Promise<FrameOf<"presence.list">["clients"]> {
    return (await this.ask({ type: "presence.query", channel }, "presence.list")).clients;
  }

  /** The connection breaks. */
  async drop(): Promise<void> {
    this.#isGone = true;
    this.#dialog.closed(1006);
    await this.#world.settle();
  }
  /** The client closes the connection with 1000. */
  async leave(): Promise<void> {
    this.#isGone = true;
    this.#dialog.closed(1000);
    await this.#world.settle();
  }
  /** The connection takes this many messages more, and says so. */
  async drain(capacity = Infinity): Promise<void> {
    this.connection.capacity = capacity;
    this.#dialog.drained();
    await this.#world.settle();
  }
}
