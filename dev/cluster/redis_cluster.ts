/**
 * A Redis Cluster of three primaries.
 *
 * @module
 */
import { onFreePort } from "./ports.ts";
import { RedisServer } from "./redis.ts";
import { infoMember } from "./resp.ts";

/** How a cluster is started. */
export interface RedisClusterOptions {
  /** Replicas of each primary. @default {0} */
  readonly replicas?: number;
  /** When the append-only files are synchronized with the disk. @default {"everysec"} */
  readonly appendfsync?: "always" | "everysec" | "no";
  /** More lines of each node's configuration. */
  readonly config?: readonly string[];
}

const PRIMARIES = 3;

/** All slots of a cluster. */
const SLOTS = 16_384;

/** How far above a node's port the one for other nodes is. */
const BUS = 10_000;

/** How long a cluster may take to agree, in milliseconds. */
const PATIENCE = 30_000;

/** Its nodes on free ports of 127.0.0.1. */
export class RedisCluster implements AsyncDisposable {
  /** Every node; at first the first three are the primaries, in the order of their slots. */
  readonly nodes: readonly RedisServer[];

  constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes;
  }

  /** Where the nodes listen, as `host:port`. */
  get addresses(): string[] {
    return this.nodes.map(({ port }) => `127.0.0.1:${port}`);
  }

  /** Resolves once all nodes that run agree that all slots are served. */
  async agreed(): Promise<void> {
    const end = Date.now() + PATIENCE;
    for (const node of this.nodes.filter(({ running }) => running)) {
      while (!(await this.#agrees(node))) {
        if (Date.now() > end) throw new Error(`The cluster does not agree: ${await node.log()}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** The slot of a key. */
  async slotOf(key: string): Promise<number> {
    return Number(await this.nodes[0].ask("CLUSTER", "KEYSLOT", key));
  }

  /** The primary that has a slot. */
  async ownerOf(slot: number): Promise<RedisServer> {
    const asked = this.nodes.find(({ running }) => running)!;
    for (
      const range of await asked.ask("CLUSTER", "SLOTS") as [number, number, [string, number]][]
    ) {
      const [first, last, [, port]] = range;
      const owner = this.nodes.find((node) => node.port === port);
      if (slot >= first && slot <= last && owner !== undefined) return owner;
    }
    throw new Error(`No node has slot ${slot}`);
  }

  /** Names of the nodes, by their ports. */
  async ids(): Promise<Map<number, string>> {
    const ids = this.nodes.map(async (node) =>
      [node.port, String(await node.ask("CLUSTER", "MYID"))] as const
    );
    return new Map(await Promise.all(ids));
  }

  /** Moves one slot with all its keys, as a resharding does it, key by key under load. */
  async moveSlot(slot: number, to: RedisServer): Promise<void> {
    const from = await this.ownerOf(slot);
    if (from === to) return;
    const ids = await this.ids();
    await to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids.get(from.port)!);
    await from.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids.get(to.port)!);
    while (true) {
      const keys = await from.ask("CLUSTER", "GETKEYSINSLOT", slot, 10) as string[];
      if (keys.length === 0) break;
      await from.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", ...keys);
    }
    // The new owner first: a slot is never without one.
    for (const node of [to, ...this.nodes.filter((it) => it !== to)]) {
      if (!node.running) continue;
      // A replica does not take it, and need not: it hears of it.
      await node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids.get(to.port)!).catch(() => {});
    }
  }

  /**
   * Moves so many slots, the lowest ones, with `redis-cli --cluster reshard`.
   *
   * @throws {Error} with what it said if it fails
   */
  async reshard(from: RedisServer, to: RedisServer, slots: number): Promise<void> {
    const ids = await this.ids();
    await redisCli(
      "--cluster",
      "reshard",
      `127.0.0.1:${from.port}`,
      "--cluster-from",
      ids.get(from.port)!,
      "--cluster-to",
      ids.get(to.port)!,
      "--cluster-slots",
      `${slots}`,
      "--cluster-yes",
    );
  }

  /** Ends all nodes and removes their files; idempotent. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  /** Same as {@linkcode stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #agrees(node: RedisServer): Promise<boolean> {
    const info = await node.ask("CLUSTER", "INFO").catch(() => "");
    return infoMember(info, "cluster_state") === "ok" &&
      infoMember(info, "cluster_slots_ok") === `${SLOTS}` &&
      infoMember(info, "cluster_known_nodes") === `${this.nodes.length}`;
  }
}

async function redisCli(...args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command("redis-cli", {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (success) return;
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  throw new Error(`redis-cli ${args.join(" ")} failed:\n${said.slice(-2_000)}`);
}

/**
 * Starts a cluster; resolves once all its nodes say that it is complete.
 *
 * @throws {Error} with the last lines of a log if a node does not start
 */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { replicas = 0, appendfsync = "everysec", config = [] } = options;
  const lines = [
    'save ""',
    "appendonly yes",
    `appendfsync ${appendfsync}`,
    "maxmemory-policy noeviction",
    "cluster-enabled yes",
    "cluster-config-file nodes.conf",
    "cluster-node-timeout 1000",
    "cluster-announce-ip 127.0.0.1",
    "repl-diskless-sync-delay 0",
    ...config,
  ];
  await using started = new AsyncDisposableStack();
  const nodes: RedisServer[] = [];
  while (nodes.length < PRIMARIES * (1 + replicas)) {
    nodes.push(started.use(await onFreePort((port) => RedisServer.open(port, lines), BUS)));
  }
  const cluster = new RedisCluster(nodes);
  await redisCli(
    "--cluster",
    "create",
    ...cluster.addresses,
    "--cluster-replicas",
    `${replicas}`,
    "--cluster-yes",
  );
  await cluster.agreed();
  started.move();
  return cluster;
}
