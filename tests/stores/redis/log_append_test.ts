import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { systemClock } from "../../../server/clock.ts";
import { APPEND } from "../../../server/stores/redis/log_append.ts";
import { logKeys } from "../../../server/stores/redis/log_lua.ts";
import { Retry } from "../../../server/stores/redis/log_retry.ts";
import { startRedis } from "../../support/redis.ts";
import { ToxicProxy } from "../../support/toxic_proxy.ts";
import { contents, draft, drafts, numbers, openLog } from "./log_bed.ts";

Deno.test("the append script, run twice under one operation id, has one effect and one answer", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  const { link, keys, log } = bed;
  await log.append("c", [draft({ id: "known" })]);
  const all = [...logKeys(keys, "c"), keys.op("c", "op")];
  const terms = ["epoch", 3_600_000, 100, 100_000, 1_000_000, 1_000_000, 300_000, 30_000, 1e9];
  const entries = ["", "null,null,null", "1", "9:anonymousknown", '"known",null,null', "2"];
  const args = [...terms, "PUBLISH", keys.notices("c"), 1, ...entries, "", "null,null,null", "3"];
  const [, first] = await link.run(APPEND, all, args) as string[];
  await log.append("c", [draft({ payload: '"between"' })]);
  const [state, second] = await link.run(APPEND, all, args) as string[];
  assertEquals(second, first);
  assertEquals(state.split(" ")[1], "4");
  assertEquals(await contents(bed, "c"), ["1:{}", "2:1", "3:3", '4:"between"']);
});

Deno.test("an append whose answer was lost is asked about, and is stored once", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
  await using bed = await openLog(proxy.port);
  const { log } = bed;
  await log.append("c", [draft({ payload: "0" })]);
  const isAppend = (command: string): boolean => command.includes(bed.keys.op("c", ""));
  for (const n of numbers(1, 5)) {
    const swallowed = proxy.swallowAnswer(isAppend);
    const [{ appended, messages }] = await Promise.all([
      log.append("c", [draft({ payload: `${n}` }), draft({ payload: `${n}` })]),
      swallowed,
    ]);
    assertEquals(appended.map(({ seq, duplicate }) => [seq, duplicate]), [
      [2 * n, false],
      [2 * n + 1, false],
    ]);
    assertEquals(messages.map(({ seq }) => seq), [2 * n, 2 * n + 1]);
  }
  assertEquals((await contents(bed, "c")).length, 11);
});

Deno.test("an append whose outcome stays unknown rejects so, and one that was not sent as unavailable", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
  await using bed = await openLog(proxy.port, { retryFor: 300 });
  await bed.log.append("c", drafts(1, 1));
  const swallowed = proxy.swallowAnswer((command) => command.includes(bed.keys.op("c", "")));
  const pending = assertRejects(() => bed.log.append("c", drafts(2, 2)), PushError);
  await swallowed;
  proxy.cut();
  assertEquals((await pending).code, "outcome_unknown");
  const refused = await assertRejects(() => bed.log.append("c", drafts(3, 3)), PushError);
  assertEquals(refused.code, "unavailable");
  await using other = await openLog(redis.port);
  assertEquals(await contents(other, "c"), ["1:1", "2:2"]);
});

Deno.test("a closed log stops asking at once", async () => {
  const retry = new Retry(systemClock, 60_000);
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const pending = assertRejects(
    () =>
      retry.run(() => {
        resolve();
        return Promise.reject(new PushError("outcome_unknown"));
      }),
    PushError,
  );
  await asked;
  retry.close();
  assertEquals((await pending).code, "outcome_unknown");
});

Deno.test("an append that a frozen Redis carries out late is stored once", async () => {
  await using redis = await startRedis();
  const options = { redis: { commandTimeout: 0.3 }, retryFor: 15_000 };
  await using bed = await openLog(redis.port, options);
  await using other = await openLog(redis.port, options);
  await bed.log.append("c", drafts(1, 1));
  await redis.kill("SIGSTOP");
  const pending = [bed.log.append("c", drafts(2, 3)), bed.log.append("d", drafts(1, 1))];
  // By then the first answers were given up, too.
  await assertRejects(() => other.log.states(["c"]), PushError);
  await redis.kill("SIGCONT");
  const [c, d] = await Promise.all(pending);
  assertEquals([c.appended.map(({ seq }) => seq), d.head], [[2, 3], 1]);
  assertEquals(await contents(bed, "c"), ["1:1", "2:2", "3:3"]);
});

Deno.test("one id published at once by two handles many times is stored once", async () => {
  await using redis = await startRedis();
  await using a = await openLog(redis.port);
  await using b = await openLog(redis.port);
  const results = await Promise.all(
    numbers(1, 200).map((n) => {
      const ids = ["x", "y", `only ${n}`];
      return (n % 2 === 0 ? a : b).log.append(
        "c",
        ids.map((id) => draft({ id, payload: `"${id}"` })),
      );
    }),
  );
  for (const [i, id] of ["x", "y"].entries()) {
    const places = results.map(({ appended }) => appended[i]);
    assertEquals(new Set(places.map(({ seq }) => seq)).size, 1);
    assertEquals(places.filter(({ duplicate }) => !duplicate).length, 1, id);
  }
  assertEquals((await a.log.read("c", 0, 1000)).messages.length, 202);
});

Deno.test("thousands of ids in one append are each known again", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  const batch = numbers(1, 10_000).map((n) => draft({ id: `${n}` }));
  const first = await bed.log.append("c", batch);
  assertEquals(first.messages.length, 10_000);
  const again = await bed.log.append("c", [...batch, draft({ id: "new" })]);
  assertEquals(again.appended.map(({ seq }) => seq), numbers(1, 10_001));
  assertEquals(again.messages.map(({ id }) => id), ["new"]);
});

Deno.test("publish ids come back after the window only, also where the clock was set back", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port, { retention: { idempotencyWindow: 100_000 } });
  const seqOf = async (id: string): Promise<number> =>
    (await bed.log.append("c", [draft({ id })])).appended[0].seq;
  // Some times within a window, and over the borders of windows.
  bed.link.timeOffset = 10_000_000;
  for (const step of [0, 30_000, 50_000, 70_000, 95_000]) {
    bed.link.timeOffset += 500_000;
    const first = await seqOf("forward");
    bed.link.timeOffset += step;
    assertEquals(await seqOf("forward"), first);
    bed.link.timeOffset += 110_000;
    assert(await seqOf("forward") > first);
    const back = await seqOf(`back ${step}`);
    bed.link.timeOffset -= 70_000;
    assertEquals(await seqOf(`back ${step}`), back);
    await seqOf("another");
    assertEquals(await seqOf(`back ${step}`), back);
  }
});

Deno.test("SCRIPT FLUSH under load is noticed by nobody", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  let isOver = false;
  const flushing = (async () => {
    let times = 0;
    for (; !isOver; times++) await redis.ask("SCRIPT", "FLUSH");
    return times;
  })();
  const seqs: number[] = [];
  try {
    for (const n of numbers(1, 200)) {
      const [{ appended }] = await Promise.all([
        bed.log.append("c", drafts(3 * n - 2, 3 * n)),
        bed.log.read("c", 0, 10),
        bed.log.states(["c", "d"]),
      ]);
      seqs.push(...appended.map(({ seq }) => seq));
    }
  } finally {
    isOver = true;
  }
  assert(await flushing > 0);
  assertEquals(seqs, numbers(1, 600));
  assertEquals(await contents(bed, "c"), numbers(1, 600).map((n) => `${n}:${n}`));
});

Deno.test("large messages come back whole, and a page of them in parts that do not hold Redis up", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  const payloads = numbers(1, 40).map((n) => JSON.stringify(`${n}`.repeat(n * 20_000)));
  for (const payload of payloads) await bed.log.append("c", [draft({ payload })]);
  await redis.ask("CONFIG", "RESETSTAT");
  const { messages } = await bed.log.read("c", 0, 100);
  assertEquals(messages.map(({ payload }) => payload), payloads);
  const stats = await redis.ask("INFO", "commandstats") as string;
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]);
  assert(calls >= 8, `${calls} scripts have read 31 MiB`);
  assertEquals((await bed.log.read("c", 5, 3)).messages.map(({ seq }) => seq), [6, 7, 8]);
});

Deno.test("a message costs one entry, however many subscribers have a position", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  const sizeOf = async (key: string): Promise<number> =>
    Number(await redis.ask("MEMORY", "USAGE", key, "SAMPLES", 0));
  const added = async (channel: string, positions: number): Promise<number> => {
    const [floors, log] = [bed.keys.floors(channel), bed.keys.log(channel)];
    await bed.log.create(channel, {});
    for (let i = 0; i < positions; i += 1000) {
      const members = numbers(i, i + 999).flatMap((n) => [0, `n:client-${n}:anonymous`]);
      await redis.ask("ZADD", floors, ...members);
    }
    const before = await sizeOf(floors);
    for (let i = 0; i < 10; i++) await bed.log.append(channel, drafts(101, 200));
    assertEquals(await redis.ask("XLEN", log), 1000);
    return await sizeOf(log) + await sizeOf(floors) - before;
  };
  const [none, many] = [await added("none", 0), await added("many", 10_000)];
  console.log(`1,000 messages add ${none} bytes without and ${many} with 10,000 positions`);
  assertEquals(many, none);
});

Deno.test("publish ids that UTF-8 cannot tell apart are told apart", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  const ids = ["\ud800", "\ud801", "%d800", "\ufffd", "~%d800"];
  for (const [i, id] of ids.entries()) {
    const { appended } = await bed.log.append("c", [draft({ id })]);
    assertEquals(appended, [{ seq: i + 1, duplicate: false }]);
  }
  for (const [i, id] of ids.entries()) {
    const { appended } = await bed.log.append("c", [draft({ id })]);
    assertEquals(appended, [{ seq: i + 1, duplicate: true }]);
  }
});
