import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Command } from "ioredis";
import { PushError } from "@push/client/protocol";
import { endpoints } from "../../../server/stores/redis/link_address.ts";
import { rangesOf, redirection, slotOf } from "../../../server/stores/redis/link_slots.ts";
import { RedisLink } from "../../../server/stores/redis/link.ts";
import type { Script } from "../../../server/stores/redis/script.ts";
import { HOSTILE } from "../../../server/testing/store_trial.ts";
import { ToxicProxy } from "../../../dev/cluster/proxy.ts";
import { LateSentinel } from "./support/late_sentinel.ts";
import { startRedis, startRedisCluster, startSentinel } from "../../support/redis.ts";
import { until } from "../../support/within.ts";
import { redisSettings } from "./support/settings.ts";

const ADD: Script = {
  name: "add",
  lua: `-- Counts.
-- KEYS: counter
-- ARGV: offset, how much
-- Returns: the count
return redis.call('INCRBY', KEYS[1], ARGV[2])`,
};
const TIME: Script = {
  name: "time",
  lua: `-- Tells the store's time.
-- KEYS: none
-- ARGV: offset
-- Returns: milliseconds
return now()`,
};

/** A link that is open. */
async function linked(...options: Parameters<typeof redisSettings>): Promise<RedisLink> {
  const link = new RedisLink({ settings: redisSettings(...options) });
  try {
    await link.open();
  } catch (error) {
    await link[Symbol.asyncDispose]();
    throw error;
  }
  return link;
}

/** Code and text of the error that something is refused with. */
async function refusal(work: () => Promise<unknown>): Promise<[code: string, text: string]> {
  const error = await assertRejects(work, PushError);
  return [error.code, error.message];
}

Deno.test("RedisLink runs scripts and commands, and knows them again after SCRIPT FLUSH", async () => {
  await using redis = await startRedis();
  await using link = await linked({ port: redis.port });
  assertEquals(await link.run(ADD, ["n"], [2]), 2);
  const load = Array.from({ length: 500 }, async (_, i) => {
    if (i % 100 === 50) await link.command("script", "flush");
    return await link.run(ADD, ["n"], [1]);
  });
  await Promise.all(load);
  assertEquals(await link.command("get", "n"), "502");
  const [before] = await redis.ask("time") as string[];
  link.timeOffset = 3_600_000;
  assert(Number(await link.run(TIME, [])) >= Number(before) * 1000 + 3_600_000);
  assertEquals(link.trouble, undefined);
});

Deno.test("RedisLink tells what was refused from what may have happened", async () => {
  await using redis = await startRedis({ maxmemory: "2mb" });
  await using link = await linked({ port: redis.port });
  const [code, text] = await refusal(() => link.command("incr", "n", "m"));
  assertEquals(code, "internal");
  assertMatch(text, /^Redis cannot do 'incr': ERR wrong number/);
  await redis.ask("config", "set", "maxmemory", "100kb");
  assertEquals((await refusal(() => link.run(ADD, ["n"], [1])))[0], "store_full");
  await redis.ask("config", "set", "maxmemory", "0");
  await redis.ask("replicaof", "127.0.0.1", "1");
  assertEquals((await refusal(() => link.run(ADD, ["n"], [1])))[0], "unavailable");
  await redis.ask("replicaof", "no", "one");
  await until(() => link.trouble === undefined, "the primary is back");
  assertEquals(await link.run(ADD, ["n"], [1]), 1);
});

Deno.test("RedisLink says in one sentence why it cannot open, without the password", async () => {
  await using redis = await startRedis();
  await redis.ask("config", "set", "requirepass", "right");
  const { port } = redis;
  const url = `redis://:wrong@127.0.0.1:${port}`;
  const wrong: [options: Parameters<typeof redisSettings>[0], text: string][] = [
    [{ port: 1 }, "Redis at 127.0.0.1:1 cannot be used: it refuses connections."],
    [{ port }, `Redis at 127.0.0.1:${port} cannot be used: it asks for a password.`],
    [
      { url },
      `Redis at 127.0.0.1:${port} cannot be used: it does not accept the user name or password.`,
    ],
    [
      { sentinels: "127.0.0.1:1,127.0.0.1:2", sentinelName: "push" },
      "Redis 'push' of the Sentinels at 127.0.0.1:1, 127.0.0.1:2 cannot be used: " +
      "no Sentinel knows 'push'.",
    ],
    [
      { cluster: `127.0.0.1:${port}`, password: "right" },
      `Redis at 127.0.0.1:${port} knows no Cluster: ERR This instance has cluster support disabled.`,
    ],
    [
      { cluster: "127.0.0.1:1" },
      "Redis at 127.0.0.1:1 cannot be used: it refuses connections.",
    ],
  ];
  for (const [options, text] of wrong) {
    assertEquals(await refusal(() => linked(options)), ["unavailable", text]);
  }
  await using link = await linked({ url: `redis://default:right@127.0.0.1:${port}/3` });
  assertEquals(await link.run(ADD, ["n"], [1]), 1);
  assertEquals(link.peer, `Redis at 127.0.0.1:${port}`);
  await using user = await linked({ port, username: "default", password: "right", db: 3 });
  assertEquals(await user.command("get", "n"), "1");
});

Deno.test("RedisLink answers outcome_unknown while Redis is stopped, then refuses at once, then goes on", async () => {
  await using redis = await startRedis();
  await using link = await linked({ port: redis.port, commandTimeout: 0.3 });
  await link.run(ADD, ["n"], [1]);
  await redis.kill("SIGSTOP");
  const [code] = await refusal(() => link.run(ADD, ["n"], [1]));
  assertEquals(code, "outcome_unknown");
  await until(() => link.trouble !== undefined, "the link notices that Redis is silent");
  assertEquals((await refusal(() => link.run(ADD, ["n"], [10])))[0], "unavailable");
  await redis.kill("SIGCONT");
  await until(() => link.trouble === undefined, "the link is back");
  // Redis found the first in its socket when it went on; the second was never sent.
  assertEquals(await link.command("get", "n"), "2");
});

Deno.test("RedisLink refuses at once while Redis is down, and comes back by itself", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  await using link = await linked({ port: redis.port });
  await link.run(ADD, ["n"], [1]);
  const hanging = link.command("blpop", "nothing", 0).catch((error: PushError) => error.code);
  await redis.kill("SIGKILL");
  assertEquals(await hanging, "outcome_unknown");
  await until(() => link.trouble !== undefined, "the loss is noticed");
  assertMatch(link.trouble!, /^Redis at 127\.0\.0\.1:\d+ cannot be used: /);
  assertEquals((await refusal(() => link.run(ADD, ["n"], [1])))[0], "unavailable");
  await redis.restart();
  await until(() => link.trouble === undefined, "the link is back");
  assertEquals(await link.run(ADD, ["n"], [1]), 2);
});

Deno.test("RedisLink does not send again what was carried out and not answered", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
  await using link = await linked({ port: proxy.port });
  await link.run(ADD, ["n"], [1]);
  const swallowed = proxy.swallowAnswer((command) => /evalsha/i.test(command));
  assertEquals((await refusal(() => link.run(ADD, ["n"], [1])))[0], "outcome_unknown");
  await swallowed;
  await until(() => link.trouble === undefined, "the link is back");
  assertEquals(await link.command("get", "n"), "2");
  proxy.set("both", { latency: 20, jitter: 20 });
  const counts = await Promise.all(Array.from({ length: 20 }, () => link.run(ADD, ["n"], [1])));
  assertEquals(counts, Array.from({ length: 20 }, (_, i) => i + 3));
});

Deno.test("RedisLink settles everything when it is disposed, whatever it was doing", async () => {
  await using redis = await startRedis();
  const link = await linked({ port: redis.port });
  const hanging = link.command("blpop", "nothing", 0).catch((error: PushError) => error.code);
  await link[Symbol.asyncDispose]();
  await link[Symbol.asyncDispose]();
  assertEquals(await hanging, "outcome_unknown");
  assertEquals(await refusal(() => link.command("ping")), ["unavailable", "The store is closed."]);
  // While it connects, and while it waits for the next attempt.
  const early = new RedisLink({ settings: redisSettings({ port: redis.port }) });
  const opening = early.open().catch((error: PushError) => error.code);
  await early[Symbol.asyncDispose]();
  assertEquals(await opening, "unavailable");
  await redis.kill("SIGSTOP");
  const silent = new RedisLink({ settings: redisSettings({ port: redis.port }) });
  const waiting = silent.open().catch((error: PushError) => error.code);
  await until(() => silent.trouble !== "The store is not open.", "it connects");
  await silent[Symbol.asyncDispose]();
  assertEquals(await waiting, "unavailable");
  await redis.kill("SIGCONT");
});

Deno.test("RedisLink gives up connecting where nobody answers", async () => {
  await using redis = await startRedis({ config: ["tcp-backlog 1"] });
  await redis.kill("SIGSTOP");
  // They fill the queue of the socket; what comes after is not even told that it must wait.
  const crowd = Array.from({ length: 4 }, () => Deno.connect({ port: redis.port }));
  await Promise.race(crowd);
  const silent = { port: redis.port, commandTimeout: 0.2 };
  const text = `Redis at 127.0.0.1:${redis.port} cannot be used: it does not answer.`;
  for (let i = 0; i < 3; i++) {
    assertEquals(await refusal(() => linked(silent)), ["unavailable", text]);
  }
  await redis.kill("SIGCONT");
  for (const connection of await Promise.all(crowd)) connection.close();
});

Deno.test("RedisLink follows a Sentinel failover", async () => {
  await using set = await startSentinel();
  await using link = await linked({ sentinels: set.addresses.join(","), sentinelName: set.name });
  assertEquals(await link.run(ADD, ["n"], [1]), 1);
  await set.primary.kill("SIGKILL");
  await until(() => link.trouble !== undefined, "the loss is noticed");
  assertEquals((await refusal(() => link.run(ADD, ["n"], [1])))[0], "unavailable");
  await until(() => link.trouble === undefined, "the replica is promoted", 30_000);
  assertMatch(String(await link.run(ADD, ["n"], [1])), /^[12]$/);
});

Deno.test("RedisLink believes the Sentinel that knows of the last failover, not one that has not heard of it", async () => {
  await using set = await startSentinel();
  const old = await set.current();
  await using behind = new LateSentinel(old.port);
  const { port } = await set.failOver();
  // It is back, and takes writes until the sentinels make it a replica.
  await old.restart();
  const sentinels = [`127.0.0.1:${behind.port}`, ...set.addresses].join(",");
  await using link = await linked({ sentinels, sentinelName: set.name });
  assertEquals(await link.run(ADD, ["n"], [1]), 1);
  const primary = [set.primary, set.replica].find((it) => it.port === port)!;
  assertEquals([await old.ask("GET", "n"), await primary.ask("GET", "n")], [null, "1"]);
  assert(behind.asked > 0);
});

Deno.test("RedisLink takes the word of a Sentinel that does not tell how late it is, unless another does", async () => {
  await using right = await startRedis();
  await using wrong = await startRedis();
  for (const says of ["no", "nothing"] as const) {
    await using alone = new LateSentinel(right.port, says);
    const named = { sentinelName: "push", sentinels: `127.0.0.1:${alone.port}` };
    await using link = await linked(named);
    await link.command("set", "n", says);
    assertEquals([await right.ask("GET", "n"), alone.asked], [says, 1]);

    await using first = new LateSentinel(wrong.port, says);
    await using second = new LateSentinel(right.port);
    const sentinels = `127.0.0.1:${first.port},127.0.0.1:${second.port}`;
    await using other = await linked({ sentinelName: "push", sentinels });
    assertEquals([await other.command("get", "n"), first.asked], [says, 1]);
  }
});

Deno.test("RedisLink finds the keys of a Cluster, also while their slots move", async () => {
  await using cluster = await startRedisCluster();
  await using link = await linked({ cluster: cluster.addresses[0] });
  const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`);
  for (const key of keys) assertEquals(await link.run(ADD, [key], [1]), 1);
  assertEquals((await link.everywhere("dbsize")).length, 3);
  const sizes = await link.everywhere("dbsize") as number[];
  assertEquals(sizes.reduce((a, b) => a + b), 60);
  assert(Math.min(...sizes) > 0);

  const slot = slotOf("{moving}");
  await link.run(ADD, ["{moving}a"], [1]);
  const owner = await cluster.ownerOf(slot);
  const moved = cluster.moveSlot(slot, cluster.nodes.find((node) => node !== owner)!);
  let count = 1;
  let isOver = false;
  moved.finally(() => isOver = true).catch(() => {});
  while (!isOver) assertEquals(await link.run(ADD, ["{moving}a"], [1]), ++count);
  await moved;
  assertEquals(await link.run(ADD, ["{moving}a"], [1]), ++count);
});

Deno.test("RedisLink refuses a Cluster of more primaries than it may connect to", async () => {
  await using cluster = await startRedisCluster();
  const error = await assertRejects(
    () => linked({ cluster: cluster.addresses.join(","), maxConnections: 6 }),
    TypeError,
  );
  assertMatch(error.message, /more than 2 primaries.*'push\.redis\.maxConnections'/);
  await using _ = await linked({ cluster: cluster.addresses.join(","), maxConnections: 7 });
});

Deno.test("slotOf() finds the slot that Redis finds", () => {
  for (const key of [...HOSTILE, "", "{}a", "a{b}c", "a{b", "{{b}}", "ä{ö}"]) {
    const wellFormed = key.toWellFormed();
    assertEquals(slotOf(wellFormed), new Command("get", [wellFormed]).getSlot(), wellFormed);
  }
});

Deno.test("addresses, answers to CLUSTER SLOTS and redirections are read", () => {
  assertEquals(endpoints("a:1, [::1]:2,b,[::2]", 9), [
    { host: "a", port: 1 },
    { host: "::1", port: 2 },
    { host: "b", port: 9 },
    { host: "::2", port: 9 },
  ]);
  const asked = { host: "me", port: 1 };
  assertEquals(rangesOf([[0, 5, ["", 7, "id"]], [6, 9, ["x", 8, "id"], ["y", 9, "id"]]], asked), [
    { from: 0, to: 5, node: { host: "me", port: 7 } },
    { from: 6, to: 9, node: { host: "x", port: 8 } },
  ]);
  assertEquals(redirection("MOVED 3 :7", asked), { slot: 3, node: { host: "me", port: 7 } });
  assertEquals(redirection("ASK 3 ::1:7", asked), { slot: 3, node: { host: "::1", port: 7 } });
  assertEquals(redirection("MOVED 16384 a:7", asked), undefined);
  assertEquals(redirection("MOVED __proto__ a:7", asked), undefined);
});
