import { assert, assertEquals } from "@std/assert";
import type { Json, Start } from "@push/client/protocol";
import type { HubEvents } from "../../server/context.ts";
import type { Wire } from "../../server/channel/entry.ts";
import { Hub } from "../../server/hub.ts";
import { resolveOptions } from "../../server/options/options.ts";
import type {
  DeliverySettings,
  LimitSettings,
  PresenceSettings,
  PushSettings,
} from "../../server/options/settings.ts";
import { Authenticator } from "../../server/access/authenticator.ts";
import { Authorization, type Authorize } from "../../server/access/authorization.ts";
import type { Rule } from "../../server/access/grants.ts";
import type { Identity } from "../../server/access/identity.ts";
import type { Session } from "../../server/session/session.ts";
import { silentLog } from "../../server/logging/log.ts";
import { MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import type { Cursor, Store } from "../../server/stores/store.ts";
import {
  ManualClock,
  MemoryConnection,
  type MemoryConnectionOptions,
  seededRandom,
} from "../../server/testing/mod.ts";
import { Interposed } from "./interposed.ts";
import { TestClient } from "./test_client.ts";

export { type Said, TestClient } from "./test_client.ts";

/** Settings that differ from the defaults, in milliseconds. */
export interface Overrides {
  readonly delivery?: Partial<DeliverySettings>;
  readonly presence?: Partial<PresenceSettings>;
  readonly limits?: Partial<LimitSettings>;
  /** Who may do what. */
  readonly rules?: readonly Rule[];
  /** Decides before the rules. */
  readonly authorize?: Authorize;
}

/** How a client connects. */
export interface ConnectOptions extends MemoryConnectionOptions {
  /** Frames that the client understands. Default `fixed`. */
  readonly wire?: Wire;
  readonly instance?: string;
  readonly attempt?: number;
  readonly secret?: string;
  readonly sessionTtl?: number;
  /** Who connects. Default the subject of everybody. */
  readonly identity?: Identity;
  readonly subscriptions?: readonly (Start & { channel: string })[];
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
  readonly authenticator: Authenticator;
  hub: Hub;
  readonly #random = seededRandom(1);
  readonly #events: HubEvents | undefined;
  readonly #overrides: Overrides;
  readonly #clients: TestClient[] = [];
  #attempts = 0;

  constructor(overrides: Overrides = {}, authToken?: string, events?: HubEvents) {
    const { push } = resolveOptions({ push: { enabled: true } });
    this.settings = {
      ...push,
      delivery: { ...push.delivery, ...overrides.delivery },
      presence: { ...push.presence, ...overrides.presence },
      // Clients take sessions from each other as often as a test likes.
      limits: { ...push.limits, maxTakeovers: 0, ...overrides.limits },
    };
    this.authenticator = new Authenticator({ clock: this.clock, authToken });
    this.#events = events;
    this.#overrides = overrides;
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
    identity: Identity = { subject: "anonymous" },
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
      const client = this.dial(name, options, options.identity);
      await client.ask({ type: "ping" }, "pong");
      return client;
    }
    const client = this.dial(undefined, options, options.identity);
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
      identity: { subject: "anonymous" },
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
    const { target } = this.interposed;
    const key = `n:${name}:anonymous`;
    return (await target.load(key, Infinity, [channel], this.clock.now()))?.[0];
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
    terms: { identity?: Identity; clientId?: string },
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
      authorization: new Authorization({
        clock: this.clock,
        log: silentLog(this.clock),
        rules: this.#overrides.rules,
        authorize: this.#overrides.authorize,
      }),
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
