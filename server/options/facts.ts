/**
 * Unit, range and default of an option in words: the same in the documentation comments, the help
 * text and the README.
 *
 * @module
 */
import type { Option, OptionValue } from "./option.ts";

const DAY = 86_400;
const BYTE_UNITS: readonly [size: number, unit: string][] = [
  [1024 ** 3, "GiB"],
  [1024 ** 2, "MiB"],
  [1024, "KiB"],
];

/** What an option takes and what it is without being given: `Seconds, 1 to 9; default 5.` */
export function facts(option: Option, fallback: OptionValue | undefined = option.default): string {
  const value = fallback === undefined
    ? "no default"
    : `default ${formatDefault(option, fallback)}`;
  return sentence([unitAndRange(option), value].filter((part) => part !== "").join("; "));
}

/** A default as people read it: `86400 (1 day)`, `none`. */
export function formatDefault(option: Option, value: OptionValue | undefined): string {
  if (value === undefined) return "none";
  if (typeof value === "string") return `"${value}"`;
  if (typeof value === "number") {
    const size = option.type === "bytes" ? formatBytes(value) : undefined;
    if (size?.endsWith("iB")) return `${value} (${size})`;
    const days = option.type === "seconds" ? value / DAY : 0;
    if (days >= 1) return `${value} (${days} ${days === 1 ? "day" : "days"})`;
  }
  return String(value);
}

/** Unit and range of an option: `seconds, 1 to 9`; empty if it has none. */
export function unitAndRange(option: Option): string {
  const { type, unit, values } = option;
  const range = option.range?.map((end) => type === "bytes" ? formatBytes(end) : end).join(" to ");
  switch (type) {
    case "seconds":
    case "bytes":
      return `${type}, ${range}`;
    case "integer":
    case "number":
      return unit === undefined ? range! : `${unit}, ${range}`;
    case "enum":
      return values!.map((value) => `"${value}"`).join(", ");
    case "networks":
    case "rules":
    case "tokens":
    case "algorithms":
    case "hosts":
    case "origins":
      return type;
    default:
      return "";
  }
}

/** Words as a sentence. */
export function sentence(words: string): string {
  return words === "" ? "" : `${words[0].toUpperCase()}${words.slice(1)}.`;
}

function formatBytes(value: number): string {
  const fit = BYTE_UNITS.find(([size]) => value >= size && value % size === 0);
  if (fit === undefined) return value === 0 ? "0" : `${value} B`;
  return `${value / fit[0]} ${fit[1]}`;
}
