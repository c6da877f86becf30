import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { KvStore } from "../../../server/stores/kv/store.ts";
import { MemoryStore } from "../../../server/stores/memory/store.ts";
import type { Commit, Retention, Store, StoreLimits } from "../../../server/stores/store.ts";
import { seededRandom } from "../../../server/testing/mod.ts";
import { draft, plain } from "../../../server/testing/store_trial.ts";
import { Folder, openStore } from "./support/files.ts";

const RETENTION: Retention = {
  messageTtl: 30_000,
  historySize: 6,
  historyBytes: 2000,
  maxChannelBytes: 2 ** 22,
  maxStoreBytes: 2 ** 24,
  metaTtl: 1_000_000_000,
  idempotencyWindow: 10_000,
};
const LIMITS: StoreLimits = { maxSessions: 100, deadLetterTtl: 20_000, maxDeadLetters: 3 };

type Step =
  | { do: "publish"; channel: number; ids: readonly number[]; size: number }
  | {
    do: "claim";
    session: number;
    holder: "another" | "same" | "next";
    instance: number;
    attempt: number;
    ttl: number;
  }
  | { do: "commit"; session: number; channel: number; by: number; late: boolean; giveUp: boolean }
  | { do: "load"; session: number; channel: number }
  | { do: "forget" | "release" | "end"; session: number; channel: number }
  | { do: "redrive"; session?: number; limit: number }
  | { do: "pass"; ms: number }
  | { do: "sweep" | "crash" | "reopen" };

const channel = fc.nat({ max: 2 });
const session = fc.nat({ max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      channel,
      ids: fc.array(fc.nat({ max: 9 }), { maxLength: 5 }),
      size: fc.constantFrom(1, 40, 900, 5000, 70_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("claim" as const),
      session,
      holder: fc.constantFrom("another", "another", "same", "next"),
      instance: fc.nat({ max: 2 }),
      attempt: fc.nat({ max: 3 }),
      ttl: fc.constantFrom(0, 5000, 60_000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      session,
      channel,
      by: fc.integer({ min: -2, max: 6 }),
      late: fc.boolean(),
      giveUp: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("load" as const), session, channel }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("forget" as const, "release" as const, "end" as const),
      session,
      channel,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("redrive" as const),
      session: fc.option(session, { nil: undefined }),
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
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("sweep" as const, "crash" as const, "reopen" as const),
    }),
  },
);

/** The same steps on a KV store that crashes and on a memory store that does not. */
class Pair {
  readonly #folder: Folder;
  readonly #memory: MemoryStore;
  readonly #terms = { retention: RETENTION, limits: LIMITS, random: seededRandom(1).bytes };
  readonly #generations = new Map<number, number>();
  readonly #attached = new Set<number>();
  /** Who held a session last, as far as a restart has not made it forgotten. */
  readonly #holders = new Map<number, string>();
  #claims = 0;
  #path: string;
  #kv!: KvStore;
  #now = 1_000_000;

  private constructor(folder: Folder, name: string) {
    this.#folder = folder;
    this.#path = folder.file(name);
    this.#memory = new MemoryStore({ ...this.#terms, random: seededRandom(1).bytes });
  }

  static async make(folder: Folder, name: string): Promise<Pair> {
    const pair = new Pair(folder, name);
    pair.#kv = await openStore(pair.#path, pair.#terms);
    // Epochs are the same where channels begin in the same order.
    for (const name of ["c0", "c1", "c2"]) {
      await pair.#both((store) => store.create(name, {}, pair.#now));
    }
    return pair;
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case "pass":
        this.#now += step.ms;
        return;
      case "crash": {
        const crashed = this.#kv;
        this.#path = await this.#folder.crash(this.#path);
        this.#kv = await openStore(this.#path, this.#terms);
        await crashed[Symbol.asyncDispose]();
        return await this.#begunAnew();
      }
      case "reopen":
        await this.#kv[Symbol.asyncDispose]();
        this.#kv = await openStore(this.#path, this.#terms);
        return await this.#begunAnew();
      case "claim":
        return await this.#claim(step);
    }
    const commit = step.do === "commit" ? await this.#commitOf(step) : undefined;
    const now = this.#now;
    const [kv, memory] = await this.#both(async (store) => {
      switch (step.do) {
        case "publish": {
          const drafts = step.ids.map((id) =>
            draft({ id: id > 6 ? undefined : `${id}`, payload: `"${"€".repeat(step.size)}"` })
          );
          const { oldest: _, messages, ...rest } = await store.append(
            `c${step.channel}`,
            drafts,
            now,
          );
          return { ...rest, messages: messages.map(plain) };
        }
        case "commit": {
          const generation = this.#generations.get(step.session) ?? 0;
          return await store.commit(`s${step.session}`, generation, [commit!], now);
        }
        case "load":
          return await store.load(`s${step.session}`, Infinity, [`c${step.channel}`], now);
        case "forget": {
          const generation = this.#generations.get(step.session) ?? 0;
          return await store.forget(`s${step.session}`, generation, `c${step.channel}`, now);
        }
        case "release":
        case "end":
          return await store[step.do](
            `s${step.session}`,
            this.#generations.get(step.session) ?? 0,
            now,
          );
        case "redrive": {
          const key = step.session === undefined ? undefined : `s${step.session}`;
          return await store.redrive({ session: key, limit: step.limit }, now);
        }
        case "sweep":
          await store.sweep(now);
          return (await store.stats(now)).sessions;
      }
    });
    assertEquals(kv, memory);
    if (step.do === "release" || step.do === "end") this.#attached.delete(step.session);
  }

  async compare(): Promise<void> {
    const now = this.#now;
    for (let i = 0; i <= 2; i++) {
      const read = () => this.#both((store) => store.read(`c${i}`, 0, 1000, now));
      let [kv, memory] = await read();
      assertEquals([kv.epoch, kv.head], [memory.epoch, memory.head]);
      if (kv.oldest > memory.oldest) {
        // Who needs what is asked now and then only, and anew where a file was read; a sweep asks everybody.
        await this.#both((store) => store.sweep(now));
        [kv, memory] = await read();
      }
      // What was dropped in memory comes back from the file with the rest of its segment.
      assert(kv.oldest <= memory.oldest, `${kv.oldest} is the oldest, ${memory.oldest} in memory`);
      const newest = kv.messages.slice(memory.oldest - kv.oldest);
      assertEquals(newest.map(plain), memory.messages.map(plain));
      assertEquals(kv.messages.length, kv.head - kv.oldest + 1);
    }
    const [kv, memory] = await this.#both((store) => store.deadLetters({ limit: 1000 }, now));
    assertEquals(kv, memory);
    for (let i = 0; i <= 3; i++) {
      // Loading tells the holder what was redriven, so it happens to both.
      const [kv, memory] = await this.#both((store) =>
        store.load(`s${i}`, Infinity, ["c0", "c1", "c2"], now)
      );
      assertEquals(kv, memory);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kv[Symbol.asyncDispose]();
  }

  async #claim(step: Step & { do: "claim" }): Promise<void> {
    const { session, instance, attempt, ttl } = step;
    const last = this.#holders.get(session);
    const fresh = `h${++this.#claims}`;
    const holder = step.holder === "same" ? last ?? fresh : fresh;
    const from = step.holder === "next" ? last : undefined;
    const claim = { key: `s${session}`, holder, from, instance: `i${instance}`, attempt, ttl };
    const [kv, memory] = await this.#both((store) => store.claim(claim, this.#now));
    if (!kv.ok || !memory.ok) return assertEquals(kv, memory);
    assertEquals({ ...kv, channels: [...kv.channels].sort() }, {
      ...memory,
      channels: [...memory.channels].sort(),
    });
    // Whoever asks again after the release of a session has it no more.
    if (this.#generations.get(session) !== kv.generation) this.#attached.add(session);
    this.#generations.set(session, kv.generation);
    this.#holders.set(session, holder);
  }

  async #commitOf(step: Step & { do: "commit" }): Promise<Commit> {
    // The order of letters of one millisecond is not promised.
    const now = ++this.#now;
    const session = `s${step.session}`;
    const channel = `c${step.channel}`;
    const { epoch, head } = await this.#memory.read(channel, 0, 1, now);
    const [known] = (await this.#memory.load(session, Infinity, [channel], now))!;
    const floor = Math.max(Math.min((known?.floor ?? head) + step.by, head), 0);
    const late = step.late && floor > 0 ? [{ seq: floor, attempts: 1 }] : [];
    const cursor = { epoch, floor, sent: floor, own: 0, settled: [floor + 2, floor + 3], late };
    const { messages: [message] } = await this.#memory.read(channel, floor - 1, 1, now);
    if (!step.giveUp || message === undefined) return { channel, cursor };
    const about = { attempts: 4, reason: "nack", at: now } as const;
    return { channel, cursor, deadLetters: [{ session, channel, epoch, message, ...about }] };
  }

  /** After a crash or a restart nobody is attached. */
  async #begunAnew(): Promise<void> {
    for (const session of this.#attached) {
      const generation = this.#generations.get(session)!;
      await this.#memory.release(`s${session}`, generation, this.#now);
    }
    this.#attached.clear();
    this.#holders.clear();
    await this.#memory.sweep(this.#now);
    await this.#kv.sweep(this.#now);
  }

  async #both<T>(work: (store: Store) => Promise<T>): Promise<[T, T]> {
    const memory = await work(this.#memory);
    const kv = await work(this.#kv);
    return [kv, memory];
  }
}

const claim = (session: number): Step => (
  { do: "claim", session, holder: "another", instance: 0, attempt: 0, ttl: 60_000 }
);
const commit = (session: number, by: number): Step => (
  { do: "commit", session, channel: 0, by, late: false, giveUp: false }
);
const publish = (count: number): Step => (
  { do: "publish", channel: 0, ids: Array(count).fill(9), size: 1 }
);

/** Nobody needs what the history goes beyond, and only the store that was read from a file has asked. */
const ASKED_ANEW: readonly Step[] = [
  ...[claim(0), claim(1), publish(1), commit(0, 0), commit(1, 0), publish(5), publish(2)],
  ...[commit(1, 6), commit(0, 1), { do: "sweep" } as const, commit(0, 6)],
  ...[{ do: "crash" } as const, publish(1)],
];

Deno.test("KvStore is what a memory store would be that outlives crashes and restarts", async () => {
  await using folder = await Folder.make();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: "max" }), async (steps) => {
      await using pair = await Pair.make(folder, `${++runs}.db`);
      for (const one of steps) {
        await pair.step(one);
        await pair.compare();
      }
    }),
    { numRuns: 60, examples: [[[...ASKED_ANEW]]] },
  );
});
