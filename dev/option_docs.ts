/**
 * Writes the tables of options into a document, between two markers, or checks that they are there
 * as the gateway has them:
 *
 *     deno run -A dev/option_docs.ts --write|--check README.md
 *
 * @module
 */
import { type Option, OPTION_GROUPS, type OptionGroup } from "../server/options/option.ts";
import { formatDefault, sentence, unitAndRange } from "../server/options/facts.ts";
import { OPTIONS } from "../server/options/table.ts";

const BEGIN = "<!-- options -->";
const END = "<!-- /options -->";

/** The options as Markdown: a table for each group, formatted as `deno fmt` would. */
export function renderOptionsTable(): string {
  const groups = (Object.keys(OPTION_GROUPS) as OptionGroup[]).map((group) => {
    const options = OPTIONS.filter((option) => option.group === group);
    return `**${OPTION_GROUPS[group]}**\n\n${table(options)}`;
  });
  return [variables(), ...groups].join("\n\n");
}

/**
 * The document with the tables as they should be.
 *
 * @throws {TypeError} if it does not have the two markers, each once and in order
 */
export function withOptionsTable(document: string): string {
  const [before, rest, ...again] = document.split(BEGIN);
  const [, after, ...more] = (rest ?? "").split(END);
  if (after === undefined || again.length + more.length > 0 || before.includes(END)) {
    throw new TypeError(`Cannot find one place between ${BEGIN} and ${END} in the document`);
  }
  return `${before}${BEGIN}\n\n${renderOptionsTable()}\n\n${END}${after}`;
}

function variables(): string {
  const named = (flag: string) => `PUSH_${flag.toUpperCase().replaceAll("-", "_")}`;
  const others = OPTIONS.filter(({ flag, variable }) => variable !== named(flag))
    .map(({ flag, variable }) => `; that of \`--${flag}\` is \`${variable}\``);
  return "The variable of a flag is `PUSH_` and its name in capitals: `--ack-timeout` is " +
    `\`${named("ack-timeout")}\`${others.join("")}.`;
}

function table(options: readonly Option[]): string {
  const head = ["Option", "Flag", "Default", "Meaning"];
  const rows = options.map((option) => {
    const { path, type, flag, description } = option;
    const written = type === "boolean" ? `\`--${flag}\`, \`--no-${flag}\`` : `\`--${flag}\``;
    const meaning = `${description} ${sentence(unitAndRange(option))}`.trim();
    return [`\`${path}\``, written, defaultOf(option), meaning];
  });
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((cells) => cells[i].length))
  );
  const line = (cells: string[]) => `| ${cells.map((it, i) => it.padEnd(widths[i])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function defaultOf(option: Option): string {
  const [value, ...more] = formatDefault(option, option.default).split(" (");
  if (option.default === undefined) return "none";
  const command = option.commandDefault === undefined
    ? []
    : [`command: \`${option.commandDefault}\`)`];
  return [`\`${value}\``, ...more, ...command].join(" (");
}

if (import.meta.main) {
  const [task, file = "README.md"] = Deno.args;
  if (task !== "--write" && task !== "--check") {
    console.error("Usage: deno run -A dev/option_docs.ts --write|--check [README.md]");
    Deno.exit(2);
  }
  const found = await Deno.readTextFile(file);
  const wanted = withOptionsTable(found);
  if (task === "--write") {
    await Deno.writeTextFile(file, wanted);
  } else if (found !== wanted) {
    console.error(`${file} shows other options than there are: run dev/option_docs.ts --write`);
    Deno.exit(1);
  }
}
