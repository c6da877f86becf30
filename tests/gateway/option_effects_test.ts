import { assertEquals } from "@std/assert";
import { OPTIONS } from "../../server/options/table.ts";
import { AUTH } from "./effects/auth.ts";
import { DELIVERY } from "./effects/delivery.ts";
import { LIMITS } from "./effects/limits.ts";
import { POLLING } from "./effects/polling.ts";
import { PRESENCE } from "./effects/presence.ts";
import { RATES } from "./effects/rates.ts";
import { REDIS } from "./effects/redis.ts";
import { RETENTION } from "./effects/retention.ts";
import { RULES } from "./effects/rules.ts";
import { SERVER } from "./effects/server.ts";
import { SSE } from "./effects/sse.ts";
import { TRANSPORT } from "./effects/transport.ts";

const EFFECTS = {
  ...SERVER,
  ...TRANSPORT,
  ...RULES,
  ...AUTH,
  ...PRESENCE,
  ...DELIVERY,
  ...RETENTION,
  ...SSE,
  ...POLLING,
  ...REDIS,
  ...LIMITS,
  ...RATES,
};

for (const [path, { says, run }] of Object.entries(EFFECTS)) Deno.test(`${path}: ${says}`, run);

Deno.test("every option has a test of its effect", () => {
  const paths = OPTIONS.map(({ path }) => path);
  assertEquals(Object.keys(EFFECTS).sort(), paths.sort());
});
