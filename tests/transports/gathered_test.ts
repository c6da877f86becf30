import { assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { ManualClock } from "../../server/testing/mod.ts";
import { type Gathered, Gathering } from "../../server/transports/gathered.ts";
import { Turn } from "../../server/turn.ts";

function make() {
  const clock = new ManualClock();
  return { clock, gathering: new Gathering(new Turn(clock)) };
}

/** What somebody has who is sent these texts one by one. */
function gather(gathering: Gathering, texts: readonly (readonly [string, number])[]): Gathered {
  const [[text, count], ...more] = texts;
  return more.reduce((row, [text, count]) => row.and(text, count), gathering.begin(text, count));
}

Deno.test("Gathered: objects and arrays of them become one array, in order; one alone stays as it is", () => {
  const { gathering } = make();
  const object = gather(gathering, [['{"a":1}', 0]]);
  assertEquals([object.joined, object.texts, object.length], ['{"a":1}', ['{"a":1}'], 7]);
  const array = gather(gathering, [['[{"a":1},{"a":2}]', 2]]);
  assertEquals(array.joined, '[{"a":1},{"a":2}]');
  const all = gather(gathering, [['{"a":1}', 1], ['[{"a":2},{"a":3}]', 2], ['{"a":[4]}', 0]]);
  assertEquals(all.joined, '[{"a":1},{"a":2},{"a":3},{"a":[4]}]');
  assertEquals(all.texts, ['{"a":1}', '[{"a":2},{"a":3}]', '{"a":[4]}']);
  assertEquals(all.length, 33);
});

Deno.test("Gathered: who are sent the same share one row, and who are not have their own", () => {
  const { gathering } = make();
  const texts = [["a", 1], ["b", 1], ["c", 0]] as const;
  const first = gather(gathering, texts);
  assertStrictEquals(gather(gathering, texts), first);
  const shorter = gather(gathering, texts.slice(0, 2));
  assertEquals(shorter.texts, ["a", "b"]);
  const other = gather(gathering, [["a", 1], ["x", 1], ["c", 0]]);
  assertEquals(other.texts, ["a", "x", "c"]);
  assertNotStrictEquals(gather(gathering, texts), first, "only the last one is looked for");
  assertEquals(first.texts, ["a", "b", "c"]);
});

Deno.test("Gathered: what it was made into stays with the row, and with no other", () => {
  const { gathering } = make();
  const row = gathering.begin("a", 1);
  row.made = 1;
  assertEquals(gathering.begin("a", 1).made, 1);
  assertEquals(row.and("b", 1).made, undefined);
});

Deno.test("Gathering keeps no row beyond its turn", async () => {
  const { clock, gathering } = make();
  const row = gathering.begin("a", 1);
  assertStrictEquals(gathering.begin("a", 1), row);
  await clock.turn();
  assertNotStrictEquals(gathering.begin("a", 1), row);
  await clock.turn();
  assertEquals(clock.pending, 0);
});
