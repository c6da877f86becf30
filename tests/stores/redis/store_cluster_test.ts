import { startRedisCluster } from "../../support/redis.ts";
import { proveRedisStore } from "./support/prove.ts";

const cluster = await startRedisCluster();

proveRedisStore(
  "RedisStore on a Cluster",
  { cluster: cluster.addresses.join(",") },
  (name, fn) => Deno.test(name, fn),
);

Deno.test.afterAll(() => cluster.stop());
