import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type ClientOptions, type Message, PushClient } from "@push/client";
import { connected } from "./setup.ts";

const URL_ = "ws://localhost:8765/ws";
type Wrong = [of: ErrorConstructor, says: string, value: unknown];

const A_URL = "'url' must be a URL of HTTP or WebSocket without a user name";

const urls: Wrong[] = [
  [TypeError, `${A_URL}: current value is 5`, 5],
  [TypeError, `${A_URL}: current value is undefined`, undefined],
  [RangeError, `${A_URL}: current value is "nowhere"`, "nowhere"],
  [RangeError, `${A_URL}: current value is "ftp://x/"`, "ftp://x/"],
  [RangeError, `${A_URL}: current value is "…@x/"`, "ws://u:p@x/"],
  [RangeError, `${A_URL}: current value is "…@x/"`, new URL("ws://:p@x/")],
];

for (const [of, says, value] of urls) {
  Deno.test(`new PushClient(${JSON.stringify(value)}) is refused`, () => {
    const error = assertThrows(() => new PushClient(value as string), of, says);
    assertEquals(error.message.includes(":p@"), false);
  });
}

const options: (Wrong | [...Wrong, string])[] = [
  [TypeError, `'options' must be an object: current value is "x"`, "x"],
  [TypeError, `'options' must be an object: current value is of type object`, []],
  [TypeError, `'options' must be an object: current value is null`, null],
  [TypeError, `'options' has no member "authtoken": it may have authToken`, { authtoken: "x" }],
  [TypeError, `'authToken' must be a function or a string that is not empty: current value is 5`, {
    authToken: 5,
  }],
  [
    RangeError,
    `'authToken' must be a function or a string that is not empty: current value is ""`,
    {
      authToken: "",
    },
  ],
  [TypeError, `'clientId' must be a string like /`, { clientId: 5 }],
  [RangeError, `'clientId' must be a string like /`, { clientId: "a b" }],
  [TypeError, `'autoReconnect' must be of type boolean: current value is 1`, { autoReconnect: 1 }],
  [TypeError, `'fallbackToPolling' must be of type boolean`, { fallbackToPolling: "no" }],
  [TypeError, `'transports' must be a list of websocket, sse, longpoll`, {
    transports: "websocket",
  }],
  [RangeError, `'transports' must be a list`, { transports: ["tcp"] }],
  [RangeError, `'transports' must be a list`, { transports: [] }],
  [RangeError, `'transports' must be a list`, { transports: ["websocket", "websocket"] }],
  [TypeError, `'connectTimeout' must be a number from 0.001`, { connectTimeout: "4" }],
  [RangeError, `'connectTimeout' must be a number from 0.001 to 1000000000: current value is 0`, {
    connectTimeout: 0,
  }],
  [RangeError, `'requestTimeout' must be a number from 0.001 to 1000000000: current value is NaN`, {
    requestTimeout: NaN,
  }],
  [RangeError, `'publishTimeout' must be a number from 0.001 to 300: current value is 301`, {
    publishTimeout: 301,
  }],
  [RangeError, `'maxOutbox' must be an integer from 1 to 1000000000: current value is 0.5`, {
    maxOutbox: 0.5,
  }],
  [RangeError, `'reconnectDelay.min' must be a number from 0.001 to 2: current value is 3`, {
    reconnectDelay: { min: 3, max: 2 },
  }],
  [RangeError, `'reconnectDelay.min' must be a number from 0.001 to 20: current value is 0`, {
    reconnectDelay: { min: 0 },
  }],
  [TypeError, `'apiUrl' must be a URL of HTTP`, { apiUrl: 5 }],
  [TypeError, `'apiUrl' must be a URL of HTTP`, { apiUrl: null }],
  [RangeError, `'apiUrl' must be a URL of HTTP`, { apiUrl: "/api" }],
  [RangeError, `'apiUrl' must be a URL of HTTP`, { apiUrl: "ftp://h" }],
  [TypeError, `'reconnectDelay' has no member "maximum"`, { reconnectDelay: { maximum: 2 } }],
  [TypeError, `'reconnectDelay' must be an object`, { reconnectDelay: null }],
  [TypeError, `'reconnectDelay' must be an object: current value is of type object`, {
    reconnectDelay: [],
  }],
  [TypeError, `'reconnectDelay.max' must be a number`, { reconnectDelay: { max: "2" } }],
  [RangeError, `'heartbeatInterval' must be a number from 0.001`, { heartbeatInterval: -1 }],
  [RangeError, `'sessionTtl' must be a number from 0 to 1000000000: current value is -1`, {
    sessionTtl: -1,
  }],
  [RangeError, `'sessionTtl' must be a number from 0 to 1000000000: current value is Infinity`, {
    sessionTtl: Infinity,
  }],
  [TypeError, `'WebSocket' must be of type function: current value is of type object`, {
    WebSocket: {},
  }],
  [TypeError, `'fetch' must be of type function`, { fetch: "fetch" }],
  [TypeError, `'random' must be of type function`, { random: 4 }],
  [TypeError, `'clock' must be of type object`, { clock: 5 }],
  [TypeError, `'clock' must be of type object: current value is null`, { clock: null }],
  [TypeError, `'environment' must be`, { environment: "browser" }],
];

for (const [of, says, value] of options) {
  Deno.test(`a client with options ${JSON.stringify(value)} is refused`, () => {
    assertThrows(() => new PushClient(URL_, value as ClientOptions), of, says);
  });
}

Deno.test("a wrong token is not shown in full", () => {
  const error = assertThrows(() => new PushClient(URL_, { authToken: ["secret"] as never }));
  assertEquals((error as Error).message.includes("secret"), false);
});

type Call = [
  of: ErrorConstructor,
  says: string,
  // deno-lint-ignore no-explicit-any
  call: (client: any) => Promise<unknown>,
];

const cyclic: Record<string, unknown> = {};
cyclic.self = cyclic;

const calls: Call[] = [
  [TypeError, "'channel' must be a string", (c) => c.subscribe(5)],
  [
    RangeError,
    "'channel' must be a string like /",
    (c) => c.subscribe("a b"),
  ],
  [RangeError, 'current value is ""', (c) => c.subscribe("")],
  [RangeError, "'channel' must be", (c) => c.publish("x".repeat(256), 1)],
  [TypeError, "'handler' must be of type function", (c) => c.subscribe("a", 5, {})],
  [TypeError, "'options' must be an object: current value is 5", (c) => c.subscribe("a", 5)],
  [TypeError, "'options' has no member \"concurency\"", (c) => c.subscribe("a", { concurency: 2 })],
  [
    RangeError,
    "'concurrency' must be an integer from 1",
    (c) => c.subscribe("a", { concurrency: 0 }),
  ],
  [
    RangeError,
    "'ack' must be a string like /^(auto|manual)$/",
    (c) => c.subscribe("a", { ack: "never" }),
  ],
  [TypeError, "'schema' must be a Standard Schema", (c) => c.subscribe("a", { schema: {} })],
  [TypeError, "'schema' must be a Standard Schema", (c) => c.waitFor("a", { schema: null })],
  [RangeError, "'since' must be an eventId", (c) => c.subscribe("a", { since: "yesterday" })],
  [
    RangeError,
    "'since' must be an eventId of the channel",
    (c) => c.subscribe("a", { since: "e:5:b" }),
  ],
  [TypeError, "'since' must be an eventId", (c) => c.subscribe("a", { since: 7 })],
  [RangeError, "'since' must be", (c) => c.subscribe("a", { since: { epoch: "e", seq: -1 } })],
  [RangeError, "'last' must be an integer from 0", (c) => c.subscribe("a", { last: -1 })],
  [TypeError, "only one of last, all", (c) => c.subscribe("a", { last: 1, all: true })],
  [TypeError, "'signal' must be an AbortSignal", (c) => c.subscribe("a", { signal: "stop" })],
  [TypeError, "'data' cannot be written as JSON", (c) => c.publish("a", undefined)],
  [TypeError, "'data' cannot be written as JSON", (c) => c.publish("a", () => {})],
  [TypeError, "'data' cannot be written as JSON", (c) => c.publish("a", cyclic)],
  [TypeError, "'data' cannot be written as JSON", (c) => c.publish("a", 5n)],
  [TypeError, "'id' must be a string", (c) => c.publish("a", 1, { id: 5 })],
  [
    RangeError,
    "'id' must be a string like",
    (c) => c.publish("a", 1, { id: "" }),
  ],
  [
    RangeError,
    "'id' must be a string like",
    (c) => c.publish("a", 1, { id: "x".repeat(129) }),
  ],
  [TypeError, "'echo' must be of type boolean", (c) => c.publish("a", 1, { echo: "yes" })],
  [
    RangeError,
    "'timeout' must be a number from 0.001 to 300",
    (c) => c.publish("a", 1, { timeout: 0 }),
  ],
  [RangeError, "'channel' must be", (c) => c.unsubscribe("é")],
  [TypeError, "'metadata' must be an object", (c) => c.createChannel("a", [])],
  [TypeError, "'metadata' must be an object", (c) => c.createChannel("a", null)],
  [TypeError, "'metadata' cannot be written as JSON", (c) => c.createChannel("a", { n: 5n })],
  [TypeError, "'options' has no member", (c) => c.listChannels({ sginal: 1 })],
  [RangeError, "'timeout' must be a number from 0.001", (c) => c.waitFor("a", { timeout: 0 })],
  [TypeError, "'match' must be of type function", (c) => c.waitFor("a", { match: /x/ })],
  [TypeError, "'status' must be a string", (c) => c.setStatus(5)],
  [RangeError, "'status' must be a string like", (c) => c.setStatus("")],
  [TypeError, "'metadata' must be an object", (c) => c.setStatus("x", "y")],
  [RangeError, "'channel' must be", (c) => c.getPresence("a b")],
  [TypeError, "'forget' must be of type boolean", (c) => c.disconnect({ forget: 1 })],
  [TypeError, "'options' must be an object", (c) => c.connect(5)],
  [TypeError, "'signal' must be an AbortSignal", (c) => c.waitClosed({ signal: {} })],
];

for (const [of, says, call] of calls) {
  Deno.test(`${String(call).slice(7, 80)} is refused: ${says}`, async () => {
    const { client, gateway } = await connected();
    gateway.clear();
    await assertRejects(() => call(client), of, says);
    assertEquals([gateway.heard, client.state], [[], "connected"]);
    await client.disconnect();
  });
}

Deno.test("on() refuses events that there are none of, and listeners that cannot be called", async () => {
  const { client } = await connected();
  assertThrows(() => client.on("message" as "gap", () => {}), RangeError, "channel_message");
  assertThrows(() => client.on(5 as never, () => {}), TypeError, "channel_message");
  assertThrows(
    () => client.on("gap", 5 as never),
    TypeError,
    "'listener' must be of type function",
  );
  await client.disconnect();
});

Deno.test("nack() refuses a delay that is none", async () => {
  const { client, gateway, settle } = await connected();
  const got: Message[] = [];
  await client.subscribe("a", (message) => void got.push(message), { ack: "manual" });
  gateway.message("a", 1);
  await settle();
  assertThrows(() => got[0].nack({ delay: -1 }), RangeError, "'delay' must be a number from 0");
  assertThrows(() => got[0].nack({ delay: "1" as never }), TypeError, "'delay' must be");
  assertEquals(got[0].settled, false);
  await client.disconnect();
});

Deno.test("a channel that is subscribed already cannot be started elsewhere", async () => {
  const { client } = await connected();
  const first = await client.subscribe("a");
  await assertRejects(() => client.subscribe("a", { all: true }), TypeError, "'all'");
  await first.unsubscribe();
  await client.subscribe("a", { all: true });
  await client.disconnect();
});
