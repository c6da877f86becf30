import { assert, assertEquals } from "@std/assert";
import { HOSTILE, numbers, type StoreCase } from "./store_trial.ts";

/** Cases about who holds a session, and how long it lives. */
export const sessionCases: readonly StoreCase[] = [
  {
    name: "a new session has no channels; one that is claimed again names those it has",
    async run(t) {
      const first = await t.claim("s");
      assert(first.ok);
      assertEquals([first.resumed, [...first.channels]], [false, []]);
      await t.stand("s", first.generation, "c", 0);
      await t.stand("s", first.generation, "d", 0);
      const second = await t.claim("s", {}, t.b);
      assert(second.ok);
      assertEquals([second.resumed, [...second.channels].sort()], [true, ["c", "d"]]);
    },
  },
  {
    name: "each claim has a higher generation, also of a session that ended in between",
    async run(t) {
      let last = 0;
      for (const i of numbers(1, 6)) {
        const generation = await t.attach("s", {}, i % 2 === 0 ? t.a : t.b);
        assert(generation > last);
        last = generation;
        if (i % 3 === 0) await t.a.end("s", generation, t.now);
      }
    },
  },
  {
    name: "the newest claim wins: whatever the older holder writes is refused",
    async run(t) {
      const old = await t.attach("s", {}, t.a);
      await t.stand("s", old, "c", 1);
      const present = await t.attach("s", {}, t.b);
      assertEquals(await t.a.release("s", old, t.now), false);
      assertEquals(await t.a.end("s", old, t.now), false);
      // It is certain to be noticed once the newest holder has loaded the position.
      assertEquals((await t.position("s", "c"))?.floor, 1);
      assertEquals(await t.stand("s", old, "c", 2), false);
      assertEquals(await t.a.forget("s", old, "c", t.now), false);
      assertEquals((await t.position("s", "c"))?.floor, 1);
      assertEquals(await t.stand("s", present, "c", 3), true);
      assertEquals((await t.position("s", "c"))?.floor, 3);
    },
  },
  {
    name: "a client object takes over from itself only with a newer attempt",
    async run(t) {
      const instance = "one";
      const generation = await t.attach("s", { instance, attempt: 2 });
      assertEquals(await t.refusal("s", { instance, attempt: 1 }), "replaced");
      assertEquals(await t.refusal("s", { instance, attempt: 2 }), "replaced");
      assertEquals(await t.stand("s", generation, "c", 0), true);
      await t.attach("s", { instance, attempt: 3 }, t.b);
      assertEquals((await t.position("s", "c"))?.floor, 0);
      assertEquals(await t.stand("s", generation, "c", 0), false);
    },
  },
  {
    name: "another client object takes over whatever its attempt is",
    async run(t) {
      await t.attach("s", { instance: "one", attempt: 9 });
      await t.attach("s", { instance: "two", attempt: 1 });
      await t.attach("s", { instance: "one", attempt: 1 });
    },
  },
  {
    name: "of claims at once one is the newest, and only it may write",
    async run(t) {
      const generations = await Promise.all(
        numbers(1, 20).map((i) => t.attach("s", {}, i % 2 === 0 ? t.a : t.b)),
      );
      assertEquals(new Set(generations).size, 20);
      const newest = Math.max(...generations);
      assertEquals(await t.stand("s", newest, "c", 0), true);
      for (const generation of generations) {
        assertEquals(await t.stand("s", generation, "c", 0), generation === newest);
      }
    },
  },
  {
    name: "a claim of an existing session does not begin one",
    async run(t) {
      assertEquals(await t.refusal("s", { existing: true }), "unknown");
      assertEquals((await t.a.stats(t.now)).sessions, 0);
      await t.attach("s");
      await t.attach("s", { existing: true }, t.b);
    },
  },
  {
    name: "a session with a secret is given only to who has it, and a refusal changes nothing",
    async run(t) {
      const generation = await t.attach("minted", { secretHash: "right" });
      assertEquals(await t.refusal("minted", { secretHash: "wrong" }), "bad_secret");
      assertEquals(await t.refusal("minted"), "bad_secret");
      assertEquals(await t.refusal("minted", { existing: true }), "bad_secret");
      assertEquals(await t.stand("minted", generation, "c", 0), true);
      await t.attach("minted", { secretHash: "right" }, t.b);
      await t.attach("named");
      assertEquals(await t.refusal("named", { secretHash: "right" }), "bad_secret");
    },
  },
  {
    name: "a released session lives for its ttl, and can be claimed until then",
    async run(t) {
      let generation = await t.attach("s", { ttl: 60_000 });
      await t.stand("s", generation, "c", 7);
      assertEquals(await t.a.release("s", generation, t.now), true);
      await t.pass(59_000);
      generation = await t.attach("s", { ttl: 60_000, existing: true }, t.b);
      assertEquals((await t.position("s", "c"))?.floor, 7);
      await t.a.release("s", generation, t.now);
      await t.pass(60_001);
      assertEquals(await t.position("s", "c"), undefined);
      assertEquals(await t.stand("s", generation, "c", 8), false);
      assertEquals(await t.refusal("s", { existing: true }), "unknown");
      const anew = await t.claim("s");
      assert(anew.ok);
      assertEquals([anew.resumed, [...anew.channels]], [false, []]);
    },
  },
  {
    name: "the ttl of the newest claim counts",
    async run(t) {
      await t.attach("s", { ttl: 60_000 });
      const generation = await t.attach("s", { ttl: 5000 });
      await t.a.release("s", generation, t.now);
      await t.pass(5001);
      assertEquals(await t.refusal("s", { existing: true }), "unknown");
    },
  },
  {
    name: "a session without ttl ends with its connection",
    async run(t) {
      const generation = await t.attach("s", { ttl: 0 });
      await t.stand("s", generation, "c", 0);
      assertEquals(await t.a.release("s", generation, t.now), true);
      assertEquals(await t.position("s", "c"), undefined);
      assertEquals(await t.refusal("s", { existing: true }), "unknown");
    },
  },
  {
    name: "a holder may write its last positions after it released the session",
    async run(t) {
      const generation = await t.attach("s");
      await t.a.release("s", generation, t.now);
      assertEquals(await t.stand("s", generation, "c", 4), true);
      assertEquals((await t.position("s", "c"))?.floor, 4);
    },
  },
  {
    name: "an attached session that is renewed does not end",
    async run(t) {
      // Renewed within the lease, for longer than lease and ttl together.
      const step = Math.floor(0.6 * (t.lease ?? 10_000));
      const generation = await t.attach("s", { ttl: step });
      await t.stand("s", generation, "c", 4);
      for (let i = 0; i < 4; i++) {
        await t.pass(step);
        assertEquals(await t.renew("s", generation), undefined);
        await t.b.sweep(t.now);
      }
      assertEquals((await t.position("s", "c"))?.floor, 4);
      assertEquals(await t.stand("s", generation, "c", 5), true);
    },
  },
  {
    name: "end() ends a session and its positions at once",
    async run(t) {
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 4);
      assertEquals(await t.a.end("s", generation, t.now), true);
      assertEquals(await t.position("s", "c"), undefined);
      assertEquals((await t.swept()).sessions, 0);
      assertEquals(await t.a.end("s", generation, t.now), false);
    },
  },
  {
    name: "sweep() lets go of sessions that have ended",
    async run(t) {
      for (const key of ["s", "t", "u"]) {
        const generation = await t.attach(key, { ttl: key === "u" ? 300_000 : 60_000 });
        await t.stand(key, generation, "c", 0);
        await t.a.release(key, generation, t.now);
      }
      assertEquals((await t.swept()).sessions, 3);
      await t.pass(60_001);
      assertEquals((await t.swept()).sessions, 1);
      assertEquals(await t.position("s", "c"), undefined);
      assertEquals((await t.position("u", "c"))?.floor, 0);
    },
  },
  {
    name: "at the limit the detached session that is longest away is forgotten, and counted",
    limits: { maxSessions: 3 },
    async run(t) {
      const generations = new Map<string, number>();
      for (const key of ["s", "t", "u"]) {
        generations.set(key, await t.attach(key, { ttl: 600_000 }));
        await t.stand(key, generations.get(key)!, "c", 0);
      }
      for (const key of ["t", "s"]) {
        await t.a.release(key, generations.get(key)!, t.now);
        await t.pass(1000);
      }
      await t.attach("v", {}, t.b);
      const { sessions, sessionsForgotten } = await t.b.stats(t.now);
      assertEquals([sessions, sessionsForgotten], [3, 1]);
      assertEquals(await t.position("t", "c"), undefined);
      assertEquals((await t.position("s", "c"))?.floor, 0);
    },
  },
  {
    name: "where all are attached a new session is refused, and those that are may be claimed",
    limits: { maxSessions: 2 },
    async run(t) {
      const generation = await t.attach("s");
      await t.attach("t");
      assertEquals(await t.refusal("u"), "full");
      await t.attach("t", {}, t.b);
      await t.a.end("s", generation, t.now);
      await t.attach("u");
    },
  },
  {
    name: "whatever a session is called, it is its own",
    async run(t) {
      for (const [i, key] of HOSTILE.entries()) {
        const generation = await t.attach(key);
        for (const channel of HOSTILE) await t.stand(key, generation, channel, i);
      }
      for (const [i, key] of HOSTILE.entries()) {
        const positions = await t.positions(key, HOSTILE);
        assertEquals(positions.map((position) => position?.floor), HOSTILE.map(() => i));
        const claimed = await t.claim(key);
        assert(claimed.ok);
        assertEquals([...claimed.channels].sort(), [...HOSTILE].sort());
      }
    },
  },
];
