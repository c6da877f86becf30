import type { Scenario } from "../scenario.ts";
import { CRASHES } from "./crashes.ts";
import { FAILOVER } from "./failover.ts";
import { REDIS } from "./redis.ts";
import { SETTLING } from "./settling.ts";

/** Every scenario, by its name. */
export const SCENARIOS: ReadonlyMap<string, Scenario> = new Map(
  [...CRASHES, ...REDIS, ...FAILOVER, ...SETTLING].map((it) => [it.name, it]),
);
