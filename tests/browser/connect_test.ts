import { assertEquals, assertRejects } from "@std/assert";
import { TestBrowser } from "../support/browser.ts";
import { PageServer } from "../support/page_server.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

for (const bundled of [false, true]) {
  const form = bundled ? "bundled" : "as it is";
  Deno.test(`a page that loads the client ${form} gets what is published`, async () => {
    await using pages = await PageServer.start();
    await using visit = await chromium.visit();
    const page = await visit.open(pages.page({ bundled }));
    const got = await page.evaluate(async (url) => {
      const { PushClient } = await import("@push/client");
      const client = new PushClient(url);
      await client.connect();
      const alerts = await client.subscribe<number>("alerts");
      const publisher = new PushClient(url);
      await publisher.connect();
      for (const n of [1, 2, 3]) await publisher.publish("alerts", n);
      const got: number[] = [];
      for await (const message of alerts) if (got.push(message.data) === 3) break;
      await client.disconnect();
      await publisher.disconnect();
      return got;
    }, pages.ws);
    assertEquals(got, [1, 2, 3]);
  });
}

Deno.test("a page with an error fails the test that opened it", async () => {
  await using pages = await PageServer.start();
  for (
    const before of [
      `throw new Error("It broke");`,
      `Promise.reject(new Error("It broke"));`,
      `console.error("It broke");`,
    ]
  ) {
    const visit = await chromium.visit();
    await visit.open(pages.page({ before }));
    await assertRejects(() => visit[Symbol.asyncDispose](), Error, "It broke");
  }
});
