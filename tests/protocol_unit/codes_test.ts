import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  actionOf,
  type Code,
  codeOfClose,
  CODES,
  isCode,
  mayReturn,
  PushError,
} from "@push/client/protocol";
import { loadedBy, readEdges } from "../house/graph.ts";

const codes = Object.entries(CODES) as [Code, typeof CODES[Code]][];
const closing = codes.filter(([, { close }]) => close !== undefined);

Deno.test("close codes: 4000 to 4499 come back, 4500 to 4999 stay away, as 'retry' says", () => {
  for (const [code, { retry, close }] of closing) {
    assert(Number.isInteger(close) && close! >= 4000 && close! <= 4999, `${code}: ${close}`);
    assertEquals(close! < 4500, retry, code);
    assertEquals(mayReturn(close!), retry, code);
  }
});

Deno.test("close codes: each has one number, and each number one code", () => {
  const numbers = closing.map(([, { close }]) => close);
  assertEquals(new Set(numbers).size, numbers.length);
  for (const [code, { close }] of closing) assertEquals(codeOfClose(close!), code);
  assertEquals([codeOfClose(1000), codeOfClose(4999), codeOfClose(NaN)], [
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("close codes: those that the contract names lie where it says", () => {
  assertEquals(mayReturn(CODES.token_expired.close!), true);
  assertEquals(mayReturn(CODES.token_invalid.close!), false);
  assertEquals(mayReturn(CODES.replaced.close!), false);
  assertEquals(mayReturn(CODES.slow_consumer.close!), true);
  assertEquals(mayReturn(CODES.going_away.close!), true);
});

Deno.test("mayReturn() takes every code that is not in our range as a reason to come back", () => {
  for (const close of [1000, 1001, 1005, 1006, 1011, 1015, 3000, 4499, 5000]) {
    assert(mayReturn(close), String(close));
  }
  for (const close of [4500, 4999]) assert(!mayReturn(close), String(close));
});

Deno.test("every code has a name, a status, and two sentences", () => {
  for (const [code, { status, retry, text, action }] of codes) {
    assertMatch(code, /^[a-z]+(_[a-z]+)*$/);
    assertMatch(text, /^[A-Z].*\.$/, code);
    assertMatch(action, /^[A-Z][^\n]*$/, code);
    assert(status === 0 || (status >= 400 && status <= 599), code);
    // What a client may repeat as it is must not look like its own fault.
    if (retry) assert(![400, 403, 405, 413].includes(status), code);
    if (!retry) assert(![408, 429, 503].includes(status), code);
  }
});

Deno.test("isCode() knows the table and nothing that every object has", () => {
  for (const [code] of codes) assert(isCode(code));
  for (const wrong of ["", "toString", "__proto__", "constructor", "BAD_FRAME", 400, null]) {
    assertEquals(isCode(wrong), false);
  }
});

Deno.test("what a client says to do is short: a class of what to do, or where that would mislead, more", () => {
  assertEquals(actionOf("rate_limited"), "Try again later.");
  assertEquals(actionOf("message_too_large"), "Correct it first.");
  assertEquals(actionOf("token_expired"), "Pass a valid authToken.");
  for (const code of ["replaced", "outcome_unknown", "gap", "disconnected"] as const) {
    assert(!/again later|Correct/.test(actionOf(code)), code);
  }
});

Deno.test("without the sentences of the gateway a text is the code and what to do", async () => {
  const alone: typeof import("../../client/protocol/codes.ts") = await import(
    "../../client/protocol/codes.ts?alone"
  );
  assertEquals(alone.textOf("outbox_full"), "outbox_full: Try again later.");
});

Deno.test("no client loads the sentences of the gateway, nor its codec", async () => {
  const root = new URL("../../", import.meta.url);
  const edges = await readEdges(root, ["client/mod.ts"]);
  const loaded = loadedBy("client/mod.ts", edges);
  assert(loaded.includes("client/protocol/codes.ts"));
  for (const file of ["meanings", "codec", "mod"]) {
    assert(!loaded.includes(`client/protocol/${file}.ts`), file);
  }
});

Deno.test("PushError says what its code means", () => {
  for (const [code, { retry, text }] of codes) {
    const error = new PushError(code);
    assertEquals(
      [error.code, error.retry, error.message, error.action, error.name],
      [code, retry, text, actionOf(code), "PushError"],
    );
  }
  const cause = new Error("why");
  const error = new PushError("unavailable", "The disk is full.", { cause });
  assertEquals([error.message, error.cause], ["The disk is full.", cause]);
  assert(error instanceof Error);
});
