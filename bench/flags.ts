/** Reads the command line of a benchmark. */
import { parseArgs } from "node:util";

/**
 * Flags that are whole numbers from 1 up, by their names. `--help` prints the text and ends the
 * process; a wrong command line ends it with status 2.
 *
 * @param help what `--help` prints
 * @param defaults the flags, and what they are where they are not given
 */
export function readFlags<Name extends string>(
  help: string,
  defaults: Readonly<Record<Name, number>>,
): Record<Name, number> {
  const names = Object.keys(defaults) as Name[];
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        ...Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
      },
    });
    if (values.help) {
      console.log(help.trimEnd());
      Deno.exit(0);
    }
    const given: { readonly [name: string]: string | boolean | undefined } = values;
    const flags: Record<Name, number> = { ...defaults };
    for (const name of names) {
      if (given[name] !== undefined) flags[name] = whole(name, given[name]);
    }
    return flags;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${help.trimEnd()}`);
    Deno.exit(2);
  }
}

function whole(name: string, text: string | boolean): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new RangeError(`Cannot read '--${name}': must be a whole number from 1 up, is '${text}'`);
}
