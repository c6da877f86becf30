import { assert, assertEquals, assertMatch } from "@std/assert";
import type { GatewayOptions } from "../../mod.ts";
import { EventReader } from "../support/event_reader.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { TcpClient } from "../support/tcp_client.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";
import { until, within } from "../support/within.ts";

const QUIET: GatewayOptions = { push: { presence: { broadcastChanges: false } } };

function stream({ http }: { http: string }, client: PollClient, more: Frame = {}) {
  const body = { poll_token: client.pollToken, ...more };
  return EventReader.open(`${http}/api/push/sse`, { body });
}

async function subscribed(
  { http }: Served,
  name = "ann",
): Promise<[client: PollClient, epoch: string]> {
  const connect = {
    ...{ type: "connect", version: 1, instance: "i", attempt: 1, client_id: name },
    subscriptions: [{ channel: "news" }],
  };
  const [client, { connected }] = await PollClient.open(http, { connect });
  return [client, connected.subscriptions[0].epoch];
}

Deno.test("a poller's stream: the first event comes at once, then all of a turn in one array", async () => {
  await using gateway = await startGateway(QUIET);
  const [client, epoch] = await subscribed(gateway);
  await using reader = await stream(gateway, client);
  assertEquals(reader.response.headers.get("content-type"), "text/event-stream");
  assertEquals(reader.response.headers.get("cache-control"), "no-store, no-transform");
  assertEquals(reader.response.headers.get("x-accel-buffering"), "no");
  assertEquals(await reader.next(), []);
  await Promise.all([1, 2, 3].map((n) => gateway.gateway.publish("news", n)));
  const frames: Frame[] = await reader.next();
  assertEquals(frames.map(({ data, seq, epoch }) => [data, seq, epoch]), [
    [1, 1, epoch],
    [2, 2, epoch],
    [3, 3, epoch],
  ]);
  const sent = await client.post("send", {
    frames: [
      { type: "channel.publish", channel: "news", data: 4, echo: true, request_id: 1 },
      { type: "ping" },
    ],
  });
  assertEquals(sent.body.frames.map(({ type }: Frame) => type), ["channel.published", "pong"]);
  assertEquals((await reader.next()).map(({ data }: Frame) => data), [4]);
});

Deno.test("a poller's stream: it goes on from the positions that the client states", async () => {
  await using gateway = await startGateway(QUIET);
  const [client, epoch] = await subscribed(gateway);
  const first = await stream(gateway, client);
  for (const n of [1, 2, 3]) await gateway.gateway.publish("news", n);
  const got: Frame[] = [];
  while (got.length < 3) got.push(...await first.next());
  await first.close();
  // The last one was lost on its way; the first is settled, the second still being handled.
  const positions = [{ channel: "news", epoch, seq: 2, open: [2, 2] }];
  await using second = await stream(gateway, client, { positions });
  const again: Frame[] = [];
  while (again.length === 0) again.push(...await second.next());
  assertEquals(again.map(({ data, _redelivered }) => [data, _redelivered]), [[3, true]]);
});

Deno.test("a poller's stream: another one, or a poll, of the same token takes its place", async () => {
  await using gateway = await startGateway(QUIET);
  const [client] = await subscribed(gateway);
  const first = await stream(gateway, client);
  assertEquals(await first.next(), []);
  await using second = await stream(gateway, client);
  assertEquals(await second.next(), []);
  assertEquals(await first.rest(), []);
  await gateway.gateway.publish("news", 1);
  assertEquals((await second.next())[0].data, 1);
  const poll = client.poll();
  assertEquals(await second.rest(), []);
  await gateway.gateway.publish("news", 2);
  assertEquals((await within(poll, "the poll"))[0].data, 2);
  const waiting = client.poll();
  await until(
    async () => (await ask(`${gateway.http}/health`)).body.push.connections.sse === 0,
    "",
  );
  await using third = await stream(gateway, client);
  assertEquals(await within(waiting, "the poll to be answered empty"), []);
  await gateway.gateway.publish("news", 3);
  assertEquals(await third.next(), []);
  assertEquals((await third.next())[0].data, 3);
});

Deno.test("a poller's stream: as long as it is open the poller is not idle, and is present", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway({}, { clock });
  const [client] = await subscribed(gateway);
  await using reader = await stream(gateway, client);
  for (let i = 0; i < 40; i++) {
    await clock.advance(10_000);
    assert(Array.isArray(await reader.next()), "something comes every 10 seconds");
  }
  assertEquals((await gateway.gateway.presence("news")).length, 1);
  const gone = Promise.withResolvers<void>();
  gateway.gateway.on("disconnected", () => gone.resolve());
  await reader.close();
  await until(
    async () => (await ask(`${gateway.http}/health`)).body.push.connections.sse === 0,
    "",
  );
  for (let i = 0; i < 8; i++) await clock.advance(10_000);
  await within(gone.promise, "the poller without a stream to count as lost");
  const { status, body } = await ask(`${gateway.http}/api/push/sse`, {
    body: { poll_token: client.pollToken },
  });
  assertEquals([status, body.code], [404, "unknown_session"]);
});

Deno.test("a poller's stream: it ends when somebody else takes the session, and says so when opened again", async () => {
  await using gateway = await startGateway(QUIET);
  const [client] = await subscribed(gateway);
  await using reader = await stream(gateway, client);
  assertEquals(await reader.next(), []);
  await using socket = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await socket.subscribe("news");
  assertEquals(await reader.rest(), []);
  const { status, body } = await ask(`${gateway.http}/api/push/sse`, {
    body: { poll_token: client.pollToken },
  });
  assertEquals([status, body.code], [409, "replaced"]);
});

Deno.test("a poller's stream: unregistering and leaving end it", async () => {
  await using gateway = await startGateway(QUIET);
  for (const leave of ["unregister", "send"]) {
    const [client] = await subscribed(gateway, leave);
    await using reader = await stream(gateway, client);
    assertEquals(await reader.next(), []);
    const left = await client.post(leave, { frames: [{ type: "disconnect" }] });
    assertEquals(left.status, 200);
    assertEquals(await reader.rest(), []);
  }
});

Deno.test("a poller's stream: a poller of the fixed wire may have one, too", async () => {
  await using gateway = await startGateway(QUIET);
  const client = await PollClient.register(gateway.http);
  await client.post("subscribe", { channel: "news" });
  await using reader = await stream(gateway, client, { positions: [] });
  await gateway.gateway.publish("news", 1);
  const frames: Frame[] = [];
  while (frames.length === 0) frames.push(...await reader.next());
  assertEquals(Object.keys(frames[0]).includes("seq"), false);
  const { event_id } = frames[0];
  assertEquals((await client.post("ack", { event_id })).body, { ok: true });
});

Deno.test("a poller's stream: what is wrong with a request is answered with a code", async () => {
  await using gateway = await startGateway(QUIET);
  const [client] = await subscribed(gateway);
  const poll_token = client.pollToken;
  const cases: [unknown, number, string][] = [
    [{}, 400, "bad_request"],
    [{ poll_token: 1 }, 400, "bad_request"],
    [{ poll_token: "x".repeat(65) }, 400, "bad_request"],
    [{ poll_token: "unknown" }, 404, "unknown_session"],
    [{ poll_token, positions: "x" }, 400, "bad_request"],
    [{ poll_token, positions: [{}] }, 400, "bad_request"],
    [{ poll_token, positions: [{ channel: "a b", epoch: "x", seq: 1 }] }, 400, "invalid_channel"],
    [{ poll_token, positions: [{ channel: "a", epoch: "x", seq: -1 }] }, 400, "bad_request"],
    [{ poll_token, positions: Array(1000).fill({}) }, 400, "bad_request"],
    ["[1]", 400, "bad_frame"],
    ["{", 400, "bad_frame"],
  ];
  for (const [body, status, code] of cases) {
    const answer = await ask(`${gateway.http}/api/push/sse`, { body });
    assertEquals([answer.status, answer.body.code], [status, code], JSON.stringify(body));
  }
  // Positions of channels that it does not have, and absurd ones, change nothing.
  const positions = [
    { channel: "other", epoch: "x", seq: 1 },
    { channel: "news", epoch: "x", seq: Number.MAX_SAFE_INTEGER, open: [1, 2] },
  ];
  await using reader = await stream(gateway, client, { positions });
  await gateway.gateway.publish("news", 1);
  const frames: Frame[] = [];
  while (frames.length === 0) frames.push(...await reader.next());
  assertEquals(frames.map(({ data }) => data), [1]);
});

Deno.test("a poller's stream: streams are bounded, and a stuck one holds its place until it is gone", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET.push, limits: { maxConnections: 2 } },
  });
  const [client] = await subscribed(gateway);
  await using _one = await stream(gateway, client);
  const two = await stream(gateway, client);
  await until(
    async () => (await ask(`${gateway.http}/health`)).body.push.connections.sse === 1,
    "",
  );
  await using three = await stream(gateway, client);
  assertEquals(await two.rest(), [[]]);
  assertEquals(await three.next(), []);
});

Deno.test("a poller's stream: who reads too slowly is cut off, and goes on where it was", async () => {
  const clock = new SocketClock();
  const push = {
    ...QUIET.push,
    limits: { maxBufferedBytes: 70_000 },
    delivery: { window: 400, windowBytes: 67_108_864, ackTimeout: 600 },
  };
  await using gateway = await startGateway({ push }, { clock });
  const [client, epoch] = await subscribed(gateway);
  const body = JSON.stringify({ poll_token: client.pollToken });
  using deaf = await TcpClient.connect(gateway.port);
  await deaf.write(
    `POST /api/push/sse HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await deaf.read();
  for (let n = 1; n <= 200; n++) {
    await gateway.gateway.publish("news", `${n}:`.padEnd(60_000, "x"));
    // In turns of their own: the buffer is looked at in each.
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (let i = 0; i < 8; i++) await clock.advance(5_000);
  const { text } = await ask(`${gateway.http}/metrics`);
  assertMatch(text, /^push_closed_total\{code="slow_consumer"\} 1$/m);
  assertMatch(text, /^push_sessions_attached 1$/m);
  let seq = 0;
  await using reader = await stream(gateway, client, {
    positions: [{ channel: "news", epoch, seq: 0 }],
  });
  while (seq < 200) {
    for (const frame of await reader.next() as Frame[]) {
      assertEquals(frame.seq, ++seq);
    }
    await client.post("send", {
      frames: [{ type: "ack", acks: [{ channel: "news", epoch, upto: seq }] }],
    });
  }
});

Deno.test("a poller's stream: to a client that has gone without a word nothing is sent until it is given up", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const [client, epoch] = await subscribed(gateway);
  // It is not read: no connection breaks.
  await using _silent = await stream(gateway, client);
  await gateway.gateway.publish("news", 1);
  const gone = Promise.withResolvers<void>();
  gateway.gateway.on("disconnected", () => gone.resolve());
  for (let i = 0; i < 90; i++) await clock.advance(10_000);
  await within(gone.promise, "the poller to count as lost");
  assertEquals(await gateway.gateway.deadLetters(), []);
  await using socket = (await WireClient.connect(gateway.ws, {
    client_id: "ann",
    subscriptions: [{ channel: "news", position: { epoch, seq: 0 } }],
  }))[0];
  assertEquals((await socket.next("channel_message")).data, 1);
});

Deno.test("a poller's stream: one whose client leaves messages unanswered ends, and is opened again", async () => {
  const clock = new SocketClock();
  const delivery = { ackTimeout: 3_600 };
  await using gateway = await startGateway({ push: { ...QUIET.push, delivery } }, { clock });
  const [client, epoch] = await subscribed(gateway);
  await using first = await stream(gateway, client);
  await gateway.gateway.publish("news", 1);
  for (let i = 0; i < 8; i++) await clock.advance(10_000);
  const frames = (await first.rest() as Frame[][]).flat();
  assertEquals(frames.map(({ data }) => data), [1]);
  const positions = [{ channel: "news", epoch, seq: 1, open: [1, 1] }];
  await using second = await stream(gateway, client, { positions });
  await client.post("send", {
    frames: [{ type: "ack", acks: [{ channel: "news", epoch, upto: 1 }] }],
  });
  for (let i = 0; i < 40; i++) await clock.advance(10_000);
  await gateway.gateway.publish("news", 2);
  let last: Frame[] = [];
  while (last.length === 0) last = await second.next();
  assertEquals(last.map(({ data }) => data), [2]);
});
