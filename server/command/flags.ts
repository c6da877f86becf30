/**
 * Reads the flags of the command line.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { nearest } from "../options/nearest.ts";
import { jsType, type Option, type OptionValue } from "../options/option.ts";
import { OPTIONS } from "../options/table.ts";
import { parseValue } from "../options/values.ts";
import { cannotUse, expected, show } from "../options/wording.ts";

/** An option that was given somewhere: its value, and what an error calls the place. */
export interface GivenOption {
  readonly value: OptionValue;
  readonly subject: string;
}

/** Options by path that were given in one place, or in several of which the last one counts. */
export type GivenOptions = Map<string, GivenOption>;

/** A flag of the command that is no option of the gateway. */
export interface CommandFlag {
  readonly name: string;
  readonly short?: string;
  /** What it takes; nothing if absent. */
  readonly takes?: string;
  /** Environment variable that stands for it. */
  readonly variable?: string;
  readonly description: string;
}

/** What the command line asks for. */
export interface CommandLine {
  readonly help: boolean;
  readonly version: boolean;
  readonly printConfig: boolean;
  readonly config: string | undefined;
  readonly options: GivenOptions;
}

/** The flags of the command that are no options of the gateway. */
export const COMMAND_FLAGS: readonly CommandFlag[] = [
  {
    name: "config",
    takes: "FILE",
    variable: "PUSH_CONFIG",
    description: "Read options from a file of JSON, with comments if you like.",
  },
  { name: "print-config", description: "Print what the options amount to, secrets masked." },
  { name: "help", short: "h", description: "Print this text." },
  { name: "version", short: "V", description: "Print the version." },
];

interface Flag {
  readonly option?: Option;
  readonly takesValue: boolean;
  /** Whether it is the `--no-…` of an option. */
  readonly negated?: boolean;
}

const FLAGS: ReadonlyMap<string, Flag> = new Map([
  ...COMMAND_FLAGS.map(({ name, takes }) => [name, { takesValue: takes !== undefined }] as const),
  ...OPTIONS.flatMap((option): [string, Flag][] =>
    option.type === "boolean"
      ? [
        [option.flag, { option, takesValue: false }],
        [`no-${option.flag}`, { option, takesValue: false, negated: true }],
      ]
      : [[option.flag, { option, takesValue: true }]]
  ),
]);

// What an option is called elsewhere leads to its flag as well: --auth-token to --token.
const NAMES: ReadonlyMap<string, string> = new Map([
  ...OPTIONS.filter(({ type }) => type !== "boolean")
    .map(({ path, flag }) => [path.split(".").at(-1)!, flag] as const),
  ...FLAGS.keys().map((name) => [name, name] as const),
]);

/**
 * Reads the arguments of the command.
 *
 * @throws {TypeError} if a flag is unknown, lacks its value, or its value does not read
 * @throws {RangeError} if a value is out of range
 */
export function readCommandLine(args: string[]): CommandLine {
  const { tokens } = parseArgs({
    args,
    options: Object.fromEntries([
      ...FLAGS.entries().map(([name, { takesValue }]) =>
        [name, { type: takesValue ? "string" : "boolean" }] as const
      ),
      ...COMMAND_FLAGS.filter(({ short }) => short !== undefined)
        .map(({ name, short }) => [name, { type: "boolean", short }] as const),
    ]),
    // Not strict, as we refuse in our own words and know what was meant.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const asked = new Set(tokens.map((token) => token.kind === "option" ? token.name : ""));
  const options: GivenOptions = new Map();
  let config: string | undefined;
  for (const token of asked.has("help") || asked.has("version") ? [] : tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") throw new TypeError(strayArgument(token.value));
    const flag = FLAGS.get(token.name);
    if (flag === undefined) throw new TypeError(unknownFlag(token.rawName));
    const value = valueOf(flag, token);
    if (flag.option !== undefined) {
      const { path } = flag.option;
      const before = options.get(path)?.value;
      // A flag of a list may be given again for more.
      const all = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value!;
      options.set(path, { value: all, subject: token.rawName });
    } else if (token.name === "config") {
      config = String(value);
    }
  }
  return {
    help: asked.has("help"),
    version: asked.has("version"),
    printConfig: asked.has("print-config"),
    config,
    options,
  };
}

interface Token {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function valueOf({ option, takesValue, negated }: Flag, token: Token): OptionValue | undefined {
  const { rawName, value } = token;
  if (!takesValue) {
    if (value === undefined) return !negated;
    if (option !== undefined && !negated) return parseValue(option, value, rawName);
    throw new TypeError(cannotUse(rawName, "no value", show(value)));
  }
  const isText = option === undefined || jsType(option) !== "number";
  if (value === undefined || value === "") {
    throw new TypeError(cannotUse(rawName, option ? expected(option) : "a value", "nothing"));
  }
  if (isText && !token.inlineValue && value.startsWith("-")) {
    throw new TypeError(
      `Cannot use ${rawName} without a value: write ${rawName}=VALUE ` +
        "if the value begins with a dash",
    );
  }
  return option === undefined ? value : parseValue(option, value, rawName);
}

function unknownFlag(written: string): string {
  const name = nearest(written, NAMES.keys());
  const meant = name === undefined
    ? " (--help lists them all)"
    : `, did you mean --${NAMES.get(name)}?`;
  return `Cannot use flag ${show(written)}: there is no such flag${meant}`;
}

function strayArgument(argument: string): string {
  const name = argument.split("=")[0];
  const meant = FLAGS.has(name) ? `, did you mean --${name}?` : " (--help lists all flags)";
  return `Cannot use argument ${show(argument)}: every argument is a flag or its value${meant}`;
}
