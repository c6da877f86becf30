/** The command line of `deno task bench`. */
import { parseArgs } from "node:util";
import { PACKAGES } from "./peers/installed.ts";
import { FULL, QUICK, type Scale } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/mod.ts";

/** What `--help` prints. */
export const HELP = `\
Measures the gateway beside bare loops and the servers of others.

Usage: deno task bench [flags]

  --list            Name the scenarios.
  --only NAMES      Run these only, with commas between them.
  --match TEXT      Of the servers, measure those with this in their names, and
                    the bare loops that ratios need.
  --quick           Shorter runs and fewer sizes: two minutes instead of ten.
  --rounds N        Rounds, of which the medians are told. Default 1.
  --seconds N       Seconds that count in each run. Default 1.2.
  --subscribers N   This number instead of all others.
  --idle N          Idle connections. Default 10000.
  --minutes N       Minutes of coming and going. Default 0.5.
  --peers NAMES     Install servers of others with npm, and measure them from
                    then on: ${Object.keys(PACKAGES).join(", ")}.
  --draw            Write tables and pictures of the figures that were kept,
                    and measure nothing.
  --write           Write the figures into docs/bench and bench/README.md.
  -h, --help        Print this text.`;

/** What was asked for. */
export interface Command {
  readonly isHelp: boolean;
  readonly isList: boolean;
  readonly isWritten: boolean;
  readonly isDrawn: boolean;
  /** Names of scenarios; all of them if there are none. */
  readonly only: readonly string[];
  /** What names of servers have in them. */
  readonly match: string;
  /** Names of servers that are to be installed. */
  readonly peers: readonly string[];
  readonly rounds: number;
  readonly scale: Scale;
}

/** Reads a command line. @returns what is wrong with it, if something is */
export function readCommand(args: readonly string[]): Command | string {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { ...flag, short: "h" },
        list: flag,
        quick: flag,
        write: flag,
        draw: flag,
        only: text,
        match: text,
        peers: text,
        rounds: text,
        seconds: text,
        subscribers: text,
        idle: text,
        minutes: text,
      },
    });
    const base = values.quick ? QUICK : FULL;
    const subscribers = whole("subscribers", values.subscribers);
    return {
      isHelp: values.help ?? false,
      isList: values.list ?? false,
      isWritten: values.write ?? false,
      isDrawn: values.draw ?? false,
      only: names("only", values.only, SCENARIOS.map(({ name }) => name)),
      match: values.match ?? "",
      peers: names("peers", values.peers, Object.keys(PACKAGES)),
      rounds: whole("rounds", values.rounds) ?? 1,
      scale: {
        ...base,
        seconds: positive("seconds", values.seconds) ?? base.seconds,
        subscribers: subscribers ?? base.subscribers,
        fanOut: subscribers === undefined ? base.fanOut : [subscribers],
        idle: whole("idle", values.idle) ?? base.idle,
        minutes: positive("minutes", values.minutes) ?? base.minutes,
      },
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function names(flag: string, text: string | undefined, known: readonly string[]): string[] {
  const given = (text ?? "").split(",").map((name) => name.trim()).filter((name) => name !== "");
  const wrong = given.find((name) => !known.includes(name));
  if (wrong === undefined) return given;
  throw new RangeError(`Cannot read '--${flag}': must be of ${known.join(", ")}, is '${wrong}'`);
}

function whole(flag: string, text: string | undefined): number | undefined {
  const value = positive(flag, text);
  if (value === undefined || Number.isSafeInteger(value)) return value;
  throw new RangeError(`Cannot read '--${flag}': must be a whole number, is '${text}'`);
}

function positive(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new RangeError(`Cannot read '--${flag}': must be a number above 0, is '${text}'`);
}
