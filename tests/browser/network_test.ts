import { assertEquals } from "@std/assert";
import { BROKEN_NETWORK, TestBrowser } from "../support/browser.ts";
import { freePort, GatewayProcess } from "../support/gateway_process.ts";
import { ask } from "../support/http_client.ts";
import { PageServer } from "../support/page_server.ts";
import { ToxicProxy } from "../support/toxic_proxy.ts";
import { Listener, numbers, publish } from "./listener.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

/** A client that, once it is disconnected, comes back only when it is woken. */
const SLEEPY = { reconnectDelay: { min: 3600, max: 3600 } };

for (const transport of ["websocket", "sse", "longpoll"] as const) {
  Deno.test(`a page on ${transport} that comes online reconnects at once, and gets what it missed`, async () => {
    await using pages = await PageServer.start();
    await using proxy = await ToxicProxy.start({ target: pages.port });
    await using visit = await chromium.visit(BROKEN_NETWORK);
    const page = await visit.open(pages.page());
    const client = { ...SLEEPY, transports: [transport] };
    const listener = await Listener.start(page, `ws://127.0.0.1:${proxy.port}/ws`, { client });
    await publish(pages.gateway, 1, 10);
    await listener.got(10);
    await visit.context.setOffline(true);
    proxy.reset();
    await listener.reached("reconnecting connection_failed");
    await publish(pages.gateway, 11, 20);
    await visit.context.setOffline(false);
    assertEquals(await listener.got(20), numbers(20));
    assertEquals((await listener.now()).state, "connected");
  });
}

Deno.test("a page that is offline for a moment notices nothing", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const listener = await Listener.start(await visit.open(pages.page()), pages.ws);
  await visit.context.setOffline(true);
  await publish(pages.gateway, 1, 10);
  await visit.context.setOffline(false);
  assertEquals(await listener.got(10), numbers(10));
  assertEquals((await listener.noted()).told, []);
});

Deno.test("a hidden tab that is shown again reconnects at once, and gets what it missed", async () => {
  await using pages = await PageServer.start();
  await using proxy = await ToxicProxy.start({ target: pages.port });
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const page = await visit.open(pages.page());
  const client = { ...SLEEPY, transports: ["websocket"] as const };
  const listener = await Listener.start(page, `ws://127.0.0.1:${proxy.port}/ws`, { client });
  const show = (state: "hidden" | "visible") =>
    page.evaluate(`
      Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));`);
  await show("hidden");
  proxy.reset();
  await listener.reached("reconnecting connection_failed");
  await publish(pages.gateway, 1, 10);
  assertEquals((await listener.now()).state, "reconnecting");
  await show("visible");
  assertEquals(await listener.got(10), numbers(10));
});

Deno.test("a page whose process was suspended gets what it missed, over a connection that lasted or not", async () => {
  for (const lasted of [true, false]) {
    await using pages = await PageServer.start();
    await using proxy = await ToxicProxy.start({ target: pages.port });
    await using visit = await chromium.visit(BROKEN_NETWORK);
    const page = await visit.open(pages.page());
    const client = { reconnectDelay: { min: 0.05, max: 0.2 } };
    const listener = await Listener.start(page, `ws://127.0.0.1:${proxy.port}/ws`, { client });
    await publish(pages.gateway, 1, 10);
    await listener.got(10);
    const awake = await chromium.suspend();
    try {
      await publish(pages.gateway, 11, 20);
      if (!lasted) proxy.reset();
      await publish(pages.gateway, 21, 30);
    } finally {
      awake();
    }
    assertEquals(await listener.got(30), numbers(30));
    assertEquals((await listener.noted()).told, []);
  }
});

Deno.test("a page whose gateway is killed and started again gets all that was stored", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const folder = await Deno.makeTempDir({ prefix: "push-browser-" });
  const port = freePort();
  const http = `http://127.0.0.1:${port}`;
  const flags = ["--store", "kv", "--kv-path", `${folder}/push.db`];
  const send = async (n: number) => {
    const { status } = await ask(`${http}/api/push/publish`, { body: { channel: "a", data: n } });
    assertEquals(status, 200);
  };
  let gateway = await GatewayProcess.start(port, ...flags);
  try {
    const page = await visit.open(pages.page());
    const client = { clientId: "page", reconnectDelay: { min: 0.05, max: 0.2 } };
    const listener = await Listener.start(page, http, { client });
    for (const n of numbers(10)) await send(n);
    await listener.got(10);
    await gateway.kill();
    await listener.reached("reconnecting connection_failed");
    gateway = await GatewayProcess.start(port, ...flags);
    for (const n of numbers(20).slice(10)) await send(n);
    assertEquals(await listener.got(20), numbers(20));
    assertEquals((await listener.noted()).told, []);
  } finally {
    await gateway.kill();
    await Deno.remove(folder, { recursive: true });
  }
});
