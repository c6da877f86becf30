/**
 * A Redis, some gateways over it, and a balancer before them.
 *
 * @module
 */
import { Balancer } from "./balancer.ts";
import { type GatewayNode, startGateways } from "./gateways.ts";
import { type RedisOptions, type RedisServer, startRedis } from "./redis.ts";

/** How a cluster is started. */
export interface ClusterOptions {
  /** Gateways. @default {3} */
  readonly nodes?: number;
  /** Port of the balancer; a free one by default. */
  readonly port?: number;
  /** Address of a Redis that runs; one of its own by default. */
  readonly redisUrl?: string;
  /** How its own Redis is started. */
  readonly redis?: RedisOptions;
  /**
   * Arguments that say where gateways keep their data, the nth of them counted from 1. By default the
   * Redis.
   */
  readonly store?: (n: number) => readonly string[];
  /** More arguments of every gateway. */
  readonly args?: readonly string[];
  /** Hears every line that a gateway writes. */
  readonly onLine?: (n: number, line: string) => void;
  /** Hears of the end of a gateway, and whether that was asked for. */
  readonly onEnd?: (n: number, status: Deno.CommandStatus, wasAsked: boolean) => void;
  /** Hears which gateway a connection through the balancer went to; 0 if none took it. */
  readonly onConnection?: (n: number) => void;
}

/** All of it. */
export class Cluster implements AsyncDisposable {
  /** The Redis; `undefined` if it is somebody else's, or none is needed. */
  readonly redis: RedisServer | undefined;
  /** The gateways. */
  readonly gateways: readonly GatewayNode[];
  /** What is before them. */
  readonly balancer: Balancer;

  constructor(
    redis: RedisServer | undefined,
    gateways: readonly GatewayNode[],
    balancer: Balancer,
  ) {
    this.redis = redis;
    this.gateways = gateways;
    this.balancer = balancer;
  }

  /** The nth gateway, counted from 1. @throws {RangeError} if there is none */
  gateway(n: number): GatewayNode {
    const gateway = this.gateways[n - 1];
    if (gateway === undefined) throw new RangeError(`There is no gateway ${n}`);
    return gateway;
  }

  /** Stops all in order, each with the time that it needs; idempotent. */
  async stop(): Promise<void> {
    // The gateways say goodbye over the balancer, and need Redis for it.
    for (const { port } of this.gateways) this.balancer.drain(port);
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
    await this.balancer.stop();
    await this.redis?.stop();
  }

  /** Ends all at once; idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.kill()));
    await this.balancer.stop();
    await this.redis?.stop();
  }
}

/**
 * Starts a cluster; resolves once everything answers. If a part does not start, none is left.
 *
 * @throws {Error} with what that part wrote last
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { nodes = 3, port, redisUrl, store, args = [], onLine, onEnd, onConnection } = options;
  await using started = new AsyncDisposableStack();
  const redis = redisUrl === undefined && store === undefined || options.redis !== undefined
    ? started.use(await startRedis(options.redis))
    : undefined;
  const url = redisUrl ?? redis?.url ?? "";
  const where = store ?? (() => ["--store", "redis", "--redis-url", url]);
  const gateways = await startGateways(nodes, (n) => ({
    args: [...where(n), ...args],
    onLine: (line) => onLine?.(n, line),
    onEnd: (status, wasAsked) => onEnd?.(n, status, wasAsked),
  }));
  for (const gateway of gateways) started.use(gateway);
  const backends = gateways.map((gateway) => gateway.port);
  const balancer = started.use(
    await Balancer.start({
      backends,
      port,
      onConnection: (backend) =>
        onConnection?.(backend === undefined ? 0 : backends.indexOf(backend) + 1),
    }),
  );
  started.move();
  return new Cluster(redis, gateways, balancer);
}
