import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { TcpClient, upgradeRequest, webSocketFrame } from "../support/tcp_client.ts";
import { until, within } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

const QUIET = { presence: { broadcastChanges: false } };
const MIB = 1024 * 1024;

/** A WebSocket on which the test writes bytes as it likes. */
async function rawSocket({ port }: Served, query = ""): Promise<TcpClient> {
  const client = await TcpClient.connect(port);
  await client.write(upgradeRequest(`/ws${query}`));
  assertEquals((await client.answer())?.status, 101);
  return client;
}

/** A client that subscribes and never reads again. */
async function deafClient(served: Served, client_id: string, channel: string): Promise<TcpClient> {
  const deaf = await rawSocket(served, `?client_id=${client_id}`);
  await deaf.write(webSocketFrame(JSON.stringify({ type: "channel.subscribe", channel })));
  await deaf.read();
  return deaf;
}

async function assertLives(client: WireClient): Promise<void> {
  assertEquals(await client.ask({ type: "ping" }), { type: "pong" });
}

Deno.test("a binary frame, of whatever length, ends its connection with 4514", async () => {
  await using served = await startGateway();
  await using other = await WireClient.open(served.ws);
  for (const length of [0, 1, 70_000, 3 * MIB]) {
    await using client = await WireClient.open(served.ws);
    client.send(new Uint8Array(length));
    assertEquals((await client.closed).code, 4514);
  }
  await using attached = await WireClient.open(served.ws);
  await attached.subscribe("news");
  attached.send(new Uint8Array([123, 125]));
  assertEquals((await attached.closed).code, 4514);
  await assertLives(other);
});

Deno.test("a text frame of 10 MB ends its connection with 4513", async () => {
  await using served = await startGateway();
  await using other = await WireClient.open(served.ws);
  for (const text of ["x".repeat(10 * MIB), "[".repeat(10 * MIB), "ü".repeat(MIB)]) {
    await using client = await WireClient.open(served.ws);
    await client.ask({ type: "ping" });
    client.send(text);
    assertEquals((await client.closed).code, 4513);
  }
  await assertLives(other);
});

Deno.test("a nesting of 10 000 is refused, and the connection goes on", async () => {
  await using served = await startGateway();
  await using client = await WireClient.open(served.ws);
  for (
    const text of [
      "[".repeat(10_000),
      "[".repeat(10_000) + "]".repeat(10_000),
      '{"a":'.repeat(10_000) + "1" + "}".repeat(10_000),
      `{"type":"ping","x":${"[".repeat(10_000)}${"]".repeat(10_000)}}`,
      `{"type":"${"[".repeat(10_000)}"}`,
    ]
  ) {
    const { type, code } = await client.ask(text);
    assertEquals(type, "error");
    assert(["nesting_too_deep", "unknown_type"].includes(code), code);
  }
  await assertLives(client);
});

Deno.test("an empty channel name, or one of 10 000 characters, is refused in a short sentence", async () => {
  await using served = await startGateway();
  await using client = await WireClient.open(served.ws);
  for (const type of ["create", "subscribe", "unsubscribe", "publish"]) {
    for (const channel of ["", "x".repeat(10_000), "ü".repeat(10_000)]) {
      const { code, message } = await client.ask({ type: `channel.${type}`, channel, data: 1 });
      assertEquals(code, "invalid_channel");
      assert(message.length < 200, message);
    }
  }
  assertEquals((await client.ask({ type: "channel.list" })).channels, []);
});

Deno.test("a field of a megabyte is refused in a short sentence", async () => {
  await using served = await startGateway();
  await using client = await WireClient.open(served.ws);
  const long = "\u0001".repeat(150_000);
  for (
    const frame of [
      { type: long },
      { type: "message_ack", event_id: long },
      { type: "presence.heartbeat", status: long },
      { type: "channel.publish", channel: "news", data: 1, id: long },
      { type: "presence.query", channel: long },
    ]
  ) {
    const { type, message } = await client.ask(frame);
    assertEquals(type, "error");
    assert(message.length < 400, message);
  }
});

Deno.test("payloads reach subscribers exactly as they were written", async () => {
  await using served = await startGateway({ push: QUIET });
  await using ann = await WireClient.open(served.ws);
  await using bob = await WireClient.open(served.ws);
  await ann.subscribe("news");
  for (
    const payload of [
      "12345678901234567890",
      "1e400",
      "-1e400",
      "1.0",
      "-0",
      "1E+2",
      "0.1000000000000000055511151231257827021181583404541015625",
      '"\\ud800"',
      '"\\u0000\\u001f"',
      '"\\/\\u0041"',
      '"\u2028\u2029\ufeff"',
      "{ }",
      "[ 1 ,\t2 ]",
      '{"a":1,"a":2}',
      '{"__proto__":{"polluted":true}}',
      '{"constructor":{"prototype":{"polluted":true}}}',
      '{"type":"error","code":"internal"}',
      '"}],{\\"type\\":\\"pong\\"}"',
      "null",
    ]
  ) {
    bob.send(`{"type":"channel.publish","channel":"news","data":${payload}}`);
    assertEquals((await bob.next()).type, "channel.published", payload);
    await ann.next();
    assertStringIncludes(ann.texts.at(-1)!, `"data":${payload},"event_id":`);
  }
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("of a field that comes twice the last counts, for the type as for the payload", async () => {
  await using served = await startGateway({ push: QUIET });
  await using ann = await WireClient.open(served.ws);
  await using bob = await WireClient.open(served.ws);
  await ann.subscribe("news");
  bob.send(
    '{"type":"ping","type":"channel.publish","channel":"x","data":1,"channel":"news","data":2}',
  );
  assertEquals((await bob.next()).channel, "news");
  assertEquals((await ann.next()).data, 2);
});

Deno.test("an own member __proto__ is a member like any other", async () => {
  await using served = await startGateway({ push: QUIET });
  await using client = await WireClient.open(`${served.ws}?client_id=ann`);
  const metadata = '{"__proto__":{"a":1},"constructor":2}';
  client.send(`{"__proto__":{"type":"ping"},"type":"presence.heartbeat","metadata":${metadata}}`);
  assertEquals(await client.next(), { type: "presence.heartbeat_ack", ok: true });
  await client.ask({ type: "presence.query" });
  assertStringIncludes(client.texts.at(-1)!, metadata);
  assertEquals((await client.ask('{"__proto__":{"type":"ping"}}')).code, "bad_request");
  const body = `{"__proto__":{"channel":"news","data":1}}`;
  assertEquals((await ask(`${served.http}/api/push/publish`, { body })).status, 400);
});

// RFC 6455 sections 5 to 8: what breaks the protocol itself loses its connection, nothing more.
const BROKEN: [what: string, bytes: Uint8Array][] = [
  ["text in bad UTF-8", webSocketFrame(new Uint8Array([0xff, 0xfe]))],
  ["a surrogate in UTF-8", webSocketFrame(new Uint8Array([0xed, 0xa0, 0x80]))],
  ["a reserved opcode", webSocketFrame("{}", { opcode: 3 })],
  ["a reserved control opcode", webSocketFrame("{}", { opcode: 11 })],
  ["a reserved bit", webSocketFrame("{}", { opcode: 0x41 })],
  ["a continuation of nothing", webSocketFrame("{}", { opcode: 0 })],
  ["a ping of 126 bytes", webSocketFrame("x".repeat(126), { opcode: 9 })],
  ["a ping in fragments", webSocketFrame("x", { opcode: 9, fin: false })],
  ["a close with one byte", webSocketFrame(new Uint8Array([3]), { opcode: 8 })],
  ["a close with a code that is none", webSocketFrame(new Uint8Array([3, 237]), { opcode: 8 })],
  ["a length of 2^63", new Uint8Array([0x81, 0xff, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
  ["a frame of 64 MiB", new Uint8Array([0x81, 0xff, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0, 0])],
];

Deno.test("what breaks the WebSocket protocol loses its connection, and nobody else does", async (t) => {
  await using served = await startGateway({ push: QUIET });
  await using other = await WireClient.open(`${served.ws}?client_id=other`);
  await other.subscribe("news");
  for (const [what, bytes] of BROKEN) {
    await t.step(what, async () => {
      using client = await rawSocket(served, "?client_id=broken");
      await client.write(webSocketFrame('{"type":"ping"}'));
      await client.read();
      await client.write(bytes);
      await client.hungUp();
      const { delivered } = await served.gateway.publish("news", what);
      assertEquals(delivered, 1);
      assertEquals((await other.next()).data, what);
    });
  }
  const present = async () => (await ask(`${served.http}/health`)).body.push.connections.websocket;
  await until(async () => await present() === 1, "only the other is connected");
});

Deno.test("frames in pieces, pings and pongs are taken as they come", async () => {
  await using served = await startGateway();
  using client = await rawSocket(served);
  await client.write(webSocketFrame('{"type":', { fin: false }));
  await client.write(webSocketFrame("\u0001", { opcode: 9 }));
  await client.write(webSocketFrame("", { opcode: 10 }));
  await client.write(webSocketFrame('"ping"}', { opcode: 0 }));
  let text = "";
  while (!text.includes('{"type":"pong"}')) {
    text += new TextDecoder().decode(await client.read());
  }
});

Deno.test("clients that vanish in the middle of a frame leave nothing behind", async () => {
  await using served = await startGateway({ push: QUIET });
  const frame = webSocketFrame(JSON.stringify({ type: "channel.subscribe", channel: "news" }));
  for (const length of [0, 1, 5, frame.length - 1, frame.length]) {
    using client = await rawSocket(served);
    await client.write(frame.subarray(0, length));
  }
  const sessions = async () => {
    const { push } = (await ask(`${served.http}/health`)).body;
    return push.connections.websocket + push.sessions + push.store.sessions;
  };
  await until(async () => await sessions() === 0, "everything is gone");
});

Deno.test("a slow reader is forgotten after 30 seconds, and goes on later without loss", async () => {
  const clock = new SocketClock(0);
  await using served = await startGateway({
    push: { ...QUIET, delivery: { window: 65_536, windowBytes: 256 * MIB } },
  }, { clock });
  await using healthy = await WireClient.open(`${served.ws}?client_id=healthy`);
  await healthy.subscribe("news");
  using _ = await deafClient(served, "deaf", "news");
  const forgotten = Promise.withResolvers<void>();
  served.gateway.on("disconnected", ({ clientId }) => {
    if (clientId === "deaf") forgotten.resolve();
  });

  const messages = 300;
  for (let n = 0; n < messages; n++) {
    await served.gateway.publish("news", `${n}:`.padEnd(60_000));
    const { data, event_id } = await healthy.next();
    assertEquals(data.trimEnd(), `${n}:`, "the healthy client gets everything at once");
    healthy.send({ type: "message_ack", event_id });
    await healthy.next();
  }
  await clock.advance(31_000);
  await within(forgotten.promise, "the deaf client to be forgotten");
  const { text } = await ask(`${served.http}/metrics`);
  assertStringIncludes(text, 'push_closed_total{code="slow_consumer"} 1\n');
  assertStringIncludes(text, 'push_connections{transport="websocket"} 1\n');

  await using again = await WireClient.open(`${served.ws}?client_id=deaf`);
  await again.subscribe("news");
  const got = new Set<string>();
  while (got.size < messages) {
    const { data, event_id } = await again.next("channel_message");
    got.add(data.trimEnd());
    again.send({ type: "message_ack", event_id });
    await clock.advance(50);
  }
});

/** Deno says that a socket is closed shortly before the closing that it was told to do has ended. */
const CLOSINGS: AsyncDisposable = {
  async [Symbol.asyncDispose]() {
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setTimeout(resolve, 1));
  },
};

Deno.test("a client that asks without end and never reads the answers is closed", async () => {
  await using _ = CLOSINGS;
  await using served = await startGateway();
  await using other = await WireClient.open(served.ws);
  for (let n = 0; n < 100; n++) {
    await other.ask({ type: "channel.create", channel: `${n}`.padEnd(250, "x") });
  }
  using deaf = await rawSocket(served, "?client_id=deaf");
  const gone = Promise.withResolvers<void>();
  served.gateway.on("disconnected", () => gone.resolve());
  const asking = (async () => {
    const frame = webSocketFrame('{"type":"channel.list"}');
    for (let n = 0; n < 2000; n++) if (!await deaf.write(frame)) return;
  })();
  await within(gone.promise, "the deaf client to be closed");
  await asking;
  await assertLives(other);
});

Deno.test("slow readers by the dozen do not make the gateway grow, and are closed in the end", async () => {
  const clock = new SocketClock(0);
  await using served = await startGateway({
    push: { ...QUIET, delivery: { enabled: false }, limits: { maxBufferedBytes: MIB } },
  }, { clock });
  using deaf = new DisposableStack();
  for (let n = 0; n < 12; n++) deaf.use(await deafClient(served, `deaf-${n}`, "news"));
  const before = Deno.memoryUsage().rss;
  // 12 clients times 1 500 messages would be a gigabyte.
  for (let n = 0; n < 1500; n++) {
    await served.gateway.publish("news", "x".repeat(60_000));
    await clock.advance(50);
  }
  const grown = (Deno.memoryUsage().rss - before) / MIB;
  assert(grown < 250, `it grew by ${Math.round(grown)} MiB`);
  await clock.advance(31_000);
  await until(async () => (await served.gateway.presence()).length === 0, "all are forgotten");
  const { text } = await ask(`${served.http}/metrics`);
  assertStringIncludes(text, 'push_closed_total{code="slow_consumer"} 12\n');
});

Deno.test("a flood of frames is answered frame by frame; others notice nothing", async () => {
  await using served = await startGateway({ push: QUIET });
  await using flood = await WireClient.open(served.ws);
  await using other = await WireClient.open(served.ws);
  await other.subscribe("news");
  for (let n = 0; n < 20_000; n++) flood.send(n % 2 === 0 ? '{"type":"ping"}' : "nonsense");
  const answered = flood.take(20_000);
  for (let n = 0; n < 20; n++) {
    await served.gateway.publish("news", n);
    assertEquals((await other.next()).data, n);
  }
  const frames = await answered;
  assertEquals(frames.filter(({ type }) => type === "pong").length, 10_000);
  assertEquals(frames.filter(({ code }) => code === "bad_frame").length, 10_000);
});

Deno.test("a body that is too large is refused before it has arrived", async () => {
  await using served = await startGateway();
  using client = await TcpClient.connect(served.port);
  await client.write(
    "POST /api/push/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n{",
  );
  assertEquals((await client.answer())?.status, 413);
  using chunked = await TcpClient.connect(served.port);
  await chunked.write(
    "POST /api/push/publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
  for (let n = 0; n < 20; n++) if (!await chunked.write(chunk)) break;
  assertEquals((await chunked.answer())?.status, 413);
});

Deno.test("a request that smuggles another is refused", async () => {
  await using served = await startGateway();
  for (
    const fields of [
      "Content-Length: 3\r\nTransfer-Encoding: chunked",
      "Content-Length: 3\r\nContent-Length: 4",
      "Content-Length: x",
      "Content-Length: -1",
      "Transfer-Encoding: gzip",
      "Transfer-Encoding: chunked, identity",
    ]
  ) {
    using client = await TcpClient.connect(served.port);
    await client.write(
      `POST /api/push/publish HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n\r\n0\r\n\r\n` +
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assertEquals((await client.answer())?.status, 400, fields);
  }
});
