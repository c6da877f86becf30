import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { isFree } from "../../dev/cluster/ports.ts";
import { startRedis, startRedisCluster, startSentinel } from "../support/redis.ts";
import { until } from "../support/within.ts";

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("startRedis() resolves to a server that answers, and stop() leaves nothing of it", async () => {
  const redis = await startRedis();
  assertEquals(redis.url, `redis://127.0.0.1:${redis.port}`);
  assertEquals(await redis.ask("PING"), "PONG");
  assertEquals(await redis.ask("CONFIG", "GET", "maxmemory-policy"), [
    "maxmemory-policy",
    "noeviction",
  ]);
  assert(redis.running && await exists(redis.dir));
  await redis.stop();
  await redis.stop();
  assert(!redis.running && !(await exists(redis.dir)) && isFree(redis.port));
});

Deno.test("RedisServer.restart() after a crash has what was synchronized, on the same port", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  const { pid, url } = redis;
  await redis.ask("SET", "a", "1");
  await redis.kill();
  assert(!redis.running && isFree(redis.port));
  await redis.restart();
  assertEquals([redis.url, await redis.ask("GET", "a")], [url, "1"]);
  assertNotEquals(redis.pid, pid);
});

Deno.test("RedisServer.kill() suspends and goes on with the signals for that", async () => {
  await using redis = await startRedis({ appendonly: false, maxmemory: "16mb" });
  assertEquals(await redis.ask("CONFIG", "GET", "maxmemory"), ["maxmemory", `${16 << 20}`]);
  await redis.kill("SIGSTOP");
  const answer = redis.ask("PING");
  await redis.kill("SIGCONT");
  assertEquals(await answer, "PONG");
  await redis.kill("SIGSTOP");
});

Deno.test("startRedis() says why it failed, and leaves nothing", async () => {
  await assertRejects(() => startRedis({ config: ["nonsense yes"] }), Error, "'nonsense yes'");
  await assertRejects(() => startRedis({ program: "no-such-redis" }), Error, "not found");
  await using redis = await startRedis();
  await assertRejects(() => startRedis({ port: redis.port }), Error, "the port is taken");
});

Deno.test("startRedis(): many at once do not meet", async () => {
  const all = await Promise.all(Array.from({ length: 12 }, () => startRedis()));
  assertEquals(new Set(all.map(({ port }) => port)).size, all.length);
  await Promise.all(all.map((redis) => redis.stop()));
});

Deno.test("startRedis(): a server does not outlive the process that started it, even when that is killed", async () => {
  const module = new URL("../../dev/cluster/redis.ts", import.meta.url);
  const program = `
    import { startRedis } from "${module}";
    const redis = await startRedis();
    console.log(JSON.stringify([redis.port, redis.dir]));
    Deno.kill(Deno.pid, "SIGKILL");`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
  }).output();
  const [port, dir] = JSON.parse(new TextDecoder().decode(stdout));
  await until(() => isFree(port), "the server is gone");
  await until(async () => !(await exists(dir)), "its files are gone");
});

Deno.test("startSentinel(): the replica becomes the primary when that dies", async () => {
  await using set = await startSentinel();
  const first = await set.current();
  assert(first === set.primary && await set.other() === set.replica);
  await first.ask("SET", "a", "1");
  assertEquals(await first.ask("WAIT", 1, 5_000), 1);
  await first.kill();
  const second = await set.replaced(first);
  assert(second === set.replica);
  assertEquals(await second.ask("GET", "a"), "1");
});

Deno.test("startRedisCluster(): slots move from one primary to another, with what is in them", async () => {
  await using cluster = await startRedisCluster();
  const slot = await cluster.slotOf("{news}:1");
  assertEquals(await cluster.slotOf("{news}:2"), slot);
  const owner = await cluster.ownerOf(slot);
  for (let n = 0; n < 25; n++) await owner.ask("SET", `{news}:${n}`, n);
  const other = cluster.nodes.find((node) => node !== owner)!;
  await cluster.moveSlot(slot, other);
  assert(await cluster.ownerOf(slot) === other);
  assertEquals(await other.ask("GET", "{news}:24"), "24");

  const [first, second] = cluster.nodes;
  assert(await cluster.ownerOf(0) === first);
  await cluster.reshard(first, second, 100);
  await cluster.agreed();
  assert(await cluster.ownerOf(0) === second);
});
