import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client";
import { seededRandom } from "../../server/testing/mod.ts";
import { connected, setUp } from "./setup.ts";

const { bytes } = seededRandom(3);

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => "fulfilled", (error) => (error as PushError).code ?? String(error));
}

Deno.test("publish() gives the place of the stored message", async () => {
  const { client, gateway } = await connected();
  gateway.answers["channel.publish"] = ({ channel }) => ({
    type: "channel.published",
    channel,
    delivered: 3,
    event_id: "e1:7:a",
    epoch: "e1",
    seq: 7,
    duplicate: true,
  });
  assertEquals(await client.publish("a", { x: [1, null] }), {
    eventId: "e1:7:a",
    epoch: "e1",
    seq: 7,
    delivered: 3,
    duplicate: true,
  });
  await client.disconnect();
});

Deno.test("publish() sends the payload as JSON, a random id, and echo where it is wanted", async () => {
  const { client, gateway } = await connected({ random: bytes });
  await client.publish("a", { x: "ü\u2028", y: undefined });
  await client.publish("a", null, { id: "mine", echo: true });
  await client.publish("a", "text", { echo: false });
  const [first, second, third] = gateway.of("channel.publish");
  assertEquals([first.data, second.data, third.data], [{ x: "ü\u2028" }, null, "text"]);
  assertEquals([second.id, second.echo, "echo" in first, "echo" in third], [
    "mine",
    true,
    false,
    false,
  ]);
  assert(/^[0-9a-f]{32}$/.test(first.id));
  assertNotEquals(first.id, third.id);
  await client.disconnect();
});

Deno.test("publish() takes the payload as it is at the call", async () => {
  const { client, gateway } = await connected();
  const data = { count: 1 };
  const published = client.publish("a", data);
  data.count = 2;
  await published;
  assertEquals(gateway.last("channel.publish").data, { count: 1 });
  await client.disconnect();
});

Deno.test("publishes of one turn leave in one frame, in order", async () => {
  const { client, gateway, settle } = await connected();
  gateway.clear();
  const all = [0, 1, 2, 3].map((n) => client.publish("a", n));
  await settle();
  await Promise.all(all);
  assertEquals(gateway.texts.length, 1);
  assertEquals(gateway.of("channel.publish").map(({ data }) => data), [0, 1, 2, 3]);
  await client.disconnect();
});

Deno.test("large publishes are not put together beyond what a gateway reads", async () => {
  const { client, gateway } = await connected();
  gateway.clear();
  const text = "x".repeat(60_000);
  await Promise.all([1, 2, 3, 4, 5, 6].map(() => client.publish("a", text)));
  assert(gateway.texts.length > 1);
  assert(gateway.texts.every(({ length }) => length <= 300_000));
  await client.disconnect();
});

Deno.test("an error rejects with its code and message", async () => {
  const { client, gateway } = await connected();
  gateway.answers["channel.publish"] = () => ({
    type: "error",
    code: "rate_limited",
    message: "slow down",
  });
  const error = await assertRejects(() => client.publish("a", 1), PushError, "slow down");
  assertEquals([error.code, error.retry], ["rate_limited", true]);
  gateway.answers["channel.publish"] = () => ({ type: "error", code: "from the future" });
  assertEquals(await codeOf(client.publish("a", 1)), "internal");
  await client.disconnect();
});

Deno.test("a payload larger than the gateway takes is refused before it is sent", async () => {
  const { client, gateway } = setUp();
  gateway.terms.max_message_bytes = 10;
  await client.connect();
  assertEquals(await codeOf(client.publish("a", "12345678")), "fulfilled");
  assertEquals(await codeOf(client.publish("a", "123456789")), "message_too_large");
  assertEquals(await codeOf(client.publish("a", "1234567é")), "message_too_large");
  assertEquals(await codeOf(client.publish("a", "€€")), "fulfilled");
  assertEquals(await codeOf(client.publish("a", "€€€")), "message_too_large");
  assertEquals(await codeOf(client.publish("a", "😀😀")), "fulfilled");
  assertEquals(gateway.of("channel.publish").length, 3);
  await client.disconnect();
});

Deno.test("publishes before the connection wait for it and leave in order", async () => {
  const { client, gateway, settle } = setUp();
  const all = [0, 1, 2].map((n) => client.publish("a", n));
  await settle();
  assertEquals(gateway.heard, []);
  await client.connect();
  await Promise.all(all);
  assertEquals(gateway.of("channel.publish").map(({ data }) => data), [0, 1, 2]);
  await client.disconnect();
});

Deno.test("what a lost connection left unanswered is sent again, unchanged and before newer ones", async () => {
  const { client, gateway, clock, settle } = await connected({ random: bytes });
  gateway.answers["channel.publish"] = () => undefined;
  const all = [0, 1].map((n) => client.publish("a", n));
  await settle();
  const before = gateway.of("channel.publish");
  gateway.clear();
  gateway.drop();
  all.push(client.publish("a", 2));
  delete gateway.answers["channel.publish"];
  await clock.advance(1000);
  await Promise.all(all);
  const after = gateway.of("channel.publish");
  assertEquals(after.map(({ data }) => data), [0, 1, 2]);
  assertEquals(after.slice(0, 2), before);
  await client.disconnect();
});

Deno.test("what is published while a connection begins comes behind what waits", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("b", () => {});
  gateway.answers.connect = (frame) => {
    const refused = { type: "error", code: "forbidden", message: "not yours", channel: "b" };
    return { ...gateway.connected(frame), subscriptions: [refused] };
  };
  let told: Promise<unknown> | undefined;
  client.on("error", () => told = client.publish("a", "told"));
  gateway.drop();
  const waiting = client.publish("a", "waiting");
  await clock.advance(1000);
  await Promise.all([waiting, told]);
  assertEquals(gateway.of("channel.publish").map(({ data }) => data), ["waiting", "told"]);
  await client.disconnect();
});

Deno.test("publishes wait as long as the gateway says, a minute at most", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["channel.publish"] = () => {
    return { type: "error", code: "too_many_publishes", message: "later", retry_after: 1e9 };
  };
  const published = client.publish("a", 1);
  await clock.advance(1000);
  delete gateway.answers["channel.publish"];
  await clock.advance(60_000);
  assertEquals(gateway.of("channel.publish").length, 2);
  await published;
  await client.disconnect();
});

Deno.test("an answered publish is not sent again", async () => {
  const { client, gateway, clock } = await connected();
  await client.publish("a", 1);
  gateway.clear();
  gateway.drop();
  await clock.advance(1000);
  assertEquals(gateway.of("channel.publish"), []);
  await client.disconnect();
});

Deno.test("a publish never sent rejects with disconnected after publishTimeout", async () => {
  const { client, gateway, clock } = setUp({ publishTimeout: 5 });
  gateway.sockets = "hanging";
  gateway.http = "hanging";
  client.connect().catch(() => {});
  const code = codeOf(client.publish("a", 1));
  const sooner = codeOf(client.publish("a", 2, { timeout: 0.5 }));
  await clock.advance(500);
  assertEquals(await sooner, "disconnected");
  await clock.advance(4500);
  assertEquals(await code, "disconnected");
  gateway.sockets = "open";
  gateway.http = "answered";
  await clock.advance(60_000);
  assertEquals([client.state, gateway.of("channel.publish")], ["connected", []]);
  await client.disconnect();
});

Deno.test("a publish sent and never answered rejects with outcome_unknown after 300 s", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["channel.publish"] = () => undefined;
  let code = "";
  void codeOf(client.publish("a", 1)).then((it) => code = it);
  for (let passed = 0; passed < 300; passed += 20) {
    await clock.advance(19_999);
    assertEquals(code, "");
    await clock.advance(1);
    gateway.drop();
  }
  await clock.advance(0);
  assertEquals(code, "outcome_unknown");
  assert(gateway.of("channel.publish").length > 10);
  await client.disconnect();
});

Deno.test("a publish is not sent again when the gateway may have forgotten the first", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["channel.publish"] = () => undefined;
  const code = codeOf(client.publish("a", 1));
  await clock.advance(269_000);
  gateway.drop();
  await clock.advance(500);
  assertEquals(gateway.of("channel.publish").length, 2);
  await clock.advance(2000);
  gateway.drop();
  await clock.advance(1000);
  assertEquals(gateway.of("channel.publish").length, 2);
  await clock.advance(30_000);
  assertEquals(await code, "outcome_unknown");
  await client.disconnect();
});

Deno.test("a publish of a machine that slept for longer is not sent again", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["channel.publish"] = () => undefined;
  const code = codeOf(client.publish("a", 1));
  await clock.advance(0);
  clock.jump(3_600_000);
  gateway.drop();
  await clock.advance(1000);
  assertEquals(await code, "outcome_unknown");
  assertEquals(gateway.of("channel.publish").length, 1);
  await client.disconnect();
});

Deno.test("a publish that was refused before the machine slept for longer rejects with why", async () => {
  const { client, gateway, clock } = await connected();
  const message = "Too many.";
  gateway.answers["channel.publish"] = () => ({
    ...{ type: "error", code: "too_many_publishes", message, retry_after: 10 },
  });
  const code = codeOf(client.publish("a", 1));
  await clock.advance(0);
  clock.jump(3_600_000);
  await clock.advance(10_000);
  assertEquals(await code, "too_many_publishes");
  await client.disconnect();
});

Deno.test("a clock set back does not lengthen the life of a publish", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["channel.publish"] = () => undefined;
  const code = codeOf(client.publish("a", 1));
  await clock.advance(0);
  clock.jump(-3_600_000);
  await clock.advance(300_000);
  assertEquals(await code, "outcome_unknown");
  await client.disconnect();
});

Deno.test("maxOutbox publishes wait at most", async () => {
  const { client } = setUp({ maxOutbox: 2 });
  const waiting = [1, 2].map((n) => client.publish("a", n));
  assertEquals(await codeOf(client.publish("a", 3)), "outbox_full");
  await client.connect();
  await Promise.all(waiting);
  assertEquals(await codeOf(client.publish("a", 4)), "fulfilled");
  await client.disconnect();
});

Deno.test("an aborted publish rejects with the reason, and is taken back if it was not sent", async () => {
  const { client, gateway, settle } = setUp();
  const abort = new AbortController();
  const publishing = client.publish("a", 1, { signal: abort.signal });
  abort.abort(new Error("changed my mind"));
  await assertRejects(() => publishing, Error, "changed my mind");
  await assertRejects(() => client.publish("a", 2, { signal: abort.signal }), Error, "changed");
  await client.connect();
  await settle();
  assertEquals(gateway.of("channel.publish"), []);
  await client.disconnect();
});

Deno.test("when the client closes, what was sent rejects with outcome_unknown and the rest with why", async () => {
  const { client, gateway, settle } = await connected();
  gateway.answers["channel.publish"] = () => undefined;
  const sent = client.publish("a", 1);
  await settle();
  const codes = [codeOf(sent), codeOf(client.listChannels())];
  await client.disconnect();
  assertEquals(await Promise.all(codes), ["outcome_unknown", "disconnected"]);
  assertEquals(await codeOf(client.publish("a", 1)), "disconnected");

  const { client: other } = setUp();
  const unsent = codeOf(other.publish("a", 1));
  await other.disconnect();
  assertEquals(await unsent, "disconnected");
});

Deno.test("questions are asked again after a lost connection, and time out after requestTimeout", async () => {
  const { client, gateway, clock, settle } = await connected({ requestTimeout: 3 });
  gateway.answers["channel.list"] = () => undefined;
  const listed = client.listChannels();
  const never = codeOf(client.listChannels());
  await settle();
  gateway.drop();
  let asked = 0;
  gateway.answers["channel.list"] = () =>
    asked++ === 0 ? { type: "channel.list", channels: ["x"] } : undefined;
  await clock.advance(1000);
  assertEquals(await listed, ["x"]);
  await clock.advance(2000);
  assertEquals(await never, "disconnected");
  await client.disconnect();
});

Deno.test("channels and presence are asked for, and what they answer is told", async () => {
  const { client, gateway } = await connected();
  const heard: unknown[] = [];
  client.on("presence_list", (list) => heard.push(list));
  assertEquals(await client.createChannel("a", { topic: "x" }), true);
  assertEquals(gateway.last("channel.create").metadata, { topic: "x" });
  gateway.answers["channel.create"] = () => ({ type: "channel.created", ok: false });
  assertEquals(await client.createChannel("a"), false);
  assertEquals(await client.listChannels(), ["a", "b"]);
  const entry = {
    client_id: "c",
    status: "busy",
    last_seen: 5.5,
    metadata: { role: "x" },
    channels: ["a"],
  };
  gateway.answers["presence.query"] = ({ channel = null }) => ({
    type: "presence.list",
    channel,
    presence: [entry],
    clients: [entry, { client_id: 5 }, null],
  });
  const member = {
    clientId: "c",
    status: "busy",
    lastSeen: 5.5,
    metadata: { role: "x" },
    channels: ["a"],
  };
  assertEquals(await client.getPresence(), [member]);
  assertEquals(await client.getPresence("a"), [member]);
  assertEquals(heard, [{ channel: null, clients: [member] }, { channel: "a", clients: [member] }]);
  await client.disconnect();
});

Deno.test("a presence diff, and an event of the fixed wire, become events about others", async () => {
  const { client, gateway, settle } = await connected();
  const heard: unknown[] = [];
  for (const event of ["presence_join", "presence_leave", "presence_update"] as const) {
    client.on(event, ({ channel, clientId, status, metadata }) => {
      heard.push([event, channel, clientId, status, metadata]);
    });
  }
  gateway.send({
    type: "presence_diff",
    channel: "a",
    joins: [{ client_id: "x", status: "online", metadata: { n: 1 } }],
    updates: [
      { client_id: "y", status: "busy" },
      { client_id: client.clientId, status: "busy" },
      { client_id: 7 },
    ],
    leaves: [{ client_id: "z", status: "offline" }],
    timestamp: 1,
  });
  gateway.send({ type: "presence_join", channel: "b", data: { client_id: "w", status: "idle" } });
  await settle();
  assertEquals(heard, [
    ["presence_join", "a", "x", "online", { n: 1 }],
    ["presence_update", "a", "y", "busy", undefined],
    ["presence_leave", "a", "z", "offline", undefined],
    ["presence_join", "b", "w", "idle", undefined],
  ]);
  await client.disconnect();
});

Deno.test("a question too large for any gateway rejects, and the connection stays", async () => {
  const { client, gateway } = await connected();
  const huge = { text: "x".repeat(1_000_000) };
  assertEquals(await codeOf(client.createChannel("a", huge)), "frame_too_large");
  assertEquals(gateway.of("channel.create"), []);
  await client.disconnect();
});
