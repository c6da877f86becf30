import { assert, assertEquals } from "@std/assert";
import type { Transport } from "@push/client";
import { BROKEN_NETWORK, TestBrowser } from "../support/browser.ts";
import { PageServer } from "../support/page_server.ts";
import { ToxicProxy } from "../support/toxic_proxy.ts";
import { within } from "../support/within.ts";
import { Blocks } from "./blocks.ts";
import { Listener, numbers, publish } from "./listener.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

/** Milliseconds in which a page must be connected where WebSockets are blocked. */
const PROMISED = 5000;

for (const bundled of [false, true]) {
  const form = bundled ? "bundled" : "as it is";
  Deno.test(`a page whose WebSockets are blocked is connected in under 5 s, and back on one when it can (${form})`, async () => {
    await using pages = await PageServer.start();
    await using visit = await chromium.visit(BROKEN_NETWORK);
    const blocks = await Blocks.between(visit);
    await blocks.set("websocket");
    const page = await visit.open(pages.page({ bundled }));
    const listener = await within(
      Listener.start(page, pages.ws),
      "a connection without WebSockets",
      PROMISED,
    );
    assert((await listener.now()).transport !== "websocket");
    await publish(pages.gateway, 1, 20);
    await listener.got(20);
    await blocks.set();
    await publish(pages.gateway, 21, 40);
    await listener.reached("connected websocket");
    await publish(pages.gateway, 41, 60);
    assertEquals(await listener.got(60), numbers(60));
  });
}

Deno.test("a page whose policy forbids WebSockets is connected in under 5 s", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit([
    /violates the following Content Security Policy/,
    ...BROKEN_NETWORK,
  ]);
  const csp = `connect-src ${pages.origin}`;
  const page = await visit.open(pages.page({ csp }));
  const listener = await within(
    Listener.start(page, pages.ws),
    "a connection without WebSockets",
    PROMISED,
  );
  assert((await listener.now()).transport !== "websocket");
  await publish(pages.gateway, 1, 20);
  assertEquals(await listener.got(20), numbers(20));
});

const left: [remaining: Transport, blocked: Transport[]][] = [
  ["websocket", ["sse", "longpoll"]],
  ["sse", ["websocket", "longpoll"]],
  ["longpoll", ["websocket", "sse"]],
];
for (const [remaining, blocked] of left) {
  Deno.test(`a page that has only ${remaining} left uses it`, async () => {
    await using pages = await PageServer.start();
    await using visit = await chromium.visit(BROKEN_NETWORK);
    const blocks = await Blocks.between(visit);
    await blocks.set(...blocked);
    const page = await visit.open(pages.page());
    const listener = await Listener.start(page, pages.ws);
    assertEquals((await listener.now()).transport, remaining);
    await publish(pages.gateway, 1, 20);
    assertEquals(await listener.got(20), numbers(20));
  });
}

Deno.test("a page behind a proxy that holds event streams back moves on to polling", async () => {
  await using pages = await PageServer.start();
  pages.buffersStreams = true;
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const blocks = await Blocks.between(visit);
  await blocks.set("websocket");
  const page = await visit.open(pages.page());
  const listener = await within(
    Listener.start(page, pages.ws),
    "a connection without WebSockets and event streams",
    PROMISED,
  );
  assertEquals((await listener.now()).transport, "longpoll");
  await publish(pages.gateway, 1, 20);
  assertEquals(await listener.got(20), numbers(20));
});

Deno.test("a page whose event stream breaks polls, and streams again where polling is taken away", async () => {
  await using pages = await PageServer.start();
  await using proxy = await ToxicProxy.start({ target: pages.port });
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const blocks = await Blocks.between(visit);
  const page = await visit.open(pages.page());
  const client = {
    transports: ["sse", "longpoll"] as const,
    reconnectDelay: { min: 0.05, max: 0.2 },
  };
  const url = `http://127.0.0.1:${proxy.port}/`;
  const listener = await Listener.start(page, url, { client });
  await publish(pages.gateway, 1, 10);
  await listener.got(10);
  const turns = [["sse", "connected longpoll"], ["longpoll", "connected sse"]] as const;
  for (const [i, [blocked, state]] of turns.entries()) {
    const { states } = await listener.noted();
    await blocks.set(blocked);
    proxy.reset();
    const sent = 10 + 10 * i;
    await publish(pages.gateway, sent + 1, sent + 10);
    await listener.reached(state, states.length);
    await listener.got(sent + 10);
  }
  assertEquals((await listener.noted()).got, numbers(30));
  assertEquals((await listener.noted()).told, []);
});

Deno.test("what is published while transports are taken away in turns is handled once and in order", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const blocks = await Blocks.between(visit);
  const page = await visit.open(pages.page());
  const client = { reconnectDelay: { min: 0.05, max: 0.2 } };
  const listener = await Listener.start(page, pages.ws, { client });
  const turns: [Transport[], string][] = [
    [["websocket"], "connected sse"],
    [[], "connected websocket"],
    [["websocket", "sse"], "connected longpoll"],
    [[], "connected websocket"],
  ];
  let sent = 0;
  for (const [blocked, state] of turns) {
    await publish(pages.gateway, sent + 1, sent + 10);
    await listener.got(sent + 10);
    const { states } = await listener.noted();
    await blocks.set(...blocked);
    await publish(pages.gateway, sent + 11, sent + 20);
    await listener.reached(state, states.length);
    sent += 20;
    await listener.got(sent);
  }
  await publish(pages.gateway, sent + 1, sent + 10);
  assertEquals(await listener.got(sent + 10), numbers(sent + 10));
  assertEquals((await listener.noted()).told, []);
});
