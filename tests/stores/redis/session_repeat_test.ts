import { RedisLink } from "../../../server/stores/redis/link.ts";
import { GUARD } from "../../../server/stores/redis/session_lua.ts";
import { startRedis } from "../../support/redis.ts";
import { proveRedisStore } from "./support/prove.ts";

const redis = await startRedis({ appendonly: false });
Deno.test.afterAll(() => redis.stop());

// Every answer to a script about sessions, positions and dead letters is lost once.
const { run } = RedisLink.prototype;
RedisLink.prototype.run = async function (...args) {
  if (args[0].lua.includes(GUARD)) await run.apply(this, args);
  return await run.apply(this, args);
};

proveRedisStore(
  "RedisStore, each script run twice",
  { port: redis.port },
  (name, fn) => Deno.test(name, fn),
);
