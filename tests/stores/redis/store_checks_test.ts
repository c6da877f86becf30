import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { checkServer } from "../../../server/stores/redis/checks.ts";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import { startRedis } from "../../support/redis.ts";
import { openRedisStore } from "./support/store.ts";

Deno.test("RedisStore refuses a Redis that would drop what it was given, and says what to do", async () => {
  await using redis = await startRedis({ maxmemory: "64mb" });
  for (const policy of ["allkeys-lru", "volatile-ttl"]) {
    await redis.ask("config", "set", "maxmemory-policy", policy);
    await assertRejects(
      () => openRedisStore({ port: redis.port }),
      TypeError,
      `Cannot use Redis at 127.0.0.1:${redis.port}: its 'maxmemory-policy' is '${policy}', ` +
        "by which it drops messages that were accepted. Set it to 'noeviction'",
    );
  }
  await redis.ask("config", "set", "maxmemory-policy", "noeviction");
  await using _ = await openRedisStore({ port: redis.port });
});

Deno.test("RedisStore refuses a replica, another format, and an unreachable Redis", async () => {
  await using redis = await startRedis();
  const { port } = redis;
  const keys = new RedisKeys("x:");
  await redis.ask("set", keys.format, "99");
  await assertRejects(
    () => openRedisStore({ port, prefix: "x:" }),
    TypeError,
    "current value is '99'",
  );
  await redis.ask("replicaof", "127.0.0.1", "1");
  const replica = await assertRejects(() => openRedisStore({ port }), PushError);
  assertMatch(replica.message, /it is a replica, not the primary/);
  const away = await assertRejects(
    () => openRedisStore({ url: "redis://ann:s3cret@127.0.0.1:1" }),
    PushError,
  );
  assertEquals(
    [away.code, away.message],
    ["unavailable", "Redis at 127.0.0.1:1 cannot be used: it refuses connections."],
  );
});

Deno.test("RedisStore refuses a user whose scripts may not ask what they need", async () => {
  await using redis = await startRedis();
  await redis.ask("acl", "setuser", "ann", "on", ">pw", "~*", "&*", "+@all", "-info");
  await assertRejects(
    () => openRedisStore({ port: redis.port, username: "ann", password: "pw" }),
    TypeError,
    "its scripts need INFO, which this user may not run",
  );
});

Deno.test("checkServer() takes Redis 7 and Valkey, and says what to look at where it is not told", () => {
  const link = { peer: "Redis at a:1", isCluster: false };
  const check = (...lines: string[]) => checkServer(lines.join("\r\n"), link);
  const policy = "maxmemory_policy:noeviction";
  assertEquals(check("# Server", "redis_version:7.0.15", policy, ""), undefined);
  assertEquals(check("redis_version:7.2.4", "valkey_version:8.0.1", policy), undefined);
  assertEquals(
    check("redis_version:7.0.15"),
    "Redis at a:1 does not tell its 'maxmemory-policy'. See to it that it is 'noeviction'",
  );
  const old = assertThrows(() => check("redis_version:6.2.9", policy), TypeError);
  assertEquals(
    old.message,
    "Cannot use Redis at a:1: it is version 6.2.9, and 7.0 or later is needed",
  );
  assertThrows(() => check("redis_version:10.0.0", policy, "cluster_enabled:1"), TypeError);
});
