import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { systemRandom } from "../../../server/clock.ts";
import { seededRandom } from "../../../server/testing/seeded_random.ts";
import { RedisStore } from "../../../server/stores/redis/store.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { contents, draft, drafts, numbers, openLog } from "./log_bed.ts";
import { redisSettings } from "./support/settings.ts";

const MIB = 2 ** 20;

Deno.test("out of memory: publishes are refused, reading, acknowledging and letting go are not", async () => {
  await using redis = await startRedis();
  const store = new RedisStore({
    settings: redisSettings({ port: redis.port }),
    retention: {
      messageTtl: 3_600_000,
      historySize: 0,
      historyBytes: 0,
      maxChannelBytes: 64 * MIB,
      maxStoreBytes: 256 * MIB,
      metaTtl: 7_200_000,
      idempotencyWindow: 300_000,
    },
    limits: { maxSessions: 100, deadLetterTtl: 3_600_000, maxDeadLetters: 100 },
    random: systemRandom,
  });
  await using _ = store;
  await store.open();
  const now = Date.now();
  const claim = { key: "s", holder: "h", instance: "i", attempt: 1, ttl: 60_000 };
  const claimed = await store.claim(claim, now);
  assert(claimed.ok);
  const { epoch } = await store.read("c", 0, 1);
  const cursor = { epoch, floor: 0, sent: 0, own: 0, settled: [], late: [] };
  await store.commit("s", claimed.generation, [{ channel: "c", cursor }], now);
  const used = await memoryOf(redis);
  await redis.ask("CONFIG", "SET", "maxmemory", used + 4 * MIB);
  const payload = JSON.stringify("x".repeat(50_000));
  let head = 0;
  const full = await assertRejects(async () => {
    while (true) ({ head } = await store.append("c", [draft({ payload })]));
  }, PushError);
  assertEquals(full.code, "store_full");
  assert(head > 10);
  await redis.ask("CONFIG", "SET", "maxmemory", used + 2 * MIB);
  for (const channel of ["c", "fresh"]) {
    const refused = await assertRejects(() => store.append(channel, drafts(1, 1)), PushError);
    assertEquals(refused.code, "store_full");
  }
  assertEquals((await store.states(["c"]))[0]?.head, head);
  const page = await store.read("c", 0, 1000);
  assertEquals(page.messages.map(({ seq }) => seq), numbers(1, head));
  // What is acknowledged makes room.
  const done = { ...cursor, floor: head, sent: head };
  assertEquals(
    await store.commit("s", claimed.generation, [{ channel: "c", cursor: done }], now),
    true,
  );
  await store.sweep(now);
  assertEquals((await store.stats()).messages, 0);
  assertEquals((await store.append("c", [draft()])).appended[0].seq, head + 1);
});

Deno.test("bytes and numbers are right whatever was appended, settled, expired and evicted", async () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random.next() * n);
  const retention = {
    messageTtl: 10_000,
    historySize: 20,
    historyBytes: 4000,
    maxChannelBytes: 12_000,
    metaTtl: 1e9,
  };
  await using redis = await startRedis({ appendfsync: "no" });
  await using bed = await openLog(redis.port, { retention });
  const { log, link, keys } = bed;
  let head = 0;
  let floor = Infinity;
  let oldest = 1;
  const sizes = new Map<number, { bytes: number; at: number }>();
  for (let step = 0; step < 1000; step++) {
    const what = below(10);
    if (what < 5) {
      const batch = numbers(1, 1 + below(5)).map(() =>
        draft({ payload: JSON.stringify("ä".repeat(below(below(10) === 0 ? 3000 : 100))) })
      );
      const { messages } = await log.append("c", batch);
      for (const { seq, bytes, at } of messages) sizes.set(head = seq, { bytes, at });
    } else if (what < 7) {
      floor = floor === Infinity ? 0 : Math.min(floor + below(20), head);
      await redis.ask("ZADD", keys.floors("c"), floor, "slow", head, "fast");
    } else if (what < 8) {
      link.timeOffset += below(4000);
    }
    const isSwept = below(4) === 0;
    if (isSwept) await log.sweep();
    const page = await log.read("c", 0, 10_000);
    const kept = page.messages.map(({ seq }) => seq);
    assertEquals(kept, numbers(page.oldest, head), `step ${step}`);
    const bytes = kept.reduce((sum, seq) => sum + sizes.get(seq)!.bytes, 0);
    assert(page.oldest >= oldest && bytes <= retention.maxChannelBytes, `step ${step}`);
    // What was dropped was settled, too old, or had no room.
    let sum = bytes;
    for (let seq = page.oldest - 1; seq >= oldest; seq--) {
      const { at, bytes } = sizes.get(seq)!;
      sum += bytes;
      const isBeyond = head - seq >= retention.historySize || sum > retention.historyBytes;
      const isOld = at <= page.time! - retention.messageTtl;
      const isHeld = seq > floor && !isOld;
      assert(isOld || sum > retention.maxChannelBytes || !isHeld && isBeyond, `${step}: ${seq}`);
    }
    oldest = page.oldest;
    const meta = await redis.ask("HMGET", keys.meta("c"), "cum", "gone", "at") as string[];
    assertEquals(Number(meta[0] ?? 0) - Number(meta[1] ?? 0), bytes, `step ${step}`);
    if (isSwept) {
      const over = kept.filter((seq) => seq <= floor);
      const isLong = kept.length > retention.historySize || bytes > retention.historyBytes;
      assert(over.length === 0 || !isLong, `step ${step}: ${over} could go`);
      const stats = await log.stats();
      assertEquals([stats.messages, stats.bytes], [kept.length, bytes], `step ${step}`);
    }
  }
});

Deno.test("one node sweeps at a time, and a lease that was not given back ends", async () => {
  await using redis = await startRedis();
  await using a = await openLog(redis.port, { retention: { historySize: 1 } });
  await using b = await openLog(redis.port, { retention: { historySize: 1 } });
  const lease = a.keys.sweep("log");
  await a.log.append("c", drafts(1, 2));
  await a.log.sweep();
  assertEquals(await redis.ask("EXISTS", lease), 0);
  await redis.ask("SET", lease, "another", "PX", 10_000);
  await redis.ask("CONFIG", "RESETSTAT");
  await b.log.sweep();
  assertEquals(await redis.ask("GET", lease), "another");
  assertEquals(await callsOf(redis, "evalsha"), 1);
  await redis.ask("DEL", lease);
  await Promise.all([a.log.sweep(), b.log.sweep()]);
  await b.log.sweep();
  assertEquals(await redis.ask("EXISTS", lease), 0);
  const held = redis.ask("SET", lease, "another", "PX", 1);
  await held;
  while (await redis.ask("EXISTS", lease) === 1) await a.log.states([]);
  await a.log.sweep();
  assertEquals((await a.log.stats()).channels, 1);
});

Deno.test("of many channels a sweep visits some, and every one in its turn", async () => {
  await using redis = await startRedis({ appendfsync: "no" });
  await using bed = await openLog(redis.port, { retention: { historySize: 1 } });
  const count = 10_000;
  for (let i = 0; i < count; i += 1000) {
    await Promise.all(
      numbers(i, i + 999).map((n) => bed.log.append(`channel ${n}`, drafts(1, 1))),
    );
  }
  let most = 0;
  let sweeps = 0;
  while ((await bed.log.stats()).messages < count) {
    await redis.ask("CONFIG", "RESETSTAT");
    await bed.log.sweep();
    sweeps++;
    most = Math.max(most, await callsOf(redis, "evalsha"));
    assert(sweeps <= 10);
  }
  console.log(`${count} channels: ${sweeps} sweeps of at most ${most} scripts`);
  assert(most < 2200);
  assertEquals((await bed.log.channels()).length, count);
  // Nobody uses them: there is nothing to do.
  for (let i = 0; i < 10; i++) await bed.log.sweep();
  await redis.ask("CONFIG", "RESETSTAT");
  await bed.log.sweep();
  assert(await callsOf(redis, "evalsha") < 10);
});

Deno.test("a channel that is used while it is being forgotten is never in use and unlisted", async () => {
  await using redis = await startRedis({ appendfsync: "no" });
  const retention = { messageTtl: 1, metaTtl: 1 };
  await using a = await openLog(redis.port, { retention });
  await using b = await openLog(redis.port, { retention });
  let begun = 0;
  for (let round = 0; round < 200; round++) {
    // Now it is empty, and a moment later idle.
    a.link.timeOffset = b.link.timeOffset += 10;
    await b.log.sweep();
    a.link.timeOffset = b.link.timeOffset += 10;
    const sweeping = b.log.sweep();
    for (let i = 0; i < round % 8; i++) await redis.ask("PING");
    const [{ head }] = await Promise.all([a.log.append("c", drafts(1, 1)), sweeping]);
    if (head === 1) begun++;
    assertEquals((await b.log.channels()).map(({ name }) => name), ["c"], `round ${round}`);
  }
  console.log(`forgotten ${begun} times of 200`);
  assert(begun > 0);
});

Deno.test("a channel that the index has lost is listed again once it is used", async () => {
  await using redis = await startRedis();
  {
    await using bed = await openLog(redis.port);
    await bed.log.append("c", drafts(1, 1));
    await redis.ask("DEL", bed.keys.channels);
  }
  await using bed = await openLog(redis.port);
  assertEquals(await bed.log.channels(), []);
  await bed.log.append("c", drafts(2, 2));
  assertEquals((await bed.log.channels()).map(({ head }) => head), [2]);
});

Deno.test("every key of a channel's log ends by itself, long after it is of use", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  await bed.log.create("c", {});
  await bed.log.append("c", [draft({ id: "i" })]);
  await bed.log.read("d", 0, 1);
  const keys = (await redis.ask("KEYS", "*{c:*") as string[]).sort();
  assertEquals(keys.map((key) => key.split("}:")[1].split(":")[0]), [
    "id",
    "log",
    "meta",
    "op",
    "meta",
  ]);
  for (const key of keys) {
    const left = Number(await redis.ask("PTTL", key));
    assert(left > 0, key);
    if (/meta|log/.test(key)) assert(left > 2 * (3_600_000 + 4 * 3_600_000), `${key} ${left}`);
  }
});

Deno.test("at maxStoreBytes the channels with the oldest messages lose them first", async () => {
  await using redis = await startRedis();
  const size = 64 + 1002;
  await using bed = await openLog(redis.port, { retention: { maxStoreBytes: 60 * size } });
  const payload = JSON.stringify("x".repeat(1000));
  const batch = numbers(1, 20).map(() => draft({ payload }));
  for (const channel of ["old", "middle", "new"]) {
    await redis.ask("ZADD", bed.keys.floors(channel), 0, "s");
    await bed.log.append(channel, batch);
    bed.link.timeOffset += 1000;
  }
  await bed.log.sweep();
  assertEquals((await bed.log.stats()).evicted, 0);
  await bed.log.append("newest", batch);
  await bed.log.sweep();
  const counts = [];
  for (const channel of ["old", "middle", "new", "newest"]) {
    counts.push((await contents(bed, channel)).length);
  }
  console.log(`kept ${counts} of 20 each, 60 in all`);
  assert(counts[0] >= 1 && counts[0] < 20 && counts[3] === 20);
  const { bytes, evicted } = await bed.log.stats();
  assert(bytes <= 60 * size && bytes > 50 * size);
  assertEquals(evicted, 80 - counts.reduce((sum, count) => sum + count));
});

Deno.test("nodes that count at the same time make room once", async () => {
  await using redis = await startRedis();
  const size = 64 + 1002;
  const retention = { maxStoreBytes: 60 * size };
  await using bed = await openLog(redis.port);
  const others = await Promise.all(
    numbers(1, 6).map(() => openLog(redis.port, { retention })),
  );
  const payload = JSON.stringify("x".repeat(1000));
  await bed.log.append("c", numbers(1, 80).map(() => draft({ payload })));
  // What there is is known to all, by one that has no need for room.
  assertEquals((await bed.log.stats()).messages, 80);
  await Promise.all(others.map(({ log }) => log.stats()));
  const { messages } = await bed.log.stats();
  assert(messages <= 60 && messages > 50, `${messages} are left`);
  for (const other of others) await other[Symbol.asyncDispose]();
});

async function memoryOf(redis: RedisServer): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(`${await redis.ask("INFO", "memory")}`)?.[1]);
}

async function callsOf(redis: RedisServer, command: string): Promise<number> {
  const stats = `${await redis.ask("INFO", "commandstats")}`;
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
}
