import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { sessionKey, subjectOfKey } from "../../../server/stores/session_key.ts";
import { MemoryData, MemoryStore } from "../../../server/stores/memory/store.ts";
import { seededRandom } from "../../../server/testing/mod.ts";

const RETENTION = {
  messageTtl: 3_600_000,
  historySize: 10,
  historyBytes: 2 ** 20,
  maxChannelBytes: 2 ** 20,
  maxStoreBytes: 2 ** 24,
  metaTtl: 3_600_000,
  idempotencyWindow: 300_000,
};
const LIMITS = { maxSessions: 6, deadLetterTtl: 3_600_000, maxDeadLetters: 10 };

type Step =
  | { do: "claim"; subject: number; client: number; most?: number; ttl: number }
  | { do: "release" | "end"; subject: number; client: number }
  | { do: "pass"; ms: number }
  | { do: "sweep" };

const subject = fc.nat({ max: 2 });
const client = fc.nat({ max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("claim" as const),
      subject,
      client,
      most: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
      ttl: fc.constantFrom(0, 50, 1000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("release" as const, "release" as const, "end" as const),
      subject,
      client,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1, 20, 60) }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "sweep" }) },
);

interface Known {
  readonly key: string;
  readonly subject: string;
  readonly ttl: number;
  readonly generation: number;
  /** Since when it is away. */
  since?: number;
}

Deno.test("MemoryStore makes room for a session as a naive model does, whatever happened before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 100, size: "max" }), async (steps) => {
      const data = new MemoryData();
      const random = seededRandom(1).bytes;
      const store = new MemoryStore({ retention: RETENTION, limits: LIMITS, random, data });
      let known: Known[] = [];
      let now = 1000;
      let forgotten = 0;
      let holders = 0;
      for (const one of steps) {
        if (one.do === "pass") now += one.ms;
        known = known.filter(({ since, ttl }) => since === undefined || since + ttl > now);
        if (one.do === "sweep") await store.sweep(now);
        if (one.do === "pass" || one.do === "sweep") continue;
        const key = sessionKey({
          named: true,
          clientId: `${one.client}`,
          subject: `s${one.subject}`,
        });
        const found = known.find((each) => each.key === key);
        if (one.do !== "claim") {
          if (found === undefined) continue;
          await store[one.do](key, found.generation, now);
          const ends = one.do === "end" || found.ttl === 0;
          if (ends) known = known.filter((each) => each !== found);
          else if (found.since === undefined) {
            found.since = now;
            known = [...known.filter((each) => each !== found), found];
          }
          continue;
        }
        const { most = Infinity, ttl } = one;
        const holder = `h${++holders}`;
        const who = { key, holder, instance: holder, attempt: 1, ttl, most: one.most };
        const claimed = await store.claim(who, now);
        if (found === undefined) {
          const own = known.filter((each) => each.subject === `s${one.subject}`);
          const away = own.filter(({ since }) => since !== undefined)
            .sort((a, b) => a.since! - b.since!);
          const over = Math.max(0, own.length + 1 - most, known.length + 1 - LIMITS.maxSessions);
          if (over > away.length) {
            const reason = own.length >= most ? "subject_full" : "full";
            assertEquals(claimed, { ok: false, reason });
            continue;
          }
          forgotten += over;
          known = known.filter((each) => !away.slice(0, over).includes(each));
        }
        assertEquals([claimed.ok, claimed.ok && claimed.resumed], [true, found !== undefined]);
        const generation = claimed.ok ? claimed.generation : 0;
        known = known.filter((each) => each !== found);
        known.push({ key, subject: `s${one.subject}`, ttl, generation });
      }
      await store.sweep(now);
      const { sessions, sessionsForgotten } = await store.stats(now);
      assertEquals([sessions, sessionsForgotten], [known.length, forgotten]);
      const left = [...data.sessions.all()].map(({ key }) => key);
      assertEquals(left.sort(), known.map(({ key }) => key).sort());
      const subjects = new Set(known.map(({ subject }) => subject));
      assertEquals(
        data.sessions.subjects,
        subjects.size,
        "a subject without sessions is forgotten",
      );
    }),
    { numRuns: 300 },
  );
});

Deno.test("the subject is read from a session's key, whatever client and subject are called", () => {
  const ids = ["a", "a:b", ":", "::x", "n:1:ann", ""];
  for (const clientId of ids) {
    for (const subject of ["ann", "", "team:ann", ":", "a%b", "n:1:ann"]) {
      for (const named of [true, false]) {
        assertEquals(subjectOfKey(sessionKey({ named, clientId, subject })), subject);
      }
    }
  }
  assertEquals(["", "s", ":", "a:b"].map(subjectOfKey), ["", "", "", ""]);
});
