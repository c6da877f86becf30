import { assert, assertEquals, assertRejects } from "@std/assert";
import { lock, openDatabase, openPackage } from "../../../server/stores/kv/engine.ts";
import { VERSION_KEY } from "../../../server/stores/kv/keys.ts";
import { encodeVersion } from "../../../server/stores/kv/records.ts";
import { draft, numbers, plain } from "../../../server/testing/store_trial.ts";
import { Folder, newStore, openStore, trialOf } from "./support/files.ts";
import { tamper } from "./support/tables.ts";

async function refusal(path: string): Promise<string> {
  return (await assertRejects(() => newStore(path).open(), TypeError)).message;
}

Deno.test("KvStore has what it had after it was closed and opened again", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  let store = await openStore(path);
  let t = trialOf(store);
  await store.create("named", { of: "mine", nested: [{ a: null }] }, t.now);
  const { messages } = await t.append("c", [
    draft({ id: "i", origin: "o", source: "s", payload: '"\ud83d\ude00"' }),
    ...numbers(2, 50).map((i) => draft({ id: `${i}`, payload: `${i}` })),
  ]);
  const generation = await t.attach("s", { ttl: 60_000, secretHash: "h" });
  const redriven = await t.letter("s", "c", 1);
  const cursor = { sent: 9, own: 3, settled: [5, 6], late: [{ seq: 2, attempts: 1 }] };
  await t.stand("s", generation, "c", 3, cursor, [redriven]);
  await t.redrive();
  await t.stand("s", generation, "c", 3, cursor, [await t.letter("s", "c", 2)]);
  const channels = await store.channels(t.now);
  await store[Symbol.asyncDispose]();

  store = await openStore(path);
  t = trialOf(store, t.now);
  assertEquals(await store.channels(t.now), channels);
  assertEquals((await t.read("c")).messages.map(plain), messages.map(plain));
  assertEquals((await t.append("c", [draft({ id: "i" })])).appended, [
    { seq: 1, duplicate: true },
  ]);
  assertEquals(await t.refusal("s"), "bad_secret");
  assert(await t.attach("s", { ttl: 60_000, secretHash: "h" }) > generation);
  const [letter] = await t.letters();
  assertEquals([letter.message.seq, letter.message.payload], [2, "2"]);
  const { late, ...rest } = (await t.position("s", "c"))!;
  assertEquals(rest, { epoch: redriven.epoch, floor: 3, sent: 9, own: 3, settled: [5, 6] });
  assertEquals(late.map(({ seq, attempts }) => [seq, attempts]), [[1, 0], [2, 1]]);
  assertEquals(plain(late[0].redriven!), plain(messages[0]));
  await store[Symbol.asyncDispose]();
});

Deno.test("KvStore lets a session that was attached come back after a restart, and end if it does not", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  let store = await openStore(path);
  let t = trialOf(store);
  for (const key of ["back", "gone"]) {
    await t.stand(key, await t.attach(key, { ttl: 5000 }), "c", 0);
  }
  await t.attach("unnamed", { ttl: 0 });
  // Its time begins with the first thing that the store hears afterwards, whenever that is.
  await t.pass(1_000_000);
  store = await openStore(await folder.crash(path), { openDatabase });
  const crashed = t.a;
  t = trialOf(store, t.now);
  assertEquals((await t.swept()).sessions, 2);
  await t.pass(4999);
  await t.attach("back", { existing: true, ttl: 5000, instance: "again" });
  await t.pass(1);
  assertEquals(await t.refusal("gone", { existing: true }), "unknown");
  assertEquals((await t.position("back", "c"))?.floor, 0);
  await Promise.all([store, crashed].map((handle) => handle[Symbol.asyncDispose]()));
});

Deno.test("KvStore never gives a generation twice, also of sessions that ended before a restart", async () => {
  await using folder = await Folder.make();
  let last = 0;
  for (let life = 0; life < 3; life++) {
    const store = await openStore(folder.file());
    const t = trialOf(store);
    const generation = await t.attach("s");
    assert(generation > last);
    last = generation;
    await store.end("s", generation, t.now);
    await store[Symbol.asyncDispose]();
  }
});

Deno.test("KvStore forgets a channel by the time it was idle, restarts or not", async () => {
  const HOUR = 3_600_000;
  await using folder = await Folder.make();
  const path = folder.file();
  let now = 1_000_000;
  let epoch = "";
  for (let life = 0; life < 6; life++) {
    const store = await openStore(path, { retention: { messageTtl: HOUR, metaTtl: 4 * HOUR } });
    if (life === 0) epoch = (await store.append("c", [draft()], now)).epoch;
    await store.sweep(now);
    const [record] = await store.channels(now);
    if (life < 5) {
      assertEquals([record.epoch, record.head, record.oldest], [epoch, 1, Math.min(life + 1, 2)]);
    } else assertEquals(record, undefined);
    await store[Symbol.asyncDispose]();
    now += HOUR + 1000;
  }
});

Deno.test("KvStore opens what either implementation of KV has written", async () => {
  await using folder = await Folder.make();
  for (const engines of [[openDatabase, openPackage], [openPackage, openDatabase]]) {
    const path = folder.file(`${engines[0].name}.db`);
    for (const [life, engine] of [...engines, ...engines].entries()) {
      const store = await openStore(path, { openDatabase: engine });
      const t = trialOf(store);
      assertEquals((await t.append("c", [draft({ payload: `"€${life}"` })])).head, life + 1);
      const payloads = (await t.read("c")).messages.map(({ payload }) => payload);
      assertEquals(payloads, numbers(0, life).map((i) => `"€${i}"`));
      await store[Symbol.asyncDispose]();
    }
  }
});

Deno.test("KvStore refuses a file that another process uses, by name", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const program = `
    const file = await Deno.open(${JSON.stringify(`${path}.lock`)}, { create: true, write: true });
    console.log(await file.tryLock(true));
    await Deno.stdin.read(new Uint8Array(1));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const message = await refusal(path);
  assertEquals(message, `Cannot open the store '${path}': it is in use by another gateway`);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await child.stdin.close().catch(() => {});
  await (await openStore(path))[Symbol.asyncDispose]();
});

Deno.test("KvStore lets a file go at once, also while its program starts processes", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  // In a thread of its own: starting one takes the thread until it runs.
  const program = `
    const command = new Deno.Command("true");
    for (let i = 0;; i++) {
      await Promise.all(Array.from({ length: 8 }, () => command.output()));
      postMessage(i);
    }`;
  const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const starter = new Worker(address, { type: "module" });
  try {
    await new Promise((resolve) => starter.onmessage = resolve);
    for (let i = 0; i < 500; i++) (await lock(path, path))[Symbol.dispose]();
  } finally {
    starter.terminate();
    URL.revokeObjectURL(address);
  }
});

Deno.test("KvStore says why it cannot use a file", async () => {
  await using folder = await Folder.make();
  assert((await refusal(folder.file("none/push.db"))).includes("its folder cannot be used"));
  const text = folder.file("text.db");
  await Deno.writeTextFile(text, "This is not a database. ".repeat(1000));
  const message = await refusal(text);
  assert(message.startsWith(`Cannot open the store '${text}': `) && !message.includes("\n"));
  // What could not be opened is not held.
  await Deno.remove(text);
  await (await openStore(text))[Symbol.asyncDispose]();
});

Deno.test("KvStore refuses data of a format that it does not know, and leaves it alone", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const store = await openStore(path);
  await store.append("c", [draft()], 0);
  await store[Symbol.asyncDispose]();
  const refused = `Cannot open the store '${path}': `;
  await tamper(path, VERSION_KEY, encodeVersion(2));
  assertEquals(
    await refusal(path),
    `${refused}its data has format 2, and this version reads format 1 only`,
  );
  await tamper(path, VERSION_KEY, "one");
  assert((await refusal(path)).startsWith(`${refused}its data has format unknown`));
  await tamper(path, VERSION_KEY);
  assert((await refusal(path)).startsWith(`${refused}it has data of a gateway`));
  await tamper(path, VERSION_KEY, encodeVersion(1));
  const again = await openStore(path);
  assertEquals((await again.read("c", 0, 1, 0)).head, 1);
  await again[Symbol.asyncDispose]();
});

Deno.test("KvStore shares a file with other programs' entries", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  await tamper(path, ["settings", "theme"], { dark: true });
  const store = await openStore(path);
  assertEquals((await trialOf(store).publish("c", 1)).head, 1);
  await store[Symbol.asyncDispose]();
  const db = await openDatabase(path);
  assertEquals((await db.get(["settings", "theme"])).value, { dark: true });
  db.close();
});

Deno.test("handles on one file share it, whatever they call it, and the last one closes it", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const a = await openStore(path);
  await Deno.symlink(path, folder.file("link.db"));
  const b = await openStore(folder.file("link.db"));
  const c = await openStore(folder.file("./../") + path.split("/").slice(-2).join("/"));
  await trialOf(a).publish("c", 1);
  for (const store of [b, c]) assertEquals((await store.read("c", 0, 1, 0)).head, 1);
  await Promise.all([a, b].map((store) => store[Symbol.asyncDispose]()));
  assertEquals((await c.append("c", [draft()], 0)).head, 2);
  // One that comes while the last is closing waits for it.
  const closing = c[Symbol.asyncDispose]();
  const d = await openStore(path);
  await closing;
  assertEquals((await d.append("c", [draft()], 0)).head, 3);
  await d[Symbol.asyncDispose]();
});

Deno.test("stores in memory share nothing unless they have one name", async () => {
  const [a, b, c, d] = await Promise.all(
    [":memory:", ":memory:", ":memory:x", ":memory:x"].map((path) => openStore(path)),
  );
  await trialOf(a).publish("c", 1);
  assertEquals((await b.read("c", 0, 1, 0)).head, 0);
  await trialOf(c).publish("c", 1);
  assertEquals((await d.read("c", 0, 1, 0)).head, 1);
  await Promise.all([a, b, c, d].map((store) => store[Symbol.asyncDispose]()));
});
