import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { systemClock, systemRandom } from "../../../server/clock.ts";
import { Hub } from "../../../server/hub.ts";
import { resolveOptions } from "../../../server/options/options.ts";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import type { RedisStore } from "../../../server/stores/redis/store.ts";
import type { Revocation } from "../../../server/stores/revocations.ts";
import { ToxicProxy } from "../../../dev/cluster/proxy.ts";
import { startRedis } from "../../support/redis.ts";
import { until } from "../../support/within.ts";
import { deafNode, namesOf as told, revocation } from "./support/revocations.ts";
import { openRedisStore } from "./support/store.ts";

const HOUR = 3_600_000;
const keys = new RedisKeys("praison:push:");

/** A gateway's middle over a store. */
async function hubOn(store: RedisStore): Promise<Hub> {
  const { push } = resolveOptions({ push: { enabled: true } });
  const hub = new Hub({ settings: push, store, clock: systemClock, random: systemRandom });
  await hub.start();
  return hub;
}

async function stop(hub: Hub): Promise<void> {
  await hub.drain();
  hub.stop();
}

Deno.test("two gateways on one Redis hear of each other's revocations, and one that starts later knows them", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using a = await openRedisStore({ port: redis.port });
  await using b = await openRedisStore({ port: redis.port });
  await using c = await openRedisStore({ port: redis.port });
  const [one, two] = [await hubOn(a), await hubOn(b)];
  const heard = Promise.withResolvers<readonly Revocation[]>();
  two.revocations.onChange(heard.resolve);
  const ann = revocation("ann", { kind: "token" });
  await one.revocations.revoke(ann);
  assertEquals(await heard.promise, [ann]);
  assert(two.revocations.isVoid("token", "ann", ann.at - 1));
  const three = await hubOn(c);
  assertEquals(three.revocations.find("token", "ann"), ann);
  await three.revocations.revoke(revocation("bob"));
  await until(() => one.revocations.find("subject", "bob") !== undefined, "the first hears");
  for (const hub of [one, two, three]) await stop(hub);
});

Deno.test("a node whose bus is deaf sees a revocation in Redis", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using a = await openRedisStore({ port: redis.port });
  await using b = await openRedisStore({ port: redis.port });
  await using deaf = await deafNode(b);
  const hub = await hubOn(a);
  await hub.revocations.revoke(revocation("ann"));
  await until(() => deaf.isVoid("subject", "ann", 0), "it sees the first");
  await hub.revocations.revoke(revocation("bob"));
  await until(() => deaf.isVoid("subject", "bob", 0), "it sees the second");
  await stop(hub);
});

Deno.test("Redis that has lost revocations gets them again from any node that knows them", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using a = await openRedisStore({ port: redis.port });
  await using b = await openRedisStore({ port: redis.port });
  await using node = await deafNode(a);
  const ann = revocation("ann");
  await node.revoke(ann);
  await redis.ask("flushall");
  await until(async () => (await told(b)).length === 1, "it is there after everything was flushed");
  // Without a file it begins with nothing.
  await redis.kill("SIGKILL");
  await redis.restart();
  await until(() => b.trouble === undefined, "the store is well again");
  await until(async () => (await told(b)).length === 1, "it is there after a restart");
  // As a replica that was behind it has what was there before, and goes on from there.
  const later = { ...ann, until: ann.until + HOUR };
  const fields = (await redis.ask("hgetall", keys.revocations("state")) as unknown[]).map(String);
  await node.revoke(later);
  await redis.ask("hset", keys.revocations("entries"), "subject:ann", `${ann.at} ${ann.until}`);
  await redis.ask("zadd", keys.revocations("ends"), ann.until, "subject:ann");
  await redis.ask("hset", keys.revocations("state"), ...fields);
  await until(async () => {
    const { entries } = await b.revocations(undefined);
    return entries[0].until === later.until;
  }, "what had gone back reaches as far again");
});

Deno.test("a revocation whose answer was lost is in force, and written again", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
  await using store = await openRedisStore({ port: proxy.port, commandTimeout: 0.3 });
  await using node = await deafNode(store);
  // So the script is known.
  await node.revoke(revocation("first"));
  const swallowed = proxy.swallowAnswer((command) => command.includes("subject:ann"));
  const lost = await assertRejects(() => node.revoke(revocation("ann")), PushError);
  await swallowed;
  assertEquals(lost.code, "outcome_unknown");
  assert(node.isVoid("subject", "ann", 0));
  // It may not have been carried out: here it is made so.
  await redis.ask("flushall");
  await until(
    async () => store.trouble === undefined && (await told(store)).length === 2,
    "both are there",
  );
});

Deno.test("revocations are kept, and tickets taken, while Redis has no memory left", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using store = await openRedisStore({ port: redis.port });
  await redis.ask("config", "set", "maxmemory", "100kb");
  assertEquals(await store.revoke(revocation("ann")), true);
  assertEquals(await told(store), ["ann"]);
  await store.cluster.keep("ticket", "text", 60_000);
  assertEquals(await store.cluster.take("ticket"), "text");
});

Deno.test("a ticket of an earlier run of Redis is nobody's, and one of another version is", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  await using store = await openRedisStore({ port: redis.port });
  await store.cluster.keep("ticket", "text", 60_000);
  await redis.ask("set", keys.kept("older"), "0 text", "px", 60_000);
  await redis.kill("SIGKILL");
  await redis.restart();
  await until(() => store.trouble === undefined, "the store is well again");
  assertEquals([await store.cluster.kept("ticket"), await store.cluster.kept("older")], [
    "text",
    "text",
  ]);
  assertEquals([await store.cluster.take("ticket"), await store.cluster.take("older")], [
    undefined,
    undefined,
  ]);
  assertEquals(await store.cluster.kept("ticket"), undefined);
});

Deno.test("what somebody else has put among the revocations is set aside, and the others stay", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using store = await openRedisStore({ port: redis.port });
  await using other = await openRedisStore({ port: redis.port });
  const key = (name: string) => keys.revocations(name);
  const names = ["ann", "bob", "cid"];
  for (const name of names) await store.revoke(revocation(name));
  // A value that is none: only a node that knows the revocation can bring it back.
  await redis.ask("hset", key("entries"), "subject:bob", "nonsense");
  assertEquals(await told(store), ["ann", "cid"]);
  assert(store.quarantined > 0);
  await store.revoke(revocation("bob"));
  // Indexes are made anew.
  for (const name of ["order", "ends", "state"]) {
    const { mark } = await store.revocations(undefined);
    await redis.ask("del", key(name));
    await redis.ask("set", key(name), "foreign");
    const news = await store.revocations(mark);
    assertEquals(news.isAll, true);
    assertEquals(news.entries.map(({ name }) => name).sort(), names);
    assertEquals(await told(other), names);
  }
  await redis.ask("zrem", key("order"), "subject:ann");
  assertEquals(await told(store), names);
  await redis.ask("hset", key("state"), "change", "many");
  assertEquals(await store.revoke(revocation("dan")), true);
  assertEquals(await told(other), [...names, "dan"]);
  // Without the entries themselves there is nothing left, and no error.
  await redis.ask("del", key("entries"));
  await redis.ask("rpush", key("entries"), "foreign");
  assertEquals(await told(store), []);
  assertEquals(await store.revoke(revocation("eve")), true);
  assertEquals(await told(other), ["eve"]);
  await redis.ask(
    "hset",
    key("entries"),
    "channel:x",
    "1 9999999999999",
    "subject:%zz{",
    "1 9999999999999",
  );
  assertEquals(await told(store), ["eve"]);
});
