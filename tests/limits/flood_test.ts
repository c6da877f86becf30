import { assert, assertEquals } from "@std/assert";
import { ask, PollClient } from "../support/http_client.ts";
import { startGateway } from "../support/gateway.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { WireClient } from "../support/wire_client.ts";

const WEBSOCKETS = ["deno", "ws"] as const;

for (const websocket of WEBSOCKETS) {
  Deno.test(`a flood over ${websocket}: the flooding client is closed, and at most a burst gets through`, async () => {
    const clock = new SocketClock();
    const limits = { frameRate: 100, frameBurst: 1_000, publishRate: 0 };
    await using gateway = await startGateway({ websocket, push: { limits } }, { clock });
    await using reader = await WireClient.open(gateway.ws);
    await reader.subscribe("news");
    await using flood = await WireClient.open(gateway.ws);
    await flood.ask({ type: "ping" });
    const frame = { type: "channel.publish", channel: "flood", data: 1 };
    for (let n = 0; n < 10_000; n++) flood.send(frame);
    const { code } = await flood.closed;
    // The built-in one cuts a peer that sends on, and with it what the peer has not read.
    assert(code === 4432 || websocket === "deno" && code === 0, `closed with ${code}`);
    const { body } = await ask(`${gateway.http}/api/push/channels`);
    const { head } = body.channels.find(({ name }: { name: string }) => name === "flood");
    assert(head > 0 && head < 1_000, `${head} were stored`);
    await gateway.gateway.publish("news", "hello");
    assertEquals((await reader.next()).data, "hello");
    assertEquals(await reader.ask({ type: "ping" }), { type: "pong" });
    const { text } = await ask(`${gateway.http}/metrics`);
    assert(text.includes('push_limit_hits_total{limit="frameRate"} 1\n'));
    assert(text.includes('push_closed_total{code="too_many_frames"} 1\n'));
  });

  Deno.test(`long frames over ${websocket}: bytes count as frames do`, async () => {
    const clock = new SocketClock();
    const limits = { frameRate: 10, frameBurst: 100 };
    await using gateway = await startGateway({ websocket, push: { limits } }, { clock });
    await using flood = await WireClient.open(gateway.ws);
    // 64 KiB are 17 tokens: five of them fit, the sixth does not.
    const fill = "x".repeat(65_536);
    for (let n = 0; n < 20; n++) flood.send({ type: "ping", fill });
    await flood.closed;
    const { text } = await ask(`${gateway.http}/metrics`);
    assert(text.includes('push_limit_hits_total{limit="frameRate"} 1\n'));
  });
}

Deno.test("a flood of polls: the flooding client hears which limit; another one's polls are answered", async () => {
  const clock = new SocketClock();
  const limits = { pollRate: 10, pollBurst: 5, frameRate: 20, frameBurst: 50 };
  await using gateway = await startGateway({ push: { limits } }, { clock });
  const flood = await PollClient.register(gateway.http);
  const quiet = await PollClient.register(gateway.http);
  const codes = new Map<string, number>();
  for (let n = 0; n < 80; n++) {
    const { body } = await flood.post("messages", { timeout: 0 });
    const code = body.code ?? "answered";
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  assertEquals(Object.fromEntries(codes), {
    answered: 5,
    too_many_polls: 45,
    too_many_frames: 30,
  });
  assertEquals(await quiet.poll(0), []);
});

Deno.test("a flood of frames in one request of a poller is refused before any is looked at", async () => {
  const clock = new SocketClock();
  const limits = { frameRate: 10, frameBurst: 100 };
  await using gateway = await startGateway({ push: { limits } }, { clock });
  const [poller] = await PollClient.open(gateway.http, {
    connect: { type: "connect", version: 1, instance: "i", attempt: 1 },
  });
  const frames = Array(200).fill({ type: "channel.publish", channel: "flood", data: 1 });
  const { status, body, headers } = await poller.post("send", { frames });
  assertEquals([status, body.code], [429, "too_many_frames"]);
  assert(Number(headers.get("retry-after")) >= 1);
  assertEquals((await ask(`${gateway.http}/api/push/channels`)).body.channels, []);
});

Deno.test("a flood of publishes over HTTP is refused with the time to wait, the next subject's are not", async () => {
  const clock = new SocketClock();
  const auth = { tokens: [{ name: "ann", token: "for-ann" }, { name: "bob", token: "for-bob" }] };
  const limits = { publishRate: 10, publishBurst: 10 };
  await using gateway = await startGateway({ push: { limits, auth } }, { clock });
  const publish = (token: string) =>
    ask(`${gateway.http}/api/push/publish`, { token, body: { channel: "news", data: 1 } });
  await gateway.gateway.publish("news", 0);
  const statuses: number[] = [];
  for (let n = 0; n < 15; n++) statuses.push((await publish("for-ann")).status);
  assertEquals(statuses, [...Array(10).fill(200), ...Array(5).fill(429)]);
  assertEquals((await publish("for-ann")).body.retry_after, 0.1);
  assertEquals((await publish("for-bob")).status, 200);
});

Deno.test("a publish that makes a channel costs as much as eight, and so does creating one", async () => {
  const clock = new SocketClock();
  const limits = { publishRate: 16, publishBurst: 32 };
  await using gateway = await startGateway({ push: { limits } }, { clock });
  await using client = await WireClient.open(gateway.ws);
  const types: string[] = [];
  for (const name of ["a", "b", "c", "d", "e"]) {
    const frame = name === "a"
      ? { type: "channel.create", channel: name }
      : { type: "channel.publish", channel: name, data: 1 };
    const { type, code } = await client.ask(frame);
    types.push(code ?? type);
  }
  assertEquals(types, [
    "channel.created",
    ...Array(3).fill("channel.published"),
    "too_many_publishes",
  ]);
  await clock.advance(500);
  const { type } = await client.ask({ type: "channel.publish", channel: "b", data: 2 });
  assertEquals(type, "channel.published");
});

Deno.test("channels without end: so many are stored, and nothing of the refused ones is kept", async () => {
  const clock = new SocketClock();
  const limits = { maxStoredChannels: 500, publishRate: 0, frameRate: 0 };
  await using gateway = await startGateway({ push: { limits } }, { clock });
  const [client] = await WireClient.connect(gateway.ws);
  await using _ = client;
  const names = Array.from({ length: 5_000 }, (_, n) => `channel-${n}`);
  const answers = new Map<string, number>();
  for (let from = 0; from < names.length; from += 500) {
    client.send(
      names.slice(from, from + 500).map((channel) => (
        { type: "channel.publish", channel, data: 1 }
      )),
    );
    for (let n = 0; n < 500; n++) {
      const { type, code } = await client.next();
      answers.set(code ?? type, (answers.get(code ?? type) ?? 0) + 1);
    }
  }
  assertEquals(Object.fromEntries(answers), {
    "channel.published": 500,
    too_many_stored_channels: 4_500,
  });
  assertEquals((await gateway.gateway.channels()).length, 500);
});

Deno.test("wrong tokens in first frames count as those in headers do, each of an address of its own", async () => {
  const clock = new SocketClock();
  const options = { trustProxy: ["loopback"], authToken: "right" };
  const limits = { maxFailures: 1 };
  await using gateway = await startGateway({ ...options, push: { limits } }, { clock });
  const connect = async (token: string, address: string) => {
    const headers = { "x-forwarded-for": address };
    await using client = await WireClient.open(gateway.ws, headers);
    client.send({ type: "connect", version: 1, instance: "i", attempt: 1, token });
    const { type, code } = await client.next();
    return code ?? type;
  };
  for (let n = 0; n < 4; n++) assertEquals(await connect("wrong", "2001:db8::1"), "token_invalid");
  assertEquals(await connect("right", "2001:db8::2"), "connected");
  // Over a connection that is there already, too.
  const headers = { "x-forwarded-for": "2001:db8::3" };
  const other = await WireClient.open(gateway.ws, headers);
  assertEquals(await connect("wrong", "2001:db8::1"), "token_invalid");
  other.send({ type: "connect", version: 1, instance: "o", attempt: 1, token: "right" });
  const { code, retry_after } = await other.next();
  assertEquals([code, retry_after], ["too_many_failures", 5]);
  assertEquals((await other.closed).code, 4434);
  assertEquals(await connect("right", "2001:db8:0:1::1"), "connected");
});

Deno.test("connections that have gone leave nothing behind, whatever they spoke", async () => {
  const clock = new SocketClock();
  const limits = { maxConnections: 3, maxConnectionsPerAddress: 3, maxHandshakes: 3 };
  const options = { trustProxy: ["loopback"], authToken: "right" };
  await using gateway = await startGateway({ ...options, push: { limits } }, { clock });
  const headers = { "x-forwarded-for": "192.0.2.1", authorization: "Bearer right" };
  const { "x-forwarded-for": address } = headers;
  for (let n = 0; n < 10; n++) {
    const gone = Promise.withResolvers<void>();
    const off = gateway.gateway.on("disconnected", () => gone.resolve());
    const client = await WireClient.open(gateway.ws, headers);
    await client.ask({ type: "ping" });
    const silent = await WireClient.open(gateway.ws, { "x-forwarded-for": address });
    silent.send({ type: "connect", version: 1, instance: "i", attempt: 1, token: "wrong" });
    await silent.closed;
    await client.close();
    await gone.promise;
    off();
    const { body } = await ask(`${gateway.http}/api/push/poll/register`, { body: {}, headers });
    const stream = await fetch(`${gateway.http}/api/push/sse`, {
      method: "POST",
      headers,
      body: JSON.stringify({ poll_token: body.poll_token }),
    });
    await stream.body!.cancel();
    const left = await ask(`${gateway.http}/api/push/poll/unregister`, { body, headers });
    assertEquals(left.status, 200);
  }
});
