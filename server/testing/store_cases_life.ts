import { assert, assertEquals } from "@std/assert";
import { assertCode, draft, numbers, type StoreCase } from "./store_trial.ts";

/** Cases about the store as a whole. */
export const lifeCases: readonly StoreCase[] = [
  {
    name: "a store says what it is called and what it survives",
    run(t) {
      assert(t.a.name.length > 0 && t.a.survives.length > 0);
      assertEquals([t.b.name, t.b.survives], [t.a.name, t.a.survives]);
      assertEquals([t.a.trouble, t.b.trouble], [undefined, undefined]);
      return Promise.resolve();
    },
  },
  {
    name: "a fresh store has nothing",
    async run(t) {
      assertEquals(await t.swept(), {
        channels: 0,
        messages: 0,
        bytes: 0,
        sessions: 0,
        deadLetters: 0,
        evicted: 0,
        expired: 0,
        sessionsForgotten: 0,
        quarantined: 0,
      });
      assertEquals(await t.b.channels(t.now), []);
    },
  },
  {
    name: "stats() counts what there is, whichever handle made it",
    async run(t) {
      const { messages } = await t.publish("c", 7, 50);
      await t.append("d", [draft()], t.b);
      await t.a.create("e", {}, t.now);
      const generation = await t.attach("s", {}, t.b);
      await t.stand("s", generation, "c", 1, {}, [await t.letter("s", "c", 1)]);
      const stats = await t.b.stats(t.now);
      const { channels, sessions, deadLetters } = stats;
      assertEquals([channels, stats.messages, sessions, deadLetters], [3, 8, 1, 1]);
      const [single] = (await t.read("d")).messages;
      assertEquals(stats.bytes, messages.reduce((sum, { bytes }) => sum + bytes, single.bytes));
    },
  },
  {
    name: "channels() names every channel, and where its log is",
    async run(t) {
      const names = numbers(1, 300).map((i) => `channel:${i}`);
      await Promise.all(names.map((name) => t.publish(name, 2)));
      const records = await t.b.channels(t.now);
      assertEquals(records.map(({ name }) => name).sort(), names.sort());
      for (const { name, epoch, head, oldest } of records.slice(0, 20)) {
        assertEquals([head, oldest], [2, 1]);
        assertEquals((await t.read(name)).epoch, epoch);
      }
    },
  },
  {
    name: "a closed store refuses everything, and the other handle goes on",
    async run(t) {
      await t.publish("c", 1);
      await t.a[Symbol.asyncDispose]();
      await t.a[Symbol.asyncDispose]();
      await assertCode("unavailable", () => t.publish("c", 1));
      await assertCode("unavailable", () => t.read("c", 0, 1, t.a));
      await assertCode("unavailable", () => t.claim("s"));
      await assertCode("unavailable", () => t.a.sweep(t.now));
      assertEquals((await t.append("c", [draft()], t.b)).head, 2);
      assertEquals(await t.seqs("c"), [1, 2]);
    },
  },
];
