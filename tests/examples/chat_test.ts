import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { startChat } from "../../examples/chat/main.ts";
import { BROKEN_NETWORK, TestBrowser } from "../support/browser.ts";
import { freePort } from "../support/gateway_process.ts";
import { RunningProgram } from "../support/program.ts";
import { takePicture, VIEWPORT } from "./pictures.ts";

const chromium = new TestBrowser();
Deno.test.beforeAll(() => chromium.launch());
Deno.test.afterAll(() => chromium.close());

async function enter(page: Page, name: string): Promise<void> {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByText("Connected over").waitFor();
  await page.locator("#people").getByText("you").waitFor();
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** What stands in the log, once this is the last of it. */
async function log(page: Page, last: string): Promise<string[]> {
  await page.locator("#log li:last-child:not(.pending)", { hasText: last }).waitFor();
  return await page.locator("#log li:not(.news) p").allInnerTexts();
}

Deno.test("people chat, see each other come, type and go, and a reload keeps what was said", async () => {
  await using chat = startChat(0, { delivery: { sessionGrace: 3 } });
  await using ann = await chromium.visit([], { viewport: VIEWPORT });
  await using bob = await chromium.visit();
  await using mia = await chromium.visit();
  const [a, b, m] = [await ann.open(chat.url), await bob.open(chat.url), await mia.open(chat.url)];
  await enter(a, "Ann");
  await enter(b, "Bob");
  await a.getByText("Bob has joined").waitFor();
  await enter(m, "Mia");
  await a.getByText("Mia has joined").waitFor();
  assertEquals(await m.locator("#people li span:nth-child(2)").allInnerTexts(), [
    ...["Ann", "Bob", "Mia"],
  ]);

  const talk: [Page, string][] = [
    [b, "Morning! Is the new version out?"],
    [a, "Since nine. Two nodes have it, the third is draining."],
    [m, "Nobody noticed, so it went well."],
    [a, "I had this page open on the train: three tunnels, nothing lost."],
    [b, "Same order here, too."],
  ];
  for (const [i, [page, text]] of talk.entries()) {
    await say(page, text);
    const wanted = talk.slice(0, i + 1).map(([, text]) => text);
    for (const reader of [a, b, m]) assertEquals(await log(reader, text), wanted);
  }
  await m.getByLabel("Message", { exact: true }).pressSequentially("And");
  await a.getByText("Mia is typing…").waitFor();
  await takePicture(a, "chat");
  assertEquals(await a.locator("#log li.own").count(), 2);

  await a.reload();
  const all = talk.map(([, text]) => text);
  assertEquals(await log(a, all[4]), all);
  await a.getByText("Connected over").waitFor();
  await say(b, "Still there?");
  assertEquals(await log(a, "Still there?"), [...all, "Still there?"]);

  await m.close();
  await a.getByText("Mia has left").waitFor();
  assertEquals(await a.locator("#people").getByText("Mia").count(), 0);
  assertEquals(ann.requested.filter((url) => new URL(url).host !== new URL(chat.url).host), []);
});

Deno.test("what is written in the chat while the network is away is pale, and sent once it is back", async () => {
  await using chat = startChat(0);
  await using ann = await chromium.visit(BROKEN_NETWORK);
  await using bob = await chromium.visit();
  let cut = () => {};
  await ann.context.routeWebSocket(/.*/, (socket) => {
    socket.connectToServer();
    cut = () => void socket.close({ code: 1006 });
  });
  const [a, b] = [await ann.open(chat.url), await bob.open(chat.url)];
  await enter(a, "Ann");
  await enter(b, "Bob");
  await ann.context.setOffline(true);
  cut();
  await a.locator("#state[data-state=reconnecting]").waitFor();
  await say(a, "Written in a tunnel");
  await a.locator("#log li.pending", { hasText: "Written in a tunnel" }).waitFor();
  await ann.context.setOffline(false);
  assertEquals(await log(b, "Written in a tunnel"), ["Written in a tunnel"]);
  assertEquals(await log(a, "Written in a tunnel"), ["Written in a tunnel"]);
});

Deno.test("what is written in the chat while its program is stopped is sent once it runs again", async () => {
  const port = freePort();
  const run = async () => {
    const args = ["run", "-A", "examples/chat/main.ts", `${port}`];
    const program = new RunningProgram(Deno.execPath(), args);
    const [url] = await program.printed(/http:\S+\//);
    return { url, program };
  };
  await using visit = await chromium.visit(BROKEN_NETWORK);
  const page = await (async () => {
    const { url, program } = await run();
    await using _ = program;
    const page = await visit.open(url);
    await enter(page, "Ann");
    await say(page, "Before");
    await log(page, "Before");
    return page;
  })();
  await page.locator("#state[data-state=reconnecting]").waitFor();
  await say(page, "Meanwhile");
  await page.locator("#log li.pending", { hasText: "Meanwhile" }).waitFor();
  await using _ = (await run()).program;
  assertEquals(await log(page, "Meanwhile"), ["Before", "Meanwhile"]);
});
