/**
 * Real Redis servers for tests; see `dev/cluster/`.
 *
 * @module
 */
export { type RedisOptions, type RedisServer, startRedis } from "../../dev/cluster/redis.ts";
export {
  type RedisCluster,
  type RedisClusterOptions,
  startRedisCluster,
} from "../../dev/cluster/redis_cluster.ts";
export {
  type SentinelOptions,
  type SentinelSet,
  startSentinel,
} from "../../dev/cluster/sentinel.ts";
export { askRedis, type Reply, ReplyError } from "../../dev/cluster/resp.ts";
