/** All scenarios, in the order in which they run. */
import type { Scenario } from "../scenario.ts";
import { acks } from "./acks.ts";
import { channels } from "./channels.ts";
import { churn } from "./churn.ts";
import { fanOut } from "./fan_out.ts";
import { idle } from "./idle.ts";
import { latency } from "./latency.ts";
import { nodes } from "./nodes.ts";
import { overload } from "./overload.ts";
import { polling } from "./polling.ts";
import { publishes } from "./publishes.ts";
import { requests } from "./requests.ts";
import { stores } from "./stores.ts";

/** All scenarios. */
export const SCENARIOS: readonly Scenario[] = [
  fanOut,
  channels,
  requests,
  latency,
  acks,
  stores,
  nodes,
  polling,
  publishes,
  idle,
  overload,
  churn,
];
