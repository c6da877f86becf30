import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { keyOf, TABLES } from "../../../server/stores/kv/keys.ts";
import type { KvStore } from "../../../server/stores/kv/store.ts";
import type { Revocation } from "../../../server/stores/revocations.ts";
import { FaultyDatabase } from "./support/faulty.ts";
import { Folder, openStore } from "./support/files.ts";
import { entriesOf, tamper } from "./support/tables.ts";

const HOUR = 3_600_000;
const NOW = Date.UTC(2025, 0, 1);
const REVOKER = new URL("./support/revoker.ts", import.meta.url).pathname;

function revocation(name: string, parts: Partial<Revocation> = {}): Revocation {
  return { kind: "subject", name, at: NOW, until: NOW + HOUR, ...parts };
}

/** What a store tells, by name. */
async function told(store: KvStore, now: number = NOW): Promise<Map<string, Revocation>> {
  const { entries } = await store.revocations(undefined, now);
  return new Map(entries.map((entry) => [entry.name, entry]));
}

/** Runs the revoker until it has said so many lines, and kills it. */
async function liveAndDie(path: string, life: number, lines: number): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", REVOKER, path, `${life}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.split("\n").length <= lines) continue;
    try {
      child.kill("SIGKILL");
    } catch {
      // It is dying already; what it had said is read to the end.
    }
  }
  await child.status;
  // The last line may be torn.
  return text.split("\n").slice(0, -1);
}

Deno.test("KvStore has every answered revocation after kill -9, with its latest times", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const answered = new Map<string, number>();
  for (let life = 0; life < 4; life++) {
    for (const line of await liveAndDie(path, life, 40 + 60 * life)) {
      const [name, until] = line.split("\t");
      answered.set(name, Math.max(answered.get(name) ?? 0, Number(until)));
    }
    const store = await openStore(path);
    const kept = await told(store, Date.now());
    for (const [name, until] of answered) assert((kept.get(name)?.until ?? 0) >= until, name);
    await store[Symbol.asyncDispose]();
  }
  assert(answered.size > 200);
});

Deno.test("KvStore has a revocation in its file as soon as it is answered", async () => {
  await using folder = await Folder.make();
  await using store = await openStore(folder.file());
  const ann = revocation("ann", { name: "ann".repeat(50_000) });
  await store.revoke(ann, NOW);
  await store.revoke(revocation("bob"), NOW);
  await store.revoke({ ...ann, until: NOW + 2 * HOUR }, NOW);
  await using after = await openStore(await folder.crash(folder.file()));
  const expected = [{ ...ann, until: NOW + 2 * HOUR }, revocation("bob")];
  assertEquals(await told(after), new Map(expected.map((entry) => [entry.name, entry])));
  assertEquals(await after.revoke({ ...ann, until: NOW + 3 * HOUR }, NOW), true);
  await using again = await openStore(await folder.crash(folder.file("copy1.db")));
  assertEquals((await told(again)).get(ann.name)?.until, NOW + 3 * HOUR);
});

Deno.test("KvStore forgets revocations in its file after their end, and keeps one of the same name apart", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const store = await openStore(path);
  for (let i = 0; i < 100; i++) await store.revoke(revocation(`subject ${i}`), NOW);
  const later = NOW + HOUR;
  await store.revoke(revocation("subject 7", { at: later, until: later + HOUR }), later);
  await store.sweep(later);
  await store[Symbol.asyncDispose]();
  assertEquals((await entriesOf(path, TABLES.revocation)).length, 1);
  await using again = await openStore(path);
  assertEquals([...(await told(again, later)).keys()], ["subject 7"]);
});

Deno.test("KvStore: where the file cannot be written a revocation is refused, and is in force and written later", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const faulty = new FaultyDatabase();
  const store = await openStore(path, { openDatabase: faulty.open });
  await store.revoke(revocation("ann"), NOW);
  faulty.fail("disk full");
  const ask = () => store.revoke(revocation("bob"), NOW);
  assertEquals((await assertRejects(ask, PushError)).code, "unavailable");
  // Asked again it is not taken for done.
  assertEquals((await assertRejects(ask, PushError)).code, "unavailable");
  assertEquals([...(await told(store)).keys()], ["ann", "bob"]);
  faulty.heal();
  assertEquals(await ask(), true);
  await using after = await openStore(await folder.crash(path));
  assertEquals([...(await told(after)).keys()], ["ann", "bob"]);
  await store[Symbol.asyncDispose]();
});

Deno.test("KvStore sets a revocation aside that nobody can read, and has the others", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const store = await openStore(path);
  for (const name of ["ann", "bob", "cid"]) await store.revoke(revocation(name), NOW);
  await store[Symbol.asyncDispose]();
  const [first, second] = await entriesOf(path, TABLES.revocation);
  const encoder = new TextEncoder();
  await tamper(path, first.key, encoder.encode('\u0001["channel","ann",1,2]'));
  // Another record of a name that has one, as a crash between two commits leaves it.
  const [, , id] = second.key as [string, string, number];
  const bytes = second.value as Uint8Array;
  const text = new TextDecoder().decode(bytes).replace(`${NOW + HOUR}`, `${NOW + 2 * HOUR}`);
  await tamper(path, keyOf(TABLES.revocation, id + 1_000), encoder.encode(text));
  const again = await openStore(path);
  const kept = await told(again);
  assertEquals([...kept.keys()].sort(), ["bob", "cid"]);
  assertEquals(kept.get("bob")?.until, NOW + 2 * HOUR);
  assertEquals((await again.stats(NOW)).quarantined, 1);
  await again[Symbol.asyncDispose]();
  assertEquals((await entriesOf(path, TABLES.revocation)).length, 2);
  await using last = await openStore(path);
  assertEquals(await told(last), kept);
});
