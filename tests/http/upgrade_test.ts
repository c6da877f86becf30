import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { exchange, TcpClient, upgradeRequest } from "../support/tcp_client.ts";
import { WireClient } from "../support/wire_client.ts";

Deno.test("upgrade: a proper request is answered with 101 and the key's digest", async () => {
  await using gateway = await startGateway();
  for (
    const fields of [
      {},
      { Upgrade: "WebSocket", Connection: "keep-alive, Upgrade" },
      { Connection: "keep-alive,upgrade" },
      { "Sec-WebSocket-Protocol": "a,b" },
      { "Sec-WebSocket-Protocol": ", ," },
      { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" },
      { Origin: "http://127.0.0.1" },
      { Cookie: "\u00ff=\u00fe" },
    ]
  ) {
    const answer = await exchange(gateway.port, upgradeRequest("/ws", fields));
    assertEquals(answer?.status, 101, JSON.stringify(fields));
    assertEquals(answer?.headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assertEquals(answer?.headers.has("sec-websocket-extensions"), false);
  }
});

// RFC 6455 section 4.2.1, and what hostile peers make of HTTP.
const REFUSED: [what: string, status: number, request: string][] = [
  ["no key", 400, upgradeRequest("/ws", { "Sec-WebSocket-Key": undefined })],
  ["a key that is too short", 400, upgradeRequest("/ws", { "Sec-WebSocket-Key": "YWJj" })],
  ["a key that is no base64", 400, upgradeRequest("/ws", { "Sec-WebSocket-Key": "*".repeat(24) })],
  ["no version", 426, upgradeRequest("/ws", { "Sec-WebSocket-Version": undefined })],
  ["version 8", 426, upgradeRequest("/ws", { "Sec-WebSocket-Version": "8" })],
  ["no header Connection", 400, upgradeRequest("/ws", { Connection: undefined })],
  ["Connection: keep-alive", 400, upgradeRequest("/ws", { Connection: "keep-alive" })],
  ["an option that only contains it", 400, upgradeRequest("/ws", { Connection: "not-upgrade" })],
  ["no header Upgrade", 426, upgradeRequest("/ws", { Upgrade: undefined })],
  ["another protocol", 426, upgradeRequest("/ws", { Upgrade: "h2c" })],
  ["a browser that opens the address", 426, "GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  ["another method", 405, "PUT /ws HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"],
  ["POST with an upgrade", 405, upgradeRequest("/ws", {}, "POST /ws HTTP/1.1")],
  ["a client id that is none", 400, upgradeRequest("/ws?client_id=a%20b")],
  ["an empty client id", 400, upgradeRequest("/ws?client_id=")],
  ["a client id in bad UTF-8", 400, upgradeRequest("/ws?client_id=%ff")],
  ["a client id too long", 400, upgradeRequest(`/ws?client_id=${"x".repeat(129)}`)],
  ["another path", 404, upgradeRequest("/ws/")],
  ["the path in another spelling", 404, upgradeRequest("/%77s")],
  ["a path behind two slashes", 404, upgradeRequest("//ws")],
  ["an address that is no URL", 400, upgradeRequest("/ws", { Host: "a b" })],
  ["a host with a port that is none", 400, upgradeRequest("/ws", { Host: "a:99999" })],
  ["a host that is no address", 400, upgradeRequest("/ws", { Host: "[::" })],
  ["two hosts", 400, upgradeRequest("/ws", { Host: "a\r\nHost: b" })],
  ["a header of 300 kB", 400, upgradeRequest("/ws", { "X-Big": "x".repeat(300_000) })],
  ["an address of 100 kB", 400, upgradeRequest(`/ws?${"x".repeat(100_000)}`)],
  ["a header with a zero byte", 400, upgradeRequest("/ws", { "X-Zero": "a\0b" })],
  ["no HTTP", 400, "hello\r\n\r\n"],
  ["TLS", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
  ["the whole server", 404, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  ["a tunnel", 404, "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n"],
];

Deno.test("upgrade: what is no proper request is refused with a status", async (t) => {
  await using gateway = await startGateway();
  await using other = await WireClient.open(gateway.ws);
  for (const [what, status, request] of REFUSED) {
    await t.step(what, async () => {
      assertEquals((await exchange(gateway.port, request))?.status, status);
    });
  }
  assertEquals(await other.ask({ type: "ping" }), { type: "pong" });
});

Deno.test("upgrade: what RFC 6455 leaves to HTTP is upgraded or refused, and never a failure", async () => {
  await using gateway = await startGateway();
  for (
    const request of [
      upgradeRequest("/ws", {}, "GET /ws HTTP/1.0"),
      upgradeRequest("/ws", {}, "GET http://elsewhere.example/ws HTTP/1.1"),
      upgradeRequest("/ws", {}, "GET ws://elsewhere.example/ws HTTP/1.1"),
      upgradeRequest("/ws", { Host: undefined }),
      upgradeRequest("/ws", { Host: "" }),
      upgradeRequest("/ws", { Upgrade: "websocket, h2c" }),
      upgradeRequest(
        "/ws",
        Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`X-${i}`, "1"])),
      ),
    ]
  ) {
    const { status } = (await exchange(gateway.port, request))!;
    assertEquals(status === 101 || status >= 400 && status < 500, true, `${status} ${request}`);
  }
});

Deno.test("upgrade: a request that ends in the middle harms nobody", async () => {
  await using gateway = await startGateway();
  await using other = await WireClient.open(gateway.ws);
  const request = upgradeRequest("/ws");
  for (const length of [1, 10, request.length - 2]) {
    using client = await TcpClient.connect(gateway.port);
    await client.write(request.slice(0, length));
    await client.end();
    await client.hungUp();
  }
  assertEquals(await other.ask({ type: "ping" }), { type: "pong" });
});

Deno.test("upgrade: a token that is wrong is refused with 401 and asks for a bearer token", async () => {
  await using gateway = await startGateway({ authToken: "s3cret" });
  for (
    const request of [
      upgradeRequest("/ws", { Authorization: "Bearer wrong" }),
      upgradeRequest("/ws?token=wrong"),
      upgradeRequest("/ws?token="),
      upgradeRequest("/ws?token=s3cret", { Authorization: "Bearer wrong" }),
      upgradeRequest("/ws?token=S3CRET"),
    ]
  ) {
    const answer = (await exchange(gateway.port, request))!;
    assertEquals(answer.status, 401, request);
    assertStringIncludes(answer.headers.get("www-authenticate")!, "Bearer");
    assertEquals(JSON.parse(answer.body).ok, false);
  }
});

Deno.test("upgrade: a token is taken from the header, the address or the first frame", async () => {
  await using gateway = await startGateway({ authToken: "s3cret" });
  for (
    const request of [
      upgradeRequest("/ws", { Authorization: "Bearer s3cret" }),
      upgradeRequest("/ws", { Authorization: "bearer  s3cret" }),
      upgradeRequest("/ws?token=s3cret"),
      upgradeRequest("/ws"),
      upgradeRequest("/ws", { Authorization: "Basic dXNlcjpwYXNz" }),
    ]
  ) assertEquals((await exchange(gateway.port, request))?.status, 101, request);
});

Deno.test("upgrade: beyond maxConnections a request is refused with 503 until another has gone", async () => {
  await using gateway = await startGateway({ push: { limits: { maxConnections: 2 } } });
  await using first = await WireClient.open(gateway.ws);
  const second = await WireClient.open(gateway.ws);
  const answer = await exchange(gateway.port, upgradeRequest("/ws"));
  assertEquals(answer?.status, 503);
  assertEquals(JSON.parse(answer!.body).code, "too_many_connections");
  assertEquals(answer?.headers.get("retry-after"), "1");
  await assertRejects(() => WireClient.open(gateway.ws));

  await second.close();
  await using third = await WireClient.open(gateway.ws);
  assertEquals(await first.ask({ type: "ping" }), { type: "pong" });
  assertEquals(await third.ask({ type: "ping" }), { type: "pong" });
});
