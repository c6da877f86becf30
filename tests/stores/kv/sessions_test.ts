import { assertEquals } from "@std/assert";
import { numbers } from "../../../server/testing/store_trial.ts";
import { Folder, openStore, trialOf } from "./support/files.ts";

Deno.test("KvStore knows after a restart and a crash whose each session is, and which is longest away", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const ann = (id: number) => `n:${id}:ann`;
  {
    await using store = await openStore(path);
    const t = trialOf(store);
    // Begun in one order and left in another.
    for (const i of numbers(1, 3)) await t.attach(ann(i));
    await t.attach("n:1:bob");
    for (const key of ["n:1:bob", ann(2), ann(3), ann(1)]) {
      await store.release(key, t.newest(key), t.now);
      await t.pass(10);
    }
  }
  const left = async (file: string, start: number) => {
    await using store = await openStore(file);
    const t = trialOf(store, start);
    await t.attach(ann(4), { most: 3 });
    await t.attach(ann(5), { most: 3 });
    const keys = [...numbers(1, 5).map(ann), "n:1:bob"];
    const held = await Promise.all(keys.map(async (key) => {
      const claimed = await t.claim(key, { existing: true });
      return claimed.ok && claimed.resumed;
    }));
    assertEquals(held, [true, false, false, true, true, true]);
    assertEquals(await t.refusal(ann(6), { most: 3 }), "subject_full");
    return await folder.crash(file);
  };
  // Those that had a connection are away since the crash: behind the one that was away before it.
  const copy = await left(path, 2_000_000);
  await using store = await openStore(copy);
  const t = trialOf(store, 3_000_000);
  await t.attach(ann(6), { most: 3 });
  assertEquals((await store.stats(t.now)).sessions, 4);
});
