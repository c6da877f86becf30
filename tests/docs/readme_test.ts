import { assert, assertEquals } from "@std/assert";
import { withOptionsTable } from "../../dev/option_docs.ts";
import { Gateway } from "../../mod.ts";
import { EventReader } from "../support/event_reader.ts";
import { codeBlocks, runBlock } from "./blocks.ts";

const README = await Deno.readTextFile("README.md");
const programs = codeBlocks(README, "ts");

/** What a program says of itself that it prints: `console.log(…); // this`. */
function announced(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\); \/\/ ([^\n:]*)/g)].map(([, text]) => text.trim());
}

assert(programs.length >= 4, "README.md has lost its examples");

for (const [index, code] of programs.entries()) {
  Deno.test(`example ${index + 1} of README.md runs and prints what it says`, async () => {
    await using gateway = new Gateway({ port: 0, push: { enabled: true } });
    await gateway.start();
    const { success, stdout, stderr } = await runBlock(code, gateway.address.port);
    assert(success, stderr);
    for (const line of announced(code)) assert(stdout.includes(line), `${line} not in ${stdout}`);
  });
}

Deno.test("the curl line of README.md publishes", async () => {
  await using gateway = new Gateway({ port: 0, push: { enabled: true } });
  await gateway.start();
  const [, path, body] = /curl -X POST localhost:8765(\S+) -d '(.*)'/.exec(README)!;
  const response = await fetch(`http://127.0.0.1:${gateway.address.port}${path}`, {
    method: "POST",
    body,
  });
  assertEquals(response.status, 200);
  assertEquals((await response.json()).seq, 1);
});

Deno.test("the curl line of README.md publishes several messages", async () => {
  await using gateway = new Gateway({ port: 0, push: { enabled: true } });
  await gateway.start();
  const [, lines, path, type] =
    /printf '%s\\n' (.*) \|\n {2}curl localhost:8765(\S+) -H 'content-type: (\S+)' --data-binary @-/
      .exec(README)!;
  const response = await fetch(`http://127.0.0.1:${gateway.address.port}${path}`, {
    method: "POST",
    headers: { "content-type": type },
    body: lines.split(" ").map((line) => line.slice(1, -1) + "\n").join(""),
  });
  assertEquals(response.status, 200);
  const answers = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(answers.map(({ seq }) => seq), [1, 2]);
});

Deno.test("the curl line of README.md listens, and comes back by the id of the last event", async () => {
  await using gateway = new Gateway({ port: 0, push: { enabled: true } });
  await gateway.start();
  const [, path] = /curl -N 'localhost:8765(\S+)'/.exec(README)!;
  const url = `http://127.0.0.1:${gateway.address.port}${path}`;
  let lastId = "";
  for (const text of ["first", "second"]) {
    await using events = await EventReader.open(url, { headers: { "last-event-id": lastId } });
    // The second is published before its reader is back.
    if (text === "first") await gateway.publish("alerts", text);
    assertEquals((await events.next()).data, text);
    lastId = events.lastId;
    if (text === "first") await gateway.publish("alerts", "second");
  }
});

Deno.test("README.md names the two commands, and deno.json has them", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile("deno.json"));
  for (const task of ["start", "test"]) {
    assert(README.includes(`deno task ${task}`));
    assert(task in tasks);
  }
});

Deno.test("README.md shows every option as the table of options has it", () => {
  assertEquals(withOptionsTable(README), README);
});
