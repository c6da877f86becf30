import { assert, assertEquals, assertMatch } from "@std/assert";
import { installPackages, installPrograms, type Program } from "../support/npm.ts";
import { RunningProgram, runProgram, TempFolder } from "../support/program.ts";
import { startGateway } from "../support/gateway.ts";
import { type NpmManifest, unpackClient } from "./npm_package.ts";

const TAP = ["--test-reporter=tap"];
const RUNTIMES: Record<string, { program: Program; test: string[]; run: string[] }> = {
  "Node 20, which has no global WebSocket": { program: "node20", test: TAP, run: [] },
  "Node 24": { program: "node24", test: TAP, run: [] },
  // Bun offers `node:test` to its own test command only.
  "Bun": { program: "bun", test: ["test", "--timeout=60000"], run: ["run"] },
};
/** What is run in them, beside the package. */
const PROGRAMS = [
  "client_suite.mjs",
  "crashing.mjs",
  "ending.mjs",
  "file_storage.mjs",
  "consumer.ts",
];
const GATEWAY = [Deno.execPath(), "run", "-A", "--quiet", Deno.realPathSync("mod.ts")];
const folder = new TempFolder();
let programs: Record<Program, string>;
let installed: string;

Deno.test.beforeAll(async () => {
  programs = await installPrograms(folder.path, ["node20", "node24", "bun"]);
  await installPackages(folder.path, { "ws": "^8", "typescript": "^5.9", "@types/node": "^20" });
  installed = await unpackClient(folder.path);
  for (const file of PROGRAMS) {
    await Deno.copyFile(new URL(file, import.meta.url), `${folder.path}/${file}`);
  }
});

Deno.test.afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

Deno.test("the npm package has every entry point with its types, and no dependency", async () => {
  const read = async (path: string) => JSON.parse(await Deno.readTextFile(path));
  const source = await read("client/deno.json");
  const { name, version, type, exports, ...rest }: NpmManifest = await read(
    `${installed}/package.json`,
  );
  assertEquals([name, version, type], [source.name, source.version, "module"]);
  assertEquals(Object.keys(exports), Object.keys(source.exports));
  for (const [entry, { types, import: code, default: other }] of Object.entries(exports)) {
    assertEquals(code, other);
    assert((await Deno.stat(`${installed}/${types}`)).size > 0, entry);
    assert((await Deno.stat(`${installed}/${code}`)).size > 0, entry);
  }
  assertEquals(Object.keys(rest).filter((key) => /dependencies/i.test(key)), []);
  for (const file of ["README.md", "LICENSE"]) await Deno.stat(`${installed}/${file}`);
});

for (const [name, { program, test, run }] of Object.entries(RUNTIMES)) {
  Deno.test(`the npm package keeps the client's promises in ${name}`, async () => {
    const text = await runProgram(programs[program], [...test, "./client_suite.mjs"], {
      cwd: folder.path,
      env: { GATEWAY_COMMAND: JSON.stringify(GATEWAY) },
    }, 300_000);
    // Both runners tell how many passed, each in its way.
    const [, node, bun] = /^# pass (\d+)$|^ *(\d+) pass$/m.exec(text) ?? [];
    assert(Number(node ?? bun) >= 30, text);
    assertMatch(text, /^# fail 0$|^ *0 fail$/m);
  });

  Deno.test(`a program that has said goodbye ends by itself in ${name}`, async () => {
    await using gateway = await startGateway();
    await using ending = new RunningProgram(programs[program], [...run, "./ending.mjs"], {
      cwd: folder.path,
      env: { ADDRESS: gateway.ws },
    });
    await ending.printed(/That was all/);
    assertEquals(await ending.ended(), 0, ending.text);
    assertMatch(ending.text, /bye over longpoll/);
  });
}

const NODE = { lib: ["es2022"], types: ["node"] };
const PAGE = { lib: ["esnext", "dom"], types: [] };

for (const [module, moduleResolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]]) {
  for (const [where, { lib, types }] of Object.entries({ "Node": NODE, "a page": PAGE })) {
    Deno.test(`TypeScript for ${where} accepts the types with ${moduleResolution}`, async () => {
      const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false };
      const made = { target: "es2022", module, moduleResolution, lib, types, noEmit: true };
      const config = { compilerOptions: { ...strict, ...made }, files: ["consumer.ts"] };
      await Deno.writeTextFile(`${folder.path}/tsconfig.json`, JSON.stringify(config));
      await runProgram(programs.node24, ["node_modules/typescript/bin/tsc", "-p", "."], {
        cwd: folder.path,
      });
    });
  }
}
