/**
 * The table of what attacks came to, and where it stands.
 *
 * @module
 */
import type { Attack } from "./attack.ts";
import type { Outcome } from "./siege.ts";

/** Most MiB of memory that a gateway may have under an attack that names no other bound. */
export const MOST_MEMORY = 512;
/** Most times its quiet value that the p99 of others may become. */
export const MOST_RATIO = 10;

/** Where the table stands in a document. */
const BEGIN = "<!-- attacks -->";
const END = "<!-- /attacks -->";

/** One attack on one transport. */
export interface Row {
  readonly attack: Attack;
  /** Name of the WebSocket transport. */
  readonly transport: string;
  readonly outcome: Outcome;
}

/** What was not held, in words; empty if everything was. */
export function broken({ attack, outcome }: Row): string[] {
  const { memory, quiet, attacked, noticed, survived } = outcome;
  const found: string[] = [];
  if (!survived) found.push("the gateway did not survive");
  if (noticed.broken !== undefined) found.push(noticed.broken);
  if (noticed.lost > 0) found.push(`${noticed.lost} messages of others did not come`);
  if (noticed.newcomers.refused > 0) found.push(`${noticed.newcomers.refused} newcomers refused`);
  const most = attack.memory ?? MOST_MEMORY;
  if (memory.peak > most) found.push(`memory above ${most} MiB`);
  if (attacked.p99 > MOST_RATIO * quiet.p99) found.push(`p99 above ${MOST_RATIO} ×`);
  return found;
}

/** Whether a row is as it should be, or known not to be. */
export function isExpected(row: Row): boolean {
  return broken(row).length === 0 || isKnown(row);
}

/** The table in Markdown. */
export function tableOf(rows: readonly Row[]): string {
  const head = [
    "attack",
    "transport",
    "memory before → peak",
    "p99 of others quiet → attacked",
    "how the attacker ended",
    "held",
  ];
  const lines = rows.map((row) => {
    const { attack, transport, outcome: { memory, quiet, attacked, ending } } = row;
    return [
      attack.says,
      `\`${transport}\``,
      `${memory.before.toFixed(0)} → ${memory.peak.toFixed(0)} MiB`,
      `${quiet.p99.toFixed(1)} → ${attacked.p99.toFixed(1)} ms (${
        (attacked.p99 / quiet.p99).toFixed(1)
      } ×)`,
      ending,
      verdict(row),
    ];
  });
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

/** A document with the table in its place. @throws {Error} if it has none */
export function withTable(document: string, table: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`There is no place between ${BEGIN} and ${END}`);
  return `${document.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${document.slice(end)}`;
}

function isKnown({ attack, transport }: Row): boolean {
  return transport === "deno" && attack.unheld !== undefined;
}

function verdict(row: Row): string {
  const found = broken(row);
  const { noticed: { sent, newcomers } } = row.outcome;
  const all = `all ${sent} messages and ${newcomers.letIn} newcomers came through`;
  if (found.length === 0) return `yes: ${all}`;
  const why = isKnown(row) ? `; ${row.attack.unheld}` : "";
  return `**no**: ${found.join(", ")}${why}`;
}
