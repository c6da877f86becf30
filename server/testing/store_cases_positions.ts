import { assertEquals } from "@std/assert";
import type { Cursor, LateRecord } from "../stores/store.ts";
import { numbers, plain, type StoreCase } from "./store_trial.ts";

/** Cases about where a session stands. */
export const positionCases: readonly StoreCase[] = [
  {
    name: "a position comes back as it was stored",
    async run(t) {
      await t.publish("c", 30);
      const generation = await t.attach("s");
      const cursor = await t.cursor("c", 10, {
        sent: 20,
        own: 15,
        settled: [12, 12, 14, 17],
        late: [{ seq: 3, attempts: 2 }, { seq: 7, attempts: 1 }],
      });
      await t.a.commit("s", generation, [{ channel: "c", cursor }], t.now);
      assertEquals(await t.position("s", "c"), cursor);
    },
  },
  {
    name: "load() answers in the order asked, and with nothing where there is nothing",
    async run(t) {
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 1);
      await t.stand("s", generation, "d", 2);
      const positions = await t.positions("s", ["d", "x", "c", "__proto__"]);
      assertEquals(positions.map((position) => position?.floor), [2, undefined, 1, undefined]);
      assertEquals(await t.positions("unknown", ["c"]), [undefined]);
      assertEquals(await t.positions("s", []), []);
    },
  },
  {
    name: "one commit moves many positions",
    async run(t) {
      const generation = await t.attach("s");
      const names = numbers(1, 200).map((i) => `c${i}`);
      const cursors = await Promise.all(names.map((channel, i) => t.cursor(channel, i)));
      const commits = names.map((channel, i) => ({ channel, cursor: cursors[i] }));
      assertEquals(await t.a.commit("s", generation, commits, t.now), true);
      assertEquals(await t.positions("s", names), cursors);
    },
  },
  {
    name: "a position does not go backwards within its epoch",
    async run(t) {
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 10, { sent: 12 });
      assertEquals(await t.stand("s", generation, "c", 9, { sent: 20, settled: [15, 15] }), true);
      assertEquals(await t.position("s", "c"), await t.cursor("c", 10, { sent: 12 }));
      await t.stand("s", generation, "c", 10, { sent: 20, settled: [15, 15] });
      assertEquals((await t.position("s", "c"))?.settled, [15, 15]);
    },
  },
  {
    name: "a position of another epoch takes the place of the stored one",
    async run(t) {
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 10, { epoch: "before" });
      await t.stand("s", generation, "c", 3);
      assertEquals(await t.position("s", "c"), await t.cursor("c", 3));
    },
  },
  {
    name: "forget() forgets one position, and the next claim does not name it",
    async run(t) {
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 1);
      await t.stand("s", generation, "d", 2);
      assertEquals(await t.a.forget("s", generation, "c", t.now), true);
      assertEquals(await t.a.forget("s", generation, "c", t.now), true);
      assertEquals(await t.position("s", "c"), undefined);
      assertEquals((await t.position("s", "d"))?.floor, 2);
      const claimed = await t.claim("s");
      assertEquals(claimed.ok && [...claimed.channels], ["d"]);
      assertEquals(await t.stand("s", claimed.ok ? claimed.generation : 0, "c", 0), true);
      assertEquals((await t.position("s", "c"))?.floor, 0);
    },
  },
  {
    name: "no position is stored for a session that nobody holds",
    async run(t) {
      assertEquals(await t.stand("unknown", 1, "c", 1), false);
      assertEquals(await t.position("unknown", "c"), undefined);
      assertEquals((await t.a.stats(t.now)).sessions, 0);
    },
  },
  {
    name: "a position with a full window of exceptions comes back",
    async run(t) {
      const late: LateRecord[] = numbers(1, 1024).map((seq) => ({ seq, attempts: seq % 4 }));
      const settled = numbers(0, 1024).flatMap((i) => [2000 + 3 * i, 2001 + 3 * i]);
      const generation = await t.attach("s");
      const cursor = await t.cursor("c", 1500, { sent: 6000, settled, late });
      await t.a.commit("s", generation, [{ channel: "c", cursor }], t.now);
      assertEquals(await t.position("s", "c"), cursor);
    },
  },
  {
    name: "a redriven message in a position comes back whole",
    async run(t) {
      const [message] = (await t.publish("c", 1, 60_000)).messages;
      const late = [{ seq: 1, attempts: 2, redriven: message }];
      await t.stand("s", await t.attach("s"), "c", 5, { late });
      const [record] = (await t.position("s", "c"))!.late;
      assertEquals([record.seq, record.attempts], [1, 2]);
      assertEquals(plain(record.redriven!), plain(message));
    },
  },
  {
    name: "a stored position does not change with the objects that it was made of",
    async run(t) {
      const settled = [7, 8];
      const late: LateRecord[] = [{ seq: 2, attempts: 1 }];
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 5, { sent: 9, settled, late });
      settled.push(9, 9);
      late.length = 0;
      const loaded = (await t.position("s", "c")) as Cursor;
      assertEquals([loaded.settled, loaded.late], [[7, 8], [{ seq: 2, attempts: 1 }]]);
      loaded.settled.length = 0;
      assertEquals((await t.position("s", "c"))?.settled, [7, 8]);
    },
  },
];
