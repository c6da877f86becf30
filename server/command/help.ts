/**
 * The help text: every flag with what it takes, its range, its default and its variable.
 *
 * @module
 */
import { COMMAND_FLAGS } from "./flags.ts";
import { type Option, OPTION_GROUPS, type OptionGroup } from "../options/option.ts";
import { facts } from "../options/facts.ts";
import { OPTIONS } from "../options/table.ts";

const WIDTH = 80;
const INDENT = " ".repeat(6);

/** The help text of the command. */
export function helpText(): string {
  const groups = (Object.keys(OPTION_GROUPS) as OptionGroup[]).map((group) => {
    const options = OPTIONS.filter((option) => option.group === group);
    return [`${OPTION_GROUPS[group]}:`, ...options.map(ofOption)].join("\n");
  });
  const command = COMMAND_FLAGS.map(({ name, short, takes, variable, description }) =>
    entry(
      [short === undefined ? "" : `-${short},`, `--${name}`, takes ?? ""],
      variable,
      description,
    )
  );
  return [
    wrap(
      "Starts a Push gateway: channels, presence and at-least-once delivery over WebSocket and " +
        "long-polling.",
    ),
    "Usage: deno run -A jsr:@push/gateway [flags]",
    ["Command:", ...command].join("\n"),
    ...groups,
    wrap(
      "Later ones win: defaults, --config, environment variables (an empty one counts as not " +
        "set), flags. Durations are in seconds, fractions allowed; bytes may be written as " +
        "64KiB, 1MiB, 1GiB. Other users of this machine may see flags: give secrets as variables.",
    ),
  ].join("\n\n");
}

function ofOption(option: Option): string {
  const { type, flag, description, variable, commandDefault } = option;
  const written = type === "boolean" ? [`--${flag}, --no-${flag}`] : [`--${flag}`, takes(option)];
  const text = `${description.replaceAll("`", "")} ${facts(option, commandDefault)}`;
  return entry(written, variable, text);
}

function entry(flag: string[], variable: string | undefined, text: string): string {
  const head = [...flag, variable === undefined ? "" : `[${variable}]`];
  return `  ${head.filter((part) => part !== "").join(" ")}\n${wrap(text, INDENT)}`;
}

/** Breaks a text into lines between words. */
function wrap(text: string, indent = ""): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = `${lines.at(-1) ?? ""} ${word}`;
    if (lines.length === 0) lines.push(indent + word);
    else if (line.length <= WIDTH) lines[lines.length - 1] = line;
    else lines.push(indent + word);
  }
  return lines.join("\n");
}

function takes({ type, values }: Option): string {
  switch (type) {
    case "enum":
      return values!.join("|");
    case "integer":
    case "number":
      return "N";
    case "redis-url":
      return "URL";
    case "addresses":
      return "HOST:PORT,…";
    case "tokens":
      return "JSON";
    case "algorithms":
      return "NAME,…";
    case "key-url":
      return "URL";
    case "networks":
      return "ADDRESS,…";
    case "hosts":
      return "HOST,…";
    case "origins":
      return "ORIGIN,…";
    case "string":
      return "TEXT";
    default:
      return type.toUpperCase();
  }
}
