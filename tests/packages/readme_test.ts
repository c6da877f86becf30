import { assert, assertStringIncludes } from "@std/assert";
import { codeBlocks, runBlock } from "../docs/blocks.ts";
import { startGateway } from "../support/gateway.ts";

const programs = codeBlocks(await Deno.readTextFile("client/README.md"), "ts");

for (const [index, code] of programs.entries()) {
  Deno.test(`example ${index + 1} of client/README.md runs and prints what it says`, async () => {
    await using gateway = await startGateway();
    const { success, stdout, stderr } = await runBlock(code, gateway.port);
    assert(success, stderr);
    for (const [, text] of code.matchAll(/console\.log\(.*\); \/\/ (.*)/g)) {
      assertStringIncludes(stdout, text);
    }
  });
}
