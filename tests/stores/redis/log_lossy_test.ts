import { assert, assertEquals } from "@std/assert";
import { Redis } from "ioredis";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import { Lineage } from "../../../server/stores/redis/lineage.ts";
import { ManualClock } from "../../../server/testing/manual_clock.ts";
import { type RedisServer, startRedis, startRedisCluster } from "../../support/redis.ts";
import { drafts, type LogBed, openLog, ready } from "./log_bed.ts";
import { follow, onDisk, pause, told } from "./support/follow.ts";
import { until } from "../../support/within.ts";
import { LateSentinel } from "./support/late_sentinel.ts";

const ALWAYS = {
  appendfsync: "always",
  config: ["repl-diskless-sync-delay 0"],
} as const;

/** Whether the last change of epoch may have lost something. */
async function isLossy({ log }: LogBed): Promise<boolean> {
  const { earlier } = await log.read("c", 0, 10);
  assert(earlier !== undefined, "no epoch has begun");
  return earlier[0].isLossy === true;
}

/** Kills a server, and starts it again. */
async function startAgain(redis: RedisServer): Promise<void> {
  await redis.kill();
  await redis.restart();
}

Deno.test("a server that was promoted and started again before anybody connected may have lost something", async () => {
  await using a = await startRedis(ALWAYS);
  await using b = await startRedis(ALWAYS);
  await using bedA = await openLog(a.port);
  const first = await bedA.log.append("c", drafts(1, 5));
  await follow(b, a);
  await b.ask("REPLICAOF", "NO", "ONE");
  await bedA.log.append("c", drafts(6, 10));
  await onDisk(b);
  await startAgain(b);
  await using bedB = await openLog(b.port);
  const { head, earlier } = await bedB.log.read("c", 0, 10);
  assertEquals([head, earlier], [5, [{ epoch: first.epoch, base: 5, isLossy: true }]]);
});

Deno.test("the same where the primary had been started again before it had a replica", async () => {
  await using a = await startRedis(ALWAYS);
  await using b = await startRedis(ALWAYS);
  await using bedA = await openLog(a.port);
  await bedA.log.append("c", drafts(1, 5));
  await startAgain(a);
  await ready(bedA);
  await follow(b, a);
  await b.ask("REPLICAOF", "NO", "ONE");
  await bedA.log.append("c", drafts(6, 10));
  await onDisk(b);
  await startAgain(b);
  await using bedB = await openLog(b.port);
  assert(await isLossy(bedB));
});

Deno.test("a server that got a replica while gateways were connected may have lost something when it is started again", async () => {
  await using a = await startRedis(ALWAYS);
  await using b = await startRedis(ALWAYS);
  await using bed = await openLog(a.port);
  await bed.log.append("c", drafts(1, 5));
  await follow(b, a);
  await bed.log.append("c", drafts(6, 10));
  await startAgain(a);
  await ready(bed);
  assert(await isLossy(bed));
});

Deno.test("a server that followed another may have lost something, also once it has forgotten it", async () => {
  const forgetful = { ...ALWAYS, config: [...ALWAYS.config, "repl-backlog-ttl 1"] };
  await using a = await startRedis(forgetful);
  await using b = await startRedis(ALWAYS);
  await using bed = await openLog(a.port);
  await bed.log.append("c", drafts(1, 5));
  await follow(b, a);
  await b.ask("REPLICAOF", "NO", "ONE");
  await bed.log.append("c", drafts(6, 10));
  await follow(a, b);
  await a.ask("REPLICAOF", "NO", "ONE");
  while (await told(a, "repl_backlog_active") !== "0") await pause();
  assertEquals(await told(a, "master_replid2"), "0".repeat(40));
  await using again = await openLog(a.port);
  const { head, earlier } = await again.log.read("c", 0, 10);
  assertEquals([head, earlier?.[0].isLossy], [5, true]);
});

Deno.test("a server that writes at once and is alone loses nothing by starts, whoever was connected", async () => {
  await using redis = await startRedis(ALWAYS);
  {
    await using bed = await openLog(redis.port);
    await bed.log.append("c", drafts(1, 5));
    await bed.log.append("idle", drafts(1, 5));
  }
  await startAgain(redis);
  await using bed = await openLog(redis.port);
  for (let n = 1; n <= 3; n++) {
    assertEquals(await isLossy(bed), false);
    await startAgain(redis);
    await ready(bed);
  }
  // Nobody has looked at this one for four starts.
  const { earlier } = await bed.log.read("idle", 0, 10);
  assertEquals(earlier?.map(({ isLossy }) => isLossy), [undefined]);
});

Deno.test("a file that was written anew loses nothing either, once the server has been looked at", async () => {
  await using redis = await startRedis(ALWAYS);
  await using bed = await openLog(redis.port);
  await bed.log.append("c", drafts(1, 5));
  await redis.ask("BGREWRITEAOF");
  await onDisk(redis);
  const dir = `${redis.dir}/appendonlydir`;
  const isMarked = async (): Promise<boolean> => {
    for await (const { name } of Deno.readDir(dir)) {
      if (!name.endsWith(".incr.aof")) continue;
      if ((await Deno.readTextFile(`${dir}/${name}`)).includes(bed.keys.mark)) return true;
    }
    return false;
  };
  while (!await isMarked()) await pause();
  await startAgain(redis);
  await ready(bed);
  assertEquals(await isLossy(bed), false);
});

Deno.test("a server that did not write at once for a while may have lost something, whatever it does after its start", async () => {
  await using redis = await startRedis(ALWAYS);
  await using bed = await openLog(redis.port);
  await bed.log.append("c", drafts(1, 5));
  await redis.ask("CONFIG", "SET", "appendfsync", "everysec");
  while (bed.link.runs !== "") await pause();
  await startAgain(redis);
  await ready(bed);
  assertEquals(await redis.ask("CONFIG", "GET", "appendfsync"), ["appendfsync", "always"]);
  assert(await isLossy(bed));
});

Deno.test("a server that has not answered a look in time is looked at again while the connection stands", async () => {
  await using redis = await startRedis(ALWAYS);
  const clock = new ManualClock();
  const lineage = new Lineage({ keys: new RedisKeys("t:"), isOne: true, clock });
  const client = new Redis({ port: redis.port, lazyConnect: true, commandTimeout: 100 });
  await client.connect();
  await lineage.learn(client);
  const { runs } = lineage;
  assertEquals(runs.length, 12);
  await redis.ask("CLIENT", "PAUSE", 60_000, "WRITE");
  await clock.advance(1_000);
  await until(() => lineage.runs === "", "a look fails");
  await redis.ask("CLIENT", "UNPAUSE");
  await client.ping();
  await clock.advance(1_000);
  await until(() => lineage.runs === runs, "the server is looked at again");
  await lineage.close();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  client.once("end", end);
  client.disconnect();
  await ended;
});

Deno.test("behind a Sentinel a start may have lost something, for another server may answer next", async () => {
  await using redis = await startRedis(ALWAYS);
  await using sentinel = new LateSentinel(redis.port);
  const sentinels = `127.0.0.1:${sentinel.port}`;
  await using bed = await openLog(redis.port, { redis: { sentinels, sentinelName: "push" } });
  await bed.log.append("c", drafts(1, 5));
  await startAgain(redis);
  await ready(bed);
  assert(await isLossy(bed));
});

Deno.test("on a Cluster a node that was started again may have lost something, and may have followed another", async () => {
  await using cluster = await startRedisCluster({ appendfsync: "always" });
  const redis = { cluster: cluster.addresses.join(",") };
  await using bed = await openLog(cluster.nodes[0].port, { redis });
  const meta = bed.keys.meta("c");
  const owner = await cluster.ownerOf(await cluster.slotOf(meta));
  const other = cluster.nodes.find((node) => node !== owner)!;
  await bed.log.append("c", drafts(1, 5));
  const restart = async (): Promise<void> => {
    await startAgain(owner);
    await cluster.agreed();
    await ready(bed);
  };
  await restart();
  assert(await isLossy(bed));
  await bed.log.append("c", drafts(6, 7));
  await restart();
  // As it is where the node's last primary is a primary again, and was one when the epoch began.
  const was = `process:${(await cluster.ids()).get(other.port)}:${await configEpoch(other)}`;
  await owner.ask("HSET", meta, "run", "before", "server", was);
  assert(await isLossy(bed));
});

Deno.test("on a Cluster a channel comes without loss from a primary that stayed one, not from one that came back", async () => {
  await using cluster = await startRedisCluster({ replicas: 1 });
  const redis = { cluster: cluster.addresses.join(","), maxConnections: 20 };
  await using bed = await openLog(cluster.nodes[0].port, { redis });
  const meta = bed.keys.meta("c");
  const slot = await cluster.slotOf(meta);
  const from = await cluster.ownerOf(slot);
  const to = cluster.nodes.slice(0, 3).find((node) => node !== from)!;
  await bed.log.append("c", drafts(1, 5));
  await cluster.moveSlot(slot, to);
  await cluster.agreed();
  assertEquals(await isLossy(bed), false);
  // Each time that a node stands in for another it gets a later number.
  const id = (await cluster.ids()).get(from.port);
  await to.ask("HSET", meta, "run", "before", "server", `process:${id}:99`);
  assert(await isLossy(bed));
});

/** Number under which a node of a Cluster has its slots. */
async function configEpoch(node: RedisServer): Promise<string> {
  return `${await node.ask("CLUSTER", "INFO")}`.match(/cluster_my_epoch:(\d+)/)![1];
}
