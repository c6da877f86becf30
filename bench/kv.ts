/**
 * What the KV store takes: accepted publishes a second, beside bare commits of 500 sets by the same
 * implementation of KV on the same file, in turns; what absent subscribers and messages take on the
 * disk; and how long a start takes. Trust the ratios: the figures vary with the machine and its disk.
 * It fails if anything that was answered is not there after the file was opened again.
 *
 * `deno task bench:kv`
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Gateway } from "../mod.ts";
import { systemRandom } from "../server/clock.ts";
import { type GatewayOptions, resolveOptions } from "../server/options/options.ts";
import { KvStore } from "../server/stores/kv/store.ts";
import { type OpenDatabase, openDatabase, openPackage } from "../server/stores/kv/engine.ts";
import { retentionOf, storeLimitsOf } from "../server/stores/open.ts";
import { median, printMachine, show } from "./figures.ts";
import { readFlags } from "./flags.ts";

const PUBLISHERS = 64;
const IN_FLIGHT = 32;
const SETS = 500;
const PADDING = "x".repeat(64);

const { seconds, rounds } = readFlags(
  `\
Measures the Deno KV store beside bare commits of the same KV on the same file.

Usage: deno task bench:kv [flags]

  --seconds N   Seconds of a round for each of the two. Default 1.
  --rounds N    Rounds, beside a first one that does not count. Default 5.
  -h, --help    Print this text.
`,
  { seconds: 1, rounds: 5 },
);
printMachine();
const folder = await Deno.makeTempDir({ prefix: "push-bench-" });
try {
  for (
    const [name, open] of [["Deno.openKv", openDatabase], ["npm:@deno/kv", openPackage]] as const
  ) {
    for (const channels of [PUBLISHERS, 1]) await publishes(name, open, channels);
  }
  await subscribers();
  for (const messages of [200_000, 1_000_000]) await start(messages);
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function publishes(name: string, open: OpenDatabase, channels: number): Promise<void> {
  const path = `${folder}/${name.replaceAll(/\W/g, "-")}-${channels}.db`;
  const store = newStore(path, open);
  const gateway = new Gateway({ port: 0, push: { enabled: true } }, { store });
  await gateway.start();
  const bare = await open(path);
  const value = new TextEncoder().encode(JSON.stringify({ n: 1, p: PADDING }));
  let sets = 0;
  let begun = 0;
  let published = 0;

  /** Commits as large as the store's own advice to others: one after the other, as there is one thread. */
  async function setOn(end: number): Promise<void> {
    while (performance.now() < end) {
      const atomic = bare.atomic();
      for (let i = 0; i < SETS; i++) atomic.set(["bare", sets++], value);
      await atomic.commit();
    }
  }

  async function publishOn(publisher: number, hasIds: boolean, end: number): Promise<void> {
    const channel = `bench:${publisher % channels}`;
    while (performance.now() < end) {
      const id = hasIds ? `bench-${begun++}` : undefined;
      await gateway.publish(channel, { n: 1, p: PADDING }, { id });
      published++;
    }
  }

  /** Publishes for some seconds; resolves to how many a second. */
  async function publishRate(hasIds: boolean): Promise<number> {
    const before = published;
    const took = await timed((end) =>
      Promise.all(
        Array.from({ length: PUBLISHERS * IN_FLIGHT }, (_, i) => publishOn(i, hasIds, end)),
      )
    );
    return (published - before) / took;
  }

  const figures: { bare: number; plain: number; named: number }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const before = sets;
    const took = await timed((end) => setOn(end));
    const figure = {
      bare: (sets - before) / took,
      plain: await publishRate(false),
      named: await publishRate(true),
    };
    // The first round is for the compiler.
    if (round > 0) figures.push(figure);
  }
  bare.close();
  await gateway.stop();
  await hasAll(path, open, published);
  console.log(
    `${name}, ${PUBLISHERS} publishers × ${IN_FLIGHT} in flight to ${channels} channels: ` +
      `bare ${show(median(figures.map(({ bare }) => bare)))} sets/s`,
  );
  for (const [what, key] of [["without ids", "plain"], ["each with an id", "named"]] as const) {
    const ratios = figures.map((figure) => figure[key] / figure.bare);
    console.log(
      `  ${what}: ${show(median(figures.map((figure) => figure[key])))} publishes/s, ` +
        `${median(ratios).toFixed(2)} × (${Math.min(...ratios).toFixed(2)} to ` +
        `${Math.max(...ratios).toFixed(2)})`,
    );
  }
}

/** Asserts that every publish has a number, and that what is to be kept is there. */
async function hasAll(path: string, open: OpenDatabase, published: number): Promise<void> {
  const store = newStore(path, open);
  await store.open();
  const now = Date.now();
  let heads = 0;
  for (const { name, head } of await store.channels(now)) {
    heads += head;
    const { messages } = await store.read(name, head - 1000, 1000, now);
    assertEquals(messages.map(({ seq }) => seq), numbers(Math.max(head - 999, 1), head));
  }
  assertEquals(heads, published);
  await store[Symbol.asyncDispose]();
}

async function subscribers(): Promise<void> {
  const path = `${folder}/subscribers.db`;
  const store = newStore(path, openDatabase);
  await store.open();
  const now = Date.now();
  const { epoch } = await store.append("c", drafts(1), now);
  const cursor = { epoch, floor: 1, sent: 1, own: 0, settled: [], late: [] };
  await Promise.all(Array.from({ length: 10_000 }, async (_, i) => {
    const key = `n:client-${i}:anonymous`;
    const claim = { key, holder: `${i}`, instance: `${i}`, attempt: 1, ttl: 86_400_000 };
    const claimed = await store.claim(claim, now);
    assert(claimed.ok);
    await store.commit(key, claimed.generation, [{ channel: "c", cursor }], now);
    await store.release(key, claimed.generation, now);
  }));
  const before = await size(path);
  for (let i = 0; i < 1000; i++) await store.append("c", drafts(1), now);
  const after = await size(path);
  await store[Symbol.asyncDispose]();
  const again = newStore(path, openDatabase);
  await again.open();
  const { sessions, messages } = await again.stats(now);
  // They have settled the first, which is beyond the history, and keep the rest.
  assertEquals([sessions, messages], [10_000, 1000]);
  const page = await again.read("c", 1, 1000, now);
  assertEquals(page.messages.map(({ seq }) => seq), numbers(2, 1001));
  await again[Symbol.asyncDispose]();
  console.log(
    `10,000 absent subscribers: ${show(before / 1024)} KiB; ` +
      `after 1,000 messages of ${drafts(1)[0].payload.length} bytes: ${show(after / 1024)} KiB`,
  );
}

async function start(messages: number): Promise<void> {
  const path = `${folder}/start-${messages}.db`;
  // Somebody was away and awaits them all; here the history stands for that.
  const keep = { historySize: 1_000_000, historyBytes: 2 ** 30, maxChannelBytes: 2 ** 30 };
  let store = newStore(path, openDatabase, keep);
  await store.open();
  for (let i = 0; i < messages; i += 1000) {
    await store.append(`c${i % 32_000}`, drafts(1000), Date.now());
  }
  await store[Symbol.asyncDispose]();
  for (
    const [name, open] of [["Deno.openKv", openDatabase], ["npm:@deno/kv", openPackage]] as const
  ) {
    store = newStore(path, open, keep);
    const took = await timed(() => store.open());
    const stats = await store.stats(Date.now());
    assertEquals(stats.messages, messages);
    console.log(
      `start with ${show(stats.messages)} messages: ${(took * 1000).toFixed(0)} ms (${name})`,
    );
    await store[Symbol.asyncDispose]();
  }
}

/** A store with the options' defaults, but for what is said. */
function newStore(
  path: string,
  openDatabase: OpenDatabase,
  delivery: NonNullable<NonNullable<GatewayOptions["push"]>["delivery"]> = {},
): KvStore {
  const { push } = resolveOptions({ push: { delivery } });
  return new KvStore({
    path,
    retention: retentionOf(push),
    limits: storeLimitsOf(push),
    random: systemRandom,
    openDatabase,
  });
}

function drafts(count: number) {
  const payload = JSON.stringify({ n: 1, p: PADDING });
  const draft = { subject: "anonymous", origin: null, source: null, payload };
  return Array.from({ length: count }, () => draft);
}

/** Runs this for some seconds; resolves to how many it took. */
async function timed(work: (end: number) => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work(began + seconds * 1000);
  return (performance.now() - began) / 1000;
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

async function size(path: string): Promise<number> {
  return (await Deno.stat(path)).size + (await Deno.stat(`${path}-wal`)).size;
}
