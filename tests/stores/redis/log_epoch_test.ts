import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { within } from "../../support/within.ts";
import { startRedis, startRedisCluster } from "../../support/redis.ts";
import { contents, draft, drafts, numbers, openLog, ready } from "./log_bed.ts";
import { follow, onDisk, pause } from "./support/follow.ts";

for (const appendfsync of ["always", "everysec", "no"] as const) {
  Deno.test(`kill -9 of Redis with appendfsync ${appendfsync}: a new epoch that goes on where the log ends`, async () => {
    await using redis = await startRedis({ appendfsync });
    await using bed = await openLog(redis.port);
    const { log } = bed;
    const before = await log.append("c", drafts(1, 100));
    await log.append("untouched", drafts(1, 3));
    await redis.kill();
    await redis.restart();
    await ready(bed);
    const [state, untouched] = await log.states(["c", "untouched"]);
    assert(state !== undefined && untouched !== undefined);
    assertNotEquals(state.epoch, before.epoch);
    // What was written reached the system; only the loss of that would lose it.
    assertEquals([state.head, state.oldest, untouched.head], [100, 1, 3]);
    // Only a Redis that writes at once cannot have lost anything that was answered.
    const lossy = appendfsync === "always" ? {} : { isLossy: true };
    assertEquals(state.earlier, [{ epoch: before.epoch, base: 100, ...lossy }]);
    assertEquals((await log.append("c", [draft({ payload: "101" })])).epoch, state.epoch);
    assertEquals(await contents(bed, "c"), numbers(1, 101).map((n) => `${n}:${n}`));
  });
}

Deno.test("each operation that tells a state begins the new epoch, and all tell the same one", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  await using bed = await openLog(redis.port);
  const { log } = bed;
  const epochs = new Set<string>();
  const operations: ((channel: string) => Promise<unknown>)[] = [
    (channel) => log.read(channel, 0, 1),
    (channel) => log.states([channel]),
    (channel) => log.append(channel, drafts(1, 1)),
    (channel) => log.create(channel, {}),
    () => log.channels(),
    () => log.sweep(),
  ];
  const first = await Promise.all(operations.map((_, i) => log.append(`${i}`, drafts(1, 2))));
  await redis.kill();
  await redis.restart();
  await ready(bed);
  for (const [i, operation] of operations.entries()) {
    await operation(`${i}`);
    const { epoch, earlier } = await log.read(`${i}`, 0, 10);
    assertEquals(earlier, [{ epoch: first[i].epoch, base: 2 }]);
    assertEquals((await log.states([`${i}`]))[0]?.epoch, epoch);
    epochs.add(epoch);
  }
  assertEquals(epochs.size, operations.length);
});

Deno.test("states of many channels are right for each: known, unknown, expired and after a restart", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  await using bed = await openLog(redis.port, { retention: { messageTtl: 10_000 } });
  const { log, link } = bed;
  const names = numbers(1, 250).map((n) => `channel ${n}`);
  const expired = names.filter((_, i) => i % 3 === 0);
  const unknown = names.filter((_, i) => i % 3 === 1);
  const known = names.filter((_, i) => i % 3 === 2);
  await Promise.all(expired.map((name) => log.append(name, drafts(1, 2))));
  link.timeOffset += 10_001;
  const results = await Promise.all(known.map((name) => log.append(name, drafts(1, 3))));
  const epochs = new Map(results.map(({ epoch }, i) => [known[i], epoch]));
  const check = async (): Promise<void> => {
    for (const [i, state] of (await log.states(names)).entries()) {
      const expected = [[2, 3], undefined, [3, 1]][i % 3];
      assertEquals(state && [state.head, state.oldest], expected, names[i]);
    }
  };
  await check();
  assertEquals(await redis.ask("EXISTS", ...unknown.map((name) => bed.keys.meta(name))), 0);
  await redis.kill();
  await redis.restart();
  await ready(bed);
  await check();
  for (const [i, state] of (await log.states(known)).entries()) {
    assertEquals(state?.earlier, [{ epoch: epochs.get(known[i])!, base: 3 }]);
  }
});

Deno.test("the last 16 epochs are remembered, newest first", async () => {
  await using redis = await startRedis({ appendfsync: "no" });
  await using bed = await openLog(redis.port);
  const epochs: string[] = [];
  for (let n = 1; n <= 19; n++) {
    epochs.unshift((await bed.log.append("c", drafts(n, n))).epoch);
    // Another id of the replication history is what a restart or a promotion gives.
    await redis.ask("HSET", bed.keys.meta("c"), "run", `run${n}`);
  }
  const { earlier } = await bed.log.read("c", 0, 1);
  assertEquals(
    earlier,
    epochs.slice(0, 16).map((epoch, i) => ({ epoch, base: 19 - i })),
  );
});

Deno.test("a server that kept nothing, and FLUSHALL, begin a log with another epoch and no earlier one", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using bed = await openLog(redis.port);
  const { log } = bed;
  const before = await log.append("c", [draft({ id: "i" }), draft()]);
  await redis.kill();
  await redis.restart();
  await ready(bed);
  assertEquals(await log.states(["c"]), [undefined]);
  const after = await log.append("c", [draft({ id: "i" })]);
  assertNotEquals(after.epoch, before.epoch);
  assertEquals([after.head, after.earlier, after.appended[0].duplicate], [1, undefined, false]);
  await redis.ask("FLUSHALL");
  const page = await log.read("c", 0, 10);
  assertNotEquals(page.epoch, after.epoch);
  assertEquals([page.head, page.oldest, page.earlier], [0, 1, undefined]);
  assertEquals((await log.channels()).map(({ name }) => name), ["c"]);
});

Deno.test("positions above what a failover kept count as settled no more", async () => {
  await using primary = await startRedis({ config: ["repl-diskless-sync-delay 0"] });
  await using replica = await startRedis({ config: ["repl-diskless-sync-delay 0"] });
  await using bed = await openLog(primary.port, { retention: { historySize: 0 } });
  await primary.ask("ZADD", bed.keys.floors("c"), 0, "behind");
  const first = await bed.log.append("c", drafts(1, 5));
  await follow(replica, primary);
  // From here on the replica hears nothing more.
  await replica.ask("REPLICAOF", "NO", "ONE");
  await bed.log.append("c", drafts(6, 10));
  await using other = await openLog(replica.port, { retention: { historySize: 0 } });
  await replica.ask("ZADD", bed.keys.floors("c"), 8, "before", 2, "behind");
  const { epoch, earlier, head } = await other.log.read("c", 0, 10);
  assertNotEquals(epoch, first.epoch);
  assertEquals([head, earlier], [5, [{ epoch: first.epoch, base: 5, isLossy: true }]]);
  assertEquals(await replica.ask("ZRANGE", bed.keys.floors("c"), 0, -1, "WITHSCORES"), [
    "behind",
    "2",
    "before",
    "5",
  ]);
});

Deno.test("a server promoted for a second time begins a new epoch, though its process is the same", async () => {
  await using a = await startRedis({ config: ["repl-diskless-sync-delay 0"] });
  await using b = await startRedis({ config: ["repl-diskless-sync-delay 0"] });
  await using bedA = await openLog(a.port);
  const first = await bedA.log.append("c", drafts(1, 5));
  await follow(b, a);
  await b.ask("REPLICAOF", "NO", "ONE");
  // Lost: b is the primary now, and nobody looks at the channel there.
  const lost = await bedA.log.append("c", drafts(6, 10));
  // With its first replica the server's history got another name.
  assertEquals(lost.earlier, [{ epoch: first.epoch, base: 5 }]);
  await follow(a, b);
  await a.ask("REPLICAOF", "NO", "ONE");
  await using again = await openLog(a.port);
  const { epoch, head, earlier } = await again.log.read("c", 0, 10);
  assertEquals(head, 5);
  assertNotEquals(epoch, lost.epoch);
  assertNotEquals(epoch, first.epoch);
  assertEquals(earlier, [{ epoch: first.epoch, base: 5, isLossy: true }]);
});

Deno.test("a server that was promoted, and started again before anybody looked, may have lost something", async () => {
  const options = { appendfsync: "always", config: ["repl-diskless-sync-delay 0"] } as const;
  await using a = await startRedis(options);
  await using b = await startRedis(options);
  await using bedA = await openLog(a.port);
  const first = await bedA.log.append("c", drafts(1, 5));
  await follow(b, a);
  await b.ask("REPLICAOF", "NO", "ONE");
  await bedA.log.append("c", drafts(6, 10));
  await using bedB = await openLog(b.port);
  await onDisk(b);
  await b.kill();
  await b.restart();
  await ready(bedB);
  const { head, earlier } = await bedB.log.read("c", 0, 10);
  assertEquals([head, earlier], [5, [{ epoch: first.epoch, base: 5, isLossy: true }]]);
});

Deno.test("on a Cluster nothing is lost with a channel from a node that goes on, as far as is known", async () => {
  await using cluster = await startRedisCluster();
  const [{ port }] = cluster.nodes;
  await using bed = await openLog(port, { redis: { cluster: cluster.addresses.join(",") } });
  const meta = bed.keys.meta("c");
  const owner = await cluster.ownerOf(await cluster.slotOf(meta));
  const other = cluster.nodes.find((node) => node !== owner)!;
  const otherId = (await cluster.ids()).get(other.port)!;
  const first = await bed.log.append("c", drafts(1, 5));
  // As it is for who takes a channel over from another node.
  await owner.ask("HSET", meta, "run", "earlier", "server", `process:${otherId}`);
  const moved = await bed.log.read("c", 0, 10);
  assertEquals(moved.earlier, [{ epoch: first.epoch, base: 5 }]);
  await owner.ask("HSET", meta, "run", "earlier", "server", `process:${"0".repeat(40)}`);
  const [latest] = (await bed.log.read("c", 0, 10)).earlier ?? [];
  assertEquals(latest, { epoch: moved.epoch, base: 5, isLossy: true });
});

Deno.test("a Redis that is killed under load stores what is published until it is answered, once", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  await using a = await openLog(redis.port);
  await using b = await openLog(redis.port);
  const accepted = new Map<number, number>();
  let retries = 0;
  let isOver = false;
  const publishing = Promise.all(
    numbers(0, 7).map(async (publisher) => {
      const bed = publisher % 2 === 0 ? a : b;
      for (let n = publisher; !isOver; n += 8) {
        while (!accepted.has(n)) {
          try {
            const { appended } = await bed.log.append("c", [
              draft({ id: `${n}`, payload: `${n}` }),
            ]);
            accepted.set(n, appended[0].seq);
          } catch {
            retries++;
            // A refusal at once must not keep the connection's end from being noticed.
            await pause();
            await ready(bed);
          }
        }
      }
    }),
  );
  for (let kill = 0; kill < 5; kill++) {
    const count = accepted.size;
    while (accepted.size < count + 100) await pause();
    await redis.kill();
    await redis.restart();
    await ready(a);
  }
  isOver = true;
  await within(publishing, "the publishers");
  const page = await a.log.read("c", 0, 1_000_000);
  console.log(`${accepted.size} accepted, ${retries} of them asked again, 5 kills`);
  assertEquals(page.messages.map(({ seq }) => seq), numbers(1, accepted.size));
  for (const { seq, payload } of page.messages) assertEquals(accepted.get(Number(payload)), seq);
  assertEquals(page.earlier?.length, 5);
});
