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
const ALL: Policy = { transports: ["websocket", "sse", "longpoll"], autoReconnect: true };
const GONE: Ending = { code: "connection_failed", reason: "gone", final: false };
const BUSY: Ending = { code: "going_away", reason: "busy", final: false };
const AWAY: Ending = { code: "replaced", reason: "replaced", final: true };

/** The short form of a state: its name, what it is at, and its code. */
function brief({ name, transport, left, tries, code }: State): string {
  const step = left >= 0 ? "opening" : "waiting";
  const at = name.endsWith("ing")
    ? ` ${step} ${transport} (${tries})`
    : name === "connected"
    ? ` ${transport}`
    : "";
  return `${name}${at}${code === undefined ? "" : `: ${code}`}`;
}

/** Runs inputs from the beginning; says what the last one led to. */
function after(inputs: Input[], policy = POLICY): string[] {
  let state: State = IDLE;
  let effect: Effect = [];
  for (const input of inputs) [state, ...effect] = advance(state, input, policy);
  return [brief(state), ...effect.length > 0 ? [effect.join(" ")] : []];
}

const connect: Input = ["connect"];
const connected: Input = ["accepted", 0];
const polling: Input = ["accepted", 1];
const elapsed: Input = ["elapsed"];
const wake: Input = ["wake"];
const steady: Input = ["steady"];
const look: Input = ["look", 0];
const failed = (ending: Ending): Input => ["ended", ending];
const lost = failed;
const disconnect: Input = ["disconnect", false];

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
    [connect, connected, lost(GONE), elapsed, connected, steady, lost(GONE)],
    ["reconnecting waiting 0 (0): connection_failed", "wait 0"],
  ],
  [
    "on the second transport a better one is looked for",
    [connect, failed(GONE), polling],
    ["connected 1", "rest 0"],
  ],
  [
    "a look for a better transport opens it beside the other",
    [connect, failed(GONE), polling, look],
    ["connected 1", "look 0"],
  ],
  [
    "a failed look is followed by a later one",
    [connect, failed(GONE), polling, look, ["look", 1]],
    ["connected 1", "rest 1"],
  ],
  [
    "a better transport takes over",
    [connect, failed(GONE), polling, look, connected],
    ["connected 0"],
  ],
  [
    "on the best transport nothing is looked for",
    [connect, connected, look],
    ["connected 0"],
  ],
  [
    "the transport that worked last is tried first",
    [connect, failed(GONE), polling, steady, lost(GONE), elapsed],
    ["reconnecting opening 1 (1): connection_failed", "open 1"],
  ],
  [
    "and the best one after it",
    [connect, failed(GONE), polling, steady, lost(GONE), elapsed, failed(GONE)],
    ["reconnecting opening 0 (1): connection_failed", "open 0"],
  ],
  [
    "a transport that could not be reached for long is tried in its turn",
    [connect, failed(GONE), polling, lost(GONE), elapsed],
    ["reconnecting opening 0 (1): connection_failed", "open 0"],
  ],
  [
    "a gateway that ended a young connection is asked over the same transport again",
    [connect, failed(GONE), polling, lost(BUSY), elapsed],
    ["reconnecting opening 1 (1): going_away", "open 1"],
  ],
  [
    "once a steady connection is lost no transport is trusted more than another",
    [connect, connected, steady, lost(GONE), elapsed, failed(GONE)],
    ["reconnecting opening 1 (1): connection_failed", "open 1"],
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
  [
    "of three transports each is tried once in a round",
    [connect, failed(GONE), failed(GONE), failed(GONE)],
    ["connecting waiting 0 (0): connection_failed", "wait 0"],
    ALL,
  ],
  [
    "on the third transport the best is looked for first",
    [connect, failed(GONE), failed(GONE), ["accepted", 2], look],
    ["connected 2", "look 0"],
    ALL,
  ],
  [
    "and then the second",
    [connect, failed(GONE), failed(GONE), ["accepted", 2], look, ["look", 1]],
    ["connected 2", "look 1"],
    ALL,
  ],
  [
    "and then it rests for longer",
    [connect, failed(GONE), failed(GONE), ["accepted", 2], look, ["look", 1], ["look", 2]],
    ["connected 2", "rest 1"],
    ALL,
  ],
  [
    "the second takes over, and the best is looked for later",
    [connect, failed(GONE), failed(GONE), ["accepted", 2], look, ["look", 1], ["accepted", 1]],
    ["connected 1", "rest 1"],
    ALL,
  ],
  [
    "a look that cost the connection makes the next one later",
    [connect, failed(GONE), polling, look, lost(BUSY), elapsed, polling],
    ["connected 1", "rest 1"],
  ],
  [
    "once the best transport was in use looks begin anew",
    [connect, failed(GONE), polling, look, connected, lost(GONE), elapsed, failed(GONE), polling],
    ["connected 1", "rest 0"],
  ],
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
    assertEquals(after(inputs, policy), result);
  });
}

Deno.test("lifecycle: an input that does not fit leaves the very same state", () => {
  const idle: Input[] = [connected, elapsed, wake, steady, failed(GONE), look];
  for (const input of idle) assertEquals(advance(IDLE, input, POLICY), [IDLE]);
  const [up] = advance(advance(IDLE, connect, POLICY)[0], connected, POLICY);
  for (const input of [connect, elapsed, look]) {
    const [state, ...effect] = advance(up, input, POLICY);
    assertStrictEquals(state, up);
    assertEquals(effect, []);
  }
});

Deno.test("lifecycle: every state says why, with a code where something went wrong", () => {
  const steps: Input[] = [connect, failed(GONE), polling, look, connected, lost(BUSY), elapsed];
  let state: State = IDLE;
  const whys = steps.map((input) => {
    [state] = advance(state, input, POLICY);
    return [state.name, state.code, state.reason];
  });
  const accepted = "The gateway has accepted the client over";
  assertEquals(whys, [
    ["connecting", undefined, "connect() was called."],
    ["connecting", "connection_failed", "gone"],
    ["connected", undefined, `${accepted} longpoll.`],
    ["connected", undefined, `${accepted} longpoll.`],
    ["connected", undefined, `${accepted} websocket.`],
    ["reconnecting", "going_away", "busy"],
    ["reconnecting", "going_away", "busy"],
  ]);
});
