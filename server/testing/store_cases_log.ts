import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { isEpoch } from "@push/client/protocol";
import { MESSAGE_OVERHEAD } from "../stores/store.ts";
import {
  assertCode,
  draft,
  HOSTILE,
  numbers,
  placeOf,
  plain,
  type StoreCase,
} from "./store_trial.ts";

const METADATA = '{"a":[1,{"b":[null,true,{"c":"ä€😀\\n"}]}],"":0.1,"__proto__":{"d":1},"e":{}}';

/** Cases about channels, appending and reading. */
export const logCases: readonly StoreCase[] = [
  {
    name: "create() makes a channel once, whichever handle asks",
    async run(t) {
      assertEquals(await t.a.create("c", { from: "a" }, t.now), true);
      assertEquals(await t.b.create("c", { from: "b" }, t.now), false);
      const [record, ...others] = await t.b.channels(t.now);
      assertEquals(others, []);
      assert(isEpoch(record.epoch));
      assert(Number.isInteger(record.createdAt));
      assertEquals(placeOf(record), [record.epoch, 0, 1]);
      assertEquals([record.name, record.metadata], ["c", { from: "a" }]);
    },
  },
  {
    name: "of many create() at once one makes the channel",
    async run(t) {
      const made = await Promise.all(
        numbers(1, 20).map((i) => (i % 2 === 0 ? t.a : t.b).create("c", {}, t.now)),
      );
      assertEquals(made.filter((isNew) => isNew).length, 1);
    },
  },
  {
    name: "metadata comes back as it was, however nested",
    async run(t) {
      await t.a.create("c", JSON.parse(METADATA), t.now);
      const [{ metadata }] = await t.b.channels(t.now);
      assertEquals(JSON.stringify(metadata), METADATA);
    },
  },
  {
    name: "append() numbers drafts from 1 in the order given",
    async run(t) {
      const drafts = ["1", "2", "3"].map((payload) => draft({ payload }));
      const { epoch, ...result } = await t.append("c", drafts);
      assert(isEpoch(epoch));
      assertEquals(result.head, 3);
      assertEquals(result.oldest, 1);
      assertEquals(result.appended, numbers(1, 3).map((seq) => ({ seq, duplicate: false })));
      assertEquals(result.messages.map(({ seq, payload }) => [seq, payload]), [
        [1, "1"],
        [2, "2"],
        [3, "3"],
      ]);
      assertEquals((await t.append("c", [draft(), draft()], t.b)).appended, [
        { seq: 4, duplicate: false },
        { seq: 5, duplicate: false },
      ]);
    },
  },
  {
    name: "append() makes the channel if need be, and of nothing stores nothing",
    async run(t) {
      const { head, oldest, appended, messages } = await t.append("c", []);
      assertEquals([head, oldest, appended.length, messages.length], [0, 1, 0, 0]);
      assertEquals(await t.b.create("c", {}, t.now), false);
    },
  },
  {
    name: "what one handle appends the other reads, with all that was said of it",
    async run(t) {
      const stored = await t.append("c", [
        draft({ id: "i", origin: "session", source: "client", payload: '{"n":1}' }),
        draft({ payload: "[]" }),
      ]);
      const page = await t.read("c");
      assertEquals(page.messages.map(plain), stored.messages.map(plain));
      assertEquals([page.epoch, page.head, page.oldest], [stored.epoch, 2, 1]);
      const [first, second] = page.messages.map(plain);
      assertEquals([first.id, first.origin, first.source], ["i", "session", "client"]);
      assertEquals([second.id, second.origin, second.source], [undefined, null, null]);
      assertEquals(first.payload, '{"n":1}');
      assertEquals(first.bytes, MESSAGE_OVERHEAD + 7);
    },
  },
  {
    name: "messages bear the time at which they were stored",
    async run(t) {
      await t.publish("c", 1);
      await t.pass(5000);
      await t.publish("c", 1);
      const [first, second] = (await t.read("c")).messages;
      assert(second.at - first.at >= 5000);
    },
  },
  {
    name: "appends at once from two handles give every number once, each batch in a row",
    async run(t) {
      const batches = await Promise.all(
        numbers(1, 40).map((batch) => {
          const drafts = numbers(1, 5).map((i) => draft({ payload: `"${batch}.${i}"` }));
          return t.append("c", drafts, batch % 2 === 0 ? t.a : t.b);
        }),
      );
      const all = batches.flatMap(({ messages }) => messages).sort((x, y) => x.seq - y.seq);
      assertEquals(all.map(({ seq }) => seq), numbers(1, 200));
      for (const { appended } of batches) {
        const [{ seq }] = appended;
        assertEquals(appended.map((place) => place.seq), numbers(seq, seq + 4));
      }
      for (const store of [t.a, t.b]) {
        const page = await t.read("c", 0, 1000, store);
        assertEquals(page.messages.map(plain), all.map(plain));
      }
    },
  },
  {
    name: "each channel has its own numbers and its own epoch",
    async run(t) {
      const c = await t.publish("c", 3);
      const d = await t.publish("d", 1);
      assertNotEquals(c.epoch, d.epoch);
      assertEquals([c.head, d.head], [3, 1]);
    },
  },
  {
    name: "read() gives pages, none beyond the head, and always the state",
    async run(t) {
      const { epoch } = await t.publish("c", 25);
      const pages = [[0, 10], [10, 10], [20, 10], [24, 1], [25, 10], [99, 10], [3, 0]] as const;
      for (const [after, limit] of pages) {
        const page = await t.read("c", after, limit);
        assertEquals(placeOf(page), [epoch, 25, 1]);
        assertEquals(
          page.messages.map(({ seq }) => seq),
          numbers(after + 1, Math.min(after + limit, 25)),
        );
      }
      assertEquals((await t.read("c", Number.MAX_SAFE_INTEGER, 1)).head, 25);
    },
  },
  {
    name: "read() of a channel that does not exist gives an epoch that it will have",
    async run(t) {
      const { epoch, head, oldest, messages } = await t.read("c");
      assertEquals([head, oldest, messages.length], [0, 1, 0]);
      assertEquals((await t.publish("c", 1)).epoch, epoch);
    },
  },
  {
    name: "states() says where logs are, in the order asked, and makes none",
    retention: { historySize: 5 },
    async run(t) {
      await t.publish("c", 2 * t.spare + 20);
      await t.a.create("d", {}, t.now);
      await t.a.sweep(t.now);
      const [c, x, d, proto] = await t.b.states(["c", "x", "d", "__proto__"], t.now);
      assert(c !== undefined && d !== undefined);
      assertEquals(placeOf(c), placeOf(await t.read("c")));
      assertEquals(placeOf(d), [(await t.read("d")).epoch, 0, 1]);
      assertEquals([x, proto], [undefined, undefined]);
      const names = (await t.a.channels(t.now)).map(({ name }) => name);
      assertEquals(names.sort(), ["c", "d"]);
      assertEquals(await t.b.states([], t.now), []);
    },
  },
  {
    name: "states() answers for a thousand channels at once",
    async run(t) {
      const names = numbers(1, 1000).map((i) => `c${i}`);
      for (const name of names.slice(0, 100)) await t.publish(name, 1);
      const states = await t.b.states(names, t.now);
      assertEquals(
        states.map((state) => state?.head),
        names.map((_, i) => i < 100 ? 1 : undefined),
      );
    },
  },
  {
    name: "a repeated id is stored once and answered with the first result",
    async run(t) {
      await t.publish("c", 1);
      await t.append("c", [draft({ id: "i", payload: "1" })]);
      const again = await t.append("c", [
        draft({ payload: "2" }),
        draft({ id: "i", payload: "3" }),
        draft({ payload: "4" }),
      ], t.b);
      assertEquals(again.appended, [
        { seq: 3, duplicate: false },
        { seq: 2, duplicate: true },
        { seq: 4, duplicate: false },
      ]);
      assertEquals(again.messages.map(({ seq }) => seq), [3, 4]);
      const payloads = (await t.read("c", 1)).messages.map(({ payload }) => payload);
      assertEquals(payloads, ["1", "2", "4"]);
    },
  },
  {
    name: "of repeats at once one is stored, and all are answered with its number",
    async run(t) {
      const results = await Promise.all(
        numbers(1, 20).map((i) => t.append("c", [draft({ id: "i" })], i % 2 === 0 ? t.a : t.b)),
      );
      const places = results.flatMap(({ appended }) => appended);
      assertEquals(places.map(({ seq }) => seq), numbers(1, 20).map(() => 1));
      assertEquals(places.filter(({ duplicate }) => !duplicate).length, 1);
      assertEquals(await t.seqs("c"), [1]);
    },
  },
  {
    name: "an id repeated within one append is stored once",
    async run(t) {
      const drafts = [draft({ id: "i" }), draft({ id: "i" }), draft({ id: "j" })];
      const { appended, head } = await t.append("c", drafts);
      assertEquals(appended, [
        { seq: 1, duplicate: false },
        { seq: 1, duplicate: true },
        { seq: 2, duplicate: false },
      ]);
      assertEquals(head, 2);
    },
  },
  {
    name: "ids are apart by subject and by channel, however they are spelled",
    async run(t) {
      const ids = [...HOSTILE, "1:a", "a1:", ""];
      const drafts = ids.flatMap((subject) => ids.map((id) => draft({ subject, id })));
      for (const channel of ["c", "c2"]) {
        const { appended } = await t.append(channel, drafts);
        assertEquals(appended.filter(({ duplicate }) => duplicate), []);
        const again = await t.append(channel, drafts, t.b);
        assertEquals(again.appended.map(({ seq }) => seq), numbers(1, drafts.length));
        assertEquals(again.messages, []);
      }
    },
  },
  {
    name: "an id is remembered for the whole window, and may be used again after it",
    async run(t) {
      await t.append("c", [draft({ id: "i" })]);
      await t.pass(290_000);
      await t.a.sweep(t.now);
      const [early] = (await t.append("c", [draft({ id: "i" })])).appended;
      assertEquals(early, { seq: 1, duplicate: true });
      // The window is that of the first: a repeat does not prolong it.
      await t.pass(20_000);
      await t.a.sweep(t.now);
      const [late] = (await t.append("c", [draft({ id: "i" })])).appended;
      assertEquals(late, { seq: 2, duplicate: false });
    },
  },
  {
    name: "an id is remembered though its message is gone",
    retention: { historySize: 0 },
    async run(t) {
      await t.append("c", [draft({ id: "i" })]);
      await t.publish("c", 2 * t.spare + 1);
      await t.a.sweep(t.now);
      const [again] = (await t.append("c", [draft({ id: "i" })], t.b)).appended;
      assertEquals(again, { seq: 1, duplicate: true });
    },
  },
  {
    name: "append() stores all or none, and of none remembers nothing",
    retention: { maxChannelBytes: 4096 },
    async run(t) {
      await t.publish("c", 1);
      const small = draft({ id: "small" });
      const large = draft({ id: "large", payload: JSON.stringify("x".repeat(5000)) });
      await assertCode("store_full", () => t.append("c", [small, large, small]));
      assertEquals(await t.seqs("c"), [1]);
      assertEquals((await t.append("c", [small])).appended, [{ seq: 2, duplicate: false }]);
    },
  },
  {
    name: "payloads of 64 KiB and of any script come back exactly, and count in UTF-8",
    async run(t) {
      const texts = ["", "x".repeat(65_534), "ä".repeat(32_767), "€".repeat(21_844)];
      texts.push("😀".repeat(16_383), '\u2028\u2029\u0000\u007f\\"\r\n', "e\u0301 \u202e \ufeff");
      const payloads = texts.map((text) => JSON.stringify(text));
      payloads.push('{ "b" : 1.0 , "a" : 1e400 , "a" : 12345678901234567890 }', "null");
      const { messages } = await t.append("c", payloads.map((payload) => draft({ payload })));
      const page = await t.read("c");
      assertEquals(page.messages.map(plain), messages.map(plain));
      assertEquals(page.messages.map(({ payload }) => payload), payloads);
      assertEquals(
        page.messages.map(({ bytes }) => bytes - MESSAGE_OVERHEAD),
        payloads.map((payload) => new TextEncoder().encode(payload).length),
      );
    },
  },
  {
    name: "a commit of a thousand messages, or of a mebibyte, comes back whole",
    async run(t) {
      await t.publish("many", 1000);
      assertEquals(await t.seqs("many"), numbers(1, 1000));
      await t.publish("large", 16, 65_000);
      assertEquals(await t.seqs("large"), numbers(1, 16));
    },
  },
  {
    name: "whatever a channel is called, it has its own log",
    async run(t) {
      for (const [i, channel] of HOSTILE.entries()) {
        await t.append(channel, [draft({ payload: `${i}` })]);
        assertEquals(await t.a.create(channel, {}, t.now), false);
      }
      for (const [i, channel] of HOSTILE.entries()) {
        const { messages } = await t.read(channel);
        assertEquals(messages.map(({ seq, payload }) => [seq, payload]), [[1, `${i}`]]);
      }
      const names = (await t.b.channels(t.now)).map(({ name }) => name);
      assertEquals(names.sort(), [...HOSTILE].sort());
      assertEquals(({} as Record<string, unknown>).head, undefined);
    },
  },
];
