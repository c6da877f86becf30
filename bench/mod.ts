/**
 * The project's own benchmark: what the gateway costs in many situations, beside bare loops and the
 * servers of others, in one run. Trust the ratios: the figures vary with the machine.
 *
 * Every run checks that every message arrived, once and in order; one where that fails is void, and
 * the command fails.
 *
 * `deno task bench` (Linux: CPU time and memory come from /proc).
 *
 * @module
 */
import { HELP, readCommand } from "./command.ts";
import { machine } from "./figures.ts";
import { find, hint, install } from "./peers/installed.ts";
import { others } from "./peers/mod.ts";
import { merged, plainOf, readKept, write } from "./report.ts";
import type { Section } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/mod.ts";
import { Stage } from "./stage.ts";

const ENCODER = new TextEncoder();

/** Runs it. @returns the status of the process */
async function main(args: readonly string[]): Promise<number> {
  const command = readCommand(args);
  if (typeof command === "string") {
    console.error(`${command}\n\n${HELP}`);
    return 2;
  }
  if (command.isHelp) {
    console.log(HELP);
    return 0;
  }
  if (command.isList) {
    for (const { name, about } of SCENARIOS) console.log(`${name.padEnd(10)} ${about}`);
    return 0;
  }
  if (command.isDrawn) {
    await write(await readKept());
    return 0;
  }
  if (command.peers.length > 0) await install(command.peers);
  const installed = await find();
  await using stage = new Stage({
    scale: command.scale,
    rounds: command.rounds,
    others: others(installed),
    isWanted: ({ name }) => name.startsWith("bare") || name.includes(command.match),
    onProgress: progress,
  });
  let isInterrupted = false;
  const interrupt = () => {
    isInterrupted = true;
    void stage[Symbol.asyncDispose]();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, interrupt);

  const where = machine();
  console.log(where);
  const missing = hint(installed);
  if (missing !== undefined) console.log(missing);
  const sections: Section[] = [];
  try {
    for (const scenario of SCENARIOS) {
      if (command.only.length > 0 && !command.only.includes(scenario.name)) continue;
      for (const section of await scenario.run(stage)) {
        progress("");
        console.log(`\n${plainOf(section)}`);
        sections.push(section);
      }
    }
  } catch (error) {
    if (isInterrupted) return 130;
    throw error;
  }
  if (command.isWritten) await write(merged(await readKept(), sections, where));
  const voids = sections.flatMap(({ rows }) => rows).filter(({ isVoid }) => isVoid !== undefined);
  if (voids.length > 0) console.log(`\n${voids.length} void.`);
  return voids.length > 0 ? 1 : 0;
}

/** One line that changes, where somebody looks at it. */
function progress(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(ENCODER.encode(`\r\x1b[K${text}`));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
