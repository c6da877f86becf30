/**
 * Writes the table of codes into PROTOCOL.md, between two markers, or checks that it is there as the
 * source has it:
 *
 *     deno run -A dev/protocol_docs.ts --write|--check [PROTOCOL.md]
 *
 * @module
 */
import { CODES } from "@push/client/protocol";

const BEGIN = "<!-- codes -->";
const END = "<!-- /codes -->";

/** The codes as a Markdown table, formatted as `deno fmt` would. */
export function renderCodesTable(): string {
  const head = ["Code", "Retry", "HTTP", "Close", "What happened", "What to do"];
  const rows = Object.entries(CODES).map(([code, { retry, status, close, text, action }]) => [
    `\`${code}\``,
    retry ? "yes" : "no",
    status === 0 ? "" : `${status}`,
    close === undefined ? "" : `${close}`,
    text,
    action,
  ]);
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((cells) => cells[i].length))
  );
  const line = (cells: string[]) => `| ${cells.map((it, i) => it.padEnd(widths[i])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/**
 * The document with the table as it should be.
 *
 * @throws {TypeError} if it does not have the two markers, each once and in order
 */
export function withCodesTable(document: string): string {
  const [before, rest, ...again] = document.split(BEGIN);
  const [, after, ...more] = (rest ?? "").split(END);
  if (after === undefined || again.length + more.length > 0 || before.includes(END)) {
    throw new TypeError(`Cannot find one place between ${BEGIN} and ${END} in the document`);
  }
  return `${before}${BEGIN}\n\n${renderCodesTable()}\n\n${END}${after}`;
}

if (import.meta.main) {
  const [task, file = "PROTOCOL.md"] = Deno.args;
  if (task !== "--write" && task !== "--check") {
    console.error("Usage: deno run -A dev/protocol_docs.ts --write|--check [PROTOCOL.md]");
    Deno.exit(2);
  }
  const found = await Deno.readTextFile(file);
  const wanted = withCodesTable(found);
  if (task === "--write") {
    await Deno.writeTextFile(file, wanted);
  } else if (found !== wanted) {
    console.error(`${file} shows other codes than there are: run dev/protocol_docs.ts --write`);
    Deno.exit(1);
  }
}
