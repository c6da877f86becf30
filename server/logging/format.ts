/**
 * A record as one line of text or JSON. Whatever a field holds, the line has no control characters,
 * no line ends, and nothing that moves a cursor or turns text around.
 *
 * @module
 */
import type { LogFormat, LogRecord } from "./record.ts";

/**
 * What JSON leaves as it is, and a terminal or a reader of lines obeys: control characters, marks of
 * direction and other invisible ones, line and paragraph separators, halves of characters.
 */
const OBEYED = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** Needs no quotes. */
const PLAIN = /^[\w.:@+/-]+$/;

/** Writes a record as one line, without its end. */
export function formatRecord(record: LogRecord, format: LogFormat): string {
  return format === "json" ? asJson(record) : asText(record);
}

function asJson({ time, level, event, message, fields }: LogRecord): string {
  return quoted({ time: isoTime(time), level, event, message, ...fields });
}

function asText({ time, level, event, message, fields }: LogRecord): string {
  const named = Object.entries(fields).map(([name, value]) => ` ${name}=${shown(value)}`);
  return `${isoTime(time)} ${level.padEnd(5)} ${event}: ${message}${named.join("")}`;
}

function shown(value: unknown): string {
  return typeof value === "string" && PLAIN.test(value) ? value : quoted(value);
}

/** JSON in which everything that is obeyed is escaped, too. */
function quoted(value: unknown): string {
  return JSON.stringify(value).replace(OBEYED, escaped);
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}

function isoTime(time: number): string {
  // Of a clock that tells no date.
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
