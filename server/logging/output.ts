import { formatRecord } from "./format.ts";
import type { LogFormat, LogSink } from "./record.ts";

/**
 * Writes lines to the standard error.
 *
 * @param format default: `text` on a terminal, `json` elsewhere
 */
export function standardError(format: LogFormat | undefined): LogSink {
  const chosen = format ?? (Deno.stderr.isTerminal() ? "text" : "json");
  return (record) => console.error(formatRecord(record, chosen));
}
