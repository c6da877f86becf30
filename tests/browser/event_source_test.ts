import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { BROKEN_NETWORK, TestBrowser } from "../support/browser.ts";
import { startGateway } from "../support/gateway.ts";
import { PageServer } from "../support/page_server.ts";
import { ToxicProxy } from "../support/toxic_proxy.ts";
import { numbers, publish } from "./listener.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

/** What the page holds: the data of messages by their channels, and what else came. */
interface Globals {
  readonly got: Record<string, unknown[]>;
  readonly others: string[];
  readonly opened: number;
}

/** Listens with the browser's own `EventSource`; resolves once it is open. */
async function listen(page: Page, url: string): Promise<void> {
  await page.evaluate(async (url) => {
    const page = Object.assign(globalThis, { got: {}, others: [], opened: 0 }) as {
      got: Record<string, unknown[]>;
      others: string[];
      opened: number;
    };
    const source = new EventSource(url);
    source.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "channel_message") (page.got[frame.channel] ??= []).push(frame.data);
      else if (frame.type !== "channel.subscribed") page.others.push(data);
    };
    await new Promise<void>((resolve) => {
      source.onopen = () => {
        page.opened++;
        resolve();
      };
    });
  }, url);
}

async function got(page: Page, channel: string, count: number): Promise<unknown[]> {
  await page.waitForFunction(
    `(globalThis.got[${JSON.stringify(channel)}] ?? []).length >= ${count}`,
    undefined,
    { polling: 10 },
  );
  const { got } = await seen(page);
  return got[channel];
}

function seen(page: Page): Promise<Globals> {
  return page.evaluate(() => {
    const { got, others, opened } = globalThis as unknown as Globals;
    return { got, others, opened };
  });
}

Deno.test("a page's own EventSource gets two channels, and goes on where it was after each cut", async () => {
  await using pages = await PageServer.start();
  const { gateway } = pages;
  await using proxy = await ToxicProxy.start({ target: pages.port });
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const page = await visit.open(pages.page());
  await listen(page, `http://127.0.0.1:${proxy.port}/api/push/sse?channel=a&channel=b`);
  for (let round = 0; round < 3; round++) {
    const last = 20 * round;
    await publish(gateway, last + 1, last + 10, "a");
    await publish(gateway, round + 1, round + 1, "b");
    await got(page, "a", last + 10);
    await got(page, "b", round + 1);
    proxy.reset();
    await publish(gateway, last + 11, last + 20, "a");
    assertEquals(await got(page, "a", last + 20), numbers(last + 20));
  }
  assertEquals(await got(page, "b", 3), [1, 2, 3]);
  const { others, opened } = await seen(page);
  assertEquals(others, []);
  assert(opened >= 3);
});

Deno.test("an EventSource of a strange site is refused unless its origin is allowed", async () => {
  await using pages = await PageServer.start();
  const strange = `http://site.test:${pages.port}`;
  for (const allowedOrigins of [undefined, [strange]]) {
    await using served = await startGateway({ push: { allowedOrigins } });
    await using visit = await chromium.visit([/status of 403/, /MIME type/]);
    const page = await visit.open(pages.page().replace(pages.origin, strange));
    const url = `${served.http}/api/push/sse?channel=a`;
    if (allowedOrigins) {
      await listen(page, url);
      await publish(served.gateway, 1, 5);
      assertEquals(await got(page, "a", 5), numbers(5));
    } else {
      const state = await page.evaluate(async (url) => {
        const source = new EventSource(url);
        await new Promise((resolve) => source.onerror = resolve);
        return source.readyState === EventSource.CLOSED;
      }, url);
      assert(state);
    }
  }
});

Deno.test("an EventSource shows its token in the address, as it cannot send header fields", async () => {
  await using pages = await PageServer.start({ authToken: "s3cret" });
  await using visit = await chromium.visit([/status of 401/]);
  const page = await visit.open(pages.page());
  await listen(page, "/api/push/sse?channel=a&token=s3cret");
  await publish(pages.gateway, 1, 5);
  assertEquals(await got(page, "a", 5), numbers(5));
  const refused = await page.evaluate(async () => {
    const source = new EventSource("/api/push/sse?channel=a&token=wrong");
    await new Promise((resolve) => source.onerror = resolve);
    return source.readyState === EventSource.CLOSED;
  });
  assert(refused);
});
