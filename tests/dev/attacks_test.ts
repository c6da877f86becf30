import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ATTACKS } from "../../dev/attacks/attacks.ts";
import { besiege, type Outcome } from "../../dev/attacks/siege.ts";
import { broken, isExpected, tableOf, withTable } from "../../dev/attacks/table.ts";
import { RunningProgram } from "../support/program.ts";

const COMMAND = new URL("../../dev/attacks/mod.ts", import.meta.url).pathname;
/** Far more MiB than a gateway needs for so small an attack. */
const SLACK = 1024;

const WELL: Outcome = {
  memory: { before: 70, peak: 90 },
  quiet: { p50: 1, p99: 2 },
  attacked: { p50: 1, p99: 4 },
  ending: "closed with 4429 `rate_limited`",
  noticed: { sent: 100, lost: 0, broken: undefined, newcomers: { letIn: 3, refused: 0 } },
  survived: true,
};
const attack = ATTACKS.get("fragment-bomb")!;

// The built-in transport is attacked with what it holds; the other one with what that does not.
for (
  const [name, args] of [["slow-headers", []], ["fragment-bomb", ["--websocket", "ws"]]] as const
) {
  Deno.test(`a small '${name}' ends nobody but the attacker`, async () => {
    const { memory, survived, noticed, ending } = await besiege(ATTACKS.get(name)!, {
      scale: 0.05,
      quiet: 200,
      duration: 1500,
      args,
    });
    assert(survived, "the gateway answers");
    assertEquals([noticed.lost, noticed.broken, noticed.newcomers.refused], [0, undefined, 0]);
    assert(noticed.sent > 0 && memory.before > 0);
    assert(memory.peak < SLACK, `${memory.peak} MiB`);
    assertStringIncludes(ending, name === "slow-headers" ? "45 left open" : "closed with");
  });
}

Deno.test("the table of attacks says what was held, what was not, and what is known of that", () => {
  const row = { attack, transport: "ws", outcome: WELL };
  assertEquals([broken(row), isExpected(row)], [[], true]);
  const worse: Outcome = {
    ...WELL,
    memory: { before: 70, peak: 700 },
    attacked: { p50: 1, p99: 30 },
    noticed: { sent: 100, lost: 2, broken: "gone", newcomers: { letIn: 0, refused: 4 } },
    survived: false,
  };
  assertEquals(broken({ ...row, outcome: worse }).length, 6);
  assertEquals(isExpected({ ...row, outcome: worse }), false);
  assertEquals(isExpected({ ...row, outcome: worse, transport: "deno" }), true, "it is known");
  const lines = tableOf([row, { ...row, transport: "deno", outcome: worse }]).split("\n");
  assertEquals(lines.length, 4);
  assertStringIncludes(lines[2], "| 70 → 90 MiB | 2.0 → 4.0 ms (2.0 ×) | closed with 4429");
  assertStringIncludes(lines[2], "yes: all 100 messages and 3 newcomers came through");
  assertStringIncludes(lines[3], "**no**: ");
  assertStringIncludes(lines[3], attack.unheld!);
});

Deno.test("the table has its place in a document, and nothing else there changes", () => {
  const before = "# A\n\n<!-- attacks -->\n\nold\n\n<!-- /attacks -->\n\nz\n";
  const after = "# A\n\n<!-- attacks -->\n\nnew\n\n<!-- /attacks -->\n\nz\n";
  assertEquals(withTable(before, "new"), after);
  assertThrows(() => withTable("# A\n", "new"), Error, "no place");
});

Deno.test("the command lists the attacks, and refuses what it does not know", async () => {
  await using help = new RunningProgram(Deno.execPath(), ["run", "-A", COMMAND, "--help"]);
  assertEquals(await help.ended(), 0);
  for (const name of ATTACKS.keys()) assertStringIncludes(help.text, name);
  for (const args of [["--only", "nothing"], ["--scale", "2"], ["--transport", "x"], ["--x"]]) {
    await using wrong = new RunningProgram(Deno.execPath(), ["run", "-A", COMMAND, ...args]);
    assertEquals(await wrong.ended(), 2, args.join(" "));
  }
});
