import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { TestBrowser, type Visit } from "../support/browser.ts";
import { PageServer } from "../support/page_server.ts";
import { Listener, type ListenerOptions, numbers, publish } from "./listener.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

const JOURNAL = "journal";

/** What the pages of a visit have handled, those before a reload too. */
async function journal(page: Page): Promise<number[]> {
  const text = await page.evaluate((key) => localStorage[key] ?? "", JOURNAL);
  return text.split(",").filter(Boolean).map(Number);
}

/** Opens so many pages, each with a client. */
function tabs(
  visit: Visit,
  pages: PageServer,
  count: number,
  options?: ListenerOptions,
): Promise<Listener[]> {
  return Promise.all(Array.from({ length: count }, async () => {
    return await Listener.start(await visit.open(pages.page()), pages.ws, options);
  }));
}

Deno.test("ten tabs of one user are ten clients, and each gets everything", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const listeners = await tabs(visit, pages, 10);
  const names = await Promise.all(listeners.map(async (it) => (await it.now()).clientId));
  assertEquals(new Set(names).size, 10);
  await publish(pages.gateway, 1, 50);
  for (const listener of listeners) assertEquals(await listener.got(50), numbers(50));
  assertEquals((await pages.gateway.presence("a")).length, 10);
});

Deno.test("of two tabs with one name the newer is the client, and the older stays away", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const client = { clientId: "ann" };
  const [older] = await tabs(visit, pages, 1, { client });
  await publish(pages.gateway, 1, 10);
  await older.got(10);
  await older.settled();
  const [newer] = await tabs(visit, pages, 1, { client });
  await older.reached("closed replaced");
  await publish(pages.gateway, 11, 20);
  assertEquals(await newer.got(10), numbers(20).slice(10));
  assertEquals((await older.noted()).got, numbers(10));
});

Deno.test("a duplicated tab is a client of its own", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const [first] = await tabs(visit, pages, 1);
  await publish(pages.gateway, 1, 5);
  await first.got(5);
  await first.settled();
  // A page that opens another one on its own origin gives it a copy of its session storage.
  const opened = visit.context.waitForEvent("page");
  await first.page.evaluate(
    (url) => void (globalThis as unknown as Opener).open(url),
    pages.page(),
  );
  const copy = await opened;
  await copy.waitForLoadState();
  assert(await copy.evaluate(() => sessionStorage.length) > 0);
  const second = await Listener.start(copy, pages.ws);
  const [a, b] = [await first.now(), await second.now()];
  assertEquals([a.state, b.state], ["connected", "connected"]);
  assertNotEquals(a.clientId, b.clientId);
  await publish(pages.gateway, 6, 10);
  assertEquals(await first.got(10), numbers(10));
  assertEquals(await second.got(5), [6, 7, 8, 9, 10]);
});

interface Opener {
  open(url: string): void;
}

Deno.test("a page that is reloaded is the same client, and repeats nothing that was acknowledged", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const [before] = await tabs(visit, pages, 1, { journal: JOURNAL });
  await publish(pages.gateway, 1, 20);
  await before.got(20);
  await before.settled();
  const { clientId } = await before.now();
  const { page } = before;
  await page.reload();
  await publish(pages.gateway, 21, 40);
  const after = await Listener.start(page, pages.ws, { journal: JOURNAL });
  assertEquals((await after.now()).clientId, clientId);
  await after.got(20);
  await publish(pages.gateway, 41, 50);
  await after.got(30);
  assertEquals(await journal(page), numbers(50));
});

Deno.test("a page that reloads itself while messages come loses none, and repeats only what it had not acknowledged", async () => {
  for (const transport of ["websocket", "sse", "longpoll"] as const) {
    await using pages = await PageServer.start();
    await using visit = await chromium.visit();
    const client = { transports: [transport] };
    const [before] = await tabs(visit, pages, 1, { journal: JOURNAL, client });
    const { page } = before;
    await publish(pages.gateway, 1, 30);
    // In the middle of what comes.
    await before.got(5);
    const publishing = publish(pages.gateway, 31, 200);
    await page.reload();
    const last = (await journal(page)).length;
    assert(last < 220);
    const after = await Listener.start(page, pages.ws, { journal: JOURNAL, client });
    await publishing;
    await publish(pages.gateway, 201, 220);
    await page.waitForFunction(`localStorage.journal.includes(",220,")`, undefined, {
      polling: 10,
    });
    await after.settled();
    const all = await journal(page);
    assertEquals([...new Set(all)], numbers(220));
    assertEquals((await after.noted()).told, []);
    const repeated = all.slice(last).filter((n) => n <= last);
    // What was handled was acknowledged as the page went.
    assertEquals(repeated, []);
  }
});

Deno.test("a message that was being handled when the page was reloaded comes again, marked", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit();
  const page = await visit.open(pages.page());
  await page.evaluate(async (url) => {
    const { PushClient } = await import("@push/client");
    const client = new PushClient(url);
    await client.connect();
    await client.subscribe("a", (message) => {
      Object.assign(globalThis, { taken: message.data });
      return new Promise(() => {});
    });
  }, pages.ws);
  await publish(pages.gateway, 1, 3);
  await page.waitForFunction("globalThis.taken === 1", undefined, { polling: 10 });
  await page.reload();
  const after = await Listener.start(page, pages.ws);
  assertEquals(await after.got(3), [1, 2, 3]);
  assertEquals((await after.noted()).redelivered[0], 1);
});

Deno.test("a page that comes out of the back/forward cache gets what it missed", async () => {
  await using pages = await PageServer.start();
  await using visit = await chromium.visit([/Page entered Back-Forward Cache/]);
  const [listener] = await tabs(visit, pages, 1);
  const { page } = listener;
  await publish(pages.gateway, 1, 10);
  await listener.got(10);
  const before = await listener.now();
  await page.goto(`${pages.page()}?elsewhere`);
  await publish(pages.gateway, 11, 20);
  // The page is loaded already, so that no event tells of it.
  await page.goBack({ waitUntil: "commit" });
  assertEquals(await listener.got(20), numbers(20));
  assertEquals(await listener.now(), before);
  await publish(pages.gateway, 21, 30);
  assertEquals(await listener.got(30), numbers(30));
});

Deno.test("a page without storage or locks is a new client after a reload, and nothing else changes", async () => {
  const withouts = [
    `Object.defineProperty(globalThis, "sessionStorage", {
      get() { throw new DOMException("Blocked", "SecurityError"); } });`,
    `Storage.prototype.setItem = () => { throw new DOMException("Full", "QuotaExceededError"); };`,
    `Object.defineProperty(Navigator.prototype, "locks", { value: undefined });`,
  ];
  for (const before of withouts) {
    await using pages = await PageServer.start();
    await using visit = await chromium.visit();
    const page = await visit.open(pages.page({ before }));
    const first = await Listener.start(page, pages.ws);
    await publish(pages.gateway, 1, 5);
    assertEquals(await first.got(5), numbers(5));
    const { clientId } = await first.now();
    await page.reload();
    const second = await Listener.start(page, pages.ws);
    assertNotEquals((await second.now()).clientId, clientId);
    await publish(pages.gateway, 6, 10);
    assertEquals(await second.got(5), [6, 7, 8, 9, 10]);
  }
});
