/**
 * What is known of an option.
 *
 * @module
 */

/** Value of an option: durations in seconds. */
export type OptionValue = boolean | number | string | readonly string[] | readonly OptionRecord[];

/** An entry of a list of objects. */
export type OptionRecord = { readonly [name: string]: unknown };

/** Kind of value that an option takes. */
export type OptionType =
  | "boolean"
  | "integer"
  | "number"
  | "seconds"
  | "bytes"
  | "string"
  | "enum"
  | "host"
  | "path"
  | "redis-url"
  | "addresses"
  | "origins"
  | "networks"
  | "hosts"
  | "secret"
  | "tokens"
  | "rules"
  | "algorithms"
  | "key-url";

/** Part of the help text and the README that an option belongs to. */
export type OptionGroup =
  | "listening"
  | "log"
  | "push"
  | "auth"
  | "presence"
  | "delivery"
  | "sse"
  | "polling"
  | "redis"
  | "limits";

/** An option as the table has it. */
export interface Row {
  path: string;
  type: OptionType;
  /** Absent if there is none. */
  default?: OptionValue;
  /** Default of the command, where it differs from the library's. */
  commandDefault?: OptionValue;
  /** Least and most: of a number, or of the length of a text. */
  range?: readonly [least: number, most: number];
  /** What an `enum` chooses from. */
  values?: readonly string[];
  /** What a number counts, where the type does not say it. */
  unit?: string;
  description: string;
  /** Where it is not made from the path. */
  flag?: string;
  /** Where it is not made from the flag. */
  variable?: string;
}

/** An option. */
export interface Option extends Readonly<Row> {
  readonly group: OptionGroup;
  /** Flag of the command line, without dashes; a boolean has `--no-…` too. */
  readonly flag: string;
  /** Name of the environment variable. */
  readonly variable: string;
}

/** Title of each group, in the order of the help text. */
export const OPTION_GROUPS: Readonly<Record<OptionGroup, string>> = {
  listening: "Listening",
  log: "Log",
  push: "Push",
  auth: "Who may connect",
  presence: "Presence",
  delivery: "Delivery",
  sse: "Server-sent events",
  polling: "Long-polling",
  redis: "Redis (off unless one of these is given, or --store redis)",
  limits: "Limits",
};

/** Adds to a row of the table what follows from its path. */
export function complete(row: Row): Option {
  const flag = row.flag ?? flagOf(row.path);
  const variable = row.variable ?? `PUSH_${flag.toUpperCase().replaceAll("-", "_")}`;
  return { ...row, group: groupOf(row.path), flag, variable };
}

function flagOf(path: string): string {
  const [last, group] = path.split(".").reverse();
  if (last === "enabled") return group;
  const kebab = last.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return group === "redis" ? `redis-${kebab}` : kebab;
}

function groupOf(path: string): OptionGroup {
  const segments = path.split(".");
  if (segments[0] === "log") return "log";
  if (segments[0] !== "push") return "listening";
  return segments.length === 2 ? "push" : segments[1] as OptionGroup;
}

/** Type of an option's value in JavaScript; a list is an array of texts, records one of objects. */
export function jsType(option: Option): "boolean" | "number" | "string" | "list" | "records" {
  switch (option.type) {
    case "boolean":
      return "boolean";
    case "integer":
    case "number":
    case "seconds":
    case "bytes":
      return "number";
    case "networks":
    case "hosts":
    case "origins":
    case "algorithms":
      return "list";
    case "rules":
    case "tokens":
      return "records";
    default:
      return "string";
  }
}
