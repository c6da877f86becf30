import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const MEGABYTE = "x".repeat(1_000_000);
const NUMBERS = [-1, 1.5, 2 ** 53, 1e400, -0.5, 9_007_199_254_740_993];
const NO_STRING: readonly unknown[] = [1, true, {}, [], [["a"]], { toString: "a" }];
const NO_CHANNEL = [...NO_STRING, "", " ", "a b", "é", "../a", "a\u0000", MEGABYTE];
const NO_OBJECT = ["a", 1, true, [], [[]]];
const NO_SECONDS = ["1", true, [], {}, -1, 1e400, -1e400];
const NO_SEQ = ["1", true, [], {}, null, ...NUMBERS];
const NO_EPOCH = [...NO_STRING, null, "", "a b", "é", MEGABYTE];
const NO_RANGES = ["1", 1, {}, [1], [2, 1], ["a", "b"], [[1, 2]], [1, 2, 2, 3], [-1, 1], [1, 1.5]];
const NO_BOOLEAN = ["true", 1, 0, [], {}];
const NO_OBJECTS = ["a", 1, {}, [1], [null], [[]], ["a"]];

/** A field, values that it cannot have, and whether it may be left out. */
interface Field {
  readonly path: string;
  readonly wrong: readonly unknown[];
  readonly optional?: boolean;
}

const channel: Field = { path: "channel", wrong: NO_CHANNEL };
const name = (path: string): Field => ({ path, wrong: [...NO_STRING, "", MEGABYTE] });
const eventId = name("event_id");
const metadata: Field = { path: "metadata", wrong: NO_OBJECT, optional: true };
const delay: Field = { path: "delay", wrong: NO_SECONDS, optional: true };
const optional = (field: Field): Field => ({ ...field, optional: true });
const EPOCH = "abcdefghij";

/** Every frame of both wires with every field that is read of it. */
const FRAMES: readonly (readonly [frame: Frame, fields: readonly Field[]])[] = [
  [{ type: "channel.create", channel: "a", metadata: {} }, [channel, metadata]],
  [{ type: "channel.subscribe", channel: "a" }, [
    channel,
    { path: "last", wrong: ["1", [], {}, -1, 1.5, 1e400, 1_000_001], optional: true },
    { path: "all", wrong: NO_BOOLEAN, optional: true },
    { path: "position", wrong: NO_OBJECT, optional: true },
    { path: "since", wrong: NO_OBJECT, optional: true },
  ]],
  [{ type: "channel.subscribe", channel: "a", position: { epoch: EPOCH, seq: 1 } }, [
    { path: "position.epoch", wrong: NO_EPOCH },
    { path: "position.seq", wrong: NO_SEQ },
    { path: "position.open", wrong: NO_RANGES, optional: true },
  ]],
  [{ type: "channel.subscribe", channel: "a", since: { epoch: EPOCH, seq: 1 } }, [
    { path: "since.epoch", wrong: NO_EPOCH },
    { path: "since.seq", wrong: NO_SEQ },
  ]],
  [{ type: "channel.unsubscribe", channel: "a" }, [channel]],
  [{ type: "channel.publish", channel: "a", data: 1 }, [
    channel,
    { path: "data", wrong: [] },
    optional(name("id")),
    { path: "echo", wrong: NO_BOOLEAN, optional: true },
  ]],
  [{ type: "presence.heartbeat" }, [optional(name("status")), metadata]],
  [{ type: "presence.query", channel: "a" }, [optional(channel)]],
  [{ type: "auth.refresh", token: "x" }, [name("token")]],
  [{ type: "message_ack", event_id: "x" }, [eventId]],
  [{ type: "message_nack", event_id: "x" }, [eventId, delay]],
  [{ type: "ack", acks: [{ channel: "a", epoch: EPOCH, upto: 1, ranges: [] }] }, [
    { path: "acks", wrong: NO_OBJECTS, optional: true },
    { ...channel, path: "acks.0.channel" },
    { path: "acks.0.epoch", wrong: NO_EPOCH },
    { path: "acks.0.upto", wrong: NO_SEQ, optional: true },
    { path: "acks.0.ranges", wrong: NO_RANGES, optional: true },
  ]],
  [{ type: "nack", channel: "a", epoch: EPOCH, seq: 1 }, [
    channel,
    { path: "epoch", wrong: NO_EPOCH },
    { path: "seq", wrong: NO_SEQ },
    delay,
  ]],
  [{ type: "renew", renew: [{ channel: "a", epoch: EPOCH, ranges: [] }] }, [
    { path: "renew", wrong: NO_OBJECTS, optional: true },
    { ...channel, path: "renew.0.channel" },
    { path: "renew.0.epoch", wrong: NO_EPOCH },
    { path: "renew.0.ranges", wrong: NO_RANGES, optional: true },
  ]],
];

const CONNECT: readonly Field[] = [
  optional(name("token")),
  optional({ path: "client_id", wrong: [...NO_STRING, "", "a b", "é", MEGABYTE] }),
  optional(name("secret")),
  name("instance"),
  { path: "attempt", wrong: NO_SEQ },
  { path: "session_ttl", wrong: NO_SECONDS, optional: true },
  { path: "subscriptions", wrong: NO_OBJECTS, optional: true },
  { ...channel, path: "subscriptions.0.channel" },
];

/** Every body of the routes that take one. */
const BODIES: readonly (readonly [route: string, body: Frame, fields: readonly Field[]])[] = [
  ["publish", { channel: "a", data: 1 }, [
    channel,
    { path: "data", wrong: [] },
    optional(name("id")),
  ]],
  ["dead-letters/redrive", {}, [
    optional(channel),
    optional(name("session")),
    { path: "seq", wrong: ["1", [], {}, 0, ...NUMBERS], optional: true },
    { path: "limit", wrong: ["1", [], {}, 0, 1001, ...NUMBERS], optional: true },
  ]],
  ["poll/register", {}, [
    optional(name("auth_token")),
    optional({ path: "client_id", wrong: [...NO_STRING, "", "a b", "é"] }),
    { path: "connect", wrong: [...NO_OBJECT, null], optional: true },
  ]],
  ["poll/messages", { poll_token: "$" }, [
    name("poll_token"),
    { path: "timeout", wrong: NO_SECONDS, optional: true },
    { path: "positions", wrong: NO_OBJECTS, optional: true },
  ]],
  ["poll/send", { poll_token: "$", frames: [{ type: "ping" }] }, [
    name("poll_token"),
    { path: "frames", wrong: NO_OBJECTS, optional: true },
  ]],
  ["poll/subscribe", { poll_token: "$", channel: "a" }, [name("poll_token"), channel]],
  ["poll/unsubscribe", { poll_token: "$", channel: "a" }, [name("poll_token"), channel]],
  ["poll/publish", { poll_token: "$", channel: "a", data: 1 }, [name("poll_token"), channel]],
  ["poll/create", { poll_token: "$", channel: "a" }, [name("poll_token"), channel, metadata]],
  ["poll/ack", { poll_token: "$", event_id: "x" }, [name("poll_token"), eventId]],
  ["poll/nack", { poll_token: "$", event_id: "x" }, [name("poll_token"), eventId, delay]],
  ["poll/refresh", { poll_token: "$", token: "x" }, [name("poll_token"), name("token")]],
  ["revoke", { subject: "eve" }, [
    optional(name("token")),
    optional(name("token_id")),
    optional(name("subject")),
    optional({ path: "client_id", wrong: [...NO_STRING, "", "a b", "é"] }),
    { path: "for", wrong: NO_SECONDS, optional: true },
  ]],
  ["poll/heartbeat", { poll_token: "$" }, [
    name("poll_token"),
    optional(name("status")),
    metadata,
  ]],
  ["poll/unregister", { poll_token: "unknown" }, [
    name("poll_token"),
    { path: "forget", wrong: NO_BOOLEAN, optional: true },
  ]],
];

const ABSENT = Symbol("absent");

/** Each way in which one field is wrong. */
function* wrongs(frame: Frame, fields: readonly Field[]): Generator<[field: string, text: string]> {
  for (const { path, wrong, optional = false } of fields) {
    const values = optional ? wrong : [ABSENT, ...path === "data" ? [] : [null], ...wrong];
    for (const value of values) {
      const copy = structuredClone(frame);
      const keys = path.split(".");
      const last = keys.pop()!;
      const parent = keys.reduce((at, key) => at[key], copy);
      if (value === ABSENT) delete parent[last];
      else parent[last] = value === 1e400 ? "$1e400" : value === -1e400 ? "$-1e400" : value;
      // JSON has a way to write what JSON.stringify() does not.
      yield [last, JSON.stringify(copy).replace(/"\$(-?1e400)"/g, "$1")];
    }
  }
}

function assertNamed(answer: Frame, message: string, field: string, text: string): void {
  const shown = text.slice(0, 200);
  assert(["bad_request", "invalid_channel"].includes(answer.code), `${answer.code} for ${shown}`);
  assertStringIncludes(message, `'${field}'`, shown);
  assert(message.length < 200, message);
}

async function stateOf({ gateway }: Served): Promise<unknown> {
  const present = await gateway.presence();
  return [
    await gateway.channels(),
    present.map(({ clientId, status, metadata, channels }) => ({
      clientId,
      status,
      metadata,
      channels,
    })),
  ];
}

Deno.test("every field of every frame that is missing or wrong is named, and nothing is done", async (t) => {
  await using served = await startGateway();
  const [client] = await WireClient.connect(served.ws, { client_id: "ann" });
  await using _ = client;
  const before = await stateOf(served);
  for (const [frame, fields] of FRAMES) {
    await t.step(`${frame.type}: ${fields.map(({ path }) => path).join(", ")}`, async () => {
      for (const [field, text] of wrongs(frame, fields)) {
        const { message, ...answer } = await client.ask(text);
        assertNamed(answer, message, field, text);
      }
      assertEquals(await stateOf(served), before);
    });
  }
});

Deno.test("every field of 'connect' that is missing or wrong is named, and may be corrected", async () => {
  await using served = await startGateway();
  await using client = await WireClient.open(served.ws);
  const connect = { type: "connect", version: 1, instance: "i", attempt: 1 };
  for (const [field, text] of wrongs({ ...connect, subscriptions: [{ channel: "a" }] }, CONNECT)) {
    const { message, ...answer } = await client.ask(text);
    assertNamed(answer, message, field, text);
  }
  assertEquals(await stateOf(served), [[], []]);
  assertEquals((await client.ask(connect)).type, "connected");
});

Deno.test("every field of every body that is missing or wrong is named, and nothing is done", async (t) => {
  await using served = await startGateway();
  const { http } = served;
  const { pollToken } = await PollClient.register(http, { client_id: "ann" });
  const before = await stateOf(served);
  for (const [route, body, fields] of BODIES) {
    await t.step(route, async () => {
      for (const [field, text] of wrongs(body, fields)) {
        const request = text.replace('"poll_token":"$"', `"poll_token":"${pollToken}"`);
        const { status, body } = await ask(`${http}/api/push/${route}`, { body: request });
        assertEquals(status, 400, text.slice(0, 200));
        assertNamed(body, body.error, field, text);
      }
      assertEquals(await stateOf(served), before);
    });
  }
});

Deno.test("fields that nobody reads change nothing, whatever is in them", async () => {
  await using served = await startGateway({ push: { presence: { broadcastChanges: false } } });
  const [client] = await WireClient.connect(served.ws, { client_id: "ann" });
  await using _ = client;
  const more = {
    subject: "root",
    client_id: "bob",
    identity: { subject: "root", grants: [{ channels: ["**"], actions: ["admin"] }] },
    admin: true,
    source: "bob",
    session: "n:bob:anonymous",
    generation: 1e9,
    token: "x",
    node: "x",
    seq: 7,
    epoch: EPOCH,
    at: 0,
    deep: { deep: [{}] },
  };
  await client.subscribe("news", { ...more });
  await using bob = await WireClient.open(`${served.ws}?client_id=bob`);
  await bob.publish("news", 1, { ...more, client_id: "ann", source: "ann", timestamp: 0 });
  const message = await client.next("channel_message");
  assertEquals([message.source, message.seq, message.data], ["bob", 1, 1]);
  assertEquals((await client.ask({ type: "presence.heartbeat", ...more })).ok, true);
  const present = await served.gateway.presence();
  assertEquals(present.map(({ clientId }) => clientId).sort(), ["ann", "bob"]);
});
