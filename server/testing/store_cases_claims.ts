import { assert, assertEquals } from "@std/assert";
import type { Claimed } from "../stores/store.ts";
import type { StoreCase } from "./store_trial.ts";

/** An answer to a claim as plain data. */
function answerOf(claimed: Claimed): unknown {
  assert(claimed.ok, `The claim was refused: ${JSON.stringify(claimed)}`);
  const { generation, previous, resumed, channels } = claimed;
  return { generation, previous, resumed, channels: [...channels].sort() };
}

/** Cases about who asks for a session, in whose stead, and what that one is told. */
export const claimCases: readonly StoreCase[] = [
  {
    name: "a claim names the generation before it, and none of a session that is new",
    async run(t) {
      const first = await t.claim("s");
      assertEquals(first.ok && first.previous, 0);
      const second = await t.claim("s", {}, t.b);
      assertEquals(second.ok && second.previous, first.ok && first.generation);
      await t.b.end("s", t.newest("s"), t.now);
      const third = await t.claim("s");
      assertEquals(third.ok && third.previous, 0);
    },
  },
  {
    name: "a holder that asks again is answered the same, and nothing changes",
    async run(t) {
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 3);
      await t.stand("s", generation, "d", 4);
      const terms = { holder: "h", instance: "one", attempt: 7 };
      const first = await t.claim("s", terms);
      for (let i = 0; i < 2; i++) {
        assertEquals(answerOf(await t.claim("s", terms)), answerOf(first));
      }
      assertEquals(first.ok && first.previous, generation);
      assertEquals(await t.renew("s", t.newest("s")), undefined);
      assertEquals((await t.position("s", "c"))?.floor, 3);
      assertEquals(await t.stand("s", t.newest("s"), "c", 5), true);
      const instance = "one";
      assertEquals(await t.refusal("s", { instance, attempt: 7 }), "replaced");
      assertEquals((await t.a.stats(t.now)).sessions, 1);
    },
  },
  {
    name: "a holder whose secret is another is not answered again",
    async run(t) {
      await t.attach("s", { holder: "h", secretHash: "right" });
      assertEquals(await t.refusal("s", { holder: "h", secretHash: "wrong" }), "bad_secret");
    },
  },
  {
    name: "a claim in a holder's stead counts only if that one was the last",
    async run(t) {
      const instance = "one";
      const first = await t.attach("s", { holder: "first", instance, attempt: 5 });
      await t.stand("s", first, "c", 3);
      const terms = { holder: "second", from: "first", instance, attempt: 1 };
      const second = await t.claim("s", terms);
      assertEquals(answerOf(second), {
        generation: t.newest("s"),
        previous: first,
        resumed: true,
        channels: ["c"],
      });
      assert(t.newest("s") > first);
      assertEquals(await t.refusal("s", { from: "first", instance, attempt: 9 }), "replaced");
      assertEquals(await t.refusal("s", { from: "nobody" }), "replaced");
      assertEquals(answerOf(await t.claim("s", terms)), answerOf(second));
      assertEquals((await t.position("s", "c"))?.floor, 3);
      assertEquals(await t.stand("s", t.newest("s"), "c", 4), true);
    },
  },
  {
    name: "a claim in the stead of a holder counts for every connection of its attempt",
    async run(t) {
      const by = { instance: "one", attempt: 1, from: "first" };
      await t.attach("s", { ...by, from: undefined, holder: "first" });
      await t.attach("s", { ...by, holder: "second" }, t.b);
      const third = await t.attach("s", { ...by, holder: "third" });
      assertEquals(await t.stand("s", third, "c", 1), true);
      await t.attach("s", { instance: "one", attempt: 2, holder: "fourth" }, t.b);
      assertEquals(await t.refusal("s", { ...by, holder: "fifth" }), "replaced");
    },
  },
  {
    name: "a claim in a holder's stead counts after that one released the session, too",
    async run(t) {
      const first = await t.attach("s", { holder: "first" });
      await t.a.release("s", first, t.now);
      const second = await t.attach("s", { holder: "second", from: "first" }, t.b);
      assert(second > first);
      assertEquals(await t.refusal("gone", { from: "first", existing: true }), "unknown");
    },
  },
  {
    name: "load() gives nothing to a generation that is not the newest",
    async run(t) {
      const old = await t.attach("s");
      await t.stand("s", old, "c", 1);
      assertEquals((await t.a.load("s", old, ["c"], t.now))?.length, 1);
      const present = await t.attach("s", {}, t.b);
      assertEquals((await t.b.load("s", present, ["c"], t.now))?.[0]?.floor, 1);
      assertEquals(await t.a.load("s", old, ["c"], t.now), undefined);
      await t.stand("s", present, "c", 2);
      assertEquals(await t.a.load("s", old, ["c"], t.now), undefined);
      assertEquals((await t.position("s", "c"))?.floor, 2);
    },
  },
  {
    name: "renew() names sessions that are held no more, and no other",
    async run(t) {
      const kept = await t.attach("kept");
      const lost = await t.attach("lost");
      await t.attach("lost", {}, t.b);
      const ended = await t.attach("ended");
      await t.a.end("ended", ended, t.now);
      const renewed = await t.a.renew([
        { key: "kept", generation: kept },
        { key: "lost", generation: lost },
        { key: "ended", generation: ended },
        { key: "unknown", generation: 1 },
      ], t.now);
      const plain = renewed.map(({ key, held, redriven }) => [key, held, redriven.length]);
      assertEquals(plain.sort(), [["ended", false, 0], ["lost", false, 0], ["unknown", false, 0]]);
      assertEquals(await t.a.renew([], t.now), []);
    },
  },
];
