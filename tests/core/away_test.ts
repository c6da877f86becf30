import { assert, assertEquals } from "@std/assert";
import { AwaySessions } from "../../server/nodes/away.ts";
import type { Session } from "../../server/session/session.ts";
import { numbers, World } from "./harness.ts";

const MANY = numbers(1, 1_000).map((n) => `channel-${n}`);

/** As much of a session as is kept of one that is away. */
function leaving(key: string, known: readonly string[], subject = "ann"): Session {
  const identity = { subject };
  const owner = { ...identity, clientId: key, key, named: true };
  const session = { key, owner, identity, generation: 1, ttl: 60_000, known, unended: [] };
  return session as unknown as Session;
}

Deno.test("what is kept of sessions that are away has an end: the one longest away goes first", async () => {
  const w = new World({ authorize: () => true });
  const keys = (away: AwaySessions) => [...away.all()].map(([key]) => key);
  const wide = new AwaySessions(w.hub.context);
  for (const n of numbers(0, 500)) wide.left(leaving(`s${n}`, MANY));
  assertEquals(keys(wide).length, 500);
  assertEquals(keys(wide)[0], "s1");
  // One that comes back makes room, and so does one that leaves again.
  wide.gone("s1");
  wide.left(leaving("s2", MANY));
  wide.left(leaving("new", MANY));
  assertEquals([keys(wide)[0], keys(wide).length], ["s3", 500]);
  const long = new AwaySessions(w.hub.context);
  for (const n of numbers(0, 50_000)) long.left(leaving(`s${n}`, ["c"]));
  assertEquals([keys(long)[0], keys(long).length], ["s1", 50_000]);
  await w.pass(60_000);
  assertEquals(keys(long), []);
  for (const n of numbers(0, 499)) long.left(leaving(`t${n}`, MANY));
  assert(keys(long).includes("t0"), "those that are over count no more");
  await w.end();
});

Deno.test("a subject that leaves sessions without end makes none go that is another's", async () => {
  const w = new World({ authorize: () => true });
  const away = new AwaySessions(w.hub.context);
  const keys = () => [...away.all()].map(([key]) => key);
  away.left(leaving("bob's", MANY, "bob"));
  for (const n of numbers(0, 60_000)) away.left(leaving(`s${n}`, ["c"]));
  assertEquals([keys().length, keys()[0], keys()[1]], [50_001, "bob's", "s10001"]);
  for (const n of numbers(0, 600)) away.left(leaving(`t${n}`, MANY));
  assertEquals([keys().length, keys()[0], keys()[1]], [501, "bob's", "t101"]);
  // All subjects together have an end, too.
  for (const n of numbers(1, 10)) {
    for (const i of numbers(1, 200)) away.left(leaving(`u${n}:${i}`, MANY, `s${n}`));
  }
  assertEquals([keys().length, keys()[0]], [2000, "u1:1"]);
  away.left(leaving("last", MANY, "last"));
  assertEquals([keys().length, keys()[0]], [2000, "u1:2"]);
  await w.end();
});

Deno.test("what a session that is away has lost ends once, and is tried again where that failed", async () => {
  const rights = new Set(["c", "d"]);
  const w = new World({ authorize: (_, _action, channel) => rights.has(channel!) });
  const client = await w.subscriber("a", "c");
  await client.subscribe("d");
  await client.drop();
  rights.delete("c");
  w.interposed.reset();
  w.interposed.refuseOnce("forget", new Error("The store is busy"));
  for (const count of [1, 2, 2]) {
    await w.hub.reauthorize({});
    assertEquals(w.interposed.count("forget"), count);
  }
  assertEquals(await w.position("a", "c"), undefined);
  rights.clear();
  await w.hub.reauthorize({});
  assertEquals(w.interposed.count("forget"), 3);
  await w.end();
});
