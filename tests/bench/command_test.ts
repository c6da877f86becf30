import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Command, HELP, readCommand } from "../../bench/command.ts";
import { FULL, QUICK } from "../../bench/scenario.ts";

function read(...args: string[]): Command {
  const command = readCommand(args);
  assert(typeof command !== "string", String(command));
  return command;
}

Deno.test("without flags everything is measured once, in the sizes of the README", () => {
  const command = read();
  assertEquals(command.scale, FULL);
  assertEquals(command.rounds, 1);
  assertEquals([...command.only, ...command.peers], []);
  assert(!command.isWritten && !command.isDrawn && !command.isList && !command.isHelp);
});

Deno.test("each flag changes what it says", () => {
  assertEquals(read("--quick").scale, QUICK);
  assertEquals(read("--subscribers", "20").scale.fanOut, [20]);
  assertEquals(read("--subscribers", "20").scale.subscribers, 20);
  assertEquals(read("--idle", "30").scale.idle, 30);
  assertEquals(read("--minutes", "15").scale.minutes, 15);
  assertEquals(read("--seconds", "0.2").scale.seconds, 0.2);
  assertEquals(read("--rounds", "3").rounds, 3);
  assertEquals(read("--match", "wire").match, "wire");
  assertEquals(read("--only", "idle, churn").only, ["idle", "churn"]);
  assertEquals(read("--peers", "bun,ws").peers, ["bun", "ws"]);
  assert(read("--write").isWritten);
  assert(read("--draw").isDrawn);
  assert(read("--list").isList);
  assert(read("-h").isHelp);
});

Deno.test("a wrong flag is told with its value", () => {
  const wrong: [args: string[], says: RegExp][] = [
    [["--only", "nothing"], /'--only'.*'nothing'/],
    [["--peers", "nginx"], /'--peers'.*'nginx'/],
    [["--rounds", "0"], /'--rounds'.*'0'/],
    [["--rounds", "1.5"], /'--rounds'.*'1.5'/],
    [["--minutes", "soon"], /'--minutes'.*'soon'/],
    [["--speed"], /--speed/],
    [["figures"], /figures/],
  ];
  for (const [args, says] of wrong) {
    const found = readCommand(args);
    assert(typeof found === "string", `${args} was taken`);
    assertMatch(found, says);
  }
});

Deno.test("the help names every flag", () => {
  for (const flag of ["list", "only", "match", "quick", "rounds", "seconds", "subscribers"]) {
    assert(HELP.includes(`--${flag}`), flag);
  }
  for (const flag of ["idle", "minutes", "peers", "draw", "write", "help"]) {
    assert(HELP.includes(`--${flag}`), flag);
  }
});
