import { assert, assertEquals } from "@std/assert";
import {
  type ClientOptions,
  type Clock,
  type Message,
  PushClient,
  type PushError,
  type Transport,
} from "@push/client";
import { Stream } from "../../client/tabs/stream.ts";
import { Tab } from "../../client/tabs/tab.ts";
import { seededRandom } from "../../server/testing/mod.ts";
import { startGateway } from "../support/gateway.ts";
import { freePort } from "../support/gateway_process.ts";
import { until } from "../support/within.ts";
import { type Page, TabBrowser } from "./tab_browser.ts";

/** A tab with a client that writes down what its handler gets. */
interface Seen {
  readonly page: Page;
  readonly client: PushClient;
  readonly got: unknown[];
}

async function open(
  browser: TabBrowser,
  url: string,
  options: ClientOptions = {},
  channel = "a",
): Promise<Seen> {
  const page = browser.open();
  const client = page.client(url, options);
  const got: unknown[] = [];
  await client.connect();
  await client.subscribe(channel, ({ data }) => {
    if (page.isAlive) got.push(data);
  });
  return { page, client, got };
}

function tabs(
  browser: TabBrowser,
  url: string,
  count: number,
  options?: ClientOptions,
): Promise<Seen[]> {
  return Promise.all(Array.from({ length: count }, () => open(browser, url, options)));
}

async function close(all: Iterable<Seen>): Promise<void> {
  for (const { client, page } of all) {
    if (!page.isAlive) continue;
    // Where the one before was the leader, this one is coming back.
    await until(() => client.isConnected || client.state === "closed", "the tab is back");
    await client.disconnect();
  }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

Deno.test("five tabs have one connection, and each gets every message in order", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const all = await tabs(browser, served.ws, 5);
  assertEquals((await stats(served.http)).connections, 1);
  for (const n of upTo(50)) await served.gateway.publish("a", n);
  await until(() => all.every(({ got }) => got.length === 50), "all have all");
  for (const { got } of all) assertEquals(got, upTo(50));
  assertEquals(new Set(all.map(({ client }) => client.clientId)).size, 1);
  await close(all);
});

async function stats(http: string): Promise<{ connections: number }> {
  const text = await (await fetch(`${http}/metrics`)).text();
  const match = /^push_connections(?:\{[^}]*\})? (\d+)/m.exec(text);
  return { connections: Number(match?.[1]) };
}

for (const how of ["killed", "closed"] as const) {
  Deno.test(`when the leading tab is ${how} in mid-stream, nothing is lost and nothing repeated`, async () => {
    const seed = Date.now() % 1e6;
    console.log(`seed ${seed}`);
    const { below } = seededRandom(seed);
    await using served = await startGateway();
    const browser = new TabBrowser();
    const all = await tabs(browser, served.ws, 4);
    let published = 0;
    const publish = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await served.gateway.publish("a", ++published);
        if (below(4) === 0) await new Promise((resolve) => setTimeout(resolve, below(4)));
      }
    };
    for (let round = 0; round < 3; round++) {
      const publishing = publish(150);
      await until(() => published > 150 * round + 20 + below(100), "some are published");
      const leader = browser.leader!;
      const leading = all.find(({ page }) => page === leader)!;
      if (how === "killed") leader.kill();
      else await leading.client.disconnect();
      leader.isAlive = false;
      await publishing;
    }
    const [last] = all.filter(({ page }) => page.isAlive);
    await until(() => last.got.length >= published, "the last tab has all");
    assertEquals(last.got, upTo(published));
    for (const { got } of all) assertEquals(got, upTo(got.length));
    await close(all);
  });
}

Deno.test("a message is acknowledged once every tab has", async () => {
  await using served = await startGateway({ push: { delivery: { ackTimeout: 1 } } });
  const browser = new TabBrowser();
  const [first] = await tabs(browser, served.ws, 2);
  const slow = browser.open();
  const client = slow.client(served.ws);
  await client.connect();
  const held: Message[] = [];
  const sent: string[] = [];
  const send = WebSocket.prototype.send;
  await client.subscribe("a", (message) => held.push(message), { ack: "manual" });
  for (const socket of browser.leader!.sockets) {
    socket.send = (text) => {
      sent.push(String(text));
      send.call(socket, text);
    };
  }
  await served.gateway.publish("a", 1);
  await until(() => held.length === 1 && first.got.length === 1, "both have it");
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert(!sent.some((text) => text.includes('"ack"')));
  held[0].ack();
  await until(() => sent.some((text) => text.includes('"ack"')), "it is acknowledged");
  await client.disconnect();
  slow.isAlive = false;
  await close([first]);
  browser.closeAll();
});

Deno.test("a tab that dies holds back nothing, and one that is last leaves its messages to the next", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const [stays] = await tabs(browser, served.ws, 1);
  const dies = browser.open();
  const client = dies.client(served.ws);
  await client.connect();
  let held = 0;
  await client.subscribe("b", () => void held++, { ack: "manual", concurrency: 5 });
  for (const n of upTo(3)) await served.gateway.publish("b", n);
  await until(() => held === 3, "the tab has them");
  dies.kill();
  await served.gateway.publish("b", 4);
  const got: unknown[] = [];
  await stays.client.subscribe("b", ({ data }) => got.push(data));
  await until(() => got.length === 4, "the other has them");
  assertEquals(got, [1, 2, 3, 4]);
  await close([stays]);
});

Deno.test("a late tab begins at the head, or in the history that it asks for", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const [first] = await tabs(browser, served.ws, 1);
  for (const n of upTo(20)) await served.gateway.publish("a", n);
  await until(() => first.got.length === 20, "the first has all");
  const late = await open(browser, served.ws);
  const page = browser.open();
  const client = page.client(served.ws);
  await client.connect();
  const [five, all]: unknown[][] = [[], []];
  await client.subscribe("a", ({ data }) => five.push(data), { last: 5 });
  const other = browser.open();
  const otherClient = other.client(served.ws);
  await otherClient.connect();
  await otherClient.subscribe("a", ({ data }) => all.push(data), { all: true });
  for (const n of [21, 22, 23]) await served.gateway.publish("a", n);
  await until(() => all.length === 23 && five.length === 8 && late.got.length === 3, "all have");
  assertEquals(first.got, upTo(23));
  assertEquals([late.got, five, all], [[21, 22, 23], upTo(23).slice(15), upTo(23)]);
  await client.disconnect();
  await otherClient.disconnect();
  await close([first, late]);
});

Deno.test("publishes of each tab reach the others in order, and not the tab itself", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const all = await tabs(browser, served.ws, 3);
  const publishing = all.flatMap(({ client }, tab) =>
    upTo(40).map((n) => client.publish("a", `${tab} ${n}`, { echo: tab === 2 }))
  );
  const results = await Promise.all(publishing);
  assertEquals(results[0].delivered, 2);
  await until(() => all.every(({ got }, i) => got.length === (i === 2 ? 120 : 80)), "all have");
  for (const [me, { got }] of all.entries()) {
    for (const tab of [0, 1, 2]) {
      const own = got.filter((data) => String(data).startsWith(`${tab} `));
      const expected = tab === me && me !== 2 ? [] : upTo(40).map((n) => `${tab} ${n}`);
      assertEquals(own, expected);
    }
  }
  await close(all);
});

Deno.test("publishes of all tabs survive the leader's death, once each and in order", async () => {
  const seed = Date.now() % 1e6;
  console.log(`seed ${seed}`);
  const { below } = seededRandom(seed);
  await using served = await startGateway();
  const browser = new TabBrowser();
  const all = await tabs(browser, served.ws, 4);
  const outside: unknown[] = [];
  await using observer = new PushClient(served.ws);
  await observer.connect();
  await observer.subscribe("a", ({ data }) => outside.push(data));
  const counts = [0, 0, 0, 0];
  const publishing: Promise<unknown>[] = [];
  for (let step = 0; step < 300; step++) {
    const i = below(4);
    const { page, client } = all[i];
    if (page.isAlive) {
      publishing.push(client.publish("a", `${i} ${++counts[i]}`).catch(() => "gone"));
    }
    if (step === 100 || step === 200) browser.leader!.kill();
    if (below(4) === 0) await new Promise((resolve) => setTimeout(resolve, below(5)));
  }
  const alive = all.map(({ page }, i) => page.isAlive ? i : -1).filter((i) => i >= 0);
  const of = (got: unknown[], i: number) => got.filter((it) => String(it).startsWith(`${i} `));
  await until(
    () => alive.every((i) => of(outside, i).length >= counts[i]),
    "the living tabs' publishes are there",
  );
  for (const i of [0, 1, 2, 3]) {
    const numbers = of(outside, i).map((it) => Number(String(it).split(" ")[1]));
    assertEquals(numbers, upTo(numbers.length));
  }
  for (const i of alive) {
    const mine = outside.filter((it) => !String(it).startsWith(`${i} `));
    await until(() => all[i].got.length >= mine.length, "a tab has what the others published");
    assertEquals(all[i].got, mine);
  }
  await close(all);
});

Deno.test("a tab that unsubscribes leaves the others their messages", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const all = await tabs(browser, served.ws, 3);
  await served.gateway.publish("a", 1);
  await until(() => all.every(({ got }) => got.length === 1), "all have the first");
  await all[0].client.unsubscribe("a");
  await served.gateway.publish("a", 2);
  await until(() => all[1].got.length === 2 && all[2].got.length === 2, "two have the second");
  assertEquals(all[0].got, [1]);
  await close(all);
});

Deno.test("a refused message comes again only to the tab that refused it", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const [good] = await tabs(browser, served.ws, 1);
  const page = browser.open();
  const client = page.client(served.ws);
  await client.connect();
  const tries: number[] = [];
  await client.subscribe("a", (message) => {
    tries.push(message.retryCount);
    if (tries.length < 3) message.nack();
    else message.ack();
  }, { ack: "manual" });
  await served.gateway.publish("a", 1);
  await until(() => tries.length === 3, "it has come three times");
  assertEquals([tries, good.got], [[0, 1, 2], [1]]);
  await client.disconnect();
  await close([good]);
});

for (const transports of [["websocket", "sse", "longpoll"], ["sse"], ["longpoll"]] as const) {
  Deno.test(`tabs over ${transports.join()} that come, go, crash and lose the network miss nothing and repeat nothing`, async () => {
    for (let round = 0; round < 6; round++) {
      const seed = Date.now() % 1e6 + round;
      await shake(seed, transports).catch((error) => {
        throw new Error(`seed ${seed}: ${error}`, { cause: error });
      });
    }
  });
}

/** A tab of {@linkcode shake}. */
interface Shaken extends Seen {
  /** Highest number whose publishing had begun when the subscription was answered. */
  readonly before: number;
  readonly isManual: boolean;
  state: "here" | "gone";
}

/** Plays a random schedule, and checks what each tab got. */
async function shake(seed: number, transports: readonly Transport[]): Promise<void> {
  const { below, pick } = seededRandom(seed);
  await using served = await startGateway({ push: { delivery: { ackTimeout: 20 } } });
  const browser = new TabBrowser();
  const all: Shaken[] = [];
  let published = 0;
  /** Handlers that take their time. */
  let busy = 0;
  const here = (): Shaken[] => all.filter(({ state }) => state === "here");
  const add = async (): Promise<void> => {
    const page = browser.open();
    const client = page.client(served.ws, { transports, reconnectDelay: { max: 0.05 } });
    client.on("gap", (gap) => got.push(`gap ${gap.seq}`));
    const got: unknown[] = [];
    await client.connect();
    const isManual = below(3) === 0;
    const isAll = below(4) === 0;
    const refused = new Set<unknown>();
    const take = async (message: Message): Promise<void> => {
      const { data } = message;
      if (page.isAlive && below(10) === 0) {
        busy++;
        await pause(below(8));
        busy--;
      }
      if (isManual && below(15) === 0 && !refused.has(data)) {
        refused.add(data);
        return message.nack();
      }
      if (page.isAlive) got.push(data);
      if (isManual) message.ack();
    };
    await client.subscribe("a", take, { ack: isManual ? "manual" : "auto", all: isAll });
    all.push({ page, client, got, before: isAll ? 0 : published, isManual, state: "here" });
  };
  await add();
  for (let step = 0; step < 60; step++) {
    const tabs = here();
    const tab = tabs.length > 0 ? pick(tabs) : undefined;
    switch (below(12)) {
      case 0:
        if (tabs.length < 6) await add();
        break;
      case 1:
        if (tab && tabs.length > 1) {
          tab.state = "gone";
          tab.page.kill();
        }
        break;
      case 2:
        if (tab && tabs.length > 1) {
          tab.state = "gone";
          await tab.client.disconnect();
          tab.page.isAlive = false;
        }
        break;
      case 3:
        for (const socket of browser.leader?.sockets ?? []) socket.close(3001);
        break;
      case 4:
        await pause(below(20));
        break;
      default:
        for (let n = below(20); n > 0; n--) await served.gateway.publish("a", ++published);
    }
  }
  const has = ({ got, before }: Shaken): boolean => {
    const numbers = new Set(got);
    return upTo(published).slice(before).every((n) => numbers.has(n));
  };
  await until(() => here().every(has), "all have all").catch((error) => {
    const missing = here().filter((tab) => !has(tab)).map(({ got, before, isManual }) =>
      `${before}..${published} ${isManual ? "manual" : ""}: ${got.join()}`
    );
    throw new Error(`${error} ${missing.join("; ")}`);
  });
  await pause(30);
  for (const { got, before, isManual, state } of all) {
    const numbers = got as number[];
    const isSorted = (list: number[]): boolean => list.every((n, i) => i === 0 || n > list[i - 1]);
    assertEquals(new Set(numbers).size, numbers.length, "repeated");
    // Whoever comes first after a crash gets what was refused before, and as it comes.
    const isHeir = numbers.some((n) => n <= before);
    const mine = numbers.filter((n) => n > before);
    if (!isManual && !isHeir) {
      assert(isSorted(mine), `not in order: ${mine.join(" ")}`);
      assertEquals(mine.length, Math.max(0, ...mine.map((n) => n - before)), "lost");
    }
    if (state === "here") assertEquals(mine.length, published - before);
  }
  for (const { client } of here()) await client.disconnect();
  browser.closeAll();
  await until(() => busy === 0, "no handler is at work");
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

for (const transport of ["websocket", "sse", "longpoll"] as const) {
  Deno.test(`a gateway that is started again finds the tabs where they were (${transport})`, async () => {
    const port = freePort();
    const browser = new TabBrowser();
    const gaps: unknown[] = [];
    let all: Seen[] = [];
    {
      await using served = await startGateway({ port });
      const options = { transports: [transport], reconnectDelay: { max: 0.1 } };
      all = await tabs(browser, served.ws, 3, options);
      for (const { client } of all) client.on("gap", (gap) => gaps.push(gap.reason));
      for (const n of upTo(10)) await served.gateway.publish("a", n);
      await until(() => all.every(({ got }) => got.length === 10), "all have the first");
    }
    await using served = await startGateway({ port });
    await until(() => all.every(({ client }) => client.isConnected), "all are back");
    await until(() => gaps.length === 3, "all were told that the log is another one");
    for (const n of upTo(5)) await served.gateway.publish("a", 10 + n);
    await until(() => all.every(({ got }) => got.length === 15), "all have the rest");
    for (const { got } of all) assertEquals(got, upTo(15));
    await close(all);
  });
}

for (const transport of ["websocket", "sse", "longpoll"] as const) {
  Deno.test(`tabs that know of different logs, and of none, do not drive each other out (${transport})`, async () => {
    const port = freePort();
    const browser = new TabBrowser();
    const options = { transports: [transport], reconnectDelay: { max: 0.1 } };
    let all: Seen[] = [];
    const whole: unknown[] = [];
    const late = browser.open().client(`ws://127.0.0.1:${port}/ws`, options);
    {
      await using served = await startGateway({ port });
      all = await tabs(browser, served.ws, 3, options);
      for (const n of upTo(10)) await served.gateway.publish("a", n);
      await until(() => all.every(({ got }) => got.length === 10), "all have the first");
      await late.connect();
    }
    const asked = late.subscribe("a", ({ data }) => whole.push(data), { all: true });
    await using served = await startGateway({ port });
    for (const n of upTo(5)) await served.gateway.publish("a", 10 + n);
    await asked;
    await until(() => all.every(({ got }) => got.length === 15), "all have the rest");
    await until(() => whole.length === 5, "who asked for all has all");
    for (const { got } of all) assertEquals(got, upTo(15));
    assertEquals(whole, upTo(15).slice(10));
    await Promise.all([late, ...all.map(({ client }) => client)].map((each) => each.disconnect()));
    browser.closeAll();
  });
}

Deno.test("tabs share the transport that is asked for, and the next one where a proxy gathers", async () => {
  await using served = await startGateway();
  // Ten times as fast.
  const clock: Clock = {
    now: () => Date.now(),
    schedule(delay, task) {
      const handle = setTimeout(task, delay / 10);
      return () => clearTimeout(handle);
    },
  };
  for (const isGathered of [false, true]) {
    const browser = new TabBrowser();
    const routes: string[] = [];
    const gathering: NonNullable<ClientOptions["fetch"]> = async (input, { signal, ...init }) => {
      const route = input.replace(/.*\/api\/push\//, "");
      routes.push(route);
      if (!isGathered || route !== "sse") return await fetch(input, { ...init, signal });
      return await new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
      });
    };
    const [{ client, got }] = await tabs(browser, served.ws, 1, {
      transports: ["sse", "longpoll"],
      fetch: gathering,
      clock,
    });
    await served.gateway.publish("a", 1);
    await until(() => got.length === 1, "it has come");
    assertEquals(routes.includes("sse"), true);
    assertEquals(routes.includes("poll/messages"), isGathered);
    await client.disconnect();
  }
});

Deno.test("a tab hears why the gateway was not to be had, whatever the reason", async () => {
  const refused: NonNullable<ClientOptions["fetch"]> = () => {
    const body = { ok: false, error: "Not from this page.", code: "origin_not_allowed" };
    return Promise.resolve(Response.json(body, { status: 403 }));
  };
  const page = new TabBrowser().open();
  const options = { transports: ["longpoll"] as const, fetch: refused };
  const error = await page.client("ws://127.0.0.1:9/ws", options).connect().catch((error) => error);
  assertEquals([error.code, error.message], ["origin_not_allowed", "Not from this page."]);
});

Deno.test("a refusal of the gateway is one for every tab, and a new token mends it", async () => {
  await using served = await startGateway({ authToken: "right" });
  const browser = new TabBrowser();
  const [wrong, right, later] = ["wrong", "right", "right"].map((authToken) =>
    browser.open().client(served.ws, { authToken })
  );
  const refused = await wrong.connect().then(() => "connected", ({ code }) => code);
  assertEquals([refused, wrong.state], ["token_invalid", "closed"]);
  await right.connect();
  await later.connect();
  assertEquals(await later.listChannels(), []);
  assertEquals(await later.createChannel("x"), true);
  assertEquals((await later.publish("x", 1)).seq, 1);
  const refusal = await right.publish("x", "y".repeat(70_000)).catch(({ code }) => code);
  assertEquals(refusal, "message_too_large");
  await Promise.all([right.disconnect(), later.disconnect()]);
});

Deno.test("a tab that comes late knows how much of the token's time has passed", async () => {
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const tokens = [{ name: "ann", token: "token-of-ann", expires }];
  await using served = await startGateway({ push: { auth: { tokens } } });
  let passed = 0;
  const clock: Clock = {
    now: () => Date.now() + passed,
    schedule(delay, task) {
      const handle = setTimeout(task, delay);
      return () => clearTimeout(handle);
    },
  };
  const browser = new TabBrowser();
  const asked = Promise.withResolvers<void>();
  let given = 0;
  const first = browser.open().client(served.ws, { authToken: () => "token-of-ann", clock });
  const late = browser.open().client(served.ws, {
    authToken: () => (++given === 2 && asked.resolve(), "token-of-ann"),
    clock,
  });
  await first.connect();
  passed = 3_600_000;
  await late.connect();
  // Once to connect, and once since the token is at its end.
  await asked.promise;
  await Promise.all([late.disconnect(), first.disconnect()]);
});

Deno.test("a right that is lost ends the channel in every tab that has it, and in no other", async () => {
  const rights = new Set(["a", "b"]);
  await using served = await startGateway({}, {
    authorize: (_, action, channel) => action !== "subscribe" || rights.has(channel!),
  });
  const browser = new TabBrowser();
  const all = [...await tabs(browser, served.ws, 3), await open(browser, served.ws, {}, "b")];
  const errors = all.map(({ client }) => {
    const told: unknown[] = [];
    client.on(
      "error",
      ({ error, channel }) => told.push(`${(error as PushError).code} ${channel}`),
    );
    return told;
  });
  rights.delete("a");
  await served.gateway.reauthorize();
  await until(() => errors.slice(0, 3).every((told) => told.length > 0), "three tabs are told");
  await served.gateway.publish("a", "between");
  await served.gateway.publish("b", 1);
  await until(() => all[3].got.length === 1, "the other channel flows");
  assertEquals(errors, [["forbidden a"], ["forbidden a"], ["forbidden a"], []]);
  rights.add("a");
  await served.gateway.reauthorize();
  const got: unknown[] = [];
  for (const { client } of all) await client.subscribe("a", ({ data }) => got.push(data));
  await served.gateway.publish("a", "after");
  await until(() => got.length === 4, "all have the message");
  assertEquals(got, Array(4).fill("after"));
  await close(all);
});

Deno.test("to the others the tabs are one, with the status that was said last", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  await using other = new PushClient(served.ws);
  await other.connect();
  const heard: string[] = [];
  other.on("presence_join", () => heard.push("join"));
  other.on("presence_leave", () => heard.push("leave"));
  await other.subscribe("a");
  const all = await tabs(browser, served.ws, 3);
  await all[0].client.setStatus("busy");
  await until(() => heard.length === 1, "the tabs have come");
  const [present] = (await all[1].client.getPresence("a"))
    .filter(({ clientId }) => clientId !== other.clientId);
  assertEquals([present.status, present.clientId], ["busy", all[2].client.clientId]);
  assertEquals((await served.gateway.presence("a")).length, 2);
  const { leader } = browser;
  await close(all.filter(({ page }) => page !== leader));
  await close(all.filter(({ page }) => page === leader));
  await until(() => heard.length >= 2, "the tabs have left");
  assertEquals(heard, ["join", "leave"]);
});

Deno.test("tabs that all close go on with the same session, unless they say goodbye", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const [first] = await tabs(browser, served.ws, 1);
  const { clientId } = first.client;
  first.page.kill();
  for (const n of upTo(3)) await served.gateway.publish("a", n);
  const [second] = await tabs(browser, served.ws, 1);
  assertEquals(second.client.clientId, clientId);
  await until(() => second.got.length === 3, "what came meanwhile is there");
  await second.client.disconnect();
  assertEquals(browser.storage.size, 0);
  const [third] = await tabs(browser, served.ws, 1);
  assert(third.client.clientId !== clientId);
  await close([third]);
});

Deno.test("tabs ask to be woken, so what is lost is back before any wait is over", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const pages = [browser.open(), browser.open()];
  const [leads, follows] = pages.map((page) =>
    page.client(served.ws, { reconnectDelay: { min: 60, max: 60 } })
  );
  await leads.connect();
  await follows.connect();
  const states: string[] = [];
  follows.on("state", ({ state }) => states.push(state));
  pages[0].kill();
  await until(() => states.length === 2, "the other is back");
  assertEquals(states, ["reconnecting", "connected"]);
  await follows.disconnect();
});

Deno.test("a leading tab that is suspended is not waited for, and goes on when it wakes", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const [asleep] = await tabs(browser, served.ws, 1);
  await served.gateway.publish("a", 1);
  await until(() => asleep.got.length === 1, "the first has it");
  asleep.page.isFrozen = true;
  const [awake] = await tabs(browser, served.ws, 1);
  asleep.page.isFrozen = false;
  await served.gateway.publish("a", 2);
  await until(() => awake.got.includes(2) && asleep.got.length === 2, "both have the second");
  assertEquals([asleep.got, asleep.client.state], [[1, 2], "connected"]);
  await close([awake, asleep]);
});

Deno.test("a publish of a tab without the channel reaches one that comes back to it later", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const leader = browser.open();
  const leading = leader.client(served.ws);
  await leading.connect();
  const pub = browser.open().client(served.ws);
  await pub.connect();
  const subPage = browser.open();
  let slow = Promise.resolve();
  const Base = subPage.platform.BroadcastChannel!;
  const sub = new PushClient(
    served.ws,
    subPage.options({}, {
      BroadcastChannel: class {
        onmessage: ((event: never) => unknown) | null = null;
        readonly #inner;
        constructor(name: string) {
          this.#inner = new Base(name);
          this.#inner.onmessage = ({ data }: { data: unknown }) =>
            void slow.then(() => this.onmessage?.({ data } as never));
        }
        postMessage(value: unknown) {
          this.#inner.postMessage(value);
        }
        close() {
          this.#inner.close();
        }
      },
    }),
  );
  const got: unknown[] = [];
  await sub.connect();
  await sub.subscribe("a", ({ data }) => got.push(data));
  await served.gateway.publish("a", 1);
  await until(() => got.length === 1, "first");
  // The connection is lost; the subscriber's page is slow.
  const { promise, resolve } = Promise.withResolvers<void>();
  slow = promise;
  for (const socket of leader.sockets) socket.close(3001);
  await until(() => !pub.isConnected, "lost");
  await until(() => pub.isConnected, "publisher is back");
  await pub.publish("a", 2);
  resolve();
  await served.gateway.publish("a", 3);
  await until(() => got.includes(3), "third");
  await pause(50);
  await pub.disconnect();
  await sub.disconnect();
  await leading.disconnect();
  browser.closeAll();
  assertEquals(got, [1, 2, 3]);
});

Deno.test("a tab that leaves while the leader sleeps lets go of everything", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const leader = browser.open();
  const leading = leader.client(served.ws);
  await leading.connect();
  const page = browser.open();
  let open = 0;
  const Base = page.platform.BroadcastChannel!;
  const client = new PushClient(
    served.ws,
    page.options({}, {
      BroadcastChannel: class extends Base {
        constructor(name: string) {
          super(name);
          open++;
        }
        override close(): void {
          open--;
          super.close();
        }
      },
    }),
  );
  await client.connect();
  assertEquals(open, 1);
  leader.isFrozen = true;
  await client.disconnect();
  await until(() => open === 0, "the tab has left its group");
  leader.isFrozen = false;
  await leading.disconnect();
  browser.closeAll();
});

for (const who of ["a client", "a tab"]) {
  Deno.test(`${who} handles what overtakes the answer to a start in an epoch that has ended`, async () => {
    await using served = await startGateway();
    for (const n of upTo(3)) await served.gateway.publish("a", n);
    const overtaken = Promise.withResolvers<void>();
    let hasCome = false;
    const fetchSlowly: ClientOptions["fetch"] = async (url, init) => {
      // Who polls again has looked at what came before.
      if (hasCome) overtaken.resolve();
      const response = await fetch(url, init);
      const text = await response.text();
      hasCome ||= text.includes('"channel_message"');
      if (text.includes('"channel.subscribed"')) await overtaken.promise;
      return new Response(text, response);
    };
    const options: ClientOptions = { transports: ["longpoll"], fetch: fetchSlowly };
    const browser = new TabBrowser();
    await using client = who === "a tab"
      ? browser.open().client(served.ws, options)
      : new PushClient(served.ws, options);
    const got: unknown[] = [];
    client.on("gap", ({ reason, seq }) => got.push(`${reason} ${seq}`));
    await client.connect();
    const since = { epoch: "ended", seq: 50 };
    await client.subscribe("a", ({ data }) => got.push(data), { since });
    await served.gateway.publish("a", 4);
    await until(() => got.includes(4), "the last has come");
    assertEquals(got, ["epoch 0", 1, 2, 3, 4]);
    await client.disconnect();
    browser.closeAll();
  });
}

for (const transport of ["websocket", "sse", "longpoll"] as const) {
  Deno.test(`a tab that starts in an epoch that has ended changes nothing for one that flows (${transport})`, async () => {
    await using served = await startGateway();
    for (const n of upTo(3)) await served.gateway.publish("a", n);
    const browser = new TabBrowser();
    let connections = 0;
    const options: ClientOptions = {
      transports: [transport],
      fetch: (url, init) => {
        if (url.endsWith("/register")) connections++;
        return fetch(url, init);
      },
      reconnectDelay: { max: 0.1 },
    };
    const first = await open(browser, served.ws, options);
    first.client.on("gap", ({ reason }) => first.got.push(reason));
    const late = browser.open().client(served.ws, options);
    const whole: unknown[] = [];
    late.on("gap", ({ reason }) => whole.push(reason));
    await late.connect();
    const since = { epoch: "ended", seq: 50 };
    await late.subscribe("a", ({ data }) => whole.push(data), { since });
    await served.gateway.publish("a", 4);
    await until(() => whole.includes(4) && first.got.includes(4), "both have the last");
    assertEquals([first.got, whole], [[4], ["epoch", 1, 2, 3, 4]]);
    assertEquals(connections, transport === "websocket" ? 0 : 2);
    await late.disconnect();
    await close([first]);
    browser.closeAll();
  });
}

Deno.test("a tab that asks for little history takes nothing from one that asks for more at the same time", async () => {
  await using served = await startGateway();
  for (const n of upTo(3)) await served.gateway.publish("a", n);
  const browser = new TabBrowser();
  const asked = [{ all: true }, { last: 2 }, { last: 1 }];
  const clients = asked.map(() => browser.open().client(served.ws));
  for (const client of clients) await client.connect();
  const got: unknown[][] = asked.map(() => []);
  await Promise.all(clients.map((client, i) => {
    return client.subscribe("a", ({ data }) => got[i].push(data), asked[i]);
  }));
  await served.gateway.publish("a", 4);
  await until(() => got.every((each) => each.includes(4)), "all have the last");
  assertEquals(got[0], upTo(4));
  assertEquals(got[1].slice(-3), [2, 3, 4]);
  await Promise.all(clients.map((client) => client.disconnect()));
  browser.closeAll();
});

Deno.test("tabs that ask for everything get it in order, beside one that holds some of it", async () => {
  await using served = await startGateway();
  for (const n of upTo(4)) await served.gateway.publish("a", n);
  const browser = new TabBrowser();
  const clients = upTo(3).map(() => browser.open().client(served.ws));
  for (const client of clients) await client.connect();
  const [holds, ...whole] = clients;
  const held = Promise.withResolvers<void>();
  const holding = Promise.withResolvers<void>();
  await holds.subscribe("a", () => {
    holding.resolve();
    return held.promise;
  }, { last: 2 });
  await holding.promise;
  const got: unknown[][] = whole.map(() => []);
  await Promise.all(whole.map((client, i) => {
    return client.subscribe("a", ({ data }) => got[i].push(data), { all: true });
  }));
  await until(() => got.every((each) => each.length === 4), "both have everything");
  assertEquals(got, [upTo(4), upTo(4)]);
  held.resolve();
  await Promise.all(clients.map((client) => client.disconnect()));
  browser.closeAll();
});

Deno.test("a tab that asks for nothing begins where the log ends, whatever another tab asks for at the same moment", async () => {
  await using served = await startGateway();
  const options = { transports: ["websocket"] as const };
  const { epoch } = await served.gateway.publish("a", 1);
  await served.gateway.publish("a", 2);
  const starts = [{ since: { epoch: "ended", seq: 50 } }, { all: true }, { last: 1 }, {
    since: { epoch, seq: 0 },
  }];
  for (const [i, start] of starts.entries()) {
    const browser = new TabBrowser();
    const tabs = [
      browser.open().client(served.ws, options),
      browser.open().client(served.ws, options),
    ];
    const got: unknown[][] = [[], []];
    for (const [at, tab] of tabs.entries()) {
      tab.on("gap", ({ reason }) => got[at].push(reason));
      await tab.connect();
    }
    await Promise.all(
      [start, {}].map((each, at) =>
        tabs[at].subscribe("a", ({ data }) => got[at].push(data), each)
      ),
    );
    await served.gateway.publish("a", 3 + i);
    await until(() => got.every((each) => each.includes(3 + i)), "the newest has come");
    const all = upTo(3 + i);
    assertEquals(got, [[["epoch", ...all], all, all.slice(-2), all][i], [3 + i]]);
    for (const tab of tabs) await tab.disconnect();
    browser.closeAll();
  }
});

Deno.test("tabs that ask for different starts at any moment get what they asked for, in order, and no other tab's gap", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  await using served = await startGateway();
  for (let round = 0; round < 6; round++) {
    const channel = `round-${round}`;
    const said = [`seed ${seed}`, channel];
    let head = 0;
    const publish = async (): Promise<string> =>
      (await served.gateway.publish(channel, ++head)).epoch;
    const epoch = await publish();
    const browser = new TabBrowser();
    const clients = upTo(4).map(() =>
      browser.open().client(served.ws, {
        transports: ["websocket"],
        reconnectDelay: { max: 0.05 },
      })
    );
    /** What each tab has got of its last subscription, and the number behind which that begins. */
    const views: ({ got: unknown[]; from: number } | undefined)[] = [];
    const asked: Promise<unknown>[] = [];
    for (const [at, client] of clients.entries()) {
      client.on("gap", ({ reason }) => views[at]?.got.push(reason));
      await client.connect();
    }
    const subscribe = (at: number): void => {
      const n = random.below(head + 1);
      const [start, from] = ([
        [{}, head],
        [{ all: true }, 0],
        [{ last: n }, head - n],
        [{ since: { epoch, seq: n } }, n],
        [{ since: { epoch: "ended", seq: 50 } }, -1],
      ] as const)[random.below(5)];
      const view = views[at] = { got: [] as unknown[], from };
      said.push(`${at} ${JSON.stringify(start)}`);
      asked.push(clients[at].subscribe(channel, ({ data }) => view.got.push(data), start));
    };
    const settle = async (): Promise<void> => void await Promise.all(asked.splice(0));
    for (let step = 0; step < 20; step++) {
      const at = random.below(4);
      const what = random.below(8);
      if (what < 4 && !views[at]) subscribe(at);
      else if (what === 4 && views[at] && asked.length === 0) {
        said.push(`${at} leaves`);
        views[at] = undefined;
        asked.push(clients[at].unsubscribe(channel));
      } else if (what === 5) {
        said.push("lost");
        for (const socket of browser.leader?.sockets ?? []) socket.close(3001);
      } else if (what > 5) {
        await settle();
        said.push(`${head + 1}`);
        await publish();
      }
    }
    await settle();
    await publish();
    const all = views.filter((view) => view !== undefined);
    await until(() => all.every(({ got }) => got.includes(head)), said.join("; "));
    for (const { got, from } of all) {
      const gaps = got.filter((each) => typeof each !== "number");
      const numbers = got.filter((each) => typeof each === "number");
      assertEquals(gaps, from < 0 ? ["epoch"] : [], said.join("; "));
      assert(numbers[0] <= Math.max(from, 0) + 1, said.join("; "));
      assertEquals(numbers, upTo(head).slice(numbers[0] - 1), said.join("; "));
    }
    for (const client of clients) await client.disconnect();
    browser.closeAll();
  }
});

for (const transport of ["websocket", "sse", "longpoll"] as const) {
  Deno.test(`what is on its way when a channel is left comes before nothing that is asked for next (${transport})`, async () => {
    await using served = await startGateway();
    const options = { transports: [transport] };
    const browser = new TabBrowser();
    await using alone = new PushClient(served.ws, options);
    await using tab = browser.open().client(served.ws, options);
    for (const [client, channel] of [[alone, "a"], [tab, "b"]] as const) {
      await client.connect();
      const before: unknown[] = [];
      await client.subscribe(channel, ({ data }) => before.push(data));
      await served.gateway.publish(channel, 1);
      await until(() => before.length === 1, "the first has come");
      const rest = Promise.all([2, 3, 4].map((n) => served.gateway.publish(channel, n)));
      void client.unsubscribe(channel);
      const got: unknown[] = [];
      await client.subscribe(channel, ({ data }) => got.push(data), { all: true });
      await rest;
      await until(() => got.length === 4, "all have come");
      assertEquals(got, upTo(4));
      await client.disconnect();
    }
    browser.closeAll();
  });
}

Deno.test("what is settled while the gateway goes back is not acknowledged for the tab that asked for it", () => {
  const stream = new Stream("a", {
    send() {},
    subscribe() {},
    isHeld: () => false,
    isOrdered: () => true,
    restart() {},
    tell() {},
    settled() {},
  });
  const message = {
    type: "channel_message",
    channel: "a",
    epoch: "e",
    timestamp: 0,
    source: "x",
    target: null,
  } as const;
  const receive = (seq: number): void =>
    stream.receive({ ...message, data: seq, seq, event_id: `${seq}` }, undefined);
  const foothold = { epoch: "e", stored: false, earlier: undefined };
  const [has, asks] = [new Tab("has", 1, []), new Tab("asks", 1, [])];
  stream.ask(has, 1, {});
  stream.answered({ ...foothold, seq: 0 });
  upTo(3).forEach(receive);
  stream.ack(has, { channel: "a", epoch: "e", ranges: [1, 2] });
  stream.ask(asks, 1, { position: { epoch: "e", seq: 1, open: [] } });
  stream.ack(has, { channel: "a", epoch: "e", ranges: [3, 3] });
  assertEquals(stream.takeAck(), undefined);
  stream.answered({ ...foothold, seq: 1 });
  [2, 3].forEach(receive);
  assertEquals(stream.takeAck(), undefined);
  stream.ack(asks, { channel: "a", epoch: "e", ranges: [2, 3] });
  assertEquals(stream.takeAck()?.ranges, [2, 3]);
});

Deno.test("where more comes before an answer than is kept, the connection is made anew", () => {
  const restarts: unknown[] = [];
  const stream = new Stream("a", {
    send() {},
    subscribe() {},
    isHeld: () => false,
    isOrdered: () => false,
    restart: (...restart) => restarts.push(restart),
    tell() {},
    settled() {},
  });
  stream.ask(new Tab("asks", 1, []), 1, {});
  for (const seq of upTo(4097)) {
    assertEquals(restarts, []);
    const place = { channel: "a", epoch: "e", seq, event_id: `${seq}` };
    const rest = { type: "channel_message", data: 0, timestamp: 0, source: "x" } as const;
    stream.receive({ ...place, ...rest, target: null }, undefined);
  }
  assertEquals(restarts, [["a", {}]]);
});

Deno.test("what any script says in the channel of the tabs, or writes in their storage, harms nobody", async () => {
  await using served = await startGateway();
  const browser = new TabBrowser();
  const group = `push:tabs:${served.ws}:`;
  browser.storage.set(group, '{"clientId":"a b","secret":5}');
  const all = await tabs(browser, served.ws, 2);
  const bus = new BroadcastChannel(group);
  const heard: { relay: string }[] = [];
  bus.onmessage = ({ data }) => heard.push(data);
  await served.gateway.publish("a", 1);
  await until(() => heard.some((data) => typeof data.relay === "string"), "a relay speaks");
  const { relay } = heard.find((data) => typeof data.relay === "string")!;
  const socket = { tab: "x", socket: 1, relay };
  const texts = [
    "{",
    "5",
    "[]",
    "{}",
    '{"type":"ack"}',
    '{"type":"ack","acks":[null,5,{"channel":"a","epoch":5,"ranges":{}}]}',
    '{"type":"renew","renew":[null]}',
    '{"type":"renew","renew":5}',
    '{"type":"nack","channel":{}}',
    '{"type":"channel.publish","channel":5,"id":{}}',
    '{"type":"channel.subscribe","channel":"a","position":5}',
    '{"type":"channel.subscribe","channel":"a","position":{"epoch":"e","seq":-1,"open":[3,1]}}',
    '{"type":"connect","__proto__":{"x":1}}',
  ];
  const values: unknown[] = [null, 5, [], { up: "open" }, { down: "text", relay, to: [5] }];
  bus.postMessage({ up: "open", tab: "x", socket: 1, own: [] });
  bus.postMessage({ up: "text", ...socket, text: '{"type":"connect"}' });
  for (const value of values) bus.postMessage(value);
  for (const text of texts) bus.postMessage({ up: "text", ...socket, text });
  bus.postMessage({ up: "text", ...socket, text: `[${texts.slice(4).join()}]` });
  for (const n of [2, 3, 4]) await served.gateway.publish("a", n);
  await until(() => all.every(({ got }) => got.length === 4), "all have all");
  bus.postMessage({ up: "close", ...socket });
  bus.close();
  await close(all);
});

Deno.test("the client itself loads nothing of what is shared or kept", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "client/mod.ts"],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string }[];
  };
  assert(modules.length > 20);
  const wrong = modules.filter(({ specifier }) => /client\/(tabs|persistence)\//.test(specifier));
  assertEquals(wrong, []);
});
