import { assert, assertEquals, assertThrows } from "@std/assert";
import { renderOptionsTable, withOptionsTable } from "../../dev/option_docs.ts";
import { OPTIONS } from "../../server/options/table.ts";

const ROOT = new URL("../../", import.meta.url);
const EMPTY = "# Push\n\n<!-- options -->\n<!-- /options -->\n\nMore.\n";

async function deno(...args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT })
    .output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

Deno.test("option docs: the tables have a row for each option", () => {
  const rows = renderOptionsTable().split("\n").filter((line) => line.startsWith("| `"));
  assertEquals(rows.length, OPTIONS.length);
  for (const [i, { path, flag, description }] of OPTIONS.entries()) {
    const [, option, flags, , meaning] = rows[i].split("|").map((cell) => cell.trim());
    assertEquals(option, `\`${path}\``);
    assert(flags.includes(`\`--${flag}\``), rows[i]);
    assert(meaning.startsWith(description), rows[i]);
  }
});

Deno.test("option docs: the tables stand between the markers, and putting them there is done once", () => {
  const document = withOptionsTable(EMPTY);
  assertEquals(
    document,
    `# Push\n\n<!-- options -->\n\n${renderOptionsTable()}\n\n<!-- /options -->\n\nMore.\n`,
  );
  assertEquals(withOptionsTable(document), document);
});

Deno.test("option docs: a document without its two markers is refused", () => {
  const wrong = ["", "<!-- options -->", "<!-- /options --><!-- options -->", EMPTY + EMPTY];
  for (const document of wrong) assertThrows(() => withOptionsTable(document), TypeError);
});

Deno.test("option docs: the script writes what it checks, and deno fmt leaves it alone", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/README.md`;
  try {
    await Deno.writeTextFile(file, EMPTY);
    const script = ["run", "-A", "dev/option_docs.ts"];
    const stale = await deno(...script, "--check", file);
    assertEquals(stale.code, 1);
    assert(stale.text.includes("--write"), stale.text);
    assertEquals((await deno(...script, "--write", file)).code, 0);
    assertEquals((await deno(...script, "--check", file)).code, 0);
    const formatted = await deno(
      "fmt",
      "--check",
      "--line-width=100",
      "--prose-wrap=preserve",
      file,
    );
    assertEquals(formatted.code, 0, formatted.text);
    assertEquals((await deno(...script, file)).code, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
