import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatRecord } from "../../server/logging/format.ts";
import type { LogFormat, LogRecord } from "../../server/logging/record.ts";
import { keptLog } from "./records.ts";

const SEED = 20260807;
const FORMATS: readonly LogFormat[] = ["text", "json"];
const DANGEROUS = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

function recordOf(host: string): LogRecord {
  const { log, records } = keptLog();
  log.write("host.refused", { code: "host_not_allowed", host, count: 3 });
  return records[0];
}

Deno.test("text has time, level, name, sentence and fields; what is not plain is quoted", () => {
  const record: LogRecord = { ...recordOf('push.example" level=error'), time: 0 };
  assertEquals(
    formatRecord(record, "text"),
    "1970-01-01T00:00:00.000Z warn  host.refused: A request named a host that is not this gateway's." +
      ' code=host_not_allowed host="push.example\\" level=error" count=3',
  );
});

Deno.test("JSON has the same, and reads back as it was", () => {
  const host = 'a"b\\c\u2028d\u009be\u202ef';
  const record: LogRecord = { ...recordOf(host), time: 0 };
  assertEquals(JSON.parse(formatRecord(record, "json")), {
    time: "1970-01-01T00:00:00.000Z",
    level: "warn",
    event: "host.refused",
    message: "A request named a host that is not this gateway's.",
    code: "host_not_allowed",
    host,
    count: 3,
  });
});

Deno.test(`no field begins a line, moves a cursor or turns text around (seed ${SEED})`, () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 400 }),
    fc.array(
      fc.constantFrom(
        ..."\n\r\t\0\x1b[31m\x07\x7f\x85\x9b2J\u2028\u2029\u200b\u202e\u2066\ufeff\ud800\udc00",
        "\u{e0041}",
        "\u{1d173}",
        '"',
        "\\",
        " level=error ",
        '","level":"error',
      ),
      { maxLength: 300 },
    ).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(hostile, hostile, (host, detail) => {
      const { log, records } = keptLog();
      log.write("host.refused", { host, detail });
      for (const format of FORMATS) {
        const line = formatRecord(records[0], format);
        assert(!DANGEROUS.test(line), `${format}: ${JSON.stringify(line)}`);
        assertEquals(line.split(/[\r\n]/).length, 1);
      }
      const read = JSON.parse(formatRecord(records[0], "json"));
      assertEquals([read.event, read.level], ["host.refused", "warn"]);
      assertEquals([read.host, read.detail], [records[0].fields.host, records[0].fields.detail]);
    }),
    { seed: SEED, numRuns: 1_000 },
  );
});

Deno.test("a clock that tells no date is no reason to fail", () => {
  const record: LogRecord = { ...recordOf("a"), time: 1e300 };
  for (const format of FORMATS) assert(formatRecord(record, format).includes("1e+300"), format);
});
