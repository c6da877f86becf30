import { Log } from "../../server/logging/log.ts";
import type { LogRecord, LogThreshold } from "../../server/logging/record.ts";
import { ManualClock } from "../../server/testing/mod.ts";

/** A log under a manual clock, and what it wrote. */
export interface Written {
  readonly clock: ManualClock;
  readonly log: Log;
  readonly records: LogRecord[];
}

/** A log that is kept. */
export function keptLog(level: LogThreshold = "debug", secrets: readonly string[] = []): Written {
  const clock = new ManualClock();
  const records: LogRecord[] = [];
  const log = new Log({ clock, level, secrets, sink: (record) => records.push(record) });
  return { clock, log, records };
}
