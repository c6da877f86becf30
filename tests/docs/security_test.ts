import { assert, assertEquals } from "@std/assert";
import { CODES } from "@push/client/protocol";
import { LINES_PER_EVENT } from "../../server/logging/floods.ts";
import { MAX_FIELD } from "../../server/logging/clean.ts";
import { LOG_EVENTS } from "../../server/logging/events.ts";
import { OPTION_BY_PATH, OPTIONS } from "../../server/options/table.ts";
import { codeBlocks } from "./blocks.ts";

const SECURITY = await Deno.readTextFile(new URL("../../SECURITY.md", import.meta.url));

/** What stands in backticks in a part of the document. */
function quoted(from: string, to: string): string[] {
  const start = SECURITY.indexOf(`\n## ${from}\n`);
  const part = SECURITY.slice(start, SECURITY.indexOf(`\n## ${to}\n`));
  assert(start > 0 && part.length > 0, `SECURITY.md has lost '${from}'`);
  return [...part.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text);
}

Deno.test("every flag that SECURITY.md names is one of the command, or of Deno", () => {
  const flags = new Set(OPTIONS.flatMap(({ flag }) => [flag, `no-${flag}`]));
  const ofDeno = /^(allow-[a-z]+|no-prompt|ignore-env|unstable-kv)$/;
  const ofCommand = new Set(["config", "version"]);
  for (const [, flag] of SECURITY.matchAll(/(?<![\w-])--([a-z][a-z-]*[a-z])/g)) {
    assert(flags.has(flag) || ofDeno.test(flag) || ofCommand.has(flag), `--${flag}`);
  }
});

Deno.test("every limit in SECURITY.md is an option, every code is one, and none is left out", () => {
  const words = quoted("Limits", "Two WebSockets");
  const paths = words.filter((word) => OPTION_BY_PATH.has(`push.limits.${word}`));
  const codes = words.filter((word) => Object.hasOwn(CODES, word));
  const others = words.filter((word) => !paths.includes(word) && !codes.includes(word));
  const known = ["push.limits", "/metrics", "push.delivery.maxChannelBytes", "maxStoreBytes"];
  assertEquals(
    others.filter((word) => !/^(--|trustProxy)/.test(word) && !known.includes(word)),
    [],
  );
  const missing = OPTIONS.filter(({ path }) => path.startsWith("push.limits."))
    .map(({ path }) => path.slice("push.limits.".length))
    .filter((name) => !paths.includes(name));
  assertEquals(missing, ["idleTimeout"]);
  const limits = Object.keys(CODES).filter((code) => /^too_many_|_too_large$/.test(code));
  assertEquals(limits.filter((code) => !codes.includes(code) && code !== "too_many_sessions"), []);
});

Deno.test("every event that SECURITY.md names is logged, and its figures are the real ones", () => {
  const names = quoted("Logs", "Attacks").filter((word) => /^[a-z]+\.[a-z]+$/.test(word));
  assert(names.length >= 10);
  assertEquals(names.filter((name) => !Object.hasOwn(LOG_EVENTS, name)), []);
  assert(SECURITY.includes(`at most ${LINES_PER_EVENT} in a second`));
  assert(SECURITY.includes(`cut to ${MAX_FIELD} characters`));
  const [example] = codeBlocks(SECURITY, "json").map((text) => JSON.parse(text));
  const [level, message] = LOG_EVENTS[example.event as keyof typeof LOG_EVENTS];
  assertEquals([example.level, example.message], [level, message]);
});
