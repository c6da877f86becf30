import { assertEquals, assertStringIncludes } from "@std/assert";
import { doubtsOf } from "../../server/options/doubts.ts";
import { type GatewayOptions, resolveOptions } from "../../server/options/options.ts";

function doubts(options: GatewayOptions, isProtected = true): string[] {
  return doubtsOf(resolveOptions(options), isProtected);
}

Deno.test("doubts: none on this machine, or with TLS and limits, or behind a proxy that is named", () => {
  assertEquals(doubts({}, false), []);
  const tls = { cert: "cert.pem", key: "key.pem" };
  assertEquals(doubts({ host: "0.0.0.0", websocket: "ws", tls }), []);
  assertEquals(doubts({ host: "0.0.0.0", trustProxy: ["10.0.0.1"] }), []);
});

Deno.test("doubts: where others can connect, what they can read and what is not limited", () => {
  const [encryption, limits, ...more] = doubts({ host: "0.0.0.0" });
  assertStringIncludes(encryption, "without TLS");
  assertStringIncludes(limits, "'websocket' to 'ws'");
  assertEquals(more, []);
});

Deno.test("doubts: pages of any origin where nobody shows a token", () => {
  const push = { allowedOrigins: ["*"] };
  assertEquals(doubts({ push }).length, 0);
  assertStringIncludes(doubts({ push }, false)[0], "Any page");
});
