import { assert, assertEquals } from "@std/assert";
import { play, readVectors } from "./conversation.ts";
import { differs, fill } from "./match.ts";

const vectors = await readVectors();

for (const [name, { conversations }] of vectors) {
  Deno.test(`vectors of ${name}`, async (t) => {
    for (const conversation of conversations) {
      await t.step(conversation.name, () => play(conversation));
    }
  });
}

Deno.test("every frame of the wire has vectors", async () => {
  const source = new URL("../../client/protocol/frames.ts", import.meta.url);
  const declared = (await Deno.readTextFile(source)).matchAll(/^ {2}type: (".*");$/gm);
  const types = [...declared].flatMap(([, names]) => names.split(" | "));
  assert(types.length > 30, "the frames are declared in another way now");
  const text = JSON.stringify(vectors.map(([, { conversations }]) => conversations));
  assertEquals(types.filter((type) => !text.includes(`"type":${type}`)), []);
});

Deno.test("patterns: what differs is found", () => {
  const kept = new Map<string, unknown>();
  assertEquals(differs({ a: [1, "x"] }, { a: [1, "x"] }, kept), undefined);
  for (
    const [value, pattern] of [
      [1, 2],
      [1, "1"],
      [null, {}],
      [{}, null],
      [{}, []],
      [[], {}],
      [[1], [1, 2]],
      [[1, 2], [1]],
      [{ a: 1 }, {}],
      [{}, { a: 1 }],
      [{ a: { b: 1 } }, { a: { b: 2 } }],
      [{ at: 12 }, { at: { $: "Unix seconds" } }],
      ["x", { $: "event id" }],
    ]
  ) assert(differs(value, pattern, kept) !== undefined, JSON.stringify([value, pattern]));
});

Deno.test("patterns: a value is kept under its name and used again", () => {
  const kept = new Map<string, unknown>();
  assertEquals(differs("abc:7:news", { $: "event id", as: "m" }, kept), undefined);
  assertEquals(fill({ event_id: [{ $use: "m" }] }, kept), { event_id: ["abc:7:news"] });
  assertEquals(differs("abc:7:news", { $use: "m" }, kept), undefined);
  assert(differs("abc:8:news", { $use: "m" }, kept) !== undefined);
});
