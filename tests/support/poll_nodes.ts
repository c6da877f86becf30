/**
 * Several gateways on one store, and long-pollers whose requests go to any of them.
 *
 * @module
 */
import { QUIET } from "./gateway.ts";
import { Gateway, type GatewayOptions, type GatewayParts } from "../../mod.ts";
import { systemClock } from "../../server/clock.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { MemoryData, MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import { MemoryCluster, type MemoryNode, seededRandom } from "../../server/testing/mod.ts";
import { type Answer, ask } from "./http_client.ts";
import { SocketClock } from "./socket_clock.ts";
import { within } from "./within.ts";
import type { Frame } from "./wire_client.ts";

/** One gateway of several. */
export interface ServedNode {
  readonly gateway: Gateway;
  readonly node: MemoryNode;
  readonly http: string;
  readonly ws: string;
}

/** Gateways on one store, under one clock. */
export class ServedNodes implements AsyncDisposable {
  readonly clock = new SocketClock();
  readonly cluster: MemoryCluster;
  readonly nodes: ServedNode[] = [];
  readonly #data = new MemoryData();
  readonly #options: GatewayOptions;

  readonly #parts: GatewayParts;

  private constructor(options: GatewayOptions, sharesSessions: boolean, parts: GatewayParts) {
    this.#parts = parts;
    this.#options = {
      log: { level: "off" },
      ...options,
      port: 0,
      push: { enabled: true, ...options.push },
    };
    const random = seededRandom(1);
    this.cluster = new MemoryCluster({ clock: this.clock, random, lease: 10_000, sharesSessions });
  }

  /** Starts so many gateways. */
  static async start(
    count: number,
    options: GatewayOptions = {},
    sharesSessions = true,
    parts: GatewayParts = {},
  ): Promise<ServedNodes> {
    const nodes = new ServedNodes(options, sharesSessions, parts);
    for (let i = 0; i < count; i++) await nodes.add();
    return nodes;
  }

  /** Starts one more. */
  async add(): Promise<ServedNode> {
    const { push } = resolveOptions(this.#options);
    const node = this.cluster.join();
    const handle = new MemoryStore({
      retention: retentionOf(push),
      limits: storeLimitsOf(push),
      random: seededRandom(this.nodes.length + 1).bytes,
      data: this.cluster.sharesSessions ? this.#data : new MemoryData(),
      cluster: node,
    });
    const gateway = new Gateway({ log: QUIET, ...this.#options }, {
      ...this.#parts,
      clock: this.clock,
      store: node.clustered(handle),
    });
    await gateway.start();
    const { port } = gateway.address;
    const served = {
      gateway,
      node,
      http: `http://127.0.0.1:${port}`,
      ws: `ws://127.0.0.1:${port}${gateway.settings.path}`,
    };
    this.nodes.push(served);
    return served;
  }

  /** Lets time pass while something takes long, as the asking of a node that died does. */
  async awaits<T>(what: Promise<T>): Promise<T> {
    let isDone = false;
    const done = what.finally(() => isDone = true);
    done.catch(() => {});
    while (true) {
      const { promise: moment, resolve } = Promise.withResolvers<void>();
      const cancel = systemClock.schedule(20, resolve);
      await Promise.race([done, moment]).catch(() => {});
      cancel();
      if (isDone) return await done;
      await this.clock.advance(50);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { gateway } of this.nodes) {
      const stopped = gateway.stop();
      await this.clock.advance(5_000);
      await stopped;
    }
  }
}

/** A long-poller that chooses the node of each request. */
export class RoamingPoller {
  readonly clientId: string;
  readonly token: string;

  private constructor({ client_id, poll_token }: Frame) {
    this.clientId = client_id;
    this.token = poll_token;
  }

  /** Registers with a node. */
  static async register({ http }: ServedNode, body: Frame = {}): Promise<RoamingPoller> {
    const answer = await ask(`${http}/api/push/poll/register`, { body });
    if (answer.status !== 200) throw new Error(`Cannot register: ${answer.text}`);
    return new RoamingPoller(answer.body);
  }

  /** Posts to one of a node's routes. */
  post({ http }: ServedNode, route: string, body: Frame = {}): Promise<Answer> {
    const url = `${http}/api/push/poll/${route}`;
    return within(ask(url, { body: { poll_token: this.token, ...body } }), `an answer of ${route}`);
  }

  /** Posts; throws if that fails. */
  async must(at: ServedNode, route: string, body: Frame = {}): Promise<Frame> {
    const answer = await this.post(at, route, body);
    if (answer.status !== 200) throw new Error(`Cannot ${route}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  /** What there is for it now. */
  async poll(at: ServedNode): Promise<Frame[]> {
    return (await this.must(at, "messages", { timeout: 0 })).messages;
  }

  /** Polls until something comes. */
  async next(at: ServedNode): Promise<Frame[]> {
    return (await this.must(at, "messages", { timeout: 29 })).messages;
  }

  /** Acknowledges; resolves to whether that counted. */
  async ack(at: ServedNode, { event_id }: Frame): Promise<boolean> {
    return (await this.must(at, "ack", { event_id })).ok;
  }
}
