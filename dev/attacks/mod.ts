/**
 * The command `deno task attacks`: attacks real gateways, and measures what that does to others.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Attack } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";
import { besiege } from "./siege.ts";
import {
  broken,
  isExpected,
  MOST_MEMORY,
  MOST_RATIO,
  type Row,
  tableOf,
  withTable,
} from "./table.ts";

const TRANSPORTS: Readonly<Record<string, readonly string[]>> = {
  deno: [],
  ws: ["--websocket", "ws"],
};
const DOCUMENT = new URL("../../SECURITY.md", import.meta.url);

const HELP = `\
Attacks gateways on 127.0.0.1, each in a process of its own, and measures their
memory and how long the messages of others take, without and under attack.

Usage: deno task attacks [flags]

  --only NAME       Make only this attack; may be given several times.
  --transport NAME  Attack only this WebSocket transport: ${Object.keys(TRANSPORTS).join(" or ")}.
  --scale N         Part of each attack that is made. 0.001 to 1; default 1.
  --seconds S       Longest time of one attack. 1 to 60; default 10. With that
                    all attacks take less than six minutes.
  --write           Put the table into SECURITY.md.
  -h, --help        Print this text.

The bounds: memory below ${MOST_MEMORY} MiB; the p99 of others below ${MOST_RATIO} times its quiet
value; every message of theirs comes; newcomers are let in. The exit code is 0
if they held, but for what a transport is known not to hold; 1 if not, 2 for a
wrong flag.

The attacks:
${[...ATTACKS.values()].map(({ name, says }) => `  ${name.padEnd(20)}${says}`).join("\n")}
`;

interface Command {
  readonly attacks: readonly Attack[];
  readonly transports: readonly string[];
  readonly scale: number;
  readonly seconds: number;
  readonly writes: boolean;
}

/** Reads the command line; a text if that is all to print. @throws {Error} if it is wrong */
function readCommand(args: string[]): Command | string {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true, default: [] },
      transport: { type: "string", multiple: true, default: [] },
      scale: { type: "string", default: "1" },
      seconds: { type: "string", default: "10" },
      write: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return HELP;
  const transports = values.transport.map((name) => {
    if (Object.hasOwn(TRANSPORTS, name)) return name;
    throw new Error(`There is no transport '${name}'`);
  });
  const attacks = values.only.map((name) => {
    const attack = ATTACKS.get(name);
    if (attack === undefined) throw new Error(`There is no attack '${name}'`);
    return attack;
  });
  return {
    attacks: attacks.length > 0 ? attacks : [...ATTACKS.values()],
    transports: transports.length > 0 ? transports : Object.keys(TRANSPORTS),
    scale: numberOf("scale", values.scale, 0.001, 1),
    seconds: numberOf("seconds", values.seconds, 1, 60),
    writes: values.write,
  };
}

function numberOf(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= min && value <= max) return value;
  throw new Error(`Cannot read '--${flag}': must be a number from ${min} to ${max}, is '${text}'`);
}

async function run({ attacks, transports, scale, seconds, writes }: Command): Promise<number> {
  const rows: Row[] = [];
  for (const attack of attacks) {
    for (const transport of transports) {
      const args = TRANSPORTS[transport];
      const outcome = await besiege(attack, {
        scale,
        quiet: 4000,
        duration: seconds * 1000,
        args,
      });
      const row = { attack, transport, outcome };
      rows.push(row);
      const found = broken(row);
      console.error(
        `${attack.name} (${transport}): ${found.length > 0 ? found.join(", ") : "held"}`,
      );
    }
  }
  const table = tableOf(rows);
  console.log(table);
  if (writes) {
    await Deno.writeTextFile(DOCUMENT, withTable(await Deno.readTextFile(DOCUMENT), table));
    // The gate wants its columns in line.
    const format = ["fmt", "--quiet", DOCUMENT.pathname];
    await new Deno.Command(Deno.execPath(), { args: format }).output();
  }
  return rows.every(isExpected) ? 0 : 1;
}

if (import.meta.main) {
  let command: Command | string;
  try {
    command = readCommand(Deno.args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    Deno.exit(2);
  }
  if (typeof command === "string") console.log(command);
  else Deno.exit(await run(command));
}
