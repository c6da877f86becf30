/**
 * A real browser for tests: headless Chromium, with an empty profile that is gone afterwards. One is
 * shared by the tests of a file; each test has visits of its own, which share nothing.
 *
 * ```ts ignore
 * const chromium = new TestBrowser();
 * Deno.test.beforeAll(() => chromium.launch());
 * Deno.test.afterAll(() => chromium.close());
 *
 * Deno.test("a page connects", async () => {
 *   await using pages = await PageServer.start();
 *   await using visit = await chromium.visit();
 *   const page = await visit.open(pages.page({ bundled: true }));
 *   const state = await page.evaluate(async (url) => {
 *     const { PushClient } = await import("@push/client");
 *     const client = new PushClient(url);
 *     await client.connect();
 *     return client.state;
 *   }, pages.ws);
 *   assertEquals(state, "connected");
 * });
 * ```
 *
 * What is given to `evaluate` runs in the page: it sees its argument, and nothing else of the test.
 * What should be seen by a later `evaluate` goes onto `globalThis`. A visit that saw an uncaught error
 * or an error in the console fails when it ends.
 *
 * @module
 */
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";

/** Names of the program, the first one found on the PATH is used. */
const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  // Names of sites that are not this machine's, for pages of another origin.
  "--host-resolver-rules=MAP *.test 127.0.0.1",
];

/** What the console of a page says about requests that did not come through. */
export const BROKEN_NETWORK: readonly RegExp[] = [
  /^Failed to load resource: net::/,
  /^WebSocket connection to '.*' failed/,
];

/** A browser that starts once, for all tests of a file. */
export class TestBrowser {
  #browser: Browser | undefined;

  /** Starts it. */
  async launch(): Promise<void> {
    this.#browser = await chromium.launch({
      executablePath: await findChromium(),
      headless: true,
      args: FLAGS,
      // What every user has, and what these tests would like to meet.
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
  }

  /** The browser itself. */
  get browser(): Browser {
    if (!this.#browser) throw new Error("The browser was not launched");
    return this.#browser;
  }

  /**
   * A fresh profile: no storage, no other pages.
   *
   * @param tolerated errors that may appear in the console, see {@linkcode BROKEN_NETWORK}
   * @param options how its pages are shown
   */
  async visit(
    tolerated: readonly RegExp[] = [],
    options?: BrowserContextOptions,
  ): Promise<Visit> {
    return new Visit(await this.browser.newContext(options), tolerated);
  }

  /** Stops the processes that pages run in. @returns what lets them go on */
  async suspend(): Promise<() => void> {
    const session = await this.browser.newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    await session.detach();
    const pages = processInfo.filter(({ type }) => type === "renderer");
    for (const { id } of pages) Deno.kill(id, "SIGSTOP");
    return () => pages.forEach(({ id }) => Deno.kill(id, "SIGCONT"));
  }

  /** Ends it and removes its profile. */
  async close(): Promise<void> {
    await this.#browser?.close();
    this.#browser = undefined;
  }
}

/** One user's pages, which share storage and locks. */
export class Visit implements AsyncDisposable {
  /** The profile: `setOffline`, `addInitScript`, `cookies`. */
  readonly context: BrowserContext;
  /** Address of every request and WebSocket so far. */
  readonly requested: string[] = [];
  /** Errors that nobody expected. */
  readonly errors: string[] = [];

  /** Made by {@linkcode TestBrowser.visit}. */
  constructor(context: BrowserContext, tolerated: readonly RegExp[]) {
    this.context = context;
    context.setDefaultTimeout(15_000);
    context.on("weberror", (error) => this.errors.push(`${error.error()}`));
    context.on("console", (message) => {
      const text = message.text();
      if (message.type() !== "error" || tolerated.some((pattern) => pattern.test(text))) return;
      this.errors.push(text);
    });
    context.on("request", (request) => this.requested.push(request.url()));
    context.on("page", (page) => {
      page.on("websocket", (socket) => this.requested.push(socket.url()));
    });
  }

  /** Opens a page in a tab of its own, and waits until it has loaded. */
  async open(url: string): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(url);
    return page;
  }

  /** Closes its pages. @throws {Error} if one of them had an error */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.context.close();
    if (this.errors.length === 0) return;
    const text = `Errors in the page: ${this.errors.join("\n")}`;
    // Where the test has failed already, the runner shows neither of the two errors.
    console.error(text);
    throw new Error(text);
  }
}

async function findChromium(): Promise<string> {
  const given = Deno.env.get("PUSH_CHROMIUM");
  if (given) return given;
  const folders = Deno.env.get("PATH")?.split(Deno.build.os === "windows" ? ";" : ":") ?? [];
  for (const name of PROGRAMS) {
    for (const folder of folders) {
      const path = `${folder}/${name}`;
      if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
    }
  }
  throw new Error(
    `Cannot start a browser as none of ${PROGRAMS.join(", ")} is on the PATH: install Chromium, ` +
      "or say in PUSH_CHROMIUM where it is",
  );
}
