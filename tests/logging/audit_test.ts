import { assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { Audit } from "../../server/logging/audit.ts";
import { keptLog } from "./records.ts";

const WHO = { peer: "192.0.2.7", subject: "ann", clientId: "phone", token: "s3cret-of-ann" };

Deno.test("a refusal is told with its code, who was refused, and what they wanted", () => {
  const { log, records } = keptLog("warn");
  const audit = new Audit(log);
  audit.refused(new PushError("token_invalid"), WHO, "GET /ws");
  audit.refused(new PushError("forbidden"), WHO, "channel.subscribe", "plans");
  audit.refused(new PushError("rate_limited"), WHO, "channel.publish", "plans");
  audit.originRefused("https://evil.example", WHO, "/ws");
  audit.hostRefused("evil.example:8765", WHO, "/ws");
  audit.revoked({ subject: "ann", tokenId: "t1" });
  const who = { peer: "192.0.2.7", subject: "ann", clientId: "phone" };
  assertEquals(records.map(({ event, fields }) => [event, fields]), [
    ["identity.refused", { code: "token_invalid", ...who, action: "GET /ws" }],
    [
      "action.refused",
      { code: "forbidden", ...who, action: "channel.subscribe", channel: "plans" },
    ],
    ["limit.hit", { code: "rate_limited", ...who, action: "channel.publish", channel: "plans" }],
    [
      "origin.refused",
      { code: "origin_not_allowed", ...who, origin: "https://evil.example", path: "/ws" },
    ],
    ["host.refused", { code: "host_not_allowed", ...who, host: "evil.example:8765", path: "/ws" }],
    ["token.revoked", { subject: "ann", tokenId: "t1" }],
  ]);
});

Deno.test("one refusal is told once, however often it is caught on its way", () => {
  const { log, records } = keptLog();
  const audit = new Audit(log);
  const error = new PushError("forbidden");
  audit.refused(error, { subject: "ann" }, "channel.publish", "plans");
  audit.refused(error, {}, "POST /api/push/poll/publish");
  assertEquals(records.map(({ fields }) => fields.subject), ["ann"]);
});

Deno.test("a mistake is no refusal", () => {
  const { log, records } = keptLog();
  const audit = new Audit(log);
  for (const code of ["bad_frame", "not_found", "unavailable", "gap", "internal"] as const) {
    audit.refused(new PushError(code), WHO, "ping");
  }
  audit.refused(new Error("x"), WHO, "ping");
  assertEquals(records, []);
});
