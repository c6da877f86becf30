import { assertEquals } from "@std/assert";
import { wholeOf } from "../../server/http/head.ts";
import type { Handler } from "../../server/listeners/listener.ts";
import { Certificate } from "../../server/listeners/certificate.ts";
import { systemClock } from "../../server/clock.ts";
import { Log, silentLog } from "../../server/logging/log.ts";
import { Certificates } from "../support/certificates.ts";
import { RunningProgram } from "../support/program.ts";
import { TcpClient } from "../support/tcp_client.ts";
import { until, within } from "../support/within.ts";
import { openImpatient } from "./node_listener.ts";

const OK: Handler = () => Promise.resolve(new Response("ok"));
const HEAD = "Host: 127.0.0.1\r\n";

/** Answers with what the body of the request was. */
const echo: Handler = async (request) => {
  try {
    return new Response(await wholeOf(request).text());
  } catch (error) {
    return new Response(String(error), { status: 400 });
  }
};

Deno.test("node:http: a head that does not end is refused with 408, and cut", async () => {
  const listener = await openImpatient(OK);
  using slow = await TcpClient.connect(listener.address.port);
  await slow.write("GET / HTTP/1.1\r\nHost: 127");
  assertEquals((await slow.answer())?.status, 408);
  await slow.hungUp();
  using silent = await TcpClient.connect(listener.address.port);
  await silent.hungUp();
  await listener.close();
});

Deno.test("node:http: a body that does not end is cut", async () => {
  const listener = await openImpatient(echo);
  using slow = await TcpClient.connect(listener.address.port);
  await slow.write(`POST / HTTP/1.1\r\n${HEAD}Content-Length: 10\r\n\r\nabc`);
  await slow.hungUp();
  await listener.close();
});

Deno.test("node:http: a body that nobody reads is read to its end, and the connection goes on", async () => {
  const listener = await openImpatient(() => Promise.resolve(new Response("no", { status: 413 })));
  using client = await TcpClient.connect(listener.address.port);
  const body = "x".repeat(1_000_000);
  for (let n = 0; n < 3; n++) {
    await client.write(`POST / HTTP/1.1\r\n${HEAD}Content-Length: ${body.length}\r\n\r\n${body}`);
    assertEquals((await client.answer())?.status, 413);
  }
  await listener.close();
});

Deno.test("node:http: a body that nobody reads and that never ends is cut", async () => {
  const listener = await openImpatient(() => Promise.resolve(new Response("no", { status: 413 })));
  using client = await TcpClient.connect(listener.address.port);
  await client.write(`POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = `100000\r\n${"x".repeat(0x100000)}\r\n`;
  let chunks = 0;
  while (chunks < 100 && await client.write(chunk)) chunks++;
  assertEquals(chunks < 100, true);
  await listener.close();
});

Deno.test("node:http: a body arrives as it was sent, in whatever pieces", async () => {
  const listener = await openImpatient(echo);
  using client = await TcpClient.connect(listener.address.port);
  await client.write(`POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
  for (const piece of ["3\r\nabc\r\n", "1\r\n", "d\r\n", "0\r\n\r\n"]) await client.write(piece);
  assertEquals((await client.answer())?.body, "abcd");
  await listener.close();
});

Deno.test("node:http: who hangs up aborts the request that waits, and nobody else's", async () => {
  const signals: AbortSignal[] = [];
  const listener = await openImpatient((request) => {
    const { signal } = wholeOf(request);
    signals.push(signal);
    if (request.url.endsWith("/ok")) return OK(request, undefined!);
    return new Promise((resolve) => {
      signal.onabort = () => resolve(new Response("late"));
    });
  });
  using other = await TcpClient.connect(listener.address.port);
  await other.write(`GET /ok HTTP/1.1\r\n${HEAD}\r\n`);
  assertEquals((await other.answer())?.body, "ok");
  {
    using waiting = await TcpClient.connect(listener.address.port);
    await waiting.write(`GET /hold HTTP/1.1\r\n${HEAD}\r\n`);
    await until(() => signals.length === 2, "both requests are there");
  }
  await until(() => signals[1].aborted, "the request is aborted");
  assertEquals(signals[0].aborted, false);
  await listener.close();
});

Deno.test("node:http: a reader that stands still holds no more than buffers, and is cut", async () => {
  const cancelled = Promise.withResolvers<void>();
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(65_536));
    },
    cancel: () => cancelled.resolve(),
  }, { highWaterMark: 0 });
  const headers = { "content-type": "text/event-stream" };
  const listener = await openImpatient(() => Promise.resolve(new Response(body, { headers })));
  using deaf = await TcpClient.connect(listener.address.port);
  await deaf.write(`GET / HTTP/1.1\r\n${HEAD}\r\n`);
  await within(cancelled.promise, "the stream to be cancelled");
  assertEquals(pulled < 1000, true, `${pulled} pieces of 64 KiB`);
  await listener.close();
});

Deno.test("node:http: a stream that breaks cuts its connection", async () => {
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("It broke.")),
  }, { highWaterMark: 0 });
  const headers = { "content-type": "text/event-stream" };
  const listener = await openImpatient(() => Promise.resolve(new Response(body, { headers })));
  using client = await TcpClient.connect(listener.address.port);
  await client.write(`GET / HTTP/1.1\r\n${HEAD}\r\n`);
  assertEquals((await client.answer())?.status, 200);
  await client.hungUp();
  await listener.close();
});

Deno.test("node:http: who never begins a TLS handshake is cut", async () => {
  await using certificates = await Certificates.make();
  const certificate = new Certificate(certificates.options, systemClock, silentLog(systemClock));
  const listener = await openImpatient(OK, { certificate });
  using silent = await TcpClient.connect(listener.address.port);
  await silent.hungUp();
  await listener.close();
});

Deno.test("node:http: a server that ran out of file descriptors accepts again, and keeps whom it has", async () => {
  const script = new URL("./scarce.ts", import.meta.url).pathname;
  const command = `ulimit -n 64; exec "${Deno.execPath()}" run -A --quiet "${script}"`;
  await using server = new RunningProgram("sh", ["-c", command]);
  const port = Number((await server.printed(/port (\d+)/))[1]);
  using early = await TcpClient.connect(port);
  await early.write(`GET /hold HTTP/1.1\r\n${HEAD}\r\n`);
  {
    using all = new DisposableStack();
    for (let n = 0; n < 100; n++) {
      const client = all.use(await TcpClient.connect(port));
      await client.write(`GET /hold HTTP/1.1\r\n${HEAD}\r\n`);
    }
    // What is beyond the limit waits in the kernel.
    const descriptors = () => [...Deno.readDirSync(`/proc/${server.pid}/fd`)].length;
    await until(() => descriptors() >= 64, "there are no descriptors left");
  }
  await server.printed(/listener\.back/);
  using late = await TcpClient.connect(port);
  await late.write(`GET / HTTP/1.1\r\n${HEAD}\r\n`);
  assertEquals((await late.answer())?.body, "ok");
});

Deno.test("node:http: an upgrade that is refused behind a request without an answer yet is cut, and is no fault", async () => {
  const failures: string[] = [];
  const sink = ({ event }: { event: string }) => void failures.push(event);
  const log = new Log({ clock: systemClock, level: "error", sink });
  const first = Promise.withResolvers<Response>();
  const paths: string[] = [];
  const handler: Handler = (request) => {
    const { pathname } = new URL(request.url);
    paths.push(pathname);
    return pathname === "/first" ? first.promise : Promise.resolve(new Response("no"));
  };
  const listener = await openImpatient(handler, { log });
  using client = await TcpClient.connect(listener.address.port);
  await client.write(
    `GET /first HTTP/1.1\r\n${HEAD}\r\n` +
      `GET /second HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  await client.hungUp();
  first.resolve(new Response("late"));
  assertEquals(paths, ["/first", "/second"]);
  assertEquals(failures, []);
  await listener.close();
});

Deno.test("node:http: the head of a request says what the request would", async () => {
  const fields = ["x-one", "x-two", "accept", "cookie", "x-none"];
  const said: unknown[] = [];
  const listener = await openImpatient((arrived) => {
    for (const request of [arrived, wholeOf(arrived)]) {
      const { method, url, headers } = request;
      const values = fields.map((name) => [headers.get(name), headers.has(name)]);
      said.push({ method, url: new URL(url).href, values, all: [...new Headers([...headers])] });
    }
    return OK(arrived, undefined!);
  });
  using client = await TcpClient.connect(listener.address.port);
  await client.write(
    `GET /a%20b?c=d HTTP/1.1\r\n${HEAD}X-One:  1 \r\nx-TWO: a\r\nX-Two: b\r\nAccept: */*\r\n` +
      "Accept: text/html\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
  );
  assertEquals((await client.answer())?.body, "ok");
  assertEquals(said.length, 2);
  assertEquals(said[0], said[1]);
  await listener.close();
});
