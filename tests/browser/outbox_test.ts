import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import type { PushClient } from "@push/client";
import { BROKEN_NETWORK, TestBrowser, type Visit } from "../support/browser.ts";
import { PageServer } from "../support/page_server.ts";
import { until } from "../support/within.ts";
import { numbers } from "./listener.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

type Kind = "localStorage" | "IndexedDB";

interface Globals {
  readonly client: PushClient;
  readonly told: string[];
}

/** Makes a client that keeps its publishes; it does not wait until it is connected. */
async function begin(page: Page, url: string, kind: Kind): Promise<void> {
  await page.evaluate(async ({ url, kind }) => {
    const { PushClient } = await import("@push/client");
    const { indexedStore, keepPublishes, storageStore } = await import("@push/client/outbox");
    const store = kind === "IndexedDB" ? indexedStore() : storageStore(localStorage);
    const client = new PushClient(url, { outbox: keepPublishes(store) });
    const told: string[] = [];
    client.on("error", ({ origin, error }) => told.push(`${origin}: ${error}`));
    client.connect().catch(() => {});
    Object.assign(globalThis, { client, told });
  }, { url, kind });
}

/** Publishes the numbers from `first` to `last` without waiting. */
async function publish(page: Page, first: number, last: number): Promise<void> {
  await page.evaluate(([first, last]) => {
    const { client } = globalThis as unknown as Globals;
    for (let n = first; n <= last; n++) client.publish("a", n).catch(() => {});
  }, [first, last] as const);
}

/** The numbers whose publishes are kept. */
function keptNumbers(page: Page, kind: Kind): Promise<number[]> {
  return page.evaluate(async (kind) => {
    const { indexedStore, storageStore } = await import("@push/client/outbox");
    const store = kind === "IndexedDB" ? indexedStore() : storageStore(localStorage);
    const records = await store.load() as Iterable<{ readonly data: string }>;
    return [...records].map(({ data }) => Number(data));
  }, kind);
}

/** How many publishes are kept. */
async function kept(page: Page, kind: Kind): Promise<number> {
  return (await keptNumbers(page, kind)).length;
}

/** What subscribers get, in a page of its own. */
async function observe(pages: PageServer, visit: Visit): Promise<() => Promise<number[]>> {
  const page = await visit.open(pages.page());
  await page.evaluate(async (url) => {
    const { PushClient } = await import("@push/client");
    const client = new PushClient(url);
    const got: number[] = [];
    Object.assign(globalThis, { got });
    await client.connect();
    await client.subscribe<number>("a", ({ data }) => void got.push(data));
  }, pages.ws);
  return () => page.evaluate(() => (globalThis as unknown as { got: number[] }).got);
}

for (const kind of ["localStorage", "IndexedDB"] as const) {
  Deno.test(`what a page publishes without a network is sent after a reload, with ${kind}`, async () => {
    await using pages = await PageServer.start();
    await using watched = await chromium.visit();
    const got = await observe(pages, watched);
    await using visit = await chromium.visit(BROKEN_NETWORK);
    const page = await visit.open(pages.page());
    // Loaded before the network is gone.
    await page.evaluate(async () => {
      await import("@push/client");
      await import("@push/client/outbox");
    });
    await visit.context.setOffline(true);
    await begin(page, pages.ws, kind);
    await publish(page, 1, 20);
    await until(async () => await kept(page, kind) === 20, "all are kept");
    await visit.context.setOffline(false);
    await page.reload();
    await begin(page, pages.ws, kind);
    await publish(page, 21, 30);
    await until(async () => (await got()).length >= 30, "all have arrived");
    assertEquals(await got(), numbers(30));
    await until(async () => await kept(page, kind) === 0, "nothing is kept");
    assertEquals(await page.evaluate(() => (globalThis as unknown as Globals).told), []);
  });

  Deno.test(`a page that is reloaded again and again publishes everything once, with ${kind}`, async () => {
    await using pages = await PageServer.start();
    await using watched = await chromium.visit();
    const got = await observe(pages, watched);
    await using visit = await chromium.visit(BROKEN_NETWORK);
    const page = await visit.open(pages.page({ bundled: true }));
    const isSafe = async (last: number) => {
      const safe = new Set([...await keptNumbers(page, kind), ...await got()]);
      return numbers(last).every((n) => safe.has(n));
    };
    for (let round = 0; round < 5; round++) {
      await begin(page, pages.ws, kind);
      await publish(page, 20 * round + 1, 20 * round + 20);
      // What is in a transaction when the page goes may be lost, and is not promised.
      if (kind === "IndexedDB") await until(() => isSafe(20 * round + 20), "all are kept or sent");
      await page.reload();
    }
    await begin(page, pages.ws, kind);
    await until(async () => (await got()).length >= 100, "all have arrived");
    assertEquals(await got(), numbers(100));
  });
}

Deno.test("two tabs do not send what the other keeps; when one is closed, the other does", async () => {
  await using pages = await PageServer.start();
  await using watched = await chromium.visit();
  const got = await observe(pages, watched);
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const first = await visit.open(pages.page());
  const second = await visit.open(pages.page());
  // Nothing listens there.
  await begin(first, "ws://127.0.0.1:1/ws", "localStorage");
  await publish(first, 1, 5);
  await until(async () => await kept(first, "localStorage") === 5, "all are kept");
  await begin(second, pages.ws, "localStorage");
  await publish(second, 6, 8);
  await until(async () => (await got()).length === 3, "the second tab's have arrived");
  assertEquals(await got(), [6, 7, 8]);
  await first.close();
  await second.reload();
  await begin(second, pages.ws, "localStorage");
  await until(async () => (await got()).length === 8, "the first tab's have arrived");
  assertEquals((await got()).slice(3), numbers(5));
});
