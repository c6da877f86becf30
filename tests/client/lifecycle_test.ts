import { assertEquals, assertStrictEquals } from "@std/assert";
import {
  advance,
  type Effect,
  type Ending,
  IDLE,
  type Input,
  type Policy,
  type State,
} from "../../client/lifecycle.ts";

const POLICY: Policy = { transports: ["websocket", "longpoll"], autoReconnect: true };
const GONE: Ending = { code: "connection_failed", reason: "gone", final: false };
const BUSY: Ending = { code: "going_away", reason: "busy", final: false };
const AWAY: Ending = { code: "replaced", reason: "replaced", final: true };

/** The short form of a state: its name, what it is at, and its code. */
function brief(state: State): string {
  const at = "step" in state
    ? ` ${state.step.at} ${state.step.transport} (${state.tries})`
    : state.name === "connected"
    ? ` ${state.transport}`
    : "";
  return `${state.name}${at}${state.code === undefined ? "" : `: ${state.code}`}`;
}

function effectOf(effect: Effect): string {
  const { type, ...rest } = effect;
  return [type, ...Object.values(rest)].join(" ");
}

/** Runs inputs from the beginning; says what the last one led to. */
function after(inputs: Input[], policy = POLICY): [string, ...string[]] {
  let state: State = IDLE;
  let effects: Effect[] = [];
  for (const input of inputs) [state, effects] = advance(state, input, policy);
  return [brief(state), ...effects.map(effectOf)];
}

const connect: Input = { type: "connect" };
const connected: Input = { type: "connected" };
const elapsed: Input = { type: "elapsed" };
const wake: Input = { type: "wake" };
const failed = (ending: Ending): Input => ({ type: "failed", ending });
const lost = (ending: Ending): Input => ({ type: "lost", ending });
const disconnect: Input = { type: "disconnect", forget: false };

const table: [says: string, inputs: Input[], result: string[], policy?: Policy][] = [
  ["connect() opens the best transport", [connect], ["connecting opening 0 (0)", "open 0"]],
  ["a second connect() changes nothing", [connect, connect], ["connecting opening 0 (0)"]],
  ["an accepted client is connected", [connect, connected], ["connected 0"]],
  [
    "an unreachable transport is followed by the next at once",
    [connect, failed(GONE)],
    ["connecting opening 1 (0): connection_failed", "open 1"],
  ],
  [
    "with no transport left the client waits",
    [connect, failed(GONE), failed(GONE)],
    ["connecting waiting 0 (0): connection_failed", "wait 0"],
  ],
  [
    "a gateway that answers is not asked again over another transport",
    [connect, failed(BUSY)],
    ["connecting waiting 0 (0): going_away", "wait 0"],
  ],
  [
    "a final refusal closes the client",
    [connect, failed(AWAY)],
    ["closed: replaced", "drop"],
  ],
  [
    "each round begins anew after its wait",
    [connect, failed(GONE), failed(GONE), elapsed],
    ["connecting opening 0 (1): connection_failed", "open 0"],
  ],
  [
    "waits grow from round to round",
    [connect, failed(BUSY), elapsed, failed(BUSY)],
    ["connecting waiting 0 (1): going_away", "wait 1"],
  ],
  [
    "without autoReconnect the first round is the last",
    [connect, failed(GONE), failed(GONE)],
    ["closed: connection_failed", "drop"],
    { ...POLICY, autoReconnect: false },
  ],
  [
    "without autoReconnect a lost connection closes the client",
    [connect, connected, lost(GONE)],
    ["closed: connection_failed", "drop"],
    { ...POLICY, autoReconnect: false },
  ],
  [
    "with one transport there is nothing to fall back to",
    [connect, failed(GONE)],
    ["connecting waiting 0 (0): connection_failed", "wait 0"],
    { ...POLICY, transports: ["websocket"] },
  ],
  [
    "a lost connection is waited for",
    [connect, connected, lost(GONE)],
    ["reconnecting waiting 0 (0): connection_failed", "wait 0"],
  ],
  [
    "a connection that the gateway ended for good closes the client",
    [connect, connected, lost(AWAY)],
    ["closed: replaced", "drop"],
  ],
  [
    "waits go on growing while no connection lasts",
    [connect, connected, lost(GONE), elapsed, connected, lost(GONE)],
    ["reconnecting waiting 0 (1): connection_failed", "wait 1"],
  ],
  [
    "a steady connection makes the next wait short again",
    [connect, connected, lost(GONE), elapsed, connected, { type: "steady" }, lost(GONE)],
    ["reconnecting waiting 0 (0): connection_failed", "wait 0"],
  ],
  [
    "on the second transport a better one is looked for",
    [connect, failed(GONE), connected],
    ["connected 1", "wait_probe 0"],
  ],
  [
    "a look for a better transport opens it beside the other",
    [connect, failed(GONE), connected, { type: "probe" }],
    ["connected 1", "open_probe"],
  ],
  [
    "a failed look is followed by a later one",
    [connect, failed(GONE), connected, { type: "probe" }, { type: "probe_failed" }],
    ["connected 1", "wait_probe 1"],
  ],
  [
    "a better transport takes over",
    [connect, failed(GONE), connected, { type: "probe" }, { type: "upgraded" }],
    ["connected 0"],
  ],
  [
    "on the best transport nothing is looked for",
    [connect, connected, { type: "probe" }],
    ["connected 0"],
  ],
  [
    "the transport that worked last is tried first",
    [connect, failed(GONE), connected, lost(GONE), elapsed],
    ["reconnecting opening 1 (1): connection_failed", "open 1"],
  ],
  [
    "and the best one after it",
    [connect, failed(GONE), connected, lost(GONE), elapsed, failed(GONE)],
    ["reconnecting opening 0 (1): connection_failed", "open 0"],
  ],
  [
    "a woken page does not wait",
    [connect, connected, lost(GONE), wake],
    ["reconnecting opening 0 (1): connection_failed", "open 0"],
  ],
  ["a woken page checks its connection", [connect, connected, wake], ["connected 0", "check"]],
  ["a woken page does not disturb an opening", [connect, wake], ["connecting opening 0 (0)"]],
  ["a wait that ends after the page woke is over", [connect, wake, elapsed], [
    "connecting opening 0 (0)",
  ]],
  [
    "disconnect() says goodbye",
    [connect, connected, disconnect],
    ["closed: disconnected", "leave false"],
  ],
  ["disconnect() ends an opening", [connect, disconnect], ["closed: disconnected", "leave false"]],
  ["a second disconnect() changes nothing", [connect, disconnect, disconnect], [
    "closed: disconnected",
  ]],
  ["a closed client hears nothing more", [connect, disconnect, connected], [
    "closed: disconnected",
  ]],
  ["a closed client can be connected again", [connect, failed(AWAY), connect], [
    "connecting opening 0 (0)",
    "open 0",
  ]],
];

for (const [says, inputs, result, policy] of table) {
  Deno.test(`lifecycle: ${says}`, () => {
    assertEquals(after(inputs, policy), result as [string, ...string[]]);
  });
}

Deno.test("lifecycle: an input that does not fit leaves the very same state", () => {
  const inputs: Input[] = [connected, elapsed, wake, failed(GONE), lost(GONE), { type: "probe" }];
  for (const input of inputs) {
    const [state, effects] = advance(IDLE, input, POLICY);
    assertStrictEquals(state, IDLE);
    assertEquals(effects, []);
  }
});
