import { assert, assertEquals } from "@std/assert";
import type { Transport } from "@push/client";
import { BROKEN_NETWORK, TestBrowser } from "../support/browser.ts";
import { startGateway } from "../support/gateway.ts";
import { PageServer } from "../support/page_server.ts";
import { Listener, numbers, publish } from "./listener.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

const TRANSPORTS: Transport[] = ["websocket", "sse", "longpoll"];
const TOKEN = "s3cret-token";

for (const transport of TRANSPORTS) {
  Deno.test(`a page shows its token over ${transport}, and never in an address`, async () => {
    await using pages = await PageServer.start({ authToken: TOKEN });
    await using visit = await chromium.visit();
    const page = await visit.open(pages.page());
    const frames: string[] = [];
    page.on("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => frames.push(`${payload}`));
    });
    const client = { authToken: TOKEN, transports: [transport] };
    const listener = await Listener.start(page, pages.ws, { client });
    await publish(pages.gateway, 1, 5);
    assertEquals(await listener.got(5), numbers(5));
    assertEquals(visit.requested.filter((url) => url.includes(TOKEN)), []);
    if (transport !== "websocket") return;
    assert(visit.requested.includes(pages.ws));
    assertEquals(JSON.parse(frames[0]).token, TOKEN);
    assertEquals(frames.slice(1).filter((frame) => frame.includes(TOKEN)), []);
  });
}

Deno.test("a page with a wrong token is closed, and says why", async () => {
  await using pages = await PageServer.start({ authToken: TOKEN });
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const page = await visit.open(pages.page());
  const listener = await Listener.begin(page, pages.ws, { client: { authToken: "wrong" } });
  await listener.reached("closed token_invalid");
});

Deno.test("hostile frames change nothing in a page, and what comes behind them arrives", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const connected = Promise.withResolvers<(text: string | Uint8Array) => void>();
  await visit.context.routeWebSocket(/.*/, (socket) => {
    socket.connectToServer();
    connected.resolve((text) => socket.send(text as string));
  });
  const page = await visit.open(pages.page());
  const listener = await Listener.start(page, pages.ws);
  await publish(pages.gateway, 1, 5);
  await listener.got(5);
  const inject = await connected.promise;
  const message = { type: "channel_message", channel: "a", data: 0, event_id: "e:1:a", seq: 6 };
  const own = `"__proto__":{"polluted":true,"type":"channel_message"}`;
  for (
    const text of [
      "",
      "not JSON",
      "[",
      "[[[[]]]]",
      "null",
      '[null,5,"",{}]',
      `{${own}}`,
      `{"type":"channel_message","channel":"__proto__","data":1,"seq":1,"epoch":"e",${own}}`,
      `{"type":"channel_message","channel":"a","data":{${own}},"seq":1e400,"epoch":"e"}`,
      JSON.stringify({ ...message, seq: -1 }),
      JSON.stringify({ ...message, seq: 2 ** 60 }),
      JSON.stringify({ ...message, channel: "constructor", epoch: "constructor" }),
      `{"type":"presence_diff","channel":"__proto__","joins":{${own}},"updates":5,"leaves":null}`,
      `{"type":"constructor"}`,
      `{"type":"connected","client_id":{"toString":1},${own}}`,
      "[".repeat(100_000),
      new Uint8Array([0, 1, 2, 255]),
    ]
  ) inject(text);
  await publish(pages.gateway, 6, 10);
  assertEquals(await listener.got(10), numbers(10));
  const polluted = await page.evaluate(() => "polluted" in {} || "polluted" in []);
  assertEquals(polluted, false);
  assertEquals((await listener.now()).state, "connected");
});

for (const transport of TRANSPORTS) {
  Deno.test(`a page of another port of this machine may use the gateway over ${transport}`, async () => {
    await using pages = await PageServer.start();
    await using served = await startGateway({ authToken: TOKEN });
    await using visit = await chromium.visit();
    const page = await visit.open(pages.page());
    const client = { authToken: TOKEN, transports: [transport] };
    const listener = await Listener.start(page, served.ws, { client });
    await publish(served.gateway, 1, 5);
    assertEquals(await listener.got(5), numbers(5));
  });

  Deno.test(`a page of a strange site may use the gateway over ${transport} if it is allowed, and else not`, async () => {
    await using pages = await PageServer.start();
    // No name of this machine, though it leads here.
    const strange = `http://site.test:${pages.port}`;
    for (const allowedOrigins of [undefined, [strange], ["*"], ["http://site.test"]]) {
      const allowed = allowedOrigins?.some((it) => it === strange || it === "*");
      await using served = await startGateway({ authToken: TOKEN, push: { allowedOrigins } });
      await using visit = await chromium.visit([...BROKEN_NETWORK, /status of 403/]);
      const page = await visit.open(pages.page().replace(pages.origin, strange));
      const client = { authToken: TOKEN, transports: [transport], autoReconnect: false };
      if (allowed) {
        const listener = await Listener.start(page, served.ws, { client });
        await publish(served.gateway, 1, 5);
        assertEquals(await listener.got(5), numbers(5));
      } else {
        const listener = await Listener.begin(page, served.ws, { client });
        // A page is not told why a WebSocket was refused.
        const code = transport === "websocket" ? "connection_failed" : "origin_not_allowed";
        await listener.reached(`closed ${code}`);
      }
    }
  });
}
