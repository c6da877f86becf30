import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { MAX_FIELD } from "../../server/logging/clean.ts";
import { LOG_EVENTS, type LogEvent } from "../../server/logging/events.ts";
import { LINES_PER_EVENT } from "../../server/logging/floods.ts";
import { Log } from "../../server/logging/log.ts";
import type { LogLevel, LogThreshold } from "../../server/logging/record.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { keptLog } from "./records.ts";

const EVENTS = Object.keys(LOG_EVENTS) as LogEvent[];

Deno.test("a log writes the events of its level and of those that matter more, and no others", () => {
  const levels: LogLevel[] = ["debug", "info", "warn", "error"];
  const thresholds: LogThreshold[] = [...levels, "off"];
  for (const [rank, threshold] of thresholds.entries()) {
    const { log, records } = keptLog(threshold);
    for (const event of EVENTS) log.write(event);
    const expected = EVENTS.filter((event) => levels.indexOf(LOG_EVENTS[event][0]) >= rank);
    assertEquals(records.map(({ event }) => event), expected, threshold);
    assertEquals(log.isDebugging, threshold === "debug");
  }
});

Deno.test("a record tells time, level, name, sentence and the fields that there are", () => {
  const { log, clock, records } = keptLog();
  log.write("store.opened", { store: "kv", node: undefined });
  assertEquals(records, [{
    time: clock.now(),
    level: "info",
    event: "store.opened",
    message: "The store is open.",
    fields: { store: "kv" },
  }]);
});

Deno.test("every event has a name of two words and a sentence", () => {
  for (const [event, [, message]] of Object.entries(LOG_EVENTS)) {
    assert(/^[a-z]+\.[a-z]+$/.test(event), event);
    assert(/^[A-Z].*\.$/.test(message), message);
  }
});

Deno.test("a flood of one event is cut, counted once a second, and drowns no other", async () => {
  const { log, clock, records } = keptLog();
  for (let i = 0; i < LINES_PER_EVENT + 7; i++) log.write("identity.refused", { count: i });
  log.write("gateway.listening");
  assertEquals(records.length, LINES_PER_EVENT + 1);
  assertEquals(records.at(-1)!.event, "gateway.listening");

  await clock.advance(1_000);
  assertEquals(records.at(-1)!.event, "log.omitted");
  assertEquals(records.at(-1)!.fields, { about: "identity.refused", count: 7 });
  const before = records.length;
  log.write("identity.refused");
  assertEquals(records.length, before + 1);
  await clock.advance(10_000);
  assertEquals(records.length, before + 1, "what was told is told again");
});

Deno.test("below the limit an event may come every second for ever", async () => {
  const { log, clock, records } = keptLog();
  for (let second = 1; second <= 5; second++) {
    for (let i = 0; i < LINES_PER_EVENT; i++) log.write("limit.hit");
    await clock.advance(1_000);
    assertEquals(records.length, second * LINES_PER_EVENT);
  }
  assert(records.every(({ event }) => event === "limit.hit"));
});

Deno.test("closing a log tells what was left out, and leaves no timer", async () => {
  const { log, clock, records } = keptLog();
  for (let i = 0; i < LINES_PER_EVENT + 3; i++) log.write("frame.failed");
  log.close();
  assertEquals(records.at(-1)!.fields, { about: "frame.failed", count: 3 });
  const { length } = records;
  await clock.advance(5_000);
  assertEquals(records.length, length);
});

Deno.test("a sink that throws harms nobody", () => {
  const sink = () => {
    throw new Error("the disk is full");
  };
  const log = new Log({ clock: new ManualClock(), level: "debug", sink });
  log.write("gateway.listening");
  log.failure("request.failed", new Error("x"));
  log.close();
});

Deno.test("what was thrown is told by name and message; its stack only at level debug", () => {
  const error = new RangeError("too far");
  const info = keptLog("info");
  info.log.failure("request.failed", error, { path: "/ws" });
  assertEquals(info.records[0].fields, { path: "/ws", error: "RangeError: too far" });

  const debug = keptLog("debug");
  debug.log.failure("request.failed", error);
  const { stack } = debug.records[0].fields;
  assertStringIncludes(stack!, "at ");
  assertStringIncludes(stack!, "log_test.ts");
});

Deno.test("what a parser could not read is not quoted, neither in the message nor in the stack", () => {
  const { log, records } = keptLog("debug");
  try {
    JSON.parse('{"balance": confidential-4711}');
  } catch (error) {
    log.failure("frame.failed", error);
  }
  log.failure("frame.failed", "confidential-4711");
  log.failure("frame.failed", { balance: "confidential-4711" });
  assertEquals(records.map(({ fields }) => fields.error), ["SyntaxError", "string", "object"]);
  assert(!JSON.stringify(records).includes("4711"), JSON.stringify(records));
});

Deno.test("secrets that hide in texts are masked", () => {
  const { log, records } = keptLog("debug", ["s3cret-of-the-gateway", "pw"]);
  const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
  const texts = [
    "connect to redis://ann:hunter2hunter2@redis.example:6379 failed",
    "GET /ws?token=abcdef0123456789&client_id=ann",
    "GET /ws?client_id=ann&ticket=abcdef0123456789",
    "Authorization: Bearer abcdef0123456789",
    "authorization=Basic YWJjZGVmOjAxMjM0NTY3ODk=",
    '{"auth_token":"abcdef0123456789","poll_token": "abcdef0123456789"}',
    "secret = abcdef0123456789",
    "Cookie: abcdef0123456789",
    `verifying ${jwt} failed`,
    "it was s3cret-of-the-gateway all along",
  ];
  for (const detail of texts) log.write("store.doubtful", { detail });
  log.failure("request.failed", new Error(texts.join(" ")));
  const written = JSON.stringify(records);
  for (
    const secret of ["hunter2", "abcdef0123456789", "YWJjZGVm", "eyJ", "c2ln", "s3cret-of"]
  ) assert(!written.includes(secret), `${secret} in ${written}`);
  assertStringIncludes(records[0].fields.detail!, "redis.example:6379");
  assertStringIncludes(records[1].fields.detail!, "client_id=ann");
});

Deno.test("a field is cut to a length, whatever it holds", () => {
  const { log, records } = keptLog();
  log.write("host.refused", { host: "x".repeat(1_000_000) });
  log.failure("request.failed", new Error("y".repeat(1_000_000)));
  assertEquals(records.map(({ fields: { host, error } }) => (host ?? error)!.length), [
    MAX_FIELD,
    MAX_FIELD,
  ]);
});
