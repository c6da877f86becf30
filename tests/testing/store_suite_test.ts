import { assert, assertEquals } from "@std/assert";
import { MemoryData, MemoryStore } from "../../server/stores/memory/store.ts";
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
  Renewed,
  Store,
} from "../../server/stores/store.ts";
import {
  type Cluster,
  ManualClock,
  MemoryCluster,
  type Revocation,
  type RevocationNews,
  seededRandom,
  STORE_CASES,
  type StoreHandles,
  storeSuite,
  type StoreTerms,
} from "../../server/testing/mod.ts";

type Options = StoreTerms & { data: MemoryData; cluster?: Cluster };
type Make = (options: Options) => MemoryStore;

const PLAIN_CASES = STORE_CASES.filter((storeCase) => !storeCase.nodes);

/** Handles that are nodes. */
function nodes(make: Make, terms: StoreTerms): StoreHandles {
  const data = new MemoryData();
  const clock = new ManualClock();
  const cluster = new MemoryCluster({ clock, random: seededRandom(1) });
  const handle = () => make({ ...terms, data, cluster: cluster.join() });
  return { a: handle(), b: handle(), advance: (ms) => clock.advance(ms) };
}

/** Names of the cases that a store fails. */
async function failures(make: Make): Promise<string[]> {
  const tests: { name: string; fn: () => Promise<void> }[] = [];
  const test = (name: string, fn: () => Promise<void>) => tests.push({ name, fn });
  storeSuite({
    name: "store",
    open: (terms) => {
      const data = new MemoryData();
      return { a: make({ ...terms, data }), b: make({ ...terms, data }) };
    },
    test,
  });
  assertEquals(tests.length, PLAIN_CASES.length);
  storeSuite({
    name: "store of two nodes",
    open: (terms) => nodes(make, terms),
    nodes: true,
    test,
  });
  assertEquals(tests.length, PLAIN_CASES.length + STORE_CASES.length);
  const failed: string[] = [];
  for (const { name, fn } of tests) await fn().catch(() => failed.push(name));
  return failed;
}

const newest = new Map<string, number>();
const holders: { store: Store; key: string; generation: number }[] = [];

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
  "takes a repeated claim for a new one": (options) =>
    new class extends MemoryStore {
      override claim(claim: Claim, now: number): Promise<Claimed> {
        return super.claim({ ...claim, holder: crypto.randomUUID() }, now);
      }
    }(options),
  "does not look at whose stead a claim is in": (options) =>
    new class extends MemoryStore {
      override claim({ from: _, ...claim }: Claim, now: number): Promise<Claimed> {
        return super.claim(claim, now);
      }
    }(options),
  "does not say which generation was before": (options) =>
    new class extends MemoryStore {
      override async claim(claim: Claim, now: number): Promise<Claimed> {
        const claimed = await super.claim(claim, now);
        return claimed.ok ? { ...claimed, previous: 0 } : claimed;
      }
    }(options),
  "takes sessions from other nodes": (options) =>
    new class extends MemoryStore {
      override claim(claim: Claim, now: number): Promise<Claimed> {
        return super.claim({ ...claim, force: true }, now);
      }
    }(options),
  "never takes a session from another node": (options) =>
    new class extends MemoryStore {
      override claim({ force: _, ...claim }: Claim, now: number): Promise<Claimed> {
        return super.claim(claim, now);
      }
    }(options),
  "never notices that a node is gone": (options) =>
    new class extends MemoryStore {
      override async claim(claim: Claim, now: number): Promise<Claimed> {
        for (const { store, ...key } of holders) await store.renew([key], now).catch(() => {});
        const claimed = await super.claim(claim, now);
        if (claimed.ok) holders.push({ store: this, ...claimed, key: claim.key });
        return claimed;
      }
    }(options),
  "does not renew": (options) =>
    new class extends MemoryStore {
      override renew(): Promise<readonly Renewed[]> {
        return Promise.resolve([]);
      }
    }(options),
  "tells a holder nothing that was redriven": (options) =>
    new class extends MemoryStore {
      override async renew(...parts: Parameters<Store["renew"]>) {
        return (await super.renew(...parts)).filter(({ held }) => !held);
      }
    }(options),
  "loads positions for anybody": (options) =>
    new class extends MemoryStore {
      override load(key: string, _: number, channels: readonly string[], now: number) {
        return super.load(key, Infinity, channels, now);
      }
    }(options),
  "makes a channel of which it is asked for the state": (options) =>
    new class extends MemoryStore {
      override states(channels: readonly string[], now: number) {
        return Promise.all(channels.map((channel) => this.read(channel, 0, 0, now)));
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
      override async load(...parts: Parameters<Store["load"]>) {
        const cursors = await super.load(...parts);
        return cursors?.map((cursor): Cursor | undefined => cursor && { ...cursor, settled: [] });
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
          const { generation } = await this.#held(session, now);
          const [cursor] = (await this.load(session, generation, [channel], now))!;
          await this.commit(session, generation, [
            { channel, cursor: { ...cursor!, late: [] } },
          ], now);
        }
        return letters;
      }
      async #held(key: string, now: number): Promise<{ generation: number }> {
        const claim = { key, holder: "x", instance: "x", attempt: 1, ttl: 1e9 };
        const claimed = await this.claim(claim, now);
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
  "tells every revocation each time": (options) =>
    new class extends MemoryStore {
      override async revocations(_: string | undefined, now: number): Promise<RevocationNews> {
        return { ...await super.revocations(undefined, now), isAll: false };
      }
    }(options),
  "takes any text for a mark of its own": (options) =>
    new class extends MemoryStore {
      override async revocations(known: string | undefined, now: number): Promise<RevocationNews> {
        const news = await super.revocations(known, now);
        return known === undefined ? news : { ...news, isAll: false };
      }
    }(options),
  "keeps revocations for ever": (options) =>
    new class extends MemoryStore {
      override revoke(revocation: Revocation, now: number): Promise<boolean> {
        return super.revoke({ ...revocation, until: Infinity }, now);
      }
    }(options),
  "has room for any number of revocations": ({ limits, ...options }) =>
    new MemoryStore({ ...options, limits: { ...limits, maxRevocations: Infinity } }),
  "says that it keeps a revocation that has no room": ({ limits, ...options }) =>
    new class extends MemoryStore {
      override async revoke(revocation: Revocation, now: number): Promise<boolean> {
        const { entries } = await super.revocations(undefined, now);
        return entries.length === limits.maxRevocations || await super.revoke(revocation, now);
      }
    }({ ...options, limits }),
  "does not tell revocations apart by their kind": (options) =>
    new class extends MemoryStore {
      override revoke(revocation: Revocation, now: number): Promise<boolean> {
        return super.revoke({ ...revocation, kind: "token" }, now);
      }
    }(options),
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
  assertEquals(new Set(names).size, PLAIN_CASES.length);
  assert(names.every((name) => name.startsWith("MyStore: ")));
  assertEquals([opened, cleaned], [PLAIN_CASES.length, PLAIN_CASES.length]);
  assert(passed.includes(290_000));
});

Deno.test("storeSuite() fails where it was told something else of nodes than is true", async () => {
  const runs: Promise<void>[] = [];
  const test = (_: string, fn: () => Promise<void>) => runs.push(fn());
  storeSuite({ name: "a", open: (terms) => nodes((one) => new MemoryStore(one), terms), test });
  const data = new MemoryData();
  const alone = (terms: StoreTerms) => new MemoryStore({ ...terms, data });
  storeSuite({ name: "b", open: (t) => ({ a: alone(t), b: alone(t) }), nodes: true, test });
  const results = await Promise.allSettled(runs);
  assert(results.every(({ status }) => status === "rejected"));
});
