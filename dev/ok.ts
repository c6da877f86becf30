/**
 * The gate, `deno task ok`: all that must be green before a change goes in. Every step runs, also
 * after a failed one; the last line is `N passed, N failed`, where a failed step that is no test
 * counts as one.
 *
 * Arguments name the steps to run: `deno task ok fmt lint`.
 *
 * @module
 */

import { type Counts, runTests, setUp, summary } from "./test.ts";

const ROOT = new URL("../", import.meta.url);
const PACKAGES = ["", "client/"];
const RULES = "tests/house";

interface Step {
  name: string;
  /** What is true when the step is green. */
  proves: string;
  run(): Promise<Counts>;
}

const STEPS: Step[] = [
  {
    name: "fmt",
    proves: "every file is formatted",
    run: () => deno("fmt", "--check"),
  },
  {
    name: "lint",
    proves: "no file breaks a lint rule",
    run: () => deno("lint"),
  },
  {
    name: "check",
    proves: "every file type-checks",
    run: () => deno("check"),
  },
  {
    name: "dom",
    proves: "the client type-checks with what a browser has",
    run: async () => deno("check", "--config", "dev/dom.deno.json", ...await exported("client/")),
  },
  {
    name: "doc",
    proves: "everything exported is documented",
    run: async () => deno("doc", "--lint", ...(await Promise.all(PACKAGES.map(exported))).flat()),
  },
  {
    name: "publish",
    proves: "both packages can be published",
    run: async () => add(await publish(""), await publish("client/")),
  },
  {
    name: "rules",
    proves: "the house rules hold",
    run: () => tests("--parallel", RULES),
  },
  {
    name: "examples",
    proves: "the examples in the documentation comments run",
    run: async () => {
      const files = await withExamples(["mod.ts", "client/", "server/"]);
      return files.length > 0 ? tests("--doc", ...files) : { passed: 0, failed: 0 };
    },
  },
  {
    name: "tests",
    proves: "the tests pass",
    run: () => tests("--parallel", `--ignore=${RULES},dev`),
  },
];

async function tests(...args: string[]): Promise<Counts> {
  await setUp();
  return await runTests(args);
}

function publish(folder: string): Promise<Counts> {
  return command(folder, "publish", "--dry-run", "--allow-dirty");
}

function deno(...args: string[]): Promise<Counts> {
  return command("", ...args);
}

async function command(folder: string, ...args: string[]): Promise<Counts> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: new URL(folder, ROOT),
  }).spawn().status;
  return { passed: 0, failed: success ? 0 : 1 };
}

function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed };
}

/** The entry points of a package. */
async function exported(folder: string): Promise<string[]> {
  const manifest = JSON.parse(await Deno.readTextFile(new URL(`${folder}deno.json`, ROOT)));
  return Object.values<string>(manifest.exports).map((file) => folder + file.replace("./", ""));
}

/** The source files among these, folders included, whose comments hold a block of code. */
async function withExamples(paths: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const url = new URL(path, ROOT);
    if (path.endsWith("/")) {
      const names = (await Array.fromAsync(Deno.readDir(url)))
        .map((entry) => path + entry.name + (entry.isDirectory ? "/" : ""));
      found.push(...await withExamples(names));
    } else if (path.endsWith(".ts") && !path.endsWith("_test.ts")) {
      if (/^ *\* ```/m.test(await Deno.readTextFile(url))) found.push(path);
    }
  }
  return found.sort();
}

async function attempt(step: Step): Promise<Counts> {
  try {
    return await step.run();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return { passed: 0, failed: 1 };
  }
}

const unknown = Deno.args.filter((name) => !STEPS.some((step) => step.name === name));
if (unknown.length > 0) {
  const names = STEPS.map((step) => step.name).join(", ");
  console.error(`Cannot run '${unknown[0]}' as the gate has no such step: it has ${names}`);
  Deno.exit(2);
}

Deno.chdir(ROOT);
let total: Counts = { passed: 0, failed: 0 };
const lines: string[] = [];
for (const step of STEPS) {
  if (Deno.args.length > 0 && !Deno.args.includes(step.name)) continue;
  console.log(`\n=== ${step.name}: ${step.proves}`);
  const start = performance.now();
  const counts = await attempt(step);
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(7);
  lines.push(`${counts.failed > 0 ? "FAILED" : "ok    "} ${step.name.padEnd(9)}${seconds} s`);
  total = add(total, counts);
}
console.log(`\n${lines.join("\n")}\n\n${summary(total)}`);
Deno.exit(total.failed > 0 ? 1 : 0);
