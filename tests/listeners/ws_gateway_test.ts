import { assertEquals, assertRejects } from "@std/assert";
import { Gateway } from "../../mod.ts";
import { CLOSE, closeFrame, frame, joined, PING, PONG, TEXT } from "../rfc6455/frames.ts";
import { RawSocket, type ServerFrame } from "../rfc6455/raw_socket.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { TcpClient, upgradeRequest, webSocketFrame } from "../support/tcp_client.ts";
import { until, within } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

function textOf(frame: ServerFrame | undefined): string {
  return new TextDecoder().decode(frame?.payload);
}

async function framesUpToClose(socket: RawSocket): Promise<ServerFrame[]> {
  const frames: ServerFrame[] = [];
  while (frames.at(-1)?.opcode !== CLOSE) frames.push((await within(socket.next(), "a frame"))!);
  return frames;
}

const QUIET = { presence: { broadcastChanges: false } };

/** A WebSocket that was answered once, and whose owner reads no more. */
async function deafSocket({ port }: Served, frame: object): Promise<TcpClient> {
  const deaf = await TcpClient.connect(port);
  await deaf.write(upgradeRequest("/ws"));
  assertEquals((await deaf.answer())?.status, 101);
  await deaf.write(webSocketFrame(JSON.stringify(frame)));
  await deaf.read();
  return deaf;
}

Deno.test("over ws a reader that stands still is cut, and nobody waits for it", async () => {
  const clock = new SocketClock(0);
  await using served = await startGateway({
    websocket: "ws",
    push: { ...QUIET, delivery: { enabled: false } },
  }, { clock });
  await using healthy = await WireClient.open(served.ws);
  await healthy.subscribe("news");
  using deaf = await deafSocket(served, { type: "channel.subscribe", channel: "news" });
  for (let n = 0; n < 300; n++) {
    await served.gateway.publish("news", `${n}:`.padEnd(60_000));
    assertEquals((await healthy.next()).data.trimEnd(), `${n}:`);
  }
  await clock.advance(31_000);
  const { text } = await ask(`${served.http}/metrics`);
  assertEquals(/push_closed_total\{code="slow_consumer"\} 1\n/.test(text), true);
  assertEquals(/push_connections\{transport="websocket"\} 1\n/.test(text), true);
  // What the kernel has of it comes, and no close frame behind it.
  await deaf.hungUp();
  assertEquals(await healthy.ask({ type: "ping" }), { type: "pong" });
});

Deno.test("over ws what was asked is answered before a close that came in one piece with it", async () => {
  await using served = await startGateway({ websocket: "ws", push: QUIET });
  using socket = await RawSocket.open(served.port);
  const ping = frame('{"type":"ping"}');
  await socket.write(ping);
  assertEquals(textOf(await socket.next()), '{"type":"pong"}');
  await socket.write(joined([ping, frame("", { opcode: PING }), ping, closeFrame(1000, "bye")]));
  const frames = await framesUpToClose(socket);
  const pong = '{"type":"pong"}';
  assertEquals(frames.filter(({ opcode }) => opcode === TEXT).map(textOf), [pong, pong]);
  assertEquals(frames.filter(({ opcode }) => opcode === PONG).length, 1);
  const { opcode, payload } = frames.at(-1)!;
  assertEquals([opcode, payload[0] << 8 | payload[1]], [CLOSE, 1000]);
});

Deno.test("over ws messages of one turn of any size come one a frame, as each subscriber's own", async () => {
  await using served = await startGateway({ websocket: "ws", push: QUIET });
  await using all = new AsyncDisposableStack();
  const clients: WireClient[] = [];
  for (let n = 0; n < 3; n++) {
    const client = all.use(await WireClient.open(served.ws));
    await client.subscribe("news");
    clients.push(client);
  }
  const sent = ["", "x".repeat(125), "ü☃😀".repeat(50), "x".repeat(65_400), "é".repeat(32_000)];
  const published = sent.map((data) => served.gateway.publish("news", data));
  clients[1].send({ type: "ping" });
  await Promise.all(published);
  for (const client of clients) {
    const messages = await client.take(sent.length, "channel_message");
    assertEquals(messages.map(({ data }) => data), sent);
    assertEquals(client.texts.filter((text) => !text.startsWith("{")), []);
  }
  assertEquals(await clients[1].next("pong"), { type: "pong" });
  await served.gateway.publish("news", "last");
  for (const client of clients) assertEquals((await client.next()).data, "last");
});

Deno.test("over ws a stop answers polls, closes sockets with a code, and cuts who does not answer", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({ websocket: "ws" }, { clock });
  const client = await WireClient.open(served.ws);
  await client.subscribe("news");
  using deaf = await deafSocket(served, { type: "ping" });
  const poller = await PollClient.register(served.http);
  const held = clock.scheduled(29_000);
  const poll = poller.poll(29);
  await held;
  const patient = clock.scheduled(1_000);
  const stopped = served.gateway.stop();
  await patient;
  await clock.advance(1_000);
  await within(stopped, "the gateway to stop");
  assertEquals((await client.closed).code, 4000);
  assertEquals(await poll, []);
  await deaf.hungUp();
  assertEquals(clock.pending, 0);
});

Deno.test("over ws a busy port is AddrInUse; once it is free the same gateway starts", async () => {
  const options = { websocket: "ws", log: { level: "off" }, push: { enabled: true } } as const;
  const first = await startGateway(options);
  await using second = new Gateway({ ...options, port: first.port });
  await assertRejects(() => second.start(), Deno.errors.AddrInUse);
  await first[Symbol.asyncDispose]();
  await second.start();
  assertEquals(second.address.port, first.port);
});

Deno.test("over ws a gateway that is stopped while it starts leaves nothing behind", async () => {
  const options = {
    port: 0,
    websocket: "ws",
    log: { level: "off" },
    push: { enabled: true },
  } as const;
  const gateway = new Gateway(options);
  const started = gateway.start();
  const stopped = gateway.stop();
  await Promise.all([started, stopped]);
  assertEquals(gateway.store === undefined, false);
});

Deno.test("over ws a peer that vanishes in any byte of its handshake or frames leaves nothing behind", async () => {
  await using served = await startGateway({ websocket: "ws", push: QUIET });
  const request = upgradeRequest("/ws");
  const frame = webSocketFrame(JSON.stringify({ type: "channel.subscribe", channel: "news" }));
  for (const length of [1, 20, request.length - 1, request.length]) {
    using client = await TcpClient.connect(served.port);
    await client.write(request.slice(0, length));
  }
  for (const length of [0, 1, 5, frame.length - 1, frame.length]) {
    using client = await TcpClient.connect(served.port);
    await client.write(request);
    await client.answer();
    await client.write(frame.subarray(0, length));
  }
  await using other = await WireClient.open(served.ws);
  const websockets = async () =>
    (await ask(`${served.http}/health`)).body.push.connections.websocket;
  await until(async () => await websockets() === 1, "only the other is connected");
  assertEquals(await other.ask({ type: "ping" }), { type: "pong" });
});
