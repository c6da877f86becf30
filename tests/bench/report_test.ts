import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { filesOf, markdownOf, merged, pictureOf, plainOf, readKept } from "../../bench/report.ts";
import type { Section } from "../../bench/scenario.ts";
import { SCENARIOS } from "../../bench/scenarios/mod.ts";

const ROOT = new URL("../../", import.meta.url);
const SECTION: Section = {
  name: "some",
  title: "Some servers",
  about: "What was done.",
  columns: [
    { key: "cpu", title: "CPU, µs", digits: 2 },
    { key: "rate", title: "messages/s", digits: 0 },
  ],
  rows: [
    { name: "bare", figures: { cpu: 7.004, rate: 123_456.7 } },
    { name: "broken", figures: {}, isVoid: "3 missing" },
  ],
  picture: { kind: "bars", title: "Cost", unit: "µs", keys: ["cpu"] },
};

Deno.test("a void row has no figures, in a terminal and on a page, and says why", () => {
  const page = markdownOf({ ...SECTION, machine: "a machine" });
  for (const text of [plainOf(SECTION), page]) {
    assertStringIncludes(text, "7.00");
    assertStringIncludes(text, "123,457");
    assertStringIncludes(text, "Void: broken: 3 missing");
  }
  assertStringIncludes(page, "| broken | void    | void       |");
  assertStringIncludes(pictureOf(SECTION)!, "broken: void");
});

Deno.test("what did not run keeps its figures, what did takes the place of its own", () => {
  const right = { ...SECTION, rows: SECTION.rows.slice(0, 1) };
  const other = { ...right, name: "other" };
  const first = merged({ sections: [] }, [right, other], "one");
  const second = merged(first, [{ ...right, title: "Anew" }], "two");
  assertEquals(second.sections.map(({ name }) => name), ["some", "other"]);
  assertEquals(second.sections.map(({ machine }) => machine), ["two", "one"]);
  assertEquals(second.sections[0].title, "Anew");
  assertEquals(merged(second, [SECTION], "three"), second, "a void row is not kept");
});

Deno.test("tables and pictures in the documents are made of the figures that are kept", async () => {
  const kept = await readKept();
  assert(kept.sections.length > 0);
  const readme = await Deno.readTextFile(new URL("bench/README.md", ROOT));
  for (const [path, text] of filesOf(kept, readme)) {
    assertEquals(await Deno.readTextFile(new URL(path, ROOT)), text, path);
  }
  for (const { rows, name } of kept.sections) {
    assertEquals(rows.filter(({ isVoid }) => isVoid !== undefined), [], name);
  }
});

Deno.test("the README of the benchmark names every scenario", async () => {
  const readme = await Deno.readTextFile(new URL("bench/README.md", ROOT));
  for (const { name } of SCENARIOS) assertStringIncludes(readme, `\`${name}\``);
});
