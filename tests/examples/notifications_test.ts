import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { startNotifications } from "../../examples/notifications/main.ts";
import { BROKEN_NETWORK, TestBrowser } from "../support/browser.ts";
import { ask } from "../support/http_client.ts";
import { RunningProgram } from "../support/program.ts";
import { takePicture, VIEWPORT } from "./pictures.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

const NOTES = [
  { title: "Backup finished", text: "412 GB in 18 minutes.", level: "good" },
  { title: "Mia mentioned you", text: "“Can you look at the numbers?”", level: "info" },
  { title: "Disk is filling up", text: "db-2 is at 91 %.", level: "warning" },
  { title: "Payment failed", text: "The card of order 1042 was refused.", level: "error" },
];

async function send(url: string, data: unknown): Promise<void> {
  const { status } = await ask(`${url}api/push/publish`, {
    body: { channel: "notifications", data },
  });
  assertEquals(status, 200);
}

function titles(page: Page): Promise<string[]> {
  return page.locator("#list b").allInnerTexts();
}

Deno.test("notifications appear as they come, and those of an absence are counted", async () => {
  await using served = startNotifications(0);
  await using visit = await chromium.visit(BROKEN_NETWORK, { viewport: VIEWPORT });
  const page = await visit.open(served.url);
  await page.getByText("Connected over").waitFor();
  await page.getByText("Nothing yet").waitFor();
  await send(served.url, NOTES[0]);
  await page.getByText("Backup finished").waitFor();
  assertEquals(await page.title(), "(1) Notifications");
  assertEquals(await page.locator("#missed").isVisible(), false);
  await page.getByRole("button", { name: "Mark all as read" }).click();
  assertEquals(await page.title(), "Notifications");

  await page.close();
  for (const note of NOTES.slice(1, 3)) await send(served.url, note);
  const again = await visit.open(served.url);
  await again.getByText("2 came while you were away").waitFor();
  await send(served.url, NOTES[3]);
  await again.getByText("Payment failed").waitFor();
  assertEquals(await titles(again), NOTES.map(({ title }) => title).reverse());
  assertEquals(await again.locator("#unread").innerText(), "3");
  const { host } = new URL(served.url);
  assertEquals(visit.requested.filter((url) => new URL(url).host !== host), []);
  // The picture does not show which port was free.
  await again.locator("#curl").evaluate((code) => {
    code.textContent = code.textContent!.replace(/:\d+/, ":8001");
  });
  await takePicture(again, "notifications");
});

Deno.test("a page whose gateway is not there for long has its notifications when it is", async () => {
  await using served = startNotifications(0);
  await using visit = await chromium.visit(BROKEN_NETWORK, { viewport: VIEWPORT });
  const { context } = visit;
  let isThere = false;
  await context.routeWebSocket(/./, (socket) => {
    if (isThere) socket.connectToServer();
    else void socket.close({ code: 1006 });
  });
  await context.route(/\/api\/push\//, (route) => isThere ? route.continue() : route.abort());
  await context.clock.install();
  const page = await visit.open(served.url);
  await page.getByText("connecting…").waitFor();
  await context.clock.runFor(15_000);
  isThere = true;
  await context.clock.runFor(60_000);
  await page.getByText("Connected over").waitFor();
  await send(served.url, NOTES[0]);
  await page.getByText("Backup finished").waitFor();
});

Deno.test("a notification sent with the form appears, and anything else that is published harms nothing", async () => {
  const args = ["run", "-A", "examples/notifications/main.ts", "0"];
  await using program = new RunningProgram(Deno.execPath(), args);
  const [url] = await program.printed(/http:\S+\//);
  await using visit = await chromium.visit();
  const page = await visit.open(url);
  await page.getByText("Connected over").waitFor();
  for (const odd of [null, 5, "text", {}, { title: {} }, []]) await send(url, odd);
  await send(url, { title: "<img src=x onerror=alert(1)>", text: 7, level: "__proto__" });
  await page.getByLabel("Title").fill("By hand");
  await page.getByLabel("Warning").check();
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("By hand").waitFor();
  assertEquals(await titles(page), ["By hand", "<img src=x onerror=alert(1)>"]);
  assertEquals(await page.locator("#list li").first().getAttribute("data-level"), "warning");
});
