/**
 * Finds out what the command is to do: defaults, then the configuration file, then the environment,
 * then the command line.
 *
 * @module
 */
import { readConfig } from "./config.ts";
import { reasonOf } from "./error.ts";
import { COMMAND_FLAGS, type GivenOptions, readCommandLine } from "./flags.ts";
import type { World } from "./world.ts";
import { nearest } from "../options/nearest.ts";
import type { OptionValue } from "../options/option.ts";
import { checkTogether, withDefaults } from "../options/rules.ts";
import { OPTION_BY_PATH, OPTIONS } from "../options/table.ts";
import { nestOptions } from "../options/tree.ts";
import { parseValue } from "../options/values.ts";
import { masked, show } from "../options/wording.ts";
import type { GatewayOptions } from "../options/options.ts";

/** What the command is to do. */
export type Plan =
  | { readonly task: "help" | "version" }
  | { readonly task: "print-config"; readonly json: string }
  | { readonly task: "serve"; readonly options: GatewayOptions };

const PREFIX = "PUSH_";
const CONFIG_VARIABLE = COMMAND_FLAGS.find(({ name }) => name === "config")!.variable!;
const OPTION_BY_VARIABLE = new Map(OPTIONS.map((option) => [option.variable, option]));

// What an option is called elsewhere leads to its variable as well: PUSH_AUTH_TOKEN to PUSH_TOKEN.
const VARIABLE_NAMES: ReadonlyMap<string, string> = new Map([
  ...OPTIONS.filter(({ type }) => type !== "boolean")
    .map(({ path, variable }) => [path.split(".").at(-1)!, variable] as const),
  ...[CONFIG_VARIABLE, ...OPTION_BY_VARIABLE.keys()]
    .map((variable) => [variable.slice(PREFIX.length), variable] as const),
]);

/** Every environment variable that the command reads. */
export const VARIABLES: readonly string[] = [CONFIG_VARIABLE, ...OPTION_BY_VARIABLE.keys()];

/**
 * Finds out what the command is to do.
 *
 * @throws {TypeError} or {RangeError}, with one sentence for the person at the terminal
 */
export async function readPlan(args: string[], world: World): Promise<Plan> {
  const line = readCommandLine(args);
  if (line.help) return { task: "help" };
  if (line.version) return { task: "version" };

  const environment = world.environment();
  const config = line.config ?? (environment[CONFIG_VARIABLE] || undefined);
  const given: GivenOptions = new Map([
    ...commandDefaults(),
    ...(config === undefined ? [] : readConfig(config, await readFile(config, world))),
    ...readVariables(environment, world.complain),
    ...line.options,
  ]);
  const values = new Map(given.entries().map(([path, { value }]) => [path, value]));
  checkTogether(
    values,
    (path) => given.get(path)?.subject ?? `--${OPTION_BY_PATH.get(path)!.flag}`,
  );
  return line.printConfig
    ? { task: "print-config", json: printed(values) }
    : { task: "serve", options: nestOptions(values) as GatewayOptions };
}

function* commandDefaults(): Generator<[string, { value: OptionValue; subject: string }]> {
  for (const { path, flag, commandDefault } of OPTIONS) {
    if (commandDefault !== undefined) yield [path, { value: commandDefault, subject: `--${flag}` }];
  }
}

async function readFile(file: string, world: World): Promise<string> {
  try {
    return await world.readTextFile(file);
  } catch (error) {
    throw new TypeError(`Cannot read configuration ${show(file)}: ${reason(error)}`);
  }
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission is denied";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  return reasonOf(error);
}

/** Reads the variables; an empty one counts as not set, as deployments often pass them on so. */
function readVariables(
  environment: Readonly<Record<string, string>>,
  warn: (line: string) => void,
): GivenOptions {
  const given: GivenOptions = new Map();
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || name === CONFIG_VARIABLE || text === "") continue;
    const option = OPTION_BY_VARIABLE.get(name);
    if (option === undefined) {
      const meant = nearest(name.slice(PREFIX.length), VARIABLE_NAMES.keys());
      const hint = meant === undefined ? "" : `, did you mean ${VARIABLE_NAMES.get(meant)}?`;
      warn(`Warning: variable ${show(name).slice(1, -1)} is ignored: no option has it${hint}`);
    } else {
      const subject = `variable ${name}`;
      given.set(option.path, { value: parseValue(option, text, subject), subject });
    }
  }
  return given;
}

/** The options as JSON that `--config` would take, but for the secrets. */
function printed(given: Map<string, OptionValue>): string {
  const shown = withDefaults(given).entries().map(([path, value]) => {
    const option = OPTION_BY_PATH.get(path);
    return [path, value === undefined ? null : masked(option!, value)] as const;
  });
  return JSON.stringify(nestOptions(new Map(shown)), null, 2);
}
