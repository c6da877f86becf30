import { assertEquals } from "@std/assert";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import { RedisStore, type RedisStoreOptions } from "../../../server/stores/redis/store.ts";
import { MixedStore } from "../../../server/stores/mixed/store.ts";
import { systemRandom } from "../../../server/clock.ts";
import { StoreTrial } from "../../../server/testing/store_trial.ts";
import { numbers } from "../../../server/testing/store_trial.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { until } from "../../support/within.ts";
import { redisSettings } from "../redis/support/settings.ts";

const MINUTE = 60_000;
const keys = new RedisKeys("mixed:");

/** How a node is made that keeps ten messages beyond what sessions need. */
function optionsFor({ port }: RedisServer): RedisStoreOptions {
  return {
    settings: redisSettings({ port, prefix: "mixed:", lease: 1 }),
    retention: {
      messageTtl: 60 * MINUTE,
      historySize: 10,
      historyBytes: 2 ** 20,
      maxChannelBytes: 2 ** 22,
      maxStoreBytes: 2 ** 26,
      metaTtl: 240 * MINUTE,
      idempotencyWindow: 5 * MINUTE,
    },
    limits: { maxSessions: 100, deadLetterTtl: 60 * MINUTE, maxDeadLetters: 10 },
    random: systemRandom,
  };
}

/** A node. */
async function node(redis: RedisServer): Promise<MixedStore> {
  const store = new MixedStore(optionsFor(redis));
  await store.open();
  return store;
}

function trialOf(a: MixedStore, b: MixedStore): StoreTrial {
  const start = Date.UTC(2025, 0, 1);
  return new StoreTrial(a, b, {
    start,
    spare: 0,
    advance: (ms) => {
      a.advance(ms);
      b.advance(ms);
    },
  });
}

function floorsOf(redis: RedisServer, channel: string): Promise<unknown> {
  return redis.ask("zrange", keys.floors(channel), 0, -1, "withscores");
}

Deno.test("MixedStore keeps what a session of one node has not settled, whoever publishes and sweeps", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  await using b = await node(redis);
  const t = trialOf(a, b);
  const slow = await t.attach("slow");
  const fast = await t.attach("fast");
  await t.stand("slow", slow, "c", 0);
  await t.stand("fast", fast, "c", 0);
  await t.append(
    "c",
    Array.from({ length: 30 }, () => ({
      subject: "s",
      origin: null,
      source: null,
      payload: "{}",
    })),
    b,
  );
  await t.stand("fast", fast, "c", 30);
  await t.stand("slow", slow, "c", 5);
  await a.sweep(t.now);
  await b.sweep(t.now);
  assertEquals(await t.seqs("c"), numbers(6, 30));
  await a.end("slow", slow, t.now);
  await a.sweep(t.now);
  await t.pass(1000);
  await b.sweep(t.now);
  await until(async () => (await t.seqs("c")).length === 10, "the history alone is left");
  assertEquals(await floorsOf(redis, "c"), [`node:${a.cluster.node}.0`, "30"]);
});

Deno.test("MixedStore has no entry in Redis after it was disposed", async () => {
  await using redis = await startRedis();
  await using b = await node(redis);
  const a = await node(redis);
  const t = trialOf(a, b);
  const generation = await t.attach("s");
  for (const channel of ["c", "d", "{e}"]) await t.stand("s", generation, channel, 0);
  assertEquals((await redis.ask("keys", "*floors*") as string[]).length, 4);
  await a[Symbol.asyncDispose]();
  assertEquals(await redis.ask("keys", "*floors*"), []);
  assertEquals(await redis.ask("keys", "*holders*"), []);
});

Deno.test("RedisStore removes the entries of a node that had sessions of its own, and died", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  await using b = new RedisStore(optionsFor(redis));
  await b.open();
  const t = trialOf(a, a);
  await t.stand("s", await t.attach("s"), "c", 0);
  await a.sweep(t.now);
  assertEquals(await floorsOf(redis, "c"), [`node:${a.cluster.node}.0`, "0"]);
  b.advance(2 * MINUTE);
  await b.sweep(t.now);
  assertEquals(await floorsOf(redis, "c"), []);
  const left = [keys.nodes("holders"), keys.nodes(`floors:${a.cluster.node}.0`)];
  assertEquals(await redis.ask("exists", ...left), 0);
});

Deno.test("MixedStore removes the entries of a node that died, and none of one that was away", async () => {
  await using redis = await startRedis();
  await using b = await node(redis);
  await using a = await node(redis);
  const t = trialOf(a, b);
  const generation = await t.attach("s");
  await t.stand("s", generation, "c", 0);
  await t.publish("c", 3);
  await t.stand("s", generation, "c", 2);
  await b.sweep(t.now);
  await t.pass(2 * MINUTE);
  await b.sweep(t.now);
  assertEquals(await floorsOf(redis, "c"), []);
  // It was not dead: it tells again, under another name.
  await a.sweep(t.now);
  assertEquals(await floorsOf(redis, "c"), [`node:${a.cluster.node}.1`, "2"]);
});

Deno.test("MixedStore tells again what it needs after Redis has lost everything", async () => {
  await using redis = await startRedis();
  await using b = await node(redis);
  await using a = await node(redis);
  const t = trialOf(a, b);
  const generation = await t.attach("s");
  await t.publish("c", 3);
  await t.stand("s", generation, "c", 2);
  await redis.ask("flushall");
  const { epoch } = await b.read("c", 0, 10);
  await a.sweep(t.now);
  // Its position is of an epoch that is not known there any more: nothing is settled.
  assertEquals(await floorsOf(redis, "c"), [`node:${a.cluster.node}.1`, "0"]);
  const cursor = { epoch, floor: 0, sent: 0, own: 0, settled: [], late: [] };
  await t.publish("c", 4);
  await a.commit("s", generation, [{ channel: "c", cursor: { ...cursor, floor: 4 } }], t.now);
  await until(
    async () => (await floorsOf(redis, "c") as string[])[1] === "4",
    "the position in the new epoch is told",
  );
});

Deno.test("MixedStore tells again what it needs once its Redis was away", async () => {
  await using redis = await startRedis();
  await using a = await node(redis);
  await using b = await node(redis);
  const t = trialOf(a, b);
  const slow = await t.attach("slow");
  await t.stand("slow", slow, "c", 0);
  await a.sweep(t.now);
  const told = await floorsOf(redis, "c");
  assertEquals(told, [`node:${a.cluster.node}.0`, "0"]);
  // As by a replica that was promoted, and had not heard of it yet.
  const list = keys.nodes(`floors:${a.cluster.node}.0`);
  await redis.ask("del", keys.floors("c"), list);
  await redis.ask("client", "kill", "type", "normal", "skipme", "yes");
  await until(
    async () => JSON.stringify(await floorsOf(redis, "c")) === JSON.stringify(told),
    "told",
  );
  assertEquals(await redis.ask("smembers", list), ["c"]);
  await a.end("slow", slow, t.now);
  await until(async () => (await floorsOf(redis, "c") as string[]).length === 0, "it ends");
});
