import { assertEquals } from "@std/assert";
import type { Json, Start } from "@push/client/protocol";
import { Hub } from "../../server/hub.ts";
import { resolveOptions } from "../../server/options/options.ts";
import type { PushSettings } from "../../server/options/settings.ts";
import { Authenticator } from "../../server/access/authenticator.ts";
import { Authorization } from "../../server/access/authorization.ts";
import { silentLog } from "../../server/logging/log.ts";
import { MemoryData, MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import type { Cursor, Store } from "../../server/stores/store.ts";
import {
  ManualClock,
  MemoryCluster,
  MemoryConnection,
  type MemoryConnectionOptions,
  type MemoryNode,
  seededRandom,
} from "../../server/testing/mod.ts";
import type { ConnectOptions, HubClient, Overrides } from "./harness.ts";
import { Interposed } from "./interposed.ts";
import { TestClient } from "./test_client.ts";

/** One node of a {@linkcode NodesWorld}. */
export interface WorldNode {
  readonly hub: Hub;
  readonly member: MemoryNode;
  readonly interposed: Interposed;
  readonly clients: TestClient[];
}

/** What differs from the usual. */
export interface NodesOptions extends Overrides {
  /** How many nodes. Default 2. */
  readonly nodes?: number;
  readonly seed?: number;
  /** Milliseconds. Default 0. */
  readonly flushInterval?: number;
  /** Whether the nodes share sessions and positions. Default true. */
  readonly sharesSessions?: boolean;
  /** Stands between a node and its handle on the data. */
  wrap?(store: Store): Store;
}

const SUBJECT = "anonymous";

/** Several hubs over one memory store, under one manual clock. */
export class NodesWorld {
  readonly clock: ManualClock = new ManualClock();
  readonly random: ReturnType<typeof seededRandom>;
  readonly settings: PushSettings;
  readonly cluster: MemoryCluster;
  readonly nodes: WorldNode[] = [];
  readonly #data = new MemoryData();
  readonly #authenticator = new Authenticator({ clock: this.clock });
  readonly #options: NodesOptions;
  #attempts = 0;

  constructor(options: NodesOptions) {
    const { push } = resolveOptions({ push: { enabled: true } });
    this.settings = {
      ...push,
      flushInterval: options.flushInterval ?? push.flushInterval,
      delivery: { ...push.delivery, ...options.delivery },
      presence: { ...push.presence, ...options.presence },
      // Clients take sessions from each other as often as a test likes.
      limits: { ...push.limits, maxTakeovers: 0, ...options.limits },
    };
    this.#options = options;
    this.random = seededRandom(options.seed ?? 1);
    this.cluster = new MemoryCluster({
      clock: this.clock,
      random: this.random,
      sharesSessions: options.sharesSessions,
    });
  }

  /** Starts every node. */
  async start(): Promise<void> {
    for (let i = 0; i < (this.#options.nodes ?? 2); i++) await this.startNode(i);
  }

  /** Starts a node in the place of one that was killed, or was not there. */
  async startNode(at: number): Promise<void> {
    const member = this.cluster.join();
    const { sharesSessions, wrap } = this.#options;
    const parts = {
      retention: retentionOf(this.settings),
      limits: storeLimitsOf(this.settings),
      random: this.random.bytes,
    };
    const shared = new MemoryStore({ ...parts, data: this.#data, cluster: member });
    const own = sharesSessions === false ? apart(shared, new MemoryStore(parts)) : shared;
    const interposed = new Interposed(member.clustered(wrap?.(own) ?? own));
    const { rules, authorize } = this.#options;
    const log = silentLog(this.clock);
    const hub = new Hub({
      settings: this.settings,
      store: interposed.store,
      clock: this.clock,
      random: this.random.bytes,
      authorization: new Authorization({ clock: this.clock, log, rules, authorize }),
    });
    this.nodes[at] = { hub, member, interposed, clients: [] };
    const started = hub.start();
    await this.settle();
    await started;
  }

  /** The process of a node dies. Its clients are told nothing. */
  kill(at: number): void {
    const { hub, member, interposed, clients } = this.nodes[at];
    for (const client of clients) client.connection.onClose = undefined;
    interposed.cut();
    member.kill();
    hub.stop();
  }

  /** Everything settles that can settle without time passing. */
  async settle(): Promise<void> {
    await this.clock.advance(0);
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** A connection to a node whose client has said nothing yet. */
  dial(at: number, clientId?: string, options?: MemoryConnectionOptions): TestClient {
    const { hub, clients } = this.nodes[at];
    const world = { hub, authenticator: this.#authenticator, settle: () => this.settle() };
    const client = new TestClient(world, { identity: { subject: SUBJECT }, clientId }, options);
    clients.push(client);
    return client;
  }

  /** A connected client of this name. */
  async connect(at: number, name: string, options: ConnectOptions = {}): Promise<TestClient> {
    const { wire = "extended", instance, attempt, subscriptions, sessionTtl } = options;
    const client = this.dial(at, wire === "fixed" ? name : undefined, options);
    if (wire === "fixed") client.say({ type: "ping" });
    else {
      client.say({
        type: "connect",
        version: 1,
        instance: instance ?? `instance ${++this.#attempts}`,
        attempt: attempt ?? 0,
        client_id: name,
        ...(subscriptions === undefined ? {} : { subscriptions }),
        ...(sessionTtl === undefined ? {} : { session_ttl: sessionTtl }),
      });
    }
    await this.settle();
    return client;
  }

  /** A client of this name that has subscribed. */
  async subscriber(
    at: number,
    name: string,
    channel: string,
    options: ConnectOptions & { start?: Start } = {},
  ): Promise<TestClient> {
    const client = await this.connect(at, name, options);
    await client.subscribe(channel, options.start);
    return client;
  }

  /** A session and its connection with no dialog between. */
  async hubClient(at: number, name: string, channel: string, from?: string): Promise<HubClient> {
    const connection = new MemoryConnection();
    const attaching = this.nodes[at].hub.attach({
      identity: { subject: SUBJECT },
      name,
      ttl: this.settings.delivery.messageTtl,
      wire: "extended",
      from,
    }, connection);
    const subscribing = attaching.then(async ({ session }) => {
      if (from !== undefined) await session.resume([channel], connection);
      else (await session.subscribe(channel, {}, connection)).start();
      return session;
    });
    subscribing.catch(() => {});
    await this.settle();
    return { session: await subscribing, connection };
  }

  /** Publishes at a node; one message for each value. */
  async publish(at: number, channel: string, ...data: Json[]): Promise<void> {
    const published = Promise.all(
      data.map((each) => this.nodes[at].hub.publish(channel, JSON.stringify(each), {})),
    );
    await this.settle();
    await published;
  }

  /** Stored position of a named client, as its holder said last. */
  position(name: string, channel: string): Cursor | undefined {
    return this.#data.sessions.get(`n:${name}:${SUBJECT}`)?.positions.get(channel)?.cursor;
  }

  /** What the log of a channel says of itself. */
  async log(channel: string): Promise<{ epoch: string; head: number }> {
    const [state] = await this.nodes[0].interposed.target.states([channel], this.clock.now());
    return state!;
  }

  /** Ends everything; nothing may be left running. */
  async end(): Promise<void> {
    this.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
    await this.pass(20_000);
    for (const { hub, clients } of this.nodes) {
      for (const { connection } of clients) {
        assertEquals(connection.beyondCapacity, 0, "Messages beyond the capacity");
        assertEquals(connection.afterClose, 0, "Frames after the close");
        connection.onClose = undefined;
      }
      let isDrained = false;
      const drained = hub.drain().then(() => isDrained = true);
      for (let i = 0; i < 1000 && !isDrained; i++) await this.clock.advance(10);
      await drained;
      hub.stop();
    }
    await this.settle();
    assertEquals(this.clock.pending, 0, "Timers are left");
  }
}

/** The body of a test that has several nodes of its own. */
export function overNodes(
  options: NodesOptions,
  run: (world: NodesWorld) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const world = new NodesWorld(options);
    await world.start();
    await run(world);
    await world.end();
  };
}

const LOG = new Set([
  "create",
  "channels",
  "append",
  "read",
  "states",
  "revoke",
  "revocations",
  "cluster",
]);

/** A store whose log and revocations are shared, and whose sessions and positions are this node's own. */
function apart(log: Store, sessions: Store): Store {
  return new Proxy(log, {
    get(_, key) {
      const from = LOG.has(String(key)) ? log : sessions;
      const value = Reflect.get(from, key);
      return typeof value === "function" ? value.bind(from) : value;
    },
  });
}
