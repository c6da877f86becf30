import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type Revocation, REVOCATION_KINDS } from "../stores/revocations.ts";
import type { Store } from "../stores/store.ts";
import { assertCode, HOSTILE, numbers, type StoreCase, type StoreTrial } from "./store_trial.ts";

const HOUR = 3_600_000;
// More than an engine is likely to tell at once.
const MANY = 1_200;

/** A revocation that lasts for an hour from now. */
function revocation(t: StoreTrial, name: string, parts: Partial<Revocation> = {}): Revocation {
  return { kind: "subject", name, at: t.now, until: t.now + HOUR, ...parts };
}

/** Everything that a handle tells, by kind and name. */
async function told(t: StoreTrial, store: Store = t.b): Promise<Revocation[]> {
  const { isAll, entries } = await store.revocations(undefined, t.now);
  assertEquals(isAll, true);
  return sorted(entries);
}

function sorted(entries: readonly Revocation[]): Revocation[] {
  const nameOf = ({ kind, name }: Revocation) => `${kind}:${name}`;
  return entries.toSorted((a, b) => nameOf(a) < nameOf(b) ? -1 : 1);
}

/** Cases about revocations. */
export const revocationCases: readonly StoreCase[] = [
  {
    name: "a revocation is told to every handle, and to each once",
    async run(t) {
      const entry = revocation(t, "ann");
      assertEquals(await t.a.revoke(entry, t.now), true);
      for (const store of [t.a, t.b]) {
        const first = await store.revocations(undefined, t.now);
        assertEquals([first.isAll, first.entries], [true, [entry]]);
        const second = await store.revocations(first.mark, t.now);
        assertEquals([second.isAll, second.entries], [false, []]);
        assertEquals(second.mark, first.mark);
      }
    },
  },
  {
    name: "revocations that changed since a mark are told, and no others",
    async run(t) {
      for (const name of ["ann", "bob", "cid"]) await t.a.revoke(revocation(t, name), t.now);
      const { mark } = await t.b.revocations(undefined, t.now);
      const later = revocation(t, "bob", { until: t.now + 2 * HOUR });
      const dan = revocation(t, "dan");
      await t.b.revoke(dan, t.now);
      await t.a.revoke(later, t.now);
      await t.a.revoke(revocation(t, "cid"), t.now);
      const since = await t.b.revocations(mark, t.now);
      assertEquals([since.isAll, sorted(since.entries)], [false, [later, dan]]);
      assertNotEquals(since.mark, mark);
      // An earlier mark stays good.
      const again = await t.a.revocations(mark, t.now);
      assertEquals(sorted(again.entries), [later, dan]);
    },
  },
  {
    name: "of revocations of one name the later times stay, in whatever order they come",
    async run(t) {
      const early = revocation(t, "ann", { at: t.now - 5000, until: t.now + 2 * HOUR });
      const late = revocation(t, "ann", { until: t.now + HOUR });
      const both = { ...late, until: early.until };
      for (const [name, order] of [["x", [early, late]], ["y", [late, early]]] as const) {
        for (const entry of order) {
          assertEquals(await t.a.revoke({ ...entry, name }, t.now), true);
          assertEquals(await t.b.revoke({ ...entry, name }, t.now), true);
        }
      }
      assertEquals(await told(t), [{ ...both, name: "x" }, { ...both, name: "y" }]);
    },
  },
  {
    name: "kinds and names of revocations are only compared, whatever they look like",
    async run(t) {
      const entries = HOSTILE.flatMap((name, i) =>
        REVOCATION_KINDS.map((kind) => revocation(t, name, { kind, at: t.now - i }))
      );
      for (const entry of entries) await t.a.revoke(entry, t.now);
      assertEquals(await told(t), sorted(entries));
    },
  },
  {
    name: "a revocation is forgotten after its end, and one that has ended is not kept",
    async run(t) {
      const short = revocation(t, "short", { until: t.now + 60_000 });
      const long = revocation(t, "long");
      assertEquals(
        await t.a.revoke(revocation(t, "over", { until: t.now - 60_000 }), t.now),
        false,
      );
      for (const entry of [short, long]) assertEquals(await t.a.revoke(entry, t.now), true);
      await t.pass(50_000);
      assertEquals(await told(t), [long, short]);
      await t.pass(20_000);
      assertEquals(await told(t), [long]);
      assertEquals(await t.b.revoke(short, t.now), false);
      assertEquals(await told(t, t.a), [long]);
    },
  },
  {
    name: "a revocation without an end stays",
    async run(t) {
      const entry = revocation(t, "ann", { until: Infinity });
      assertEquals(await t.a.revoke(entry, t.now), true);
      await t.pass(1_000 * 24 * HOUR);
      await t.a.sweep(t.now);
      const [kept] = await told(t);
      assertEquals([kept.name, kept.until], ["ann", Number.MAX_SAFE_INTEGER]);
    },
  },
  {
    name: "a revocation that has no room is refused, and none that was answered goes for it",
    limits: { maxRevocations: 3 },
    async run(t) {
      const brief = revocation(t, "brief", { until: t.now + 60_000 });
      await t.a.revoke(brief, t.now);
      for (const name of ["ann", "bob"]) await t.a.revoke(revocation(t, name), t.now);
      await assertCode("store_full", () => t.b.revoke(revocation(t, "cid"), t.now));
      assertEquals((await told(t)).map(({ name }) => name), ["ann", "bob", "brief"]);
      // What is there already can reach further.
      const later = revocation(t, "bob", { until: t.now + 2 * HOUR });
      assertEquals(await t.b.revoke(later, t.now), true);
      await t.pass(61_000);
      assertEquals(await t.b.revoke(revocation(t, "cid"), t.now), true);
      const left = await told(t);
      assertEquals(left.map(({ name }) => name), ["ann", "bob", "cid"]);
      assertEquals(left[1], later);
    },
  },
  {
    name: "however many revocations there are, all are told",
    async run(t) {
      const { mark } = await t.b.revocations(undefined, t.now);
      const entries = numbers(1, MANY).map((i) => revocation(t, `subject ${i}`, { kind: "token" }));
      const kept = await Promise.all(entries.map((entry, i) => {
        return (i % 2 === 0 ? t.a : t.b).revoke(entry, t.now);
      }));
      assertEquals(kept.includes(false), false);
      assertEquals(await told(t), sorted(entries));
      const since = await t.b.revocations(mark, t.now);
      assertEquals(sorted(since.entries), sorted(entries));
      const none = await t.b.revocations(since.mark, t.now);
      assertEquals([none.isAll, none.entries], [false, []]);
    },
  },
  {
    name: "whoever has no mark of this store is told everything",
    async run(t) {
      const entry = revocation(t, "ann");
      await t.a.revoke(entry, t.now);
      for (const mark of ["", "x", "1:99999", "run.epoch 7"]) {
        const { isAll, entries } = await t.b.revocations(mark, t.now);
        assertEquals([isAll, entries], [true, [entry]]);
      }
    },
  },
  {
    name: "a store that is closed refuses revocations, and the other handle has those before",
    async run(t) {
      await t.a.revoke(revocation(t, "ann"), t.now);
      await t.a[Symbol.asyncDispose]();
      await assertCode("unavailable", () => t.a.revoke(revocation(t, "bob"), t.now));
      await assertCode("unavailable", () => t.a.revocations(undefined, t.now));
      assert((await told(t)).some(({ name }) => name === "ann"));
    },
  },
];
