import { type Cluster, type ClusterOptions, startCluster } from "../cluster/cluster.ts";
import { ToxicProxy } from "../cluster/proxy.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../cluster/redis.ts";
import { type RedisCluster, startRedisCluster } from "../cluster/redis_cluster.ts";
import { type SentinelSet, startSentinel } from "../cluster/sentinel.ts";

/**
 * What runs: one gateway over a file of Deno KV, or three over a Redis, a set with sentinels, or a
 * Redis Cluster; `mixed` has only the log in Redis.
 */
export type TopologyName = "kv" | "redis" | "mixed" | "sentinel" | "cluster";

/** How it is started. */
export interface TopologyOptions {
  /** More arguments of every gateway. */
  readonly args?: readonly string[];
  /** How Redis is started. */
  readonly redis?: RedisOptions;
  /** Seed of the proxies. */
  readonly seed: number;
  /** Hears every line that a gateway writes. */
  readonly onLine: NonNullable<ClusterOptions["onLine"]>;
  /** Hears of the end of a gateway. */
  readonly onEnd: NonNullable<ClusterOptions["onEnd"]>;
}

/** Gateways, what is before them, and what is behind. */
export interface Topology extends AsyncDisposable {
  /** Gateways and balancer. */
  readonly cluster: Cluster;
  /** The Redis of `redis` and `mixed`. */
  readonly redis?: RedisServer;
  /** Between each gateway and that Redis. */
  readonly proxies: readonly ToxicProxy[];
  /** The set of `sentinel`. */
  readonly sentinel?: SentinelSet;
  /** The Redis Cluster of `cluster`. */
  readonly redisCluster?: RedisCluster;
  /** The file of `kv`. */
  readonly kvPath?: string;
}

const NODES = 3;

/** Starts everything; resolves once all answer. If a part does not start, none is left. */
export async function startTopology(
  name: TopologyName,
  options: TopologyOptions,
): Promise<Topology> {
  await using started = new AsyncDisposableStack();
  const back = await startBack(name, options, started);
  const { onLine, onEnd, args = [] } = options;
  const cluster = started.use(
    await startCluster({
      nodes: name === "kv" ? 1 : NODES,
      store: (n) => back.args(n),
      args,
      onLine,
      onEnd,
    }),
  );
  const all = started.move();
  return { proxies: [], ...back, cluster, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

type Back = Partial<Omit<Topology, "cluster" | typeof Symbol.asyncDispose>> & {
  /** Arguments of the nth gateway. */
  args(n: number): string[];
};

async function startBack(
  name: TopologyName,
  { redis: redisOptions, seed }: TopologyOptions,
  started: AsyncDisposableStack,
): Promise<Back> {
  switch (name) {
    case "kv": {
      const dir = await Deno.makeTempDir({ prefix: "push-chaos-" });
      started.defer(() => Deno.remove(dir, { recursive: true }));
      const kvPath = `${dir}/push.db`;
      return { kvPath, args: () => ["--store", "kv", "--kv-path", kvPath] };
    }
    case "sentinel": {
      const sentinel = started.use(await startSentinel({ config: redisOptions?.config }));
      const where = ["--redis-sentinels", sentinel.addresses.join()];
      const args = ["--store", "redis", ...where, "--redis-sentinel-name", sentinel.name];
      return { sentinel, args: () => args };
    }
    case "cluster": {
      const redisCluster = started.use(await startRedisCluster());
      const args = ["--store", "redis", "--redis-cluster", redisCluster.addresses.join()];
      return { redisCluster, args: () => args };
    }
    default: {
      const redis = started.use(await startRedis(redisOptions));
      const proxies: ToxicProxy[] = [];
      for (let n = 0; n < NODES; n++) {
        const proxy = await ToxicProxy.start({ target: redis.port, redis: true, seed: seed + n });
        proxies.push(started.use(proxy));
      }
      const store = name === "mixed" ? "memory" : "redis";
      const url = (n: number) => `redis://127.0.0.1:${proxies[n - 1].port}`;
      return { redis, proxies, args: (n) => ["--store", store, "--redis-url", url(n)] };
    }
  }
}
