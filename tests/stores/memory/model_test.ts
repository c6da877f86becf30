import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MemoryData, MemoryStore } from "../../../server/stores/memory/store.ts";
import type { Retention, StoreLimits } from "../../../server/stores/store.ts";
import { ManualClock, MemoryCluster, seededRandom } from "../../../server/testing/mod.ts";
import { type Step, StoreModel } from "./model.ts";

const RETENTION: Retention = {
  messageTtl: 30_000,
  historySize: 6,
  historyBytes: 600,
  maxChannelBytes: 2 ** 20,
  maxStoreBytes: 2 ** 24,
  metaTtl: 1_000_000_000,
  idempotencyWindow: 10_000,
};
const LIMITS: StoreLimits = { maxSessions: 100, deadLetterTtl: 20_000, maxDeadLetters: 3 };

const channel = fc.nat({ max: 2 });
const session = fc.nat({ max: 3 });
const stale = fc.integer({ min: 0, max: 9 }).map((n) => n === 0);
const by = fc.integer({ min: -2, max: 6 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      channel,
      id: fc.option(fc.nat({ max: 4 }), { nil: undefined }),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("claim" as const),
      session,
      holder: fc.constantFrom("another", "another", "another", "same", "next", "stranger"),
      instance: fc.nat({ max: 2 }),
      attempt: fc.nat({ max: 3 }),
      ttl: fc.constantFrom(0, 5000, 60_000),
      force: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("renew" as const), session, stale }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      session,
      stale,
      channel,
      by,
      late: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("giveUp" as const), session, channel, by }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("load" as const), session, channel }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("forget" as const, "release" as const, "end" as const),
      session,
      stale,
      channel,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("redrive" as const),
      session: fc.option(session, { nil: undefined }),
      channel: fc.option(channel, { nil: undefined }),
      limit: fc.constantFrom(1, 2, 100),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.constantFrom(1, 100, 1000, 4000, 12_000),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "sweep" }) },
);

function twoHandles(
  retention: Retention,
  limits: StoreLimits,
  lease?: number,
): { stores: MemoryStore[]; data: MemoryData } {
  const data = new MemoryData();
  const options = { retention, limits, random: seededRandom(1).bytes, data };
  const nodes = new MemoryCluster({ clock: new ManualClock(), random: seededRandom(2), lease });
  const handle = () =>
    new MemoryStore(lease === undefined ? options : { ...options, cluster: nodes.join() });
  return { stores: [handle(), handle()], data };
}

async function compare(lease?: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120, size: "max" }), async (steps) => {
      const { stores, data } = twoHandles(RETENTION, LIMITS, lease);
      const model = new StoreModel(stores, RETENTION, LIMITS, lease);
      for (const one of steps) {
        await model.step(one);
        await model.compare();
      }
      await model.step({ do: "pass", ms: 100_000 });
      for (let i = 0; i <= 3; i++) {
        const terms = { holder: "another", instance: 9, attempt: 1, ttl: 0, force: true } as const;
        await model.step({ do: "claim", session: i, ...terms });
        await model.step({ do: "release", session: i, stale: false, channel: 0 });
      }
      await model.step({ do: "sweep" });
      await stores[0].sweep(10_000_000_000);
      assertEquals(data.tally.held, 0);
      assertEquals(data.tally.fixed, 0);
      assertEquals(data.tally.publishIds, 0);
      assertEquals((await stores[0].stats(0)).channels, 0);
    }),
    { numRuns: 200 },
  );
}

Deno.test("MemoryStore answers and keeps what a naive model does, whatever happens", async () => {
  await compare();
});

Deno.test("MemoryStore does so where its handles are nodes that hold sessions by leases", async () => {
  await compare(5000);
});

Deno.test("MemoryStore stays within its limits and loses nothing in silence, whatever happens", async () => {
  const retention = {
    ...RETENTION,
    maxChannelBytes: 2000,
    maxStoreBytes: 8000,
    historyBytes: 1500,
  };
  const event = fc.record({
    channel: fc.nat({ max: 9 }),
    size: fc.nat({ max: 900 }),
    settle: fc.boolean(),
    giveUp: fc.boolean(),
    ms: fc.nat({ max: 50 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 150, size: "max" }), async (events) => {
      const { stores: [store], data } = twoHandles(retention, LIMITS);
      let now = 1_000_000;
      const claimed = await store.claim(
        { key: "s", holder: "h", instance: "i", attempt: 1, ttl: 0 },
        now,
      );
      assert(claimed.ok);
      const floors = new Map<string, number>();
      let unsettled = 0;
      for (const { channel, size, settle, giveUp, ms } of events) {
        now += ms;
        const name = `c${channel}`;
        // Only in some channels does anybody stand.
        if (settle && channel < 3) {
          const { epoch, head, messages } = await store.read(name, 0, 1, now);
          const cursor = { epoch, floor: head, sent: head, own: 0, settled: [], late: [] };
          const deadLetters = giveUp && messages.length > 0
            ? [{
              session: "s",
              channel: name,
              epoch,
              message: messages[0],
              attempts: 1,
              reason: "nack" as const,
              at: now,
            }]
            : [];
          const commit = { channel: name, cursor, deadLetters };
          assertEquals(await store.commit("s", claimed.generation, [commit], now), true);
          floors.set(name, head);
        }
        const draft = { subject: "x", origin: null, source: null, payload: "1".repeat(size) };
        const before = await states(store, now);
        const { epoch, head, messages: [message] } = await store.append(name, [draft], now);
        const page = await store.read(name, head - 1, 1, now);
        assertEquals([page.epoch, page.messages[0]], [epoch, message]);
        for (const [other, state] of await states(store, now)) {
          const floor = floors.get(other);
          const was = before.get(other);
          assert(floor === undefined || was === undefined || was.epoch === state.epoch);
          const from = Math.max(was?.oldest ?? 1, (floor ?? Infinity) + 1);
          unsettled += Math.max(state.oldest - from, 0);
        }
        assert(data.tally.held <= retention.maxStoreBytes);
        const { bytes, evicted } = await store.stats(now);
        assert(bytes <= retention.maxStoreBytes);
        assert(evicted >= unsettled, `${unsettled} messages were lost, ${evicted} counted`);
      }
    }),
    { numRuns: 200 },
  );
});

async function states(
  store: MemoryStore,
  now: number,
): Promise<Map<string, { epoch: string; oldest: number }>> {
  return new Map((await store.channels(now)).map((record) => [record.name, record]));
}
