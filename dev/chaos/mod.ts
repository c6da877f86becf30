/**
 * The command `deno task chaos`: breaks real processes on purpose, under load, notes all that clients
 * see, and holds that against what a gateway promises.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { INVARIANTS, violationsOf } from "./checker.ts";
import { report } from "./report.ts";
import { type RunOptions, runScenario, type Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/mod.ts";

const HELP = `\
Breaks gateways, Redis and the way between them on purpose, under load, notes
what clients see, and checks that no promise was broken. Everything runs on
127.0.0.1 and is gone afterwards.

Usage: deno task chaos [flags]

  --scenario NAME   Run only this one; may be given several times. All by
                    default.
  --seed N          Seed of what is left to chance. Random by default, printed.
  --duration S      Seconds of load of each scenario. 1 to 86400; default 4. With
                    that all scenarios take about five minutes.
  --history FILE    Write what clients saw to a file, a line of JSON each.
  --list            Print the scenarios.
  -h, --help        Print this text.

The exit code is 0 if every promise was kept, 1 if not, 2 for a wrong flag.

The promises:
${INVARIANTS.map(({ name, says }) => `  ${name.padEnd(5)}${says}`).join("\n")}
`;

interface Command extends Omit<RunOptions, "log"> {
  readonly scenarios: readonly Scenario[];
  readonly file: string | undefined;
}

/** Reads the command line; a text if that is all to print. @throws {Error} if it is wrong */
function readCommand(args: string[]): Command | string {
  const { values } = parseArgs({
    args,
    options: {
      scenario: { type: "string", multiple: true, default: [] },
      seed: { type: "string" },
      duration: { type: "string", default: "4" },
      history: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return HELP;
  if (values.list) {
    return [...SCENARIOS.values()].map(({ name, topology, says }) =>
      `${name.padEnd(20)} ${topology.padEnd(9)} ${says}`
    ).join("\n");
  }
  const scenarios = values.scenario.map((name) => {
    const scenario = SCENARIOS.get(name);
    if (scenario !== undefined) return scenario;
    throw new Error(`Cannot run '${name}': there is no such scenario, see --list`);
  });
  return {
    scenarios: scenarios.length > 0 ? scenarios : [...SCENARIOS.values()],
    seed: values.seed === undefined
      ? Math.floor(Math.random() * 2 ** 31)
      : numberOf("--seed", values.seed, 0, Number.MAX_SAFE_INTEGER, true),
    duration: 1_000 * numberOf("--duration", values.duration, 1, 86_400),
    file: values.history,
  };
}

function numberOf(flag: string, text: string, min: number, max: number, isWhole = false): number {
  const value = Number(text);
  const fits = text.trim() !== "" && value >= min && value <= max;
  if (fits && (!isWhole || Number.isInteger(value))) return value;
  const what = isWhole ? "an integer" : "a number";
  throw new Error(`Cannot use '${flag} ${text}': it takes ${what} from ${min} to ${max}`);
}

async function main(): Promise<number> {
  let command: Command | string;
  try {
    command = readCommand(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  if (typeof command === "string") {
    console.log(command);
    return 0;
  }
  const { scenarios, seed, duration, file } = command;
  const failed: string[] = [];
  if (file !== undefined) await Deno.writeTextFile(file, "");
  const start = performance.now();
  for (const [n, scenario] of scenarios.entries()) {
    const count = `${n + 1} of ${scenarios.length}`;
    console.log(`\n=== ${count}: ${scenario.name} (seed ${seed}): ${scenario.says}`);
    const begun = performance.now();
    const log = (line: string) => {
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1).padStart(6);
      console.log(`${seconds} s  ${line}`);
    };
    const outcome = await runScenario(scenario, { seed, duration, log });
    if (file !== undefined) {
      const lines = outcome.entries.map((entry) => JSON.stringify(entry) + "\n").join("");
      await Deno.writeTextFile(file, lines, { append: true });
    }
    console.log(report(outcome));
    const isBroken = outcome.failure !== undefined || violationsOf(outcome.findings).length > 0;
    if (isBroken) failed.push(scenario.name);
  }
  const kept = scenarios.length - failed.length;
  const minutes = ((performance.now() - start) / 60_000).toFixed(1);
  console.log(
    `\n${kept} of ${scenarios.length} scenarios without a broken promise ` +
      `(seed ${seed}, ${minutes} minutes)`,
  );
  if (failed.length > 0) console.log(`Broken: ${failed.join(", ")}`);
  return failed.length > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
