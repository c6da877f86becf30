/**
 * Several hubs on one store, for tests of what they say to each other of who is present.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { PresenceDiffFrame } from "@push/client/protocol";
import type { Wire } from "../../server/channel/entry.ts";
import { Hub } from "../../server/hub.ts";
import { resolveOptions } from "../../server/options/options.ts";
import type { PresenceSettings, PushSettings } from "../../server/options/settings.ts";
import { Authenticator } from "../../server/access/authenticator.ts";
import { MemoryData, MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import {
  ManualClock,
  MemoryCluster,
  type MemoryNode,
  seededRandom,
} from "../../server/testing/mod.ts";
import { type Surroundings, TestClient } from "./test_client.ts";

export const SECOND = 1_000;
export const LEASE = 10 * SECOND;

/** One node. */
export class NodeWorld implements Surroundings {
  readonly hub: Hub;
  readonly node: MemoryNode;
  readonly authenticator: Authenticator;
  readonly #nodes: PresenceNodes;
  readonly #clients: TestClient[] = [];
  isDead = false;

  constructor(nodes: PresenceNodes) {
    this.#nodes = nodes;
    this.authenticator = new Authenticator({ clock: nodes.clock });
    this.node = nodes.cluster.join();
    const store = this.node.clustered(
      new MemoryStore({
        retention: retentionOf(nodes.settings),
        limits: storeLimitsOf(nodes.settings),
        random: nodes.random.bytes,
        data: nodes.cluster.sharesSessions ? nodes.data : new MemoryData(),
        cluster: this.node,
      }),
    );
    const { settings, clock, random } = nodes;
    this.hub = new Hub({ settings, store, clock, random: random.bytes });
  }

  /** Long enough for a node that died to be waited for in vain. */
  settle(): Promise<void> {
    return this.#nodes.clock.advance(300);
  }

  /** A connected client of this name. */
  async connect(name: string, wire: Wire = "fixed"): Promise<TestClient> {
    const identity = { subject: "anonymous" };
    const client = new TestClient(this, { identity, clientId: name });
    this.#clients.push(client);
    if (wire === "fixed") await client.ask({ type: "ping" }, "pong");
    else {
      await client.ask({ type: "connect", version: 1, instance: name, attempt: 0 }, "connected");
    }
    return client;
  }

  /** A connected client of this name that has subscribed. */
  async subscriber(name: string, channel: string, wire: Wire = "fixed"): Promise<TestClient> {
    const client = await this.connect(name, wire);
    await client.subscribe(channel);
    return client;
  }

  /** Client ids of who is present, as this node lists them. */
  list(channel: string | null = null): string[] {
    return this.hub.presence.list(channel).map(({ client_id }) => client_id).sort();
  }

  /** The process dies. */
  kill(): void {
    for (const client of this.#clients) client.connection.onClose = undefined;
    this.node.kill();
    this.hub.stop();
    this.isDead = true;
  }

  /** It stops as it should. */
  async stop(): Promise<void> {
    let isDrained = false;
    const drained = this.hub.drain().then(() => isDrained = true);
    for (let i = 0; i < 1000 && !isDrained; i++) await this.#nodes.clock.advance(10);
    await drained;
    this.hub.stop();
    await this.hub.context.store[Symbol.asyncDispose]();
    this.isDead = true;
  }
}

/** Several nodes under one manual clock. */
export class PresenceNodes {
  readonly clock = new ManualClock();
  readonly random = seededRandom(5);
  readonly data = new MemoryData();
  readonly settings: PushSettings;
  readonly cluster: MemoryCluster;
  readonly #nodes: NodeWorld[] = [];

  constructor(presence: Partial<PresenceSettings>, sharesSessions: boolean) {
    const { push } = resolveOptions({ push: { enabled: true } });
    this.settings = { ...push, presence: { ...push.presence, ...presence } };
    const { clock, random } = this;
    this.cluster = new MemoryCluster({ clock, random, lease: LEASE, sharesSessions });
  }

  /** Starts one more node. */
  async add(): Promise<NodeWorld> {
    const node = new NodeWorld(this);
    this.#nodes.push(node);
    const started = node.hub.start();
    await this.clock.advance(0);
    await started;
    return node;
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  async end(): Promise<void> {
    for (const node of this.#nodes) if (!node.isDead) await node.stop();
    await this.clock.advance(0);
    assertEquals(this.clock.pending, 0, "Timers are left");
  }
}

/** The body of a test with nodes of its own. */
export function withNodes(
  run: (nodes: PresenceNodes) => Promise<void>,
  { presence = {}, sharesSessions = true }: {
    presence?: Partial<PresenceSettings>;
    sharesSessions?: boolean;
  } = {},
): () => Promise<void> {
  return async () => {
    const nodes = new PresenceNodes(presence, sharesSessions);
    await run(nodes);
    await nodes.end();
  };
}

/** Changes told to a client since they were asked for last, each as a few words. */
export function told(client: TestClient): string[] {
  const single = (["presence_join", "presence_update", "presence_leave"] as const)
    .flatMap((type) => client.connection.take(type))
    .map(({ type, data }) => `${type.slice(9)} ${data.client_id} ${data.status}`);
  return [...client.connection.take("presence_diff").flatMap(words), ...single];
}

function words({ joins, updates, leaves }: PresenceDiffFrame): string[] {
  return [
    ...joins.map(({ client_id, status }) => `join ${client_id} ${status}`),
    ...updates.map(({ client_id, status }) => `update ${client_id} ${status}`),
    ...leaves.map(({ client_id, status }) => `leave ${client_id} ${status}`),
  ];
}
