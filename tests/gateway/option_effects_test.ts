import { assertEquals } from "@std/assert";
import { OPTIONS } from "../../server/options/table.ts";
import { DELIVERY } from "./effects/delivery.ts";
import { LIMITS } from "./effects/limits.ts";
import { POLLING } from "./effects/polling.ts";
import { PRESENCE } from "./effects/presence.ts";
import { REDIS } from "./effects/redis.ts";
import { RETENTION } from "./effects/retention.ts";
import { SERVER } from "./effects/server.ts";
import { SSE } from "./effects/sse.ts";

const EFFECTS = {
  ...SERVER,
  ...PRESENCE,
  ...DELIVERY,
  ...RETENTION,
  ...SSE,
  ...POLLING,
  ...REDIS,
  ...LIMITS,
};

for (const [path, { says, run }] of Object.entries(EFFECTS)) Deno.test(`${path}: ${says}`, run);

Deno.test("every option has a test of its effect", () => {
  const paths = OPTIONS.map(({ path }) => path);
  assertEquals(Object.keys(EFFECTS).sort(), paths.sort());
});
