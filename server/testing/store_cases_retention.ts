import { assert, assertEquals, assertGreaterOrEqual, assertNotEquals } from "@std/assert";
import { assertCode, draft, numbers, placeOf, type StoreCase } from "./store_trial.ts";

const TTL = 3_600_000;
const HISTORY = 10;

/** Cases about what is kept, and what goes. */
export const retentionCases: readonly StoreCase[] = [
  {
    name: "what is older than its ttl is not read, and the state says what is oldest",
    async run(t) {
      await t.publish("c", 3);
      await t.pass(TTL / 2);
      await t.publish("c", 2);
      assertEquals(await t.seqs("c"), numbers(1, 5));
      await t.pass(TTL / 2 + 1);
      for (const store of [t.a, t.b]) {
        const { messages, oldest, head } = await t.read("c", 0, 100, store);
        assertEquals(messages.map(({ seq }) => seq), [4, 5]);
        assertEquals([oldest, head], [4, 5]);
      }
    },
  },
  {
    name: "what has expired is counted, and numbers go on after it",
    async run(t) {
      await t.publish("c", 3);
      await t.pass(TTL + 1);
      await t.publish("d", 1);
      const { messages, expired } = await t.swept();
      assertEquals([messages, expired], [1, 3]);
      const { oldest, head } = await t.read("c");
      assertEquals([oldest, head], [4, 3]);
      assertEquals((await t.publish("c", 1)).appended, [{ seq: 4, duplicate: false }]);
    },
  },
  {
    name: "the ttl ends what a session has not settled too",
    async run(t) {
      await t.publish("c", 1);
      await t.stand("s", await t.attach("s", { ttl: 4 * TTL }), "c", 0);
      await t.pass(TTL + 1);
      await t.publish("c", 1);
      assertEquals((await t.read("c")).oldest, 2);
    },
  },
  {
    name: "an empty channel is remembered for metaTtl, then it begins anew",
    async run(t) {
      const { epoch } = await t.publish("c", 3);
      await t.pass(TTL + 1);
      await t.a.sweep(t.now);
      await t.pass(3.9 * TTL);
      await t.a.sweep(t.now);
      assertEquals(placeOf(await t.read("c")), [epoch, 3, 4]);
      await t.pass(4 * TTL + 1);
      await t.a.sweep(t.now);
      assertEquals(await t.b.channels(t.now), []);
      const anew = await t.publish("c", 1);
      assertEquals(anew.head, 1);
      assertNotEquals(anew.epoch, epoch);
    },
  },
  {
    name: "a channel in which a living session has a position is not forgotten",
    async run(t) {
      const { epoch } = await t.publish("c", 3);
      const generation = await t.attach("s", { ttl: 24 * TTL });
      await t.stand("s", generation, "c", 3);
      await t.a.release("s", generation, t.now);
      for (let i = 0; i < 10; i++) {
        await t.pass(TTL);
        await t.a.sweep(t.now);
      }
      assertEquals(placeOf(await t.read("c")), [epoch, 3, 4]);
    },
  },
  {
    name: "without sessions the last historySize messages are kept",
    retention: { historySize: HISTORY },
    async run(t) {
      const count = 2 * t.spare + 25;
      for (const seq of numbers(1, count)) {
        await t.publish("c", 1);
        assert((await t.read("c", 0, 1)).oldest <= Math.max(seq - HISTORY + 1, 1));
      }
      await t.a.sweep(t.now);
      await t.keepsFrom("c", count - HISTORY + 1);
    },
  },
  {
    name: "without sessions at most historyBytes are kept",
    retention: { historyBytes: 2000 },
    async run(t) {
      const { head, messages } = await t.publish("c", t.spare + 20, 400);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", head - Math.floor(2000 / messages[0].bytes) + 1);
    },
  },
  {
    name: "what a session has not settled is kept beyond the history, and goes once it has",
    retention: { historySize: HISTORY },
    async run(t) {
      const count = t.spare + 50;
      await t.publish("c", 1);
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 1);
      await t.publish("c", count - 1);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", 2);
      await t.stand("s", generation, "c", 30);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", 31);
      await t.stand("s", generation, "c", count);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", count - HISTORY + 1);
    },
  },
  {
    name: "the slowest session decides what is kept, whichever handle it came by",
    retention: { historySize: HISTORY },
    async run(t) {
      const fast = await t.attach("fast", {}, t.a);
      const slow = await t.attach("slow", {}, t.b);
      for (const [key, generation] of [["fast", fast], ["slow", slow]] as const) {
        await t.stand(key, generation, "c", 0);
      }
      await t.publish("c", 60);
      await t.stand("fast", fast, "c", 40);
      await t.stand("slow", slow, "c", 20);
      await t.publish("c", t.spare + 1);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", 21);
      await t.stand("slow", slow, "c", 50);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", 41);
    },
  },
  {
    name: "a late message is kept until it is settled",
    retention: { historySize: HISTORY },
    async run(t) {
      const count = t.spare + 50;
      const generation = await t.attach("s");
      await t.publish("c", 5);
      await t.stand("s", generation, "c", 4);
      await t.publish("c", count - 5);
      await t.stand("s", generation, "c", 40, { late: [{ seq: 5, attempts: 1 }] });
      await t.a.sweep(t.now);
      assertEquals(await t.seqs("c", 4, 1), [5]);
      await t.stand("s", generation, "c", count);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", count - HISTORY + 1);
    },
  },
  {
    name: "a detached session holds its messages until it ends",
    retention: { historySize: HISTORY },
    async run(t) {
      const count = t.spare + 50;
      const generation = await t.attach("s", { ttl: 60_000 });
      await t.stand("s", generation, "c", 0);
      await t.publish("c", count);
      await t.a.release("s", generation, t.now);
      await t.pass(50_000);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", 1);
      await t.pass(10_001);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", count - HISTORY + 1);
    },
  },
  {
    name: "a position that is forgotten, or ends with its session, holds nothing",
    retention: { historySize: HISTORY },
    async run(t) {
      const count = t.spare + 50;
      const generation = await t.attach("s");
      for (const channel of ["c", "d"]) {
        await t.stand("s", generation, channel, 0);
        await t.publish(channel, count);
      }
      await t.a.forget("s", generation, "c", t.now);
      await t.a.sweep(t.now);
      await t.keepsFrom("c", count - HISTORY + 1);
      await t.keepsFrom("d", 1);
      await t.a.end("s", generation, t.now);
      await t.a.sweep(t.now);
      await t.keepsFrom("d", count - HISTORY + 1);
    },
  },
  {
    name: "a channel ends at maxChannelBytes: the oldest go, counted, and what stays has no hole",
    retention: { maxChannelBytes: 8192 },
    async run(t) {
      await t.stand("s", await t.attach("s"), "c", 0);
      for (let i = 1; i <= 30; i++) {
        await t.publish("c", 1, 1000);
        assert((await t.a.stats(t.now)).bytes <= 8192);
      }
      const { oldest, head, messages } = await t.read("c");
      assertEquals(head, 30);
      assert(oldest > 1);
      assertEquals(messages.map(({ seq }) => seq), numbers(oldest, 30));
      assertEquals(messages.at(-1)?.seq, 30);
      assertGreaterOrEqual((await t.swept()).evicted, oldest - 1);
    },
  },
  {
    name: "an append larger than the channel may be keeps its end",
    retention: { maxChannelBytes: 8192 },
    async run(t) {
      const { appended, head } = await t.publish("c", 30, 1000);
      assertEquals([appended.length, head], [30, 30]);
      assertEquals((await t.read("c")).messages.at(-1)?.seq, 30);
      assert((await t.swept()).bytes <= 8192);
    },
  },
  {
    name: "the store ends at maxStoreBytes: the newest stays, and losses are counted",
    retention: { maxStoreBytes: 65_536 },
    async run(t) {
      const generation = await t.attach("s");
      for (const channel of ["c", "d", "e"]) await t.stand("s", generation, channel, 0);
      for (let i = 0; i < 60; i++) {
        const channel = ["c", "d", "e"][i % 3];
        const { head } = await t.publish(channel, 1, 4000);
        assertEquals((await t.seqs(channel)).at(-1), head);
        assert((await t.a.stats(t.now)).bytes <= 65_536);
      }
      const { evicted, messages } = await t.swept();
      assert(evicted > 0);
      assertGreaterOrEqual(evicted + messages, 60);
    },
  },
  {
    name: "a message larger than the store is refused, and nothing goes for its sake",
    retention: { maxStoreBytes: 16_384, maxChannelBytes: 1_000_000 },
    async run(t) {
      await t.publish("c", 3);
      const payload = JSON.stringify("x".repeat(20_000));
      await assertCode("store_full", () => t.append("c", [draft({ payload })]));
      assertEquals(await t.seqs("c"), [1, 2, 3]);
    },
  },
];
