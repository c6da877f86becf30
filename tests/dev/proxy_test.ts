import { assertEquals, assertMatch } from "@std/assert";
import { askRedis, startRedis } from "../support/redis.ts";
import { TcpClient } from "../support/tcp_client.ts";
import { ToxicProxy } from "../support/toxic_proxy.ts";
import { until, within } from "../support/within.ts";

const decoder = new TextDecoder();

/** A server that sends back what it gets, and keeps it. */
class Echo implements AsyncDisposable {
  received = "";
  hungUp = 0;
  readonly port: number;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #conns = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor() {
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept();
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) this.#conns.add(this.#serve(conn));
  }

  async #serve(conn: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      let count: number | null;
      while ((count = await conn.read(buffer)) !== null) {
        this.received += decoder.decode(buffer.subarray(0, count));
        for (let at = 0; at < count;) at += await conn.write(buffer.subarray(at, count));
      }
    } catch {
      // A reset.
    }
    conn.close();
    this.hungUp++;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#conns);
  }
}

/** Reads until as many bytes have come; fewer if the peer hangs up. */
async function read(client: TcpClient, length: number): Promise<string> {
  let text = "";
  while (text.length < length) {
    const bytes = await client.read();
    if (bytes === undefined) break;
    text += decoder.decode(bytes);
  }
  return text;
}

Deno.test("ToxicProxy passes bytes on, both ways and to the end", async () => {
  await using echo = new Echo();
  await using proxy = await ToxicProxy.start({ target: echo.port });
  using client = await TcpClient.connect(proxy.port);
  await client.write("hello");
  assertEquals(await read(client, 5), "hello");
  await client.end();
  assertEquals(await client.read(), undefined);
  await until(() => proxy.open === 0, "the connection is gone");
});

Deno.test("ToxicProxy.set() delays, cuts into slices and slows down without changing a byte", async () => {
  await using echo = new Echo();
  await using proxy = await ToxicProxy.start({ target: echo.port, seed: 3 });
  using client = await TcpClient.connect(proxy.port);
  for (
    const toxics of [
      { latency: 20, jitter: 30 },
      { slice: 1 },
      { bandwidth: 20_000 },
      { latency: 5, jitter: 5, slice: 7, bandwidth: 50_000 },
    ]
  ) {
    proxy.set("both", toxics);
    const text = Array.from({ length: 200 }, (_, n) => `${n},`).join("");
    for (let at = 0; at < text.length; at += 90) await client.write(text.slice(at, at + 90));
    assertEquals(await read(client, text.length), text);
  }
});

Deno.test("ToxicProxy.set(): what is late is overtaken by what another proxy passes on", async () => {
  await using echo = new Echo();
  await using slow = await ToxicProxy.start({ target: echo.port });
  await using quick = await ToxicProxy.start({ target: echo.port });
  using first = await TcpClient.connect(slow.port);
  using second = await TcpClient.connect(quick.port);
  await first.write("a");
  assertEquals(await read(first, 1), "a");
  slow.set("up", { latency: 3_600_000 });
  await first.write("late");
  const numbers = Array.from({ length: 20 }, (_, n) => `${n},`);
  for (const text of numbers) {
    await second.write(text);
    assertEquals(await read(second, text.length), text);
  }
  assertEquals(echo.received, `a${numbers.join("")}`);
});

Deno.test("ToxicProxy: a blackhole tells nobody, and what waited arrives after it", async () => {
  await using echo = new Echo();
  await using proxy = await ToxicProxy.start({ target: echo.port });
  using client = await TcpClient.connect(proxy.port);
  await client.write("a");
  assertEquals(await read(client, 1), "a");
  proxy.set("down", { blackhole: true });
  await client.write("b");
  await until(() => echo.received === "ab", "the way up is open");
  proxy.set("both", { blackhole: true });
  await client.write("c");
  // Whoever connects now is accepted, and hears nothing either.
  using second = await TcpClient.connect(proxy.port);
  await second.write("d");
  assertEquals([echo.received, echo.hungUp], ["ab", 0]);
  proxy.heal();
  assertEquals(await read(client, 2), "bc");
  assertEquals(await read(second, 1), "d");
});

Deno.test("ToxicProxy: an end behind a blackhole is not heard of", async () => {
  await using echo = new Echo();
  await using proxy = await ToxicProxy.start({ target: echo.port });
  {
    using client = await TcpClient.connect(proxy.port);
    await client.write("a");
    assertEquals(await read(client, 1), "a");
    proxy.set("up", { blackhole: true });
    await client.end();
  }
  assertEquals([echo.hungUp, proxy.open], [0, 1]);
  proxy.heal();
  await until(() => echo.hungUp === 1, "the end arrived");
});

Deno.test("ToxicProxy.reset() and cut() end what is open; after heal() it goes on", async () => {
  await using echo = new Echo();
  await using proxy = await ToxicProxy.start({ target: echo.port });
  using first = await TcpClient.connect(proxy.port);
  await first.write("a");
  await read(first, 1);
  proxy.reset();
  assertEquals(await first.read(), undefined);
  using second = await TcpClient.connect(proxy.port);
  await second.write("b");
  assertEquals(await read(second, 1), "b");
  proxy.cut();
  assertEquals(await second.read(), undefined);
  // Whether it gets as far as to connect is chance.
  const third = await TcpClient.connect(proxy.port).catch(() => undefined);
  assertEquals(await third?.read(), undefined);
  third?.[Symbol.dispose]();
  proxy.heal();
  using fourth = await TcpClient.connect(proxy.port);
  await fourth.write("c");
  assertEquals(await read(fourth, 1), "c");
  await until(() => proxy.open === 1, "the others are gone");
});

Deno.test("ToxicProxy.swallowAnswer() drops the answer of a command that was carried out", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
  const { Redis } = await import("ioredis");
  const client = new Redis({
    port: proxy.port,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  });
  client.on("error", () => {});
  try {
    assertEquals(await client.incr("n"), 1);
    const swallowed = proxy.swallowAnswer((command) => command.includes("incr"));
    // Answers before it pass.
    const answers = await Promise.allSettled([client.get("n"), client.incr("n"), client.get("n")]);
    await within(swallowed, "an answer to be dropped");
    assertEquals(answers.map(({ status }) => status), ["fulfilled", "rejected", "rejected"]);
    assertEquals(await redis.ask("GET", "n"), "2");
    assertEquals(await client.incr("n"), 3);
  } finally {
    client.disconnect();
    await proxy.stop();
  }
});

for (const protocol of [2, 3]) {
  Deno.test(`ToxicProxy: a deaf connection of RESP${protocol} answers and hears no message`, async () => {
    await using redis = await startRedis();
    await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
    const { Redis } = await import("ioredis");
    const client = new Redis({ port: proxy.port, protocol: protocol as 2 | 3 });
    const heard: string[] = [];
    client.on("message", (_, text) => heard.push(text));
    client.on("smessage", (_, text) => heard.push(text));
    try {
      await client.subscribe("c");
      await client.ssubscribe("s");
      await redis.ask("PUBLISH", "c", "one");
      await redis.ask("SPUBLISH", "s", "two");
      await until(() => heard.length === 2, "both messages arrived");
      proxy.set("down", { deaf: true });
      await redis.ask("PUBLISH", "c", "three");
      await redis.ask("SPUBLISH", "s", "four");
      await until(() => proxy.unheard === 2, "two messages were dropped");
      // It is alive all the same.
      assertMatch(String(await client.ping()), /pong/i);
      proxy.heal();
      await redis.ask("PUBLISH", "c", "five");
      await until(() => heard.length === 3, "the next message arrived");
      assertEquals(heard, ["one", "two", "five"]);
    } finally {
      client.disconnect();
      await proxy.stop();
    }
  });
}

Deno.test("ToxicProxy: where nothing listens behind it, a connection is reset", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port });
  assertEquals(await askRedis(proxy.port, ["PING"]), "PONG");
  await redis.kill();
  using client = await TcpClient.connect(proxy.port);
  assertEquals(await client.read(), undefined);
});
