import { assertEquals, assertRejects } from "@std/assert";
import { Gateway } from "../../mod.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { TcpClient, upgradeRequest, webSocketFrame } from "../support/tcp_client.ts";
import { until, within } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

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
