import { assertEquals, assertRejects } from "@std/assert";
import { Turns } from "../../server/session/turns.ts";

Deno.test("Turns: in one channel each begins when the one before has ended, even by failing", async () => {
  const turns = new Turns();
  const begun: string[] = [];
  const first = Promise.withResolvers<void>();
  const failing = turns.take("a", () => first.promise);
  const next = turns.take("a", async () => void await begun.push("a"));
  assertEquals([...turns.channels], ["a"]);
  await turns.take("b", async () => void await begun.push("b"));
  assertEquals(begun, ["b"]);
  first.reject(new Error("no"));
  await assertRejects(() => failing, Error, "no");
  await next;
  assertEquals(begun, ["b", "a"]);
});

Deno.test("Turns: what is being done has ended once its changes resolve, and then there are none", async () => {
  const turns = new Turns();
  assertEquals(turns.changes, undefined);
  const task = Promise.withResolvers<void>();
  const work = Promise.withResolvers<void>();
  const ended: string[] = [];
  const taken = turns.take("a", () => task.promise);
  const failing = turns.during(work.promise);
  const all = turns.changes!.then(() => ended.push("all"));
  task.resolve();
  await taken;
  assertEquals(ended, []);
  work.reject(new Error("no"));
  await assertRejects(() => failing, Error, "no");
  await all;
  assertEquals(turns.changes, undefined);
  assertEquals([...turns.channels], []);
});
