import { assert, assertEquals } from "@std/assert";
import type { GatewayFrame, Json, JsonObject, MessageFrame, Start } from "@push/client/protocol";
import type { HubEvents } from "../../server/context.ts";
import { Dialog } from "../../server/dialog.ts";
import type { Wire } from "../../server/entry.ts";
import { Hub } from "../../server/hub.ts";
import { resolveOptions } from "../../server/options/options.ts";
import type {
  DeliverySettings,
  LimitSettings,
  PresenceSettings,
  PushSettings,
} from "../../server/options/settings.ts";
import { Policy } from "../../server/policy.ts";
import type { Session } from "../../server/session.ts";
import { MemoryStore } from "../../server/stores/memory.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import type { Cursor, Store } from "../../server/stores/store.ts";
import {
  type FrameOf,
  ManualClock,
  MemoryConnection,
  type MemoryConnectionOptions,
  seededRandom,
} from "../../server/testing/mod.ts";

/** Settings that differ from the defaults, in milliseconds. */
export interface Overrides {
  readonly delivery?: Partial<DeliverySettings>;
  readonly presence?: Partial<PresenceSettings>;
  readonly limits?: Partial<LimitSettings>;
}

/** How a client connects. */
export interface ConnectOptions extends MemoryConnectionOptions {
  /** Frames that the client understands. Default `fixed`. */
  readonly wire?: Wire;
  readonly instance?: string;
  readonly attempt?: number;
  readonly secret?: string;
  readonly sessionTtl?: number;
  readonly subscriptions?: readonly (Start & { channel: string })[];
}

/** A frame as a client says it; tests also say wrong ones. */
export type Said = { readonly type: string; readonly [member: string]: unknown };

type Operation = Exclude<keyof Store, symbol | "name" | "survives">;

/** One call of a store. */
export interface Call {
  readonly operation: Operation;
  readonly args: readonly unknown[];
}

/**
 * A store between the hub and a real one: it counts, and a test may delay or refuse what it likes.
 */
export class Interposed {
  /** How often each operation was called. */
  readonly calls: Map<Operation, number> = new Map();
  /** Awaited before a call reaches the store; the call rejects with what it throws. */
  before: ((call: Call) => Promise<void> | void) | undefined;
  /** Awaited when the store has done it, before the hub hears of it. */
  after: ((call: Call) => Promise<void> | void) | undefined;
  /** The store itself; another one may take its place. */
  target: Store;
  /** What the hub gets. */
  readonly store: Store;
  #era = 0;

  constructor(target: Store) {
    this.target = target;
    this.store = new Proxy(target, {
      get: (_, key) => {
        const value = Reflect.get(this.target, key);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => this.#call(key as Operation, args);
      },
    });
  }

  /** Forgets the counts. */
  reset(): void {
    this.calls.clear();
  }

  /** How often an operation was called. */
  count(operation: Operation): number {
    return this.calls.get(operation) ?? 0;
  }

  /** The next call of an operation rejects with this. */
  refuseOnce(operation: Operation, error: unknown): void {
    this.before = (call) => {
      if (call.operation !== operation) return;
      this.before = undefined;
      throw error;
    };
  }

  /** Calls of an operation wait until the returned function is called. */
  hold(operation: Operation): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.before;
    this.before = async (call) => {
      await before?.(call);
      if (call.operation === operation) await promise;
    };
    return () => {
      this.before = before;
      resolve();
    };
  }

  /** What is on its way arrives nowhere: neither at the store, nor back. */
  cut(): void {
    this.#era++;
  }

  async #call(operation: Operation, args: unknown[]): Promise<unknown> {
    const era = this.#era;
    this.calls.set(operation, this.count(operation) + 1);
    try {
      if (this.before !== undefined) await this.before({ operation, args });
      if (era === this.#era) {
        const method = Reflect.get(this.target, operation) as (
          ...args: unknown[]
        ) => Promise<unknown>;
        const result = await method.apply(this.target, args);
        if (this.after !== undefined) await this.after({ operation, args });
        if (era === this.#era) return result;
      }
    } catch (error) {
      if (era === this.#era) throw error;
    }
    return await new Promise(() => {});
  }
}

/** A connection that tells its owner when the gateway closes it, as a socket does. */
class Pipe extends MemoryConnection {
  onClose: (() => void) | undefined;

  override close(...how: Parameters<MemoryConnection["close"]>): void {
    if (this.closed !== undefined) return;
    super.close(...how);
    this.onClose?.();
  }
}

/** A client over an in-memory connection, with the gateway's own dialog behind it. */
export class TestClient {
  readonly connection: Pipe;
  readonly #world: World;
  readonly #dialog: Dialog;

  constructor(
    world: World,
    terms: { identity?: { subject: string }; clientId?: string },
    options: MemoryConnectionOptions = {},
  ) {
    this.#world = world;
    this.connection = new Pipe(options);
    this.#dialog = new Dialog(world.hub, world.policy, this.connection, {
      ...terms,
      onExtended: () => {},
    });
    this.connection.onClose = () => this.#dialog.closed(false);
  }

  /** Code that the gateway closed the connection with. */
  get closed(): string | undefined {
    return this.connection.closed?.code;
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
    this.#dialog.closed(false);
    this.connection.onClose = undefined;
    await this.#world.settle();
  }
  /** The client closes the connection with 1000. */
  async leave(): Promise<void> {
    this.#dialog.closed(true);
    this.connection.onClose = undefined;
    await this.#world.settle();
  }
  /** The connection takes this many messages more, and says so. */
  async drain(capacity = Infinity): Promise<void> {
    this.connection.capacity = capacity;
    this.#dialog.drained();
    await this.#world.settle();
  }
}

/** A client without a dialog. */
export interface HubClient {
  readonly session: Session;
  readonly connection: MemoryConnection;
}

/** A hub over a memory store, under a manual clock, and its clients. */
export class World {
  readonly clock: ManualClock = new ManualClock();
  readonly settings: PushSettings;
  readonly interposed: Interposed;
  readonly policy: Policy;
  hub: Hub;
  readonly #random = seededRandom(1);
  readonly #events: HubEvents | undefined;
  readonly #clients: TestClient[] = [];
  #attempts = 0;

  constructor(overrides: Overrides = {}, authToken?: string, events?: HubEvents) {
    const { push } = resolveOptions({ push: { enabled: true } });
    this.settings = {
      ...push,
      delivery: { ...push.delivery, ...overrides.delivery },
      presence: { ...push.presence, ...overrides.presence },
      limits: { ...push.limits, ...overrides.limits },
    };
    this.policy = new Policy(authToken);
    this.#events = events;
    this.interposed = new Interposed(this.freshStore());
    this.hub = this.#makeHub();
  }

  /** A store with nothing in it. */
  freshStore(): Store {
    return new MemoryStore({
      retention: retentionOf(this.settings),
      limits: storeLimitsOf(this.settings),
      random: this.#random.bytes,
    });
  }

  /** The store that the hub works with. */
  get store(): Store {
    return this.interposed.store;
  }

  /** The process ends without warning, and another one starts over the same store. */
  crash(): void {
    for (const client of this.#clients) client.connection.onClose = undefined;
    this.#clients.length = 0;
    this.interposed.cut();
    this.hub.stop();
    this.hub = this.#makeHub();
  }

  /** Everything settles that can settle without time passing. */
  settle(): Promise<void> {
    return this.clock.advance(0);
  }

  /** Time passes. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** A connection whose client has said nothing yet, but is known. */
  dial(
    clientId?: string,
    options?: MemoryConnectionOptions,
    identity: { subject: string } = { subject: "anonymous" },
  ): TestClient {
    return this.#accept({ identity, clientId }, options);
  }

  /** A connection whose client has shown no token. */
  dialAsStranger(): TestClient {
    return this.#accept({});
  }

  /** A connected client of this name; without one, the gateway mints an id. */
  async connect(name?: string, options: ConnectOptions = {}): Promise<TestClient> {
    const { wire = "fixed", instance, attempt, secret, sessionTtl, subscriptions } = options;
    if (wire === "fixed") {
      const client = this.dial(name, options);
      await client.ask({ type: "ping" }, "pong");
      return client;
    }
    const client = this.dial(undefined, options);
    client.say({
      type: "connect",
      version: 1,
      instance: instance ?? `instance ${++this.#attempts}`,
      attempt: attempt ?? 0,
      ...(name === undefined ? {} : { client_id: name }),
      ...(secret === undefined ? {} : { secret }),
      ...(sessionTtl === undefined ? {} : { session_ttl: sessionTtl }),
      ...(subscriptions === undefined ? {} : { subscriptions }),
    });
    await this.settle();
    return client;
  }

  /** A client of `@push/client`'s wire, which must be let in. */
  async extended(name?: string, options: ConnectOptions = {}): Promise<TestClient> {
    const client = await this.connect(name, { ...options, wire: "extended" });
    assertEquals(client.closed, undefined);
    assert(client.frames.some(({ type }) => type === "connected"), "The client was not let in");
    return client;
  }

  /** A client of this name that has subscribed. */
  async subscriber(
    name: string | undefined,
    channel: string,
    options: ConnectOptions = {},
  ): Promise<TestClient> {
    const client = await this.connect(name, options);
    await client.subscribe(channel);
    return client;
  }

  /** A session and its connection with no dialog between, where thousands are needed. */
  async hubClient(
    name: string,
    channel: string,
    options: MemoryConnectionOptions = {},
    start: Start = {},
    ms?: number,
  ): Promise<HubClient> {
    const connection = new MemoryConnection(options);
    const attached = this.hub.attach({
      subject: "anonymous",
      name,
      ttl: this.settings.delivery.messageTtl,
      wire: "extended",
    }, connection);
    const { session } = await attached;
    const subscribed = session.subscribe(channel, start, connection);
    if (ms !== undefined) await this.pass(ms);
    (await subscribed).start();
    return { session, connection };
  }

  /** Publishes for the program; one message for each value. */
  async publish(channel: string, ...data: Json[]): Promise<void> {
    const published = Promise.allSettled(
      data.map((each) => this.hub.publish(channel, JSON.stringify(each), {})),
    );
    await this.settle();
    for (const result of await published) if (result.status === "rejected") throw result.reason;
  }

  /** Stored position of a client that the application named. */
  async position(name: string, channel: string): Promise<Cursor | undefined> {
    const target = this.interposed.target;
    return (await target.load(`n:${name}:anonymous`, [channel], this.clock.now()))[0];
  }

  /** Ends everything; nothing may be left running. */
  async end(): Promise<void> {
    await this.settle();
    for (const client of this.#clients) {
      assertEquals(client.connection.beyondCapacity, 0, "Messages beyond the capacity");
      assertEquals(client.connection.afterClose, 0, "Frames after the close");
    }
    let isDrained = false;
    const drained = this.hub.drain().then(() => isDrained = true);
    for (let i = 0; i < 1000 && !isDrained; i++) await this.clock.advance(10);
    await drained;
    this.hub.stop();
    await this.settle();
    assertEquals(this.clock.pending, 0, "Timers are left");
  }

  #accept(
    terms: { identity?: { subject: string }; clientId?: string },
    options?: MemoryConnectionOptions,
  ): TestClient {
    const client = new TestClient(this, terms, options);
    this.#clients.push(client);
    return client;
  }

  #makeHub(): Hub {
    return new Hub({
      settings: this.settings,
      store: this.interposed.store,
      clock: this.clock,
      random: this.#random.bytes,
      events: this.#events,
    });
  }
}

/** The body of a test that has a world of its own. */
export function inWorld(
  overrides: Overrides,
  run: (world: World) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const world = new World(overrides);
    await run(world);
    await world.end();
  };
}

/** The numbers from `from` to `to`. */
export function numbers(from: number, to: number): number[] {
  return Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => from + i);
}
