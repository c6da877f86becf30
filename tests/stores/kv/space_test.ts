import { assert, assertEquals } from "@std/assert";
import { openDatabase } from "../../../server/stores/kv/engine.ts";
import { keyOf, TABLES } from "../../../server/stores/kv/keys.ts";
import { MESSAGE_OVERHEAD } from "../../../server/stores/store.ts";
import { draft, numbers } from "../../../server/testing/store_trial.ts";
import { Folder, openStore, trialOf } from "./support/files.ts";
import { FaultyDatabase } from "./support/faulty.ts";

/** How many entries each table has, those without any left out. */
async function counts(path: string): Promise<Record<string, number>> {
  const db = await openDatabase(path);
  const found: Record<string, number> = {};
  for (const [name, table] of Object.entries(TABLES)) {
    let count = 0;
    for await (const _ of db.list({ prefix: keyOf(table) }, { batchSize: 500 })) count++;
    if (count > 0) found[name] = count;
  }
  db.close();
  return found;
}

Deno.test("KvStore packs the messages of a slow channel, and reads them in few steps", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const store = await openStore(path);
  const t = trialOf(store);
  for (let i = 0; i < 2000; i++) {
    await t.publish("slow", 1, 100);
    await t.pass(60);
  }
  const { segment, messages } = await counts(path);
  assertEquals(segment, messages);
  // 2000 messages of about 106 bytes in segments of 2 KiB.
  assert(segment < 115, `${segment} segments`);
  assertEquals(await t.seqs("slow"), numbers(1, 2000));
  await store[Symbol.asyncDispose]();
});

Deno.test("KvStore fills up segments of many channels, also of those that it has not at hand", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const names = numbers(1, 1500).map((i) => `c${i}`);
  for (let life = 0; life < 3; life++) {
    const store = await openStore(path);
    const t = trialOf(store);
    await Promise.all(names.map((name) => t.publish(name, 1)));
    await Promise.all(names.map((name) => t.publish(name, 1)));
    await store[Symbol.asyncDispose]();
  }
  assertEquals((await counts(path)).segment, names.length);
});

Deno.test("KvStore deletes from the file what is trimmed, and the file does not grow", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const store = await openStore(path, {
    retention: { historySize: 1000, idempotencyWindow: 5000 },
  });
  const t = trialOf(store);
  const generation = await t.attach("s");
  await t.stand("s", generation, "c", 0);
  let size = 0;
  for (let i = 1; i <= 60; i++) {
    const drafts = numbers(1, 500).map((n) =>
      draft({ id: `${i}.${n}`, payload: `"${n} ${"x".repeat(200)}"` })
    );
    const { head } = await t.append("c", drafts);
    await t.stand("s", generation, "c", head);
    await t.pass(1000);
    await t.a.sweep(t.now);
    if (i === 20) size = await folder.size(path);
  }
  const found = await counts(path);
  // 1000 messages, each with 210 bytes and an id, and the ids of five seconds.
  assert(found.messages < 12 && found.ids < 12, JSON.stringify(found));
  assert(await folder.size(path) < 1.5 * size);
  await store[Symbol.asyncDispose]();
});

Deno.test("KvStore has nothing left in the file when everything has ended", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const HOUR = 3_600_000;
  for (const crashes of [false, true]) {
    let store = await openStore(path, { retention: { maxChannelBytes: 200_000 } });
    let t = trialOf(store, crashes ? 100 * HOUR : 0);
    for (const key of ["s", "u"]) {
      const instance = `${key}${crashes}`;
      const generation = await t.attach(key, { instance });
      await t.append(
        "c",
        numbers(1, 30).map((i) =>
          draft({ id: `${instance}${i}`, payload: JSON.stringify("x".repeat(i * 3000)) })
        ),
      );
      const { head, oldest } = await t.read("c");
      const late = [{ seq: head - 1, attempts: 1 }];
      await t.stand(key, generation, "c", oldest, { late }, [await t.letter(key, "c", oldest)]);
      await t.stand(key, generation, "c", head, { late }, [await t.letter(key, "c", head)]);
      assertEquals((await t.redrive({ seq: oldest })).length, 1);
      await t.a.create(`empty ${key}`, {}, t.now);
    }
    if (crashes) {
      const copy = await openStore(await folder.crash(path));
      await store[Symbol.asyncDispose]();
      store = copy;
      t = trialOf(store, t.now);
    }
    for (const key of ["s", "u"]) {
      const generation = await t.attach(key, { instance: "last", ttl: 60_000 });
      await t.a.release(key, generation, t.now);
    }
    for (let i = 0; i < 6; i++) {
      await t.pass(HOUR);
      await t.a.sweep(t.now);
    }
    const { channels, messages, bytes, sessions, deadLetters } = await store.stats(t.now);
    assertEquals([channels, messages, bytes, sessions, deadLetters], [0, 0, 0, 0, 0]);
    await store[Symbol.asyncDispose]();
    assertEquals(await counts(crashes ? folder.file("copy1.db") : path), {});
  }
});

Deno.test("KvStore stores a message for ten thousand absent subscribers once", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const db = new FaultyDatabase();
  const store = await openStore(path, { openDatabase: db.open });
  const t = trialOf(store);
  const { epoch } = await t.publish("c", 1);
  const cursor = { epoch, floor: 1, sent: 1, own: 0, settled: [], late: [] };
  await Promise.all(
    numbers(1, 10_000).map(async (i) => {
      const key = `n:client-${i}:anonymous`;
      const generation = await t.attach(key);
      await store.commit(key, generation, [{ channel: "c", cursor }], t.now);
      await store.release(key, generation, t.now);
    }),
  );
  const before = await folder.size(path);
  const commits = db.commits;
  for (let i = 0; i < 1000; i++) await t.publish("c", 1, 100);
  assertEquals(db.commits - commits, 1000);
  const grown = await folder.size(path) - before;
  assert(before < 10_000_000, `${before} bytes for 10 000 subscribers`);
  assert(grown < 2_000_000, `${grown} bytes more for 1000 messages of 100 bytes`);
  const { bytes } = await store.stats(t.now);
  assertEquals(bytes, 1000 * (MESSAGE_OVERHEAD + 102) + MESSAGE_OVERHEAD + 2);
  await store[Symbol.asyncDispose]();
});

Deno.test("KvStore that crashes again and again leaves no more in the file than one that does not", async () => {
  await using folder = await Folder.make();
  const terms = { retention: { historySize: 30, idempotencyWindow: 5000 } };
  const found: Record<string, number>[] = [];
  const sizes: number[] = [];
  let path = folder.file();
  for (let life = 1; life <= 15; life++) {
    const store = await openStore(path, terms);
    const t = trialOf(store, 10_000 * life);
    const generation = await t.attach("s", { instance: `${life}` });
    const { head } = await t.append(
      "c",
      numbers(1, 400).map((n) => draft({ id: `${life}.${n}`, payload: '"x"' })),
    );
    await t.stand("s", generation, "c", head, {}, [await t.letter("s", "c", head)]);
    await t.redrive();
    assertEquals((await t.position("s", "c"))?.late.length, 1);
    await t.stand("s", generation, "c", head);
    const visitor = await t.attach(`visitor ${life}`, { ttl: 1000 });
    await t.stand(`visitor ${life}`, visitor, "c", head);
    await t.append(
      "large",
      numbers(1, 20).map(() => draft({ payload: `"${"y".repeat(60_000)}"` })),
    );
    await t.a.sweep(t.now);
    // The next life begins with the file as it is now, which nobody has closed.
    const copy = await folder.crash(path);
    found.push(await counts(path));
    sizes.push(await folder.size(path));
    await store[Symbol.asyncDispose]();
    path = copy;
  }
  const total = (at: number) => Object.values(found[at]).reduce((sum, count) => sum + count, 0);
  assert(total(14) <= total(5) + 20, JSON.stringify([found[5], found[14]]));
  assert(sizes[14] < 1.5 * sizes[5], sizes.join(" "));
});

Deno.test("KvStore with 200 000 messages opens after few reads, and has none of them in memory", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  let store = await openStore(path, {
    retention: { historyBytes: 2 ** 30, maxChannelBytes: 2 ** 30 },
  });
  const payload = JSON.stringify("x".repeat(200));
  const drafts = numbers(1, 1000).map(() => draft({ payload }));
  for (let i = 0; i < 200; i++) await store.append(`c${i % 10}`, drafts, 1000);
  await store[Symbol.asyncDispose]();
  const db = new FaultyDatabase();
  store = await openStore(path, {
    retention: { historyBytes: 2 ** 30, maxChannelBytes: 2 ** 30 },
    openDatabase: db.open,
  });
  // Ten channels, and what is known of some 50 MB in segments of 64 KiB.
  assert(db.listed < 1500, `${db.listed} entries were read`);
  const { messages } = await store.stats(1000);
  assertEquals(messages, 200_000);
  assertEquals((await store.read("c3", 10_000, 5, 1000)).messages.length, 5);
  await store[Symbol.asyncDispose]();
});
