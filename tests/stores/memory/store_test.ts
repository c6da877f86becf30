import { assert, assertEquals, assertNotEquals, assertStrictEquals } from "@std/assert";
import { MemoryData, MemoryStore } from "../../../server/stores/memory/store.ts";
import type { Retention, StoreLimits } from "../../../server/stores/store.ts";
import {
  ManualClock,
  MemoryCluster,
  seededRandom,
  storeSuite,
  StoreTrial,
} from "../../../server/testing/mod.ts";
import { assertCode, draft, numbers } from "../../../server/testing/store_trial.ts";

storeSuite({
  name: "MemoryStore",
  open: (terms) => {
    const data = new MemoryData();
    return { a: new MemoryStore({ ...terms, data }), b: new MemoryStore({ ...terms, data }) };
  },
  test: (name, fn) => Deno.test(name, fn),
});

storeSuite({
  name: "MemoryStore of two nodes",
  nodes: true,
  open: (terms) => {
    const data = new MemoryData();
    const clock = new ManualClock();
    const nodes = new MemoryCluster({ clock, random: seededRandom(1), lease: 10_000 });
    const handle = () => {
      const cluster = nodes.join();
      return cluster.clustered(new MemoryStore({ ...terms, data, cluster }));
    };
    return { a: handle(), b: handle(), advance: (ms) => clock.advance(ms) };
  },
  test: (name, fn) => Deno.test(name, fn),
});

const HOUR = 3_600_000;

/** A trial on fresh data, and the data. */
function fresh(
  retention: Partial<Retention> = {},
  limits: Partial<StoreLimits> = {},
): { t: StoreTrial; data: MemoryData } {
  const data = new MemoryData();
  const terms = {
    retention: {
      messageTtl: HOUR,
      historySize: 1000,
      historyBytes: 2 ** 20,
      maxChannelBytes: 2 ** 22,
      maxStoreBytes: 2 ** 26,
      metaTtl: 4 * HOUR,
      idempotencyWindow: 300_000,
      ...retention,
    },
    limits: { maxSessions: 1000, deadLetterTtl: HOUR, maxDeadLetters: 100, ...limits },
    random: seededRandom(1).bytes,
    data,
  };
  const options = { start: 1_000_000, spare: 0, advance: () => {} };
  return { t: new StoreTrial(new MemoryStore(terms), new MemoryStore(terms), options), data };
}

async function keep(t: StoreTrial, key: string, channel: string): Promise<number> {
  const generation = await t.attach(key);
  await t.stand(key, generation, channel, 0);
  return generation;
}

Deno.test("MemoryStore gives the same message object from append() and from every read()", async () => {
  const { t } = fresh();
  const { messages } = await t.publish("c", 3);
  for (const store of [t.a, t.b, t.a]) {
    const page = await t.read("c", 0, 10, store);
    page.messages.forEach((message, i) => assertStrictEquals(message, messages[i]));
  }
});

Deno.test("MemoryStore keeps only the history of a million messages", async () => {
  const { t, data } = fresh();
  for (let i = 0; i < 1_000_000; i++) await t.publish("c", 1);
  const { messages, bytes } = await t.a.stats(t.now);
  assertEquals([messages, bytes], [1000, 1000 * 66]);
  assertEquals((await t.read("c")).oldest, 999_001);
  assert(data.tally.held < 70_000);
});

Deno.test("MemoryStore's memory does not grow with what has passed through it", async () => {
  // Even 8 bytes for each of ten million would be more than the whole heap of this process.
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--v8-flags=--max-old-space-size=64",
      "tests/stores/memory/support/ten_million.ts",
    ],
    stdout: "piped",
    stderr: "null",
  }).output();
  assert(success);
  assertEquals(new TextDecoder().decode(stdout), "1000\n");
});

Deno.test("MemoryStore keeps only the history of a million messages that are settled in time", async () => {
  const { t } = fresh();
  const generations = new Map<string, number>();
  for (const key of numbers(1, 20).map(String)) generations.set(key, await keep(t, key, "c"));
  for (let i = 1; i <= 1000; i++) {
    await t.publish("c", 1000);
    for (const [key, generation] of generations) await t.stand(key, generation, "c", 1000 * i);
    assert((await t.a.stats(t.now)).messages <= 2000);
  }
  assertEquals((await t.swept()).messages, 1000);
  assertEquals((await t.swept()).evicted, 0);
});

Deno.test("MemoryStore forgets publish ids after their window, and remembers a bounded number", async () => {
  const { t, data } = fresh({ idempotencyWindow: 1000 });
  for (let i = 0; i < 100; i++) {
    await t.append("c", numbers(1, 100).map((n) => draft({ id: `${i}.${n}` })));
    await t.pass(100);
  }
  assertEquals(data.tally.publishIds, 1000);
  await t.pass(1000);
  await t.a.sweep(t.now);
  assertEquals(data.tally.publishIds, 0);
  // As if other channels remembered nearly all that may be.
  data.tally.publishIds = 2 ** 21 - 5;
  await t.append("c", numbers(1, 20).map((n) => draft({ id: `${n}` })));
  assertEquals(data.tally.publishIds, 2 ** 21);
  const again = await t.append("c", ["20", "15"].map((id) => draft({ id })));
  assertEquals(again.appended.map(({ duplicate }) => duplicate), [true, false]);
});

Deno.test("MemoryStore forgets the channels longest idle when channels alone fill it", async () => {
  const { t } = fresh({ maxStoreBytes: 2 ** 20 });
  await t.publish("kept", 1);
  const { epoch } = await t.read("kept");
  for (let i = 0; i < 20_000; i++) {
    await t.a.create(`flood:${i}`, {}, t.now);
    await t.pass(1);
  }
  const { channels } = await t.a.stats(t.now);
  assert(channels > 900 && channels < 1024, `${channels} channels`);
  assertEquals(await t.seqs("kept"), [1]);
  assertEquals((await t.read("kept")).epoch, epoch);
  assertEquals(await t.a.create("flood:19999", {}, t.now), false);
  assertEquals(await t.a.create("flood:0", {}, t.now), true);
});

Deno.test("MemoryStore stays within maxStoreBytes when each message has its own channel", async () => {
  const { t, data } = fresh({ maxStoreBytes: 2 ** 20 });
  for (let i = 0; i < 20_000; i++) {
    await t.publish(`flood:${i}`, 1);
    assert(data.tally.held <= 2 ** 20);
  }
  assertEquals(await t.seqs("flood:19999"), [1]);
});

Deno.test("MemoryStore refuses a message when positions leave no room for it", async () => {
  const { t, data } = fresh({ maxStoreBytes: 10_000 });
  const generation = await t.attach("s");
  const cursor = { epoch: "e", floor: 0, sent: 0, own: 0, settled: [], late: [] };
  const commits = numbers(1, 20).map((i) => ({ channel: `c${i}`, cursor }));
  assertEquals(await t.a.commit("s", generation, commits, t.now), true);
  await assertCode("store_full", () => t.publish("c1", 1));
  await assertCode("store_full", () => t.a.create("new", {}, t.now));
  await t.a.end("s", generation, t.now);
  await t.publish("c1", 1);
  assert(data.tally.held <= 10_000);
});

Deno.test("MemoryStore lets the oldest message of all channels go first", async () => {
  const { t } = fresh({ maxStoreBytes: 30_000 });
  for (const channel of ["c", "d", "e"]) await keep(t, channel, channel);
  for (let i = 0; i < 30; i++) {
    await t.publish(["c", "d", "e"][i % 3], 1, 1000);
    await t.pass(1);
  }
  const states = await t.a.channels(t.now);
  const [{ oldest }] = states;
  assert(oldest > 1);
  for (const state of states) assert(Math.abs(state.oldest - oldest) <= 1);
});

Deno.test("MemoryStore lets a quiet channel's message go before the newest of a busy one", async () => {
  const { t } = fresh({ maxStoreBytes: 7000 });
  await t.publish("quiet", 1, 3000);
  await t.publish("busy", 1, 3000);
  await t.publish("busy", 1, 3000);
  assertEquals(await t.seqs("busy"), [2]);
  assertEquals((await t.publish("busy", 1, 3000)).head, 3);
  assertEquals(await t.seqs("busy"), [3]);
});

Deno.test("MemoryStore lets older channels lose before the message that it just stored", async () => {
  const { t } = fresh({ maxStoreBytes: 8000 });
  await t.publish("c", 1, 100);
  await t.publish("d", 1, 3000);
  // All of one millisecond.
  assertEquals((await t.publish("c", 1, 3000)).head, 2);
  assertEquals(await t.seqs("c"), [2]);
  assertEquals(await t.seqs("d"), []);
});

Deno.test("MemoryStore refuses a message that fits, but not together with its channel", async () => {
  const { t } = fresh({ maxStoreBytes: 2000 });
  await assertCode("store_full", () => t.publish("c", 1, 1500));
  assertEquals((await t.publish("c", 1, 500)).head, 1);
  assertEquals(await t.seqs("c"), [1]);
});

Deno.test("MemoryStore forgets the publish ids of a channel with it", async () => {
  const { t, data } = fresh({ maxStoreBytes: 10_000, historySize: 0 });
  await t.append("c", numbers(1, 5).map((n) => draft({ id: `${n}` })));
  for (let i = 0; i < 10; i++) await t.a.create(`flood:${i}`, {}, t.now);
  assertEquals(data.tally.publishIds, 0);
});

Deno.test("MemoryStore counts no session as forgotten whose time was over", async () => {
  const { t } = fresh({}, { maxSessions: 1 });
  await t.a.release("s", await t.attach("s", { ttl: 1000 }), t.now);
  await t.pass(1000);
  await t.attach("u");
  const { sessions, sessionsForgotten } = await t.a.stats(t.now);
  assertEquals([sessions, sessionsForgotten], [1, 0]);
});

Deno.test("MemoryStore counts as evicted only what somebody had not settled", async () => {
  const { t } = fresh({ maxChannelBytes: 8192 });
  await t.publish("free", 40, 1000);
  assertEquals((await t.a.stats(t.now)).evicted, 0);
  const generation = await keep(t, "s", "held");
  await t.publish("held", 7, 1000);
  await t.stand("s", generation, "held", 5);
  await t.a.sweep(t.now);
  await t.publish("held", 5, 1000);
  assertEquals((await t.a.stats(t.now)).evicted, 0);
  await t.publish("held", 3, 1000);
  assertEquals((await t.a.stats(t.now)).evicted, 3);
});

Deno.test("MemoryStore counts dead letters against maxStoreBytes, and lets the oldest go", async () => {
  const { t, data } = fresh({ maxStoreBytes: 40_000, historySize: 0 });
  const generation = await keep(t, "s", "c");
  for (let seq = 1; seq <= 100; seq++) {
    await t.publish("c", 1, 2000);
    await t.stand("s", generation, "c", seq, {}, [await t.letter("s", "c", seq)]);
    assert(data.tally.held <= 40_000);
    await t.a.sweep(t.now);
    await t.pass(1);
  }
  const left = (await t.letters()).map(({ message }) => message.seq);
  assertEquals(left, numbers(101 - left.length, 100));
  assert(left.length > 10);
  assertEquals((await t.a.stats(t.now)).evicted, 100 - left.length);
});

Deno.test("MemoryStore keeps nothing in the log for the sake of a redriven message", async () => {
  const { t } = fresh({ historySize: 0 });
  const generation = await keep(t, "s", "c");
  const [message] = (await t.publish("c", 5)).messages;
  await t.stand("s", generation, "c", 5, { late: [{ seq: 1, attempts: 0, redriven: message }] });
  assertEquals((await t.swept()).messages, 0);
});

Deno.test("MemoryStore ends a session when its ttl is over, to the millisecond", async () => {
  const { t } = fresh();
  await t.a.release("s", await t.attach("s", { ttl: 1000 }), t.now);
  await t.pass(999);
  await t.a.release("s", await t.attach("s", { ttl: 1000, existing: true }), t.now);
  await t.pass(1000);
  assertEquals(await t.refusal("s", { existing: true }), "unknown");
});

Deno.test("MemoryStore counts a session's absence from its first release", async () => {
  const { t } = fresh();
  const generation = await t.attach("s", { ttl: 1000 });
  await t.a.release("s", generation, t.now);
  await t.pass(600);
  assertEquals(await t.a.release("s", generation, t.now), true);
  await t.pass(400);
  assertEquals(await t.refusal("s", { existing: true }), "unknown");
});

Deno.test("MemoryStore keeps everything for a position of another epoch", async () => {
  const { t } = fresh({ historySize: 10 });
  await t.publish("c", 5);
  const generation = await t.attach("s");
  await t.stand("s", generation, "c", 99, { epoch: "before" });
  await t.publish("c", 50);
  await t.a.sweep(t.now);
  assertEquals((await t.read("c")).oldest, 1);
});

Deno.test("MemoryStore gives no redriven message of one epoch to a position of another", async () => {
  const { t } = fresh();
  await t.publish("c", 1);
  const generation = await t.attach("s");
  await t.stand("s", generation, "c", 1, {}, [await t.letter("s", "c", 1)]);
  await t.stand("s", generation, "c", 1, { epoch: "other" });
  assertEquals(await t.redrive(), []);
  assertEquals((await t.letters()).length, 1);
});

Deno.test("MemoryStore reads nothing expired, though the machine's clock went back", async () => {
  const { t } = fresh({ historySize: 0 });
  await keep(t, "s", "c");
  await t.a.append("c", [draft({ payload: "1" })], t.now + HOUR);
  await t.publish("c", 2);
  await t.pass(HOUR);
  const { messages, oldest, head } = await t.read("c", 0, 2);
  assertEquals(messages.map(({ seq }) => seq), [1]);
  assertEquals([oldest, head], [1, 3]);
  assertEquals(await t.seqs("c", 1), []);
  await t.pass(HOUR);
  assertEquals((await t.swept()).messages, 0);
  assertEquals((await t.a.stats(t.now)).expired, 3);
});

Deno.test("MemoryStore forgets an idle channel once, and begins another epoch", async () => {
  const { t } = fresh();
  const { epoch } = await t.publish("c", 1);
  await t.pass(HOUR);
  await t.a.sweep(t.now);
  await t.pass(4 * HOUR);
  await t.a.sweep(t.now);
  assertEquals((await t.a.stats(t.now)).channels, 0);
  assertNotEquals((await t.read("c")).epoch, epoch);
});

Deno.test("MemoryStore has nothing left when everything has ended", async () => {
  const { t, data } = fresh({ maxChannelBytes: 20_000 });
  for (const key of ["s", "u"]) {
    const generation = await keep(t, key, "c");
    await t.append("c", numbers(1, 30).map((i) => draft({ id: `${key}${i}`, payload: `${i}` })));
    const { head } = await t.read("c");
    await t.stand(key, generation, "c", head, {}, [await t.letter(key, "c", head)]);
    await t.a.release(key, generation, t.now);
  }
  await t.pass(8 * 24 * HOUR);
  await t.a.sweep(t.now);
  await t.pass(4 * HOUR);
  await t.a.sweep(t.now);
  const { channels, messages, bytes, sessions, deadLetters } = await t.a.stats(t.now);
  assertEquals([channels, messages, bytes, sessions, deadLetters], [0, 0, 0, 0, 0]);
  assertEquals([data.tally.held, data.tally.fixed, data.tally.publishIds], [0, 0, 0]);
});
