import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);
const FOLDER = "client/protocol/";
const LONGEST_LINE = 100;

const sources = new Map<string, string>();
for await (const { name } of Deno.readDir(new URL(FOLDER, ROOT))) {
  sources.set(FOLDER + name, await Deno.readTextFile(new URL(FOLDER + name, ROOT)));
}
const text = [...sources.values()].join("\n");

Deno.test("every exported symbol of the protocol, and every member, is documented", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", `${FOLDER}mod.ts`],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, said);
  assert(!said.includes("error"), said);
});

Deno.test("every {@linkcode} of the protocol names something that is exported", () => {
  const exported = new Set(
    [...text.matchAll(/^export (?:interface|type|class|function|const) (\w+)/gm)]
      .map(([, name]) => name),
  );
  const linked = [...text.matchAll(/\{@linkcode (\w+)(?:\.(\w+))?\}/g)];
  assert(linked.length > 5);
  for (const [link, name, member] of linked) {
    assert(exported.has(name), link);
    if (member !== undefined) assert(new RegExp(`\\b${member}\\b[?:(]`).test(text), link);
  }
});

Deno.test("every frame says in one way what tells it from the others", () => {
  const types = text.match(/^ {2}type: "/gm)!;
  assert(types.length > 30);
  assertEquals(text.match(/^ {2}\/\*\* Discriminator\. \*\/\n {2}type: "/gm)?.length, types.length);
});

Deno.test("no line of the protocol is longer than 100 characters", () => {
  const long = [...sources].flatMap(([file, source]) =>
    source.split("\n").flatMap((line, i) => line.length > LONGEST_LINE ? [`${file}:${i + 1}`] : [])
  );
  assertEquals(long, []);
});
