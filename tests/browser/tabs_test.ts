import { assert, assertEquals } from "@std/assert";
import type { Page, WebSocket } from "playwright-core";
import type { PushClient } from "@push/client";
import { BROKEN_NETWORK, TestBrowser, type Visit } from "../support/browser.ts";
import { PageServer } from "../support/page_server.ts";
import { until } from "../support/within.ts";
import { Blocks } from "./blocks.ts";
import { numbers, publish } from "./listener.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

interface Globals {
  readonly client: PushClient;
  readonly got: number[];
}

/** Tabs that share, and the connections that they have. */
class Tabs {
  readonly pages: Page[] = [];
  readonly sockets: Map<WebSocket, Page> = new Map();
  readonly #visit: Visit;
  readonly #url: string;

  constructor(visit: Visit, url: string) {
    this.#visit = visit;
    this.#url = url;
    visit.context.on("page", (page) => {
      page.on("websocket", (socket) => {
        this.sockets.set(socket, page);
        socket.on("close", () => this.sockets.delete(socket));
      });
      page.on("close", () => this.#forget(page));
      page.on("crash", () => this.#forget(page));
    });
  }

  /** The tab that has the connection. */
  get leader(): Page {
    const [page] = this.sockets.values();
    return page;
  }

  /** Opens so many. */
  async open(count: number, address: string): Promise<void> {
    this.pages.push(
      ...await Promise.all(Array.from({ length: count }, async () => {
        const page = await this.#visit.open(address);
        await this.begin(page);
        return page;
      })),
    );
  }

  /** Connects a page, and notes what it handles. */
  async begin(page: Page): Promise<void> {
    await page.evaluate(async (url) => {
      const { PushClient } = await import("@push/client");
      const { shared } = await import("@push/client/tabs");
      const client = new PushClient(url, shared());
      const got: number[] = JSON.parse(sessionStorage["got"] ?? "[]");
      Object.assign(globalThis, { client, got });
      const subscribing = client.subscribe<number>("a", ({ data }) => {
        got.push(data);
        sessionStorage["got"] = JSON.stringify(got);
      });
      await client.connect();
      await subscribing;
    }, this.#url);
  }

  /** Waits until every tab has handled so many, and checks that they are all there are, in order. */
  async have(count: number, pages = this.pages): Promise<void> {
    for (const page of pages) {
      await page.waitForFunction(
        (count) => (globalThis as unknown as Globals).got.length >= count,
        count,
      );
      const got = await page.evaluate(() => (globalThis as unknown as Globals).got);
      assertEquals(got, numbers(count));
    }
  }

  #forget(page: Page): void {
    for (const [socket, owner] of this.sockets) if (owner === page) this.sockets.delete(socket);
    const index = this.pages.indexOf(page);
    if (index >= 0) this.pages.splice(index, 1);
  }
}

Deno.test("ten tabs of one user share one connection, and each gets everything in order", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const tabs = new Tabs(visit, pages.ws);
  await tabs.open(10, pages.page());
  await publish(pages.gateway, 1, 100);
  await tabs.have(100);
  assertEquals(visit.requested.filter((url) => url.startsWith("ws")).length, 1);
  assertEquals((await pages.gateway.presence("a")).length, 1);
});

for (const how of ["closed", "crashed"] as const) {
  Deno.test(`when the leading tab is ${how}, another goes on, and nothing is lost or repeated`, async () => {
    await using pages = await PageServer.start();
    await using visit = await chromium.visit();
    const tabs = new Tabs(visit, pages.ws);
    await tabs.open(5, pages.page({ bundled: true }));
    let published = 0;
    for (let round = 0; round < 3; round++) {
      const { leader } = tabs;
      const publishing = publish(pages.gateway, published + 1, published += 200);
      if (how === "closed") await leader.close();
      else {
        const session = await visit.context.newCDPSession(leader);
        void session.send("Page.crash").catch(() => {});
        await leader.waitForEvent("crash");
      }
      await publishing;
      await until(() => tabs.sockets.size === 1, "another tab leads");
    }
    assertEquals(tabs.pages.length, 2);
    await tabs.have(published);
  });
}

Deno.test("a tab that is reloaded goes on where it was, beside others and alone", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const tabs = new Tabs(visit, pages.ws);
  await tabs.open(3, pages.page());
  let published = 0;
  for (const page of [...tabs.pages]) {
    await publish(pages.gateway, published + 1, published += 20);
    await tabs.have(published);
    const publishing = publish(pages.gateway, published + 1, published += 100);
    await page.reload();
    await publishing;
    await tabs.begin(page);
    await tabs.have(published);
  }
  const [first, ...others] = tabs.pages;
  for (const page of others) await page.close();
  await publish(pages.gateway, published + 1, published += 20);
  await tabs.have(published);
  const publishing = publish(pages.gateway, published + 1, published += 100);
  await first.reload();
  await publishing;
  await tabs.begin(first);
  await tabs.have(published);
});

Deno.test("a tab that is duplicated is one of its own", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const tabs = new Tabs(visit, pages.ws);
  await tabs.open(1, pages.page());
  const [first] = tabs.pages;
  await publish(pages.gateway, 1, 5);
  await tabs.have(5);
  const opened = visit.context.waitForEvent("page");
  await first.evaluate(
    (url) => void (globalThis as unknown as { open(url: string): void }).open(url),
    pages.page(),
  );
  const copy = await opened;
  await copy.waitForLoadState();
  await tabs.begin(copy);
  await publish(pages.gateway, 6, 10);
  await tabs.have(10, [first, copy]);
  assertEquals(tabs.sockets.size, 1);
});

Deno.test("where WebSockets are blocked the tabs share what there is instead", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const blocks = await Blocks.between(visit);
  await blocks.set("websocket");
  const tabs = new Tabs(visit, pages.ws);
  await tabs.open(8, pages.page());
  await publish(pages.gateway, 1, 50);
  await tabs.have(50);
  assertEquals(visit.requested.filter((url) => url.endsWith("/poll/register")).length, 1);
});

Deno.test("where there are no locks each tab has a connection of its own", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const tabs = new Tabs(visit, pages.ws);
  const before = "Object.defineProperty(navigator, 'locks', { value: undefined })";
  await tabs.open(2, pages.page({ before }));
  await publish(pages.gateway, 1, 10);
  await tabs.have(10);
  assert(tabs.sockets.size === 2);
});
