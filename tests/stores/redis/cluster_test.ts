import { assert, assertEquals, assertRejects } from "@std/assert";
import { type JsonObject, PushError } from "@push/client/protocol";
import type { ClusterListener, LogNotice } from "../../../server/stores/cluster.ts";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import { draft } from "../../../server/testing/store_trial.ts";
import { type RedisServer, startRedis, startRedisCluster } from "../../support/redis.ts";
import { until } from "../../support/within.ts";
import { openRedisStore } from "./support/store.ts";

const keys = new RedisKeys("cluster:");

/** What a node hears. */
class Heard implements ClusterListener {
  readonly notes: [from: string, note: JsonObject][] = [];
  readonly changes: [node: string, version: number, changes: [string, unknown][]][] = [];
  lapses = 0;

  rows(...[node, version, changes]: Parameters<ClusterListener["rows"]>): void {
    this.changes.push([node, version, [...changes]]);
  }
  note(from: string, note: JsonObject): void {
    this.notes.push([from, note]);
  }
  lapse(): void {
    this.lapses++;
  }
}

function node(redis: RedisServer) {
  return openRedisStore({ port: redis.port, prefix: "cluster:" });
}

Deno.test("RedisCluster: notes reach the node that they are for, or every other one", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  await using b = await node(redis);
  await using c = await node(redis);
  const heard = [new Heard(), new Heard(), new Heard()];
  for (const [i, { cluster }] of [a, b, c].entries()) await cluster.listen(heard[i]);
  await a.cluster.send(null, { to: "all" });
  await a.cluster.send(c.cluster.node, { to: ["c", { ä: null }] });
  await until(() => heard[2].notes.length === 2 && heard[1].notes.length === 1, "notes arrive");
  const from = a.cluster.node;
  assertEquals(heard.map(({ notes }) => notes), [
    [],
    [[from, { to: "all" }]],
    [[from, { to: "all" }], [from, { to: ["c", { ä: null }] }]],
  ]);
  assertEquals(heard.map(({ lapses }) => lapses), [0, 0, 0]);
});

Deno.test("RedisCluster: every node hears of changes to rows, and of no nonsense", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  await using b = await node(redis);
  const heard = [new Heard(), new Heard()];
  for (const [i, { cluster }] of [a, b].entries()) await cluster.listen(heard[i]);
  for (
    const text of ["", "nonsense", "[]", "null", "{}", `{"from":1,"note":{}}`, `{"note":null}`]
  ) {
    await redis.ask("publish", keys.allNotes, text);
  }
  assertEquals(await a.cluster.write(new Map([["x", 1], ["y", null]])), 1);
  await until(() => heard.every(({ changes }) => changes.length === 1), "both hear");
  assertEquals(heard[1].changes, [[a.cluster.node, 1, [["x", 1], ["y", null]]]]);
  assertEquals(heard.flatMap(({ notes }) => notes), []);
  const stop = await b.cluster.listen(new Heard());
  stop();
  stop();
});

Deno.test("RedisCluster: who follows a channel hears of every append, by any node", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  await using b = await node(redis);
  const notices: LogNotice[] = [];
  const stop = await a.cluster.follow("c", (notice) => notices.push(notice));
  await redis.ask("publish", keys.notices("c"), "nonsense");
  const { epoch } = await b.append("c", [draft({ payload: "1" }), draft({ payload: "2" })]);
  await a.append("c", [draft({ payload: "3" })]);
  await until(() => notices.length === 2, "both are told");
  assertEquals(notices.map(({ epoch, head }) => [epoch, head]), [[epoch, 2], [epoch, 3]]);
  assertEquals(notices.flatMap(({ messages }) => messages.map(({ payload }) => payload)), [
    "1",
    "2",
    "3",
  ]);
  stop();
  await b.append("c", [draft()]);
  await a.cluster.follow("c", () => {});
  assertEquals(notices.length, 2);
});

Deno.test("RedisCluster: on a Cluster notices, notes and rows travel, too", async () => {
  await using servers = await startRedisCluster();
  const options = { cluster: servers.addresses[0], prefix: "cluster:" };
  await using a = await openRedisStore(options);
  await using b = await openRedisStore(options);
  const heard = new Heard();
  await b.cluster.listen(heard);
  const channels = Array.from({ length: 20 }, (_, i) => `channel:${i}`);
  const told = new Set<string>();
  for (const channel of channels) await b.cluster.follow(channel, () => told.add(channel));
  for (const channel of channels) await a.append(channel, [draft()]);
  await a.cluster.send(b.cluster.node, { hello: 1 });
  await a.cluster.renew();
  await a.cluster.write(new Map([["x", 1]]));
  await until(() => told.size === 20 && heard.notes.length === 1, "everything arrives");
  await until(() => heard.changes.length === 1, "the change arrives");
  assertEquals((await b.cluster.rows(a.cluster.node))?.rows, new Map([["x", 1]]));
});

Deno.test("RedisCluster: databases of one Redis hear nothing of each other", async () => {
  await using redis = await startRedis();
  const { port } = redis;
  await using a = await openRedisStore({ port, prefix: "cluster:", db: 1 });
  await using b = await openRedisStore({ url: `redis://127.0.0.1:${port}/2`, prefix: "cluster:" });
  const heard = [new Heard(), new Heard()];
  const told: LogNotice[] = [];
  for (const [i, { cluster }] of [a, b].entries()) await cluster.listen(heard[i]);
  await a.cluster.follow("c", (notice) => told.push(notice));
  for (const store of [b, a]) {
    await store.cluster.send(null, {});
    await store.cluster.write(new Map([["x", 1]]));
    await store.append("c", [draft()]);
  }
  await until(() => told.length > 0 && heard[0].changes.length > 0, "its own are heard");
  assertEquals(told.length, 1);
  assertEquals(heard.map(({ notes, changes }) => [notes.length, changes.length]), [[0, 1], [0, 1]]);
});

Deno.test("RedisCluster keeps texts for their time", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  await using b = await node(redis);
  await a.cluster.keep("poller {1}", "text", 60_000);
  assertEquals(await b.cluster.kept("poller {1}"), "text");
  await b.cluster.drop("poller {1}");
  assertEquals(await a.cluster.kept("poller {1}"), undefined);
  assertEquals(await a.cluster.keep("poller", "second", 60_000, 2), true);
  assertEquals(await b.cluster.keep("poller", "first", 60_000, 1), false);
  assertEquals(await b.cluster.kept("poller"), "second");
  assertEquals(await b.cluster.keep("poller", "the last", 60_000, Number.MAX_SAFE_INTEGER), true);
  assertEquals(await a.cluster.keep("poller", "third", 60_000, Number.MAX_SAFE_INTEGER - 1), false);
  assertEquals(await a.cluster.kept("poller"), "the last");
  await a.cluster.keep("short", "text", 0.5);
  await until(async () => await b.cluster.kept("short") === undefined, "its time is over");
});

Deno.test("RedisCluster keeps texts where Redis has no memory left, as sessions are claimed then, too", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using a = await node(redis);
  await redis.ask("config", "set", "maxmemory", "100kb");
  const refused = await assertRejects(() => a.append("news", [draft()]), PushError);
  assertEquals(refused.code, "store_full");
  await a.cluster.keep("poller", "text", 60_000);
  assertEquals(await a.cluster.kept("poller"), "text");
});

Deno.test("RedisCluster tells a lapse after its connection was killed, and hears again by then", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  await using b = await node(redis);
  const heard = new Heard();
  await a.cluster.listen(heard);
  const heads: number[] = [];
  await a.cluster.follow("c", ({ head }) => heads.push(head));
  for (let round = 1; round <= 3; round++) {
    await redis.ask("client", "kill", "type", "pubsub");
    await until(() => heard.lapses === round, "the lapse is told");
    await b.append("c", [draft()]);
    await until(() => heads.at(-1) === round, "the append is told");
  }
});

Deno.test("RedisCluster: who looks four times in a lease finds a killed node gone within one lease", async () => {
  await using redis = await startRedis();
  await using a = await openRedisStore({ port: redis.port, prefix: "cluster:", lease: 8 });
  await using b = await openRedisStore({ port: redis.port, prefix: "cluster:", lease: 8 });
  assertEquals(a.cluster.lease, 8000);
  await a.cluster.write(new Map([["x", 1]]));
  b.advance(5_000);
  assert((await b.cluster.renew()).has(a.cluster.node), "it is taken for dead too early");
  b.advance(1_001);
  // Whoever has looked just before this looks again before the lease is over.
  assert(!(await b.cluster.renew()).has(a.cluster.node), "it lives too long");
  assertEquals(await b.cluster.rows(a.cluster.node), undefined);
});

Deno.test("RedisCluster leaves the roster when it is disposed, and refuses everything then", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  const b = await node(redis);
  await b.cluster.write(new Map([["x", 1]]));
  await b.cluster.listen(new Heard());
  assert((await a.cluster.renew()).has(b.cluster.node));
  await b[Symbol.asyncDispose]();
  assertEquals([...(await a.cluster.renew()).keys()], [a.cluster.node]);
  for (
    const work of [
      () => b.cluster.renew(),
      () => b.cluster.follow("c", () => {}),
      () => b.cluster.listen(new Heard()),
      () => b.cluster.send(null, {}),
      () => b.cluster.keep("x", "y", 1),
    ]
  ) assertEquals((await assertRejects(work, PushError)).code, "unavailable");
});
