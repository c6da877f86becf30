import { startRedis } from "../../support/redis.ts";
import { proveRedisStore } from "./support/prove.ts";

const redis = await startRedis({ appendonly: false });

proveRedisStore("RedisStore", { port: redis.port }, (name, fn) => Deno.test(name, fn));

Deno.test.afterAll(() => redis.stop());
