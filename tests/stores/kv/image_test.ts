import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { PushError } from "@push/client/protocol";
import type { Store } from "../../../server/stores/store.ts";
import { draft, numbers, plain } from "../../../server/testing/store_trial.ts";
import { FaultyDatabase } from "./support/faulty.ts";
import { Folder, openStore } from "./support/files.ts";

const RETENTION = {
  messageTtl: 30_000,
  historySize: 6,
  historyBytes: 300_000,
  maxChannelBytes: 400_000,
  maxStoreBytes: 2_000_000,
  metaTtl: 60_000,
  idempotencyWindow: 10_000,
};
const LIMITS = { maxSessions: 3, deadLetterTtl: 20_000, maxDeadLetters: 3 };
const CHANNELS = ["c0", "c1", "c2"];
const SESSIONS = ["s0", "s1", "s2", "s3"];

type Step =
  | { do: "publish"; channel: number; ids: readonly number[]; size: number }
  | { do: "claim" | "release" | "end"; session: number }
  | { do: "commit"; session: number; channel: number; by: number; late: boolean; giveUp: boolean }
  | { do: "forget"; session: number; channel: number }
  | { do: "redrive" | "load" | "sweep" | "heal" }
  | { do: "revoke"; name: number; ms: number }
  | { do: "pass"; ms: number }
  | { do: "fail"; happens: boolean; isBlind: boolean; spared: number };

const channel = fc.nat({ max: 2 });
const session = fc.nat({ max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      channel,
      ids: fc.array(fc.nat({ max: 9 }), { maxLength: 5 }),
      size: fc.constantFrom(1, 40, 5000, 70_000, 300_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      session,
      channel,
      by: fc.integer({ min: -2, max: 6 }),
      late: fc.boolean(),
      giveUp: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("claim" as const, "claim" as const, "release" as const, "end" as const),
      session,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), session, channel }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("revoke" as const),
      name: fc.nat({ max: 3 }),
      ms: fc.constantFrom(-1, 3000, 20_000, 100_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("redrive" as const, "load" as const, "sweep" as const, "heal" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.constantFrom(1, 1000, 4000, 12_000, 50_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      happens: fc.boolean(),
      isBlind: fc.boolean(),
      spared: fc.nat({ max: 2 }),
    }),
  },
);

/** Everything that can be asked of a store, but for what a restart changes on purpose. */
async function imageOf(store: Store, now: number): Promise<unknown> {
  const logs = await Promise.all(CHANNELS.map(async (name) => {
    const { epoch, head, oldest, messages } = await store.read(name, 0, 1000, now);
    assertEquals(messages.map(({ seq }) => seq), numbers(oldest, head));
    return { epoch, head, newest: messages.slice(-5).map(plain) };
  }));
  const positions = await Promise.all(
    SESSIONS.map((key) => store.load(key, Infinity, CHANNELS, now)),
  );
  const letters = await store.deadLetters({ limit: 1000 }, now);
  letters.sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  const { entries } = await store.revocations(undefined, now);
  const revocations = new Map(entries.map((entry) => [entry.name, entry]));
  const { sessions, deadLetters } = await store.stats(now);
  return { logs, positions, letters, revocations, sessions, deadLetters };
}

Deno.test("KvStore has in the file what it has in memory, whatever failed before it worked again", async () => {
  await using folder = await Folder.make();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 50, size: "max" }),
      async (bursts) => {
        const path = folder.file(`${++runs}.db`);
        const db = new FaultyDatabase();
        const terms = { retention: RETENTION, limits: LIMITS };
        const store = await openStore(path, { ...terms, openDatabase: db.open });
        const generations = new Map<number, number>();
        const answered = new Map<string, string>();
        let now = 1_000_000;
        let count = 0;

        async function take(one: Step): Promise<unknown> {
          switch (one.do) {
            case "publish": {
              const name = `c${one.channel}`;
              const drafts = one.ids.map((id) => {
                const payload = `"${++count} ${"x".repeat(one.size)}"`;
                return draft({ id: id > 6 ? undefined : `${id}`, payload });
              });
              const { epoch, messages } = await store.append(name, drafts, now);
              for (const { seq, payload } of messages) {
                const place = `${name} ${epoch} ${seq}`;
                assert(!answered.has(place), `${place} was given twice`);
                answered.set(place, payload);
              }
              return;
            }
            case "claim": {
              const claim = {
                key: `s${one.session}`,
                holder: `${++count}`,
                instance: `${count}`,
                attempt: 1,
                ttl: 40_000,
              };
              const claimed = await store.claim(claim, now);
              if (claimed.ok) generations.set(one.session, claimed.generation);
              return;
            }
            case "commit": {
              const session = `s${one.session}`;
              const name = `c${one.channel}`;
              const { epoch, head, messages: [message] } = await store.read(name, 0, 1, now);
              const [known] = (await store.load(session, Infinity, [name], now))!;
              const floor = Math.max(Math.min((known?.floor ?? head) + one.by, head), 0);
              const late = one.late && floor > 0 ? [{ seq: floor, attempts: 1 }] : [];
              const cursor = { epoch, floor, sent: floor, own: 0, settled: [], late };
              const at = ++now;
              const letter = { session, channel: name, epoch, message, attempts: 4, at };
              const deadLetters = one.giveUp && message !== undefined
                ? [{ ...letter, reason: "nack" as const }]
                : [];
              const commits = [{ channel: name, cursor, deadLetters }];
              return await store.commit(session, generations.get(one.session) ?? 0, commits, now);
            }
            case "forget": {
              const generation = generations.get(one.session) ?? 0;
              return await store.forget(`s${one.session}`, generation, `c${one.channel}`, now);
            }
            case "release":
            case "end":
              return await store[one.do](`s${one.session}`, generations.get(one.session) ?? 0, now);
            case "revoke": {
              // Some are too long for one value.
              const name = `${one.name}`.repeat(one.name === 0 ? 70_000 : 1);
              const entry = { kind: "token", name, at: now, until: now + one.ms } as const;
              return await store.revoke(entry, now);
            }
            case "redrive":
              return await store.redrive({ limit: 2 }, now);
            case "load":
              return await store.load("s0", Infinity, CHANNELS, now);
            case "sweep":
              return await store.sweep(now);
            case "pass":
              now += one.ms;
              return;
            case "heal":
              return db.heal();
            case "fail":
              db.fail("disk I/O error", one);
              db.isBlind = one.isBlind;
              db.spared = one.spared;
          }
        }

        for (const burst of bursts) {
          const results = await Promise.allSettled(burst.map(take));
          for (const result of results) {
            if (result.status === "rejected") {
              assert(result.reason instanceof PushError, `${result.reason?.stack}`);
            }
          }
        }
        db.heal();
        // Whoever is attached would be released by a restart.
        for (const [session, generation] of generations) {
          await store.release(`s${session}`, generation, now);
        }
        // Who loads a redriven message needs it in the log no more: that may go with the sweep.
        await imageOf(store, now);
        await store.sweep(now);
        const image = await imageOf(store, now);
        for (const channel of CHANNELS) {
          const { epoch, messages } = await store.read(channel, 0, 1000, now);
          for (const { seq, payload } of messages) {
            assertEquals(answered.get(`${channel} ${epoch} ${seq}`) ?? payload, payload);
          }
        }
        await store.sweep(now);
        const copy = await openStore(await folder.crash(path), terms);
        assertEquals(await imageOf(copy, now), image);
        await copy.sweep(now);
        assertEquals(await imageOf(copy, now), image);
        await Promise.all([store, copy].map((handle) => handle[Symbol.asyncDispose]()));
      },
    ),
    { numRuns: 40 },
  );
});
