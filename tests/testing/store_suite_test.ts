import { assert, assertEquals } from "@std/assert";
import { MemoryData, MemoryStore } from "../../server/stores/memory.ts";
import type {
  AppendResult,
  Claim,
  Claimed,
  Commit,
  Cursor,
  DeadLetter,
  DeadLetterQuery,
  Draft,
  Page,
} from "../../server/stores/store.ts";
import { STORE_CASES, storeSuite, type StoreTerms } from "../../server/testing/mod.ts";

type Options = StoreTerms & { data: MemoryData };
type Make = (options: Options) => MemoryStore;

/** Names of the cases that a store fails. */
async function failures(make: Make): Promise<string[]> {
  const tests: { name: string; fn: () => Promise<void> }[] = [];
  storeSuite({
    name: "store",
    open: (terms) => {
      const data = new MemoryData();
      return { a: make({ ...terms, data }), b: make({ ...terms, data }) };
    },
    test: (name, fn) => tests.push({ name, fn }),
  });
  assertEquals(tests.length, STORE_CASES.length);
  const failed: string[] = [];
  for (const { name, fn } of tests) await fn().catch(() => failed.push(name));
  return failed;
}

const newest = new Map<string, number>();

/** Stores that keep nearly all of what they promise. */
const broken: { readonly [what: string]: Make } = {
  "forgets publish ids": (options) =>
    new class extends MemoryStore {
      override append(channel: string, drafts: readonly Draft[], now: number) {
        return super.append(channel, drafts.map(({ id: _, ...rest }) => rest), now);
      }
    }(options),
  "reads one message too many": (options) =>
    new class extends MemoryStore {
      override read(channel: string, after: number, limit: number, now: number): Promise<Page> {
        return super.read(channel, after, limit + 1, now);
      }
    }(options),
  "stores drafts one by one": (options) =>
    new class extends MemoryStore {
      override async append(channel: string, drafts: readonly Draft[], now: number) {
        const results: AppendResult[] = [await super.append(channel, [], now)];
        for (const draft of drafts) results.push(await super.append(channel, [draft], now));
        return {
          ...results.at(-1)!,
          appended: results.flatMap(({ appended }) => appended),
          messages: results.flatMap(({ messages }) => messages),
        };
      }
    }(options),
  "loses metadata": (options) =>
    new class extends MemoryStore {
      override create(channel: string, _: unknown, now: number): Promise<boolean> {
        return super.create(channel, {}, now);
      }
    }(options),
  "does not look at attempts": (options) =>
    new class extends MemoryStore {
      override claim(claim: Claim, now: number): Promise<Claimed> {
        return super.claim({ ...claim, instance: crypto.randomUUID() }, now);
      }
    }(options),
  "does not look at secrets": (options) =>
    new class extends MemoryStore {
      override claim({ secretHash: _, ...claim }: Claim, now: number): Promise<Claimed> {
        return super.claim(claim, now);
      }
    }(options),
  "does not fence commits": (options) =>
    new class extends MemoryStore {
      override async claim(claim: Claim, now: number): Promise<Claimed> {
        const claimed = await super.claim(claim, now);
        if (claimed.ok) newest.set(claim.key, claimed.generation);
        return claimed;
      }
      override commit(key: string, generation: number, commits: readonly Commit[], now: number) {
        return super.commit(key, newest.get(key) ?? generation, commits, now);
      }
    }(options),
  "does not release": (options) =>
    new class extends MemoryStore {
      override release(): Promise<boolean> {
        return Promise.resolve(true);
      }
    }(options),
  "loses what is settled above the floor": (options) =>
    new class extends MemoryStore {
      override async load(key: string, channels: readonly string[], now: number) {
        const cursors = await super.load(key, channels, now);
        return cursors.map((cursor): Cursor | undefined => cursor && { ...cursor, settled: [] });
      }
    }(options),
  "stores no dead letter": (options) =>
    new class extends MemoryStore {
      override commit(key: string, generation: number, commits: readonly Commit[], now: number) {
        const bare = commits.map(({ channel, cursor }) => ({ channel, cursor }));
        return super.commit(key, generation, bare, now);
      }
    }(options),
  "takes dead letters out without putting them back": (options) =>
    new class extends MemoryStore {
      override async redrive(query: DeadLetterQuery, now: number): Promise<DeadLetter[]> {
        const letters = await super.redrive(query, now);
        for (const { session, channel } of letters) {
          const [cursor] = await this.load(session, [channel], now);
          const { generation } = await this.#held(session, now);
          await this.commit(session, generation, [
            { channel, cursor: { ...cursor!, late: [] } },
          ], now);
        }
        return letters;
      }
      async #held(key: string, now: number): Promise<{ generation: number }> {
        const claimed = await this.claim({ key, instance: "x", attempt: 1, ttl: 1e9 }, now);
        return claimed.ok ? claimed : { generation: 0 };
      }
    }(options),
  "never sweeps": (options) =>
    new class extends MemoryStore {
      override sweep(): Promise<void> {
        return Promise.resolve();
      }
    }(options),
  "keeps everything": ({ retention, ...options }) =>
    new MemoryStore({ ...options, retention: { ...retention, messageTtl: 1e15 } }),
  "keeps less than it must": ({ retention, ...options }) =>
    new MemoryStore({
      ...options,
      retention: { ...retention, historySize: Math.max(retention.historySize - 1, 0) },
    }),
  "has no hard end": ({ retention, ...options }) =>
    new MemoryStore({
      ...options,
      retention: { ...retention, maxChannelBytes: 1e15, maxStoreBytes: 1e15 },
    }),
  "works after its end": (options) =>
    new class extends MemoryStore {
      override [Symbol.asyncDispose](): Promise<void> {
        return Promise.resolve();
      }
    }(options),
};

Deno.test("storeSuite() passes a store that keeps its promises", async () => {
  assertEquals(await failures((options) => new MemoryStore(options)), []);
});

for (const [what, make] of Object.entries(broken)) {
  Deno.test(`storeSuite() fails a store that ${what}`, async () => {
    assert((await failures(make)).length > 0);
  });
}

Deno.test("storeSuite() names each case once, and gives each store fresh data and an end", async () => {
  const names: string[] = [];
  let opened = 0;
  let cleaned = 0;
  const passed: number[] = [];
  const runs: Promise<void>[] = [];
  storeSuite({
    name: "MyStore",
    open: (terms) => {
      opened++;
      const data = new MemoryData();
      return {
        a: new MemoryStore({ ...terms, data }),
        b: new MemoryStore({ ...terms, data }),
        advance: (ms) => {
          passed.push(ms);
          return Promise.resolve();
        },
        cleanUp: () => {
          cleaned++;
          return Promise.resolve();
        },
      };
    },
    test: (name, fn) => {
      names.push(name);
      runs.push(fn());
    },
  });
  await Promise.all(runs);
  assertEquals(new Set(names).size, STORE_CASES.length);
  assert(names.every((name) => name.startsWith("MyStore: ")));
  assertEquals([opened, cleaned], [STORE_CASES.length, STORE_CASES.length]);
  assert(passed.includes(290_000));
});
