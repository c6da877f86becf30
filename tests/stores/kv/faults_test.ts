import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { openDatabase } from "../../../server/stores/kv/engine.ts";
import { PROBE_KEY, STATE_KEY, TABLES } from "../../../server/stores/kv/keys.ts";
import {
  assertCode,
  draft,
  numbers,
  type StoreTrial,
} from "../../../server/testing/store_trial.ts";
import { FaultyDatabase } from "./support/faulty.ts";
import { Folder, KEEP_ALL, openStore, type Terms, trialOf } from "./support/files.ts";
import { entriesOf } from "./support/tables.ts";

/** A store over a database that can fail, and words for it. */
async function faultyTrial(folder: Folder, terms: Terms = {}) {
  const db = new FaultyDatabase();
  const path = folder.file();
  const store = await openStore(path, { ...terms, openDatabase: db.open });
  return { db, path, store, t: trialOf(store), [Symbol.asyncDispose]: () => close(db, store) };
}

async function close(db: FaultyDatabase, store: AsyncDisposable): Promise<void> {
  db.heal();
  await store[Symbol.asyncDispose]();
}

const large = (count: number) =>
  numbers(1, count).map((i) => draft({ id: `${i}`, payload: JSON.stringify("x".repeat(60_000)) }));

Deno.test("KvStore refuses publishes as unavailable while the disk fails, keeps nothing of them, and goes on by itself", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { db, t } = faulty;
  await t.publish("c", 3);
  db.fail("disk I/O error");
  for (const channel of ["c", "new"]) {
    const error = await assertRejects(() => t.append(channel, [draft({ id: "i" })]), PushError);
    assertEquals(error.code, "unavailable");
    assert(error.retry);
    assert(error.message.includes("disk I/O error"), error.message);
  }
  await assertCode("unavailable", () => t.read("unheard of"));
  assertEquals(await t.seqs("c"), [1, 2, 3]);
  db.heal();
  assertEquals((await t.append("c", [draft({ id: "i" })])).appended, [
    { seq: 4, duplicate: false },
  ]);
  assertEquals(await t.a.create("new", {}, t.now), true);
});

Deno.test("KvStore says what its trouble is, until a sweep finds it over", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { db, store, t, path } = faulty;
  assertEquals(store.trouble, undefined);
  db.fail("database or disk is full");
  await assertCode("unavailable", () => t.publish("c", 1));
  const trouble = "The store's file cannot be written: database or disk is full.";
  for (let i = 0; i < 3; i++) {
    assertEquals(store.trouble, trouble);
    await assertCode("unavailable", () => t.a.sweep(t.now));
  }
  db.heal();
  await t.a.sweep(t.now);
  assertEquals(store.trouble, undefined);
  await t.publish("c", 1);
  db.isBlind = true;
  await assertCode("unavailable", () => t.read("c"));
  await t.a.sweep(t.now);
  assertEquals(store.trouble, "The store's file cannot be read: disk I/O error.");
  db.heal();
  await t.a.sweep(t.now);
  assertEquals(store.trouble, undefined);
  // What it was found out with is gone.
  const other = await openDatabase(path);
  assertEquals((await other.get(PROBE_KEY)).value, null);
  other.close();
});

Deno.test("KvStore tells nobody of a channel before the file has it", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { db, t } = faulty;
  for (const does of ["happens", "fails"] as const) {
    const { reached, release } = db.hold();
    const told: string[] = [];
    const tell = (what: string, work: Promise<unknown>) =>
      work.then(() => told.push(what), () => told.push(`no ${what}`));
    // All of them meet in one commit, which the first of them fills.
    const asked = [
      tell("append", t.publish(does, 1)),
      tell("read", t.read(does)),
      tell("create", t.a.create(does, {}, t.now)),
      tell("states", t.a.states([does], t.now)),
    ];
    await reached;
    for (let i = 0; i < 50; i++) await undefined;
    assertEquals(told, []);
    assertEquals(await t.a.channels(t.now), []);
    if (does === "fails") db.fail("disk I/O error");
    release();
    await Promise.all(asked);
    const no = does === "fails" ? "no " : "";
    assertEquals(told.sort(), ["append", "create", "read", "states"].map((what) => no + what));
    db.heal();
    if (does === "happens") await dropChannel(t, does);
  }
});

Deno.test("KvStore that is closed while it asks for a channel refuses it", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { db, store, t } = faulty;
  const other = await openStore(faulty.path, { openDatabase: db.open });
  const { reached, release } = db.hold();
  const refused = [
    assertCode("unavailable", () => t.append("c", [draft()], other)),
    assertCode("unavailable", () => t.read("c")),
  ];
  await reached;
  await store[Symbol.asyncDispose]();
  db.fail("disk I/O error");
  release();
  await Promise.all(refused);
  db.heal();
  await other[Symbol.asyncDispose]();
});

/** Lets a channel go, so that none is listed. */
async function dropChannel(t: StoreTrial, name: string): Promise<void> {
  assertEquals((await t.a.channels(t.now)).map((record) => record.name), [name]);
  await t.pass(3_600_000);
  await t.a.sweep(t.now);
  await t.pass(4 * 3_600_000);
  await t.a.sweep(t.now);
}

Deno.test("KvStore gives a session back to whom the file knows, however many claims fail at once", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { db, t } = faulty;
  const first = await t.attach("s", { ttl: 60_000 });
  await t.a.release("s", first, t.now);
  db.fail("disk I/O error");
  for (const isHeld of [true, false]) {
    const held = isHeld ? db.hold() : undefined;
    const claims = [t.claim("s")];
    await held?.reached;
    claims.push(t.claim("s"), t.claim("s"));
    held?.release();
    const results = await Promise.allSettled(claims);
    assertEquals(results.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  }
  db.heal();
  // Nobody has it, so it ends.
  await t.pass(60_001);
  await t.a.sweep(t.now);
  assertEquals(await t.refusal("s", { existing: true }), "unknown");
});

Deno.test("KvStore lets go of many dead letters with long payloads at once", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder, KEEP_ALL);
  const { store, t, path } = faulty;
  const generation = await t.attach("s");
  const count = 60;
  await t.publish("c", count, 1_300_000);
  for (const seq of numbers(1, count)) {
    await t.stand("s", generation, "c", seq, {}, [await t.letter("s", "c", seq)]);
  }
  assertEquals((await t.redrive()).length, count);
  await t.a.sweep(t.now);
  assertEquals(store.trouble, undefined);
  assertEquals(await entriesOf(path, TABLES.letter), []);
  const copy = await openStore(await folder.crash(path), KEEP_ALL);
  const [position] = (await copy.load("s", Infinity, ["c"], t.now))!;
  assertEquals(position?.late.map(({ seq }) => seq), numbers(1, count));
  await copy[Symbol.asyncDispose]();
});

Deno.test("KvStore answers a publish that happened although the commit ended with an error", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { db, t } = faulty;
  await t.publish("c", 1);
  db.fail("timeout", { happens: true });
  assertEquals((await t.publish("c", 2)).head, 3);
  db.heal();
  assertEquals((await t.publish("c", 1)).head, 4);
  assertEquals(await t.seqs("c"), [1, 2, 3, 4]);
});

for (const happens of [true, false]) {
  const name = happens ? "happened" : "did not happen";
  Deno.test(`KvStore reads the head again before it gives numbers after an unknown outcome (it ${name})`, async () => {
    await using folder = await Folder.make();
    await using faulty = await faultyTrial(folder);
    const { db, t } = faulty;
    await t.publish("c", 1);
    db.fail("timeout", { happens });
    db.isBlind = true;
    const drafts = [draft({ id: "i", payload: "1" })];
    // What is under way is not known; what comes after is refused.
    await Promise.all([
      assertCode("outcome_unknown", () => t.append("c", drafts)),
      assertCode("outcome_unknown", () => t.publish("d", 1)),
      assertCode("unavailable", () => t.publish("d", 1)),
    ]);
    await assertCode("unavailable", () => t.append("c", drafts));
    await assertCode("unavailable", () => t.claim("s"));
    db.heal();
    const again = await t.append("c", [draft({ payload: "2" }), ...drafts]);
    assertEquals(again.appended, [
      { seq: happens ? 3 : 2, duplicate: false },
      { seq: happens ? 2 : 3, duplicate: happens },
    ]);
    const payloads = (await t.read("c", 1)).messages.map(({ payload }) => payload);
    assertEquals(payloads, happens ? ["1", "2"] : ["2", "1"]);
  });
}

Deno.test("KvStore stores an append of any size whole, within the limits of KV", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const db = new FaultyDatabase();
  let store = await openStore(path, { openDatabase: db.open });
  const t = trialOf(store);
  const many = numbers(1, 5000).map((i) => draft({ id: `many ${i}`, payload: `${i}` }));
  await t.append("many", many);
  const huge = JSON.stringify("€".repeat(1_500_000));
  const drafts = [draft({ payload: "1" }), draft({ payload: huge }), ...large(40)];
  await t.append("large", drafts);
  assert(db.largest.mutations <= 1000 && db.largest.bytes <= 819_200);
  await store[Symbol.asyncDispose]();
  store = await openStore(path);
  const { messages } = await store.read("large", 0, 100, t.now);
  assertEquals(messages.length, drafts.length);
  assert(messages.every(({ payload }, i) => payload === drafts[i].payload));
  assertEquals((await store.read("many", 0, 10_000, t.now)).messages.length, 5000);
  const again = await store.append("many", many, t.now);
  assertEquals(again.appended, numbers(1, 5000).map((seq) => ({ seq, duplicate: true })));
  await store[Symbol.asyncDispose]();
});

for (const point of [0, 1, 2]) {
  Deno.test(`KvStore keeps nothing of a large append that fails after ${point} of its commits`, async () => {
    await using folder = await Folder.make();
    await using faulty = await faultyTrial(folder);
    const { db, t, path } = faulty;
    await t.append("c", [draft({ id: "before" })]);
    const before = await folder.size(path);
    db.fail("database or disk is full");
    db.spared = point;
    await assertCode("unavailable", () => t.append("c", large(25)));
    assertEquals(await t.seqs("c"), [1]);
    // A crash at this point leaves nothing either.
    const copy = await openStore(await folder.crash(path));
    assertEquals((await copy.read("c", 0, 100, t.now)).messages.length, 1);
    const ids = [draft({ id: "before" }), draft({ id: "1" })];
    assertEquals((await copy.append("c", ids, t.now)).appended, [
      { seq: 1, duplicate: true },
      { seq: 2, duplicate: false },
    ]);
    await copy[Symbol.asyncDispose]();
    db.heal();
    assertEquals((await t.append("c", [draft({ id: "1", payload: "2" })])).head, 2);
    assertEquals((await t.append("d", large(1))).head, 1);
    await t.a.sweep(t.now);
    const left = await openStore(await folder.crash(path));
    await left[Symbol.asyncDispose]();
    assertEquals((await entriesOf(folder.file("copy2.db"), TABLES.messages)).length, 2);
    assertEquals(await entriesOf(folder.file("copy2.db"), TABLES.step), []);
    assertEquals((await t.append("c", large(25))).head, 26);
    assertEquals((await t.read("c", 1, 1)).messages[0].payload.length, 1);
    assert(await folder.size(path) < before + 10_000_000);
  });
}

Deno.test("KvStore lets an append that can never be written fail alone", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { t } = faulty;
  const impossible = draft({ id: "i", subject: "x".repeat(70_000) });
  const results = await Promise.allSettled([
    t.publish("c", 1),
    t.append("d", [impossible]),
    t.publish("e", 1),
    t.attach("s"),
  ]);
  assertEquals(results.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  assertEquals((await t.publish("d", 1)).head, 1);
});

Deno.test("KvStore undoes a claim that it cannot write down", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { db, t } = faulty;
  const generation = await t.attach("held", { instance: "one", attempt: 1 });
  await t.stand("held", generation, "c", 0);
  db.fail("disk I/O error");
  const newer = { instance: "one", attempt: 2 };
  await assertCode("unavailable", () => t.claim("held", newer));
  await assertCode("unavailable", () => t.claim("new"));
  assertEquals((await t.a.stats(t.now)).sessions, 1);
  db.heal();
  assertEquals(await t.stand("held", generation, "c", 1), true);
  assert(await t.attach("held", newer) > generation);
});

Deno.test("KvStore writes later what sessions did while the disk failed", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { db, t, path } = faulty;
  await t.publish("c", 5);
  const generations = new Map<string, number>();
  for (const key of ["moves", "leaves", "ends"]) {
    generations.set(key, await t.attach(key, { ttl: 60_000 }));
    await t.stand(key, generations.get(key)!, "c", 1);
  }
  const letter = await t.letter("moves", "c", 2);
  db.fail("database or disk is full");
  await assertCode(
    "unavailable",
    () => t.stand("moves", generations.get("moves")!, "c", 3, {}, [letter]),
  );
  await assertCode("unavailable", () => t.a.release("leaves", generations.get("leaves")!, t.now));
  await assertCode("unavailable", () => t.a.end("ends", generations.get("ends")!, t.now));
  await assertCode("unavailable", () => t.a.sweep(t.now));
  assertEquals((await t.position("moves", "c"))?.floor, 3);
  assertEquals((await t.letters()).length, 1);
  await t.pass(60_001);
  assertEquals(await t.refusal("leaves", { existing: true }), "unknown");
  // Whatever fails first is not what others fail for.
  db.heal();
  await t.publish("d", 1);
  await t.a.sweep(t.now);
  const copy = await openStore(await folder.crash(path));
  const [position] = (await copy.load("moves", Infinity, ["c"], t.now))!;
  assertEquals(position?.floor, 3);
  assertEquals((await copy.deadLetters({ limit: 10 }, t.now)).length, 1);
  assertEquals((await copy.stats(t.now)).sessions, 1);
  await copy[Symbol.asyncDispose]();
});

Deno.test("KvStore writes no more once another program has written to its state", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder);
  const { t, path } = faulty;
  await t.publish("c", 1);
  const other = await openDatabase(path);
  const { value } = await other.get(STATE_KEY);
  await other.atomic().set(STATE_KEY, value).commit();
  for (let i = 0; i < 2; i++) {
    const error = await assertRejects(() => t.publish("c", 1), PushError);
    assertEquals(error.code, "unavailable");
    assert(error.message.includes("Another program"), error.message);
  }
  assertEquals(await t.seqs("c"), [1]);
  other.close();
});

Deno.test("KvStore keeps what fills up a segment whose messages expire meanwhile", async () => {
  await using folder = await Folder.make();
  await using faulty = await faultyTrial(folder, { retention: { messageTtl: 1000 } });
  const { db, t, path } = faulty;
  await t.publish("c", 3);
  await t.pass(999);
  const { reached, release } = db.hold();
  const appended = t.publish("c", 2);
  await reached;
  await t.pass(1);
  // While the commit is held up, the first three are read as gone.
  assertEquals(await t.seqs("c"), []);
  release();
  assertEquals((await appended).head, 5);
  assertEquals(await t.seqs("c"), [4, 5]);
  await t.a.sweep(t.now);
  assertEquals(await t.seqs("c"), [4, 5]);
  const copy = await openStore(await folder.crash(path), { retention: { messageTtl: 1000 } });
  assertEquals((await copy.read("c", 0, 10, t.now)).messages.map(({ seq }) => seq), [4, 5]);
  await copy[Symbol.asyncDispose]();
});
