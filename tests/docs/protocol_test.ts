import { QUIET } from "../support/gateway.ts";
import { assert, assertEquals, AssertionError, assertRejects, assertThrows } from "@std/assert";
import * as limits from "../../client/protocol/limits.ts";
import { renderCodesTable, withCodesTable } from "../../dev/protocol_docs.ts";
import { Gateway, type GatewayOptions } from "../../mod.ts";
import { POLL_ROUTES } from "../../server/http/poll.ts";
import { OPTION_BY_PATH } from "../../server/options/table.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { type Engine, failoverStore } from "../core/failover_store.ts";
import { EventReader } from "../support/event_reader.ts";
import { codeBlocks } from "./blocks.ts";

const ROOT = new URL("../../", import.meta.url);
const PROTOCOL = await Deno.readTextFile(new URL("PROTOCOL.md", ROOT));
const FRAMES = await Deno.readTextFile(new URL("client/protocol/frames.ts", ROOT));

/** The part of the document under a heading, up to the next one of that level. */
function section(title: string, document = PROTOCOL): string {
  const level = /^#+/.exec(title)![0];
  const start = document.indexOf(`\n${title}\n`);
  assert(start >= 0, `PROTOCOL.md has no heading '${title}'`);
  const end = document.indexOf(`\n${level} `, start + title.length);
  return document.slice(start, end < 0 ? undefined : end);
}

/** First and second cell of each row of a table whose first cell is code. */
function rows(document: string): [string, string][] {
  return [...document.matchAll(/^\| `([^`]+)` +\| (\S*)/gm)].map(([, a, b]) => [a, b]);
}

// --- tables, headings, links --------------------------------------------------------------------

Deno.test("PROTOCOL.md shows every code as the table of codes has it", () => {
  assertEquals(withCodesTable(PROTOCOL), PROTOCOL);
  assert(PROTOCOL.includes(renderCodesTable()));
  for (
    const wrong of ["", "<!-- codes -->", "<!-- /codes --><!-- codes -->", PROTOCOL + PROTOCOL]
  ) {
    assertThrows(() => withCodesTable(wrong), TypeError);
  }
});

Deno.test("PROTOCOL.md has a heading for every frame, and a frame for every heading", () => {
  const sides = FRAMES.split("// --- ");
  for (const [title, side] of [["client", sides[1]], ["gateway", sides[2]]]) {
    const types = [...side.matchAll(/^ {2}type: (".*");$/gm)]
      .flatMap(([, names]) => names.split(" | ").map((name) => JSON.parse(name)));
    const headings = [...section(`## Frames from the ${title}`).matchAll(/^### (.*)$/gm)]
      .flatMap(([, names]) => names.split(", ").map((name) => name.slice(1, -1)));
    assert(types.length > 10, "the frames are declared in another way now");
    assertEquals(headings.sort(), types.sort());
  }
});

Deno.test("PROTOCOL.md shows every limit with its value", () => {
  const shown = rows(section("## Limits")).filter(([name]) => !name.startsWith("push."));
  const all = Object.entries(limits).map(([name, value]): [string, string] => [name, `${value}`]);
  assertEquals(shown.sort(), all.sort());
});

Deno.test("PROTOCOL.md shows settings with their defaults", () => {
  const shown = rows(section("## Limits")).filter(([name]) => name.startsWith("push."));
  assert(shown.length > 15);
  for (const [path, value] of shown) {
    assertEquals(value, `${OPTION_BY_PATH.get(path)?.default}`, path);
  }
});

Deno.test("every route of PROTOCOL.md answers, and every route for polling is in it", async () => {
  await using gateway = new Gateway({ log: QUIET, push: { enabled: true } });
  const routes = new Set(
    [...PROTOCOL.matchAll(/`(GET|POST) (\/[\w/-]+)/g)].map(([, method, path]) =>
      `${method} ${path}`
    ),
  );
  for (const route of routes) {
    const [method, path] = route.split(" ");
    const body = method === "POST" ? "{}" : undefined;
    const response = await gateway.fetch(new Request(`http://push${path}`, { method, body }));
    const text = await response.text();
    assert(!/"code":"(not_found|method_not_allowed|internal)"/.test(text), `${route}: ${text}`);
  }
  for (const name of Object.keys(POLL_ROUTES)) assert(routes.has(`POST /api/push/poll/${name}`));
});

Deno.test("every link in PROTOCOL.md leads to a heading", () => {
  const seen = new Map<string, number>();
  const anchors = [...PROTOCOL.matchAll(/^#+ (.*)$/gm)].map(([, title]) => {
    const slug = title.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
  const links = [...PROTOCOL.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor);
  assert(links.length > 20);
  assertEquals(links.filter((anchor) => !anchors.includes(anchor)), []);
});

// --- shapes and examples ------------------------------------------------------------------------

/** Types of the bodies that the wire has, by route, and of the answers, by a member. */
const BODIES: Record<string, string> = {
  register: "RegisterBody",
  messages: "PollBody",
  send: "SendBody",
  sse: "PollBody",
  refresh: "RefreshBody",
};
const ANSWERS: Record<string, string> = {
  poll_token: "RegisterAnswer",
  ticket: "TicketAnswer",
  messages: "PollAnswer",
  frames: "SendAnswer",
};

/** What TypeScript says of a program that may use every exported type of the frames. */
async function check(program: string): Promise<{ success: boolean; text: string }> {
  const names = [...FRAMES.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name]) => name);
  const from = JSON.stringify(new URL("client/protocol/mod.ts", ROOT).href);
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      file,
      `import type * as Wire from ${from};\nimport type { Code, ${names} } from ${from};\n${program}`,
    );
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", file],
      env: { NO_COLOR: "1" },
    }).output();
    return { success, text: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(file);
  }
}

/** A program that compiles only if these interfaces are those of the wire, to the last member. */
function comparison(interfaces: string): string {
  const names = [...interfaces.matchAll(/^interface (\w+)/gm)].map(([, name]) => name);
  const declared = interfaces.replaceAll(/^interface /gm, "export interface ");
  return `namespace Shown { ${declared} }
    type Flat<T> = { [Key in keyof T]: T[Key] };
    type Same<A, B> = (<T>() => T extends Flat<A> ? 1 : 2) extends
      (<T>() => T extends Flat<B> ? 1 : 2) ? true : false;
    export const same: true[] = [${
    names.map((name) => `true satisfies Same<Shown.${name}, Wire.${name}>`)
  }];`;
}

Deno.test("the shapes in PROTOCOL.md are the types of the wire, all of them", async () => {
  const interfaces = codeBlocks(PROTOCOL, "ts").join("\n");
  const shown = [...interfaces.matchAll(/^interface (\w+)/gm)].map(([, name]) => name);
  const exported = [...FRAMES.matchAll(/^export interface (\w+)/gm)].map(([, name]) => name);
  assertEquals(shown.sort(), exported.sort());
  const { success, text } = await check(comparison(interfaces));
  assert(success, text);
});

Deno.test("a shape that differs from the type of the wire is found", async () => {
  const right = 'interface PongFrame {\n  type: "pong";\n  request_id?: number;\n}\n';
  assert((await check(comparison(right))).success);
  for (const wrong of ["request_id: number", "request_id?: string", "request_ids?: number"]) {
    const { success } = await check(comparison(right.replace("request_id?: number", wrong)));
    assertEquals(success, false, wrong);
  }
});

Deno.test("every example in PROTOCOL.md is JSON, and has the members of its frame", async () => {
  const lines = conversations.flatMap(({ lines }) => lines);
  const examples = lines.flatMap(({ by, text }): string[] => {
    const [, head, json] = SPLIT.exec(text)!;
    if (json === undefined) return [];
    const members = Object.keys(JSON.parse(json));
    const frame = by === ">" ? "ClientFrame" : "GatewayFrame";
    const body = by === ">"
      ? BODIES[/(?:poll\/|push\/(?=sse))(\w+)/.exec(head)?.[1] ?? ""]
      : members.map((name) => ANSWERS[name]).find((name) => name !== undefined);
    const isFrame = head.replace(/lost: |data: /, "") === "";
    const type = !isFrame ? body : json.startsWith("[") ? `${frame}[]` : frame;
    return type === undefined ? [] : [`${json} satisfies Wire.${type}`];
  });
  assert(examples.length > 100);
  const { success, text } = await check(`export const examples = [${examples.join(",\n")}];`);
  assert(success, text);
});

// --- conversations ------------------------------------------------------------------------------

/** Splits a line into what is JSON and what stands before it. */
const SPLIT = /^([^{[]*)([{[].*)?$/s;

interface Line {
  /** Which connection; empty for what happens apart from them. */
  readonly who: string;
  /** `>` it sends, `<` it gets, `!` something happens to it, `#` something happens. */
  readonly by: string;
  readonly text: string;
}

const conversations = [
  ...section("## Conversations").matchAll(/^### (.*)\n([^]*?)(?=^### |$(?![^]))/gm),
]
  .map(([, title, body]) => ({ title, lines: codeBlocks(body, "text").flatMap(linesOf) }));

/** The lines of a conversation; what is indented belongs to the line before. */
function linesOf(block: string): Line[] {
  return block.replaceAll(/\n +/g, "").trim().split("\n").map((line) => {
    const [, who, by, text] = /^(\w*)([><!#]) ?(.*)$/.exec(line)!;
    return { who, by, text };
  });
}

/** A socket that ends in the test. */
class FakeSocket extends EventTarget {
  readyState = 1;
  bufferedAmount = 0;
  reads = true;
  readonly #told: (line: string) => void;

  constructor(told: (line: string) => void) {
    super();
    this.#told = told;
  }

  send(text: string): void {
    if (!this.reads) {
      this.bufferedAmount += text.length;
      return;
    }
    const value = JSON.parse(text);
    for (const frame of Array.isArray(value) ? value : [value]) this.#told(JSON.stringify(frame));
  }

  close(code: number, reason: string): void {
    this.#told(`close ${code} ${reason}`.trim());
    queueMicrotask(() => this.end(code));
  }

  end(code: number): void {
    this.readyState = 3;
    this.dispatchEvent(new CloseEvent("close", { code }));
  }

  /** The other end has sent a frame. */
  hear(data: string): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
}

/** Plays conversations with a gateway of their own, under a clock that stands still. */
class Stage {
  readonly #clock = new ManualClock(Date.UTC(2026, 0, 1));
  readonly #options: GatewayOptions;
  #gateway: Gateway;
  readonly #engine: Engine | undefined;
  readonly #sockets = new Map<string, FakeSocket>();
  readonly #streams = new Map<string, EventReader>();
  /** What each connection was sent, and the document has not said yet. */
  readonly #came = new Map<string, string[]>();
  /** Ids, secrets, tokens and epochs of the document, and those of this gateway. */
  readonly #words = new Map<string, string>();

  constructor(lines: readonly Line[]) {
    const options: Record<string, unknown> = {
      push: { enabled: true, presence: { enabled: false } },
    };
    for (const { text } of lines) {
      const [, path, value] = /^([a-z]\w*(?:\.\w+)+|authToken) is (\S+)$/.exec(text) ?? [];
      if (path === undefined) continue;
      const keys = path.split(".");
      let at = options;
      for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
      at[keys.at(-1)!] = JSON.parse(value);
    }
    this.#options = options;
    const failsOver = lines.some(({ text }) => text.startsWith("the store fails over"));
    const over = failsOver ? failoverStore(options, this.#clock) : undefined;
    this.#engine = over?.engine;
    this.#gateway = new Gateway({ log: QUIET, ...this.#options }, {
      clock: this.#clock,
      store: over?.store,
    });
  }

  async play({ who, by, text }: Line): Promise<void> {
    if (by === "<") return await this.#expect(who, text.replace(/^lost: /, ""));
    if (by === "#") await this.#happen(text);
    else if (by === "!") this.#suffer(who, text);
    else await this.#say(who, this.#real(text));
    await this.#settle();
  }

  async end(): Promise<void> {
    await this.#settle();
    this.#came.delete("P");
    const unread = [...this.#came].filter(([, lines]) => lines.length > 0);
    await this.#stop();
    assertEquals(unread, [], "the gateway says more than the document");
  }

  async #stop(): Promise<void> {
    const stopped = this.#gateway.stop();
    await this.#settle();
    await stopped;
  }

  async #settle(): Promise<void> {
    for (let round = 0; round < 8; round++) await this.#clock.advance(0);
    // Signatures are checked outside of this thread.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  async #happen(text: string): Promise<void> {
    const [, seconds] = /^([\d.]+) s pass/.exec(text) ?? [];
    if (seconds !== undefined) await this.#clock.advance(1000 * Number(seconds));
    if (text.startsWith("the gateway shuts down")) void this.#gateway.stop();
    if (text.startsWith("the store fails over")) {
      const [, channel] = /without the last message of (\S+)$/.exec(text) ?? [];
      await this.#engine!.failOver(channel === undefined ? {} : { [channel]: 1 });
    }
    if (text.startsWith("the gateway restarts")) {
      await this.#stop();
      this.#came.clear();
      this.#gateway = new Gateway({ log: QUIET, ...this.#options }, { clock: this.#clock });
    }
  }

  #suffer(who: string, text: string): void {
    if (text === "lost" && this.#streams.has(who)) return void this.#streams.get(who)!.close();
    const socket = this.#sockets.get(who)!;
    if (text === "reads no more") socket.reads = false;
    else if (text === "lost") socket.end(1006);
    else throw new Error(`Nothing is known of '${text}'`);
  }

  async #say(who: string, text: string): Promise<void> {
    // Of a producer the document shows only the answers that say something new.
    if (who === "P") this.#came.delete(who);
    const told = (line: string) => {
      const lines = this.#came.get(who);
      if (lines === undefined) this.#came.set(who, [line]);
      else lines.push(line);
    };
    const [, method, path, body] = /^(GET|POST|WebSocket) (\S+) ?(.*)$/.exec(text) ?? [];
    if (method === "WebSocket") {
      const upgrade = Deno.upgradeWebSocket;
      const socket = new FakeSocket(told);
      Deno.upgradeWebSocket = () =>
        ({ socket, response: new Response() }) as unknown as Deno.WebSocketUpgrade;
      const headers = {
        upgrade: "websocket",
        connection: "upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      };
      const response = await this.#gateway.fetch(new Request(`http://push${path}`, { headers }));
      Deno.upgradeWebSocket = upgrade;
      if (response.status === 200) this.#sockets.set(who, socket);
      else told(`${response.status} ${await response.text()}`);
    } else if (method !== undefined) {
      const { authToken } = this.#options;
      const headers: HeadersInit = typeof authToken === "string"
        ? { authorization: `Bearer ${authToken}` }
        : {};
      const init = { method, headers, body: method === "POST" ? body : undefined };
      this.#gateway.fetch(new Request(`http://push${path}`, init))
        .then(async (response) => {
          if (response.headers.get("content-type") === "text/event-stream") {
            return this.#listen(who, response, told);
          }
          told(`${response.status} ${await response.text()}`);
        });
    } else if (text.startsWith("close ")) {
      this.#sockets.get(who)!.end(Number(text.slice(6)));
    } else {
      this.#sockets.get(who)!.hear(text);
    }
  }

  /** Tells the fields of events, as far as the document shows them. */
  async #listen(who: string, response: Response, told: (line: string) => void): Promise<void> {
    const reader = new EventReader(response, new AbortController());
    this.#streams.set(who, reader);
    told(`${response.status}`);
    let id = "";
    for await (const event of reader) {
      if (event.id !== id) told(`id: ${id = event.id}`);
      if (event.data !== undefined) told(`data: ${event.data}`);
    }
    if (this.#streams.get(who) === reader) this.#streams.delete(who);
    if (!reader.isClosed) told("end");
  }

  async #expect(who: string, text: string): Promise<void> {
    for (let round = 0; round < 100 && !this.#came.get(who)?.length; round++) await this.#settle();
    const came = this.#came.get(who)?.shift();
    assert(came !== undefined, `${who} gets nothing where the document says ${text}`);
    if (text.startsWith("id: ")) {
      const epochs = (line: string) => line.slice(4).split(",").map((part) => part.split(":")[0]);
      for (const [i, epoch] of epochs(text).entries()) this.#learn(epoch, epochs(came)[i] ?? epoch);
      return assertEquals(came, this.#real(text));
    }
    const [, head, json] = SPLIT.exec(text)!;
    const [, realHead, realJson] = SPLIT.exec(came)!;
    // Sentences are for people; a close code and its name are not.
    const known = (line: string) => /^(close \d+(?: \w+)?)?/.exec(line)![0] || line.trim();
    assertEquals(known(realHead), known(head), came);
    if (json === undefined) return assertEquals(realJson, undefined, came);
    this.#compare(JSON.parse(json), JSON.parse(realJson ?? "null"), "", came);
  }

  #compare(shown: unknown, real: unknown, key: string, came: string): void {
    if (typeof shown === "string" && typeof real === "string") {
      if (key === "message" || key === "error") return;
      if (["client_id", "secret", "poll_token", "ticket", "epoch"].includes(key)) {
        this.#learn(shown, real);
      }
      if (key === "event_id") this.#learn(shown.split(":")[0], real.split(":")[0]);
      return assertEquals(real, this.#real(shown), came);
    }
    if (typeof shown !== "object" || shown === null || typeof real !== "object" || real === null) {
      return assertEquals(real, shown, `${key}: ${came}`);
    }
    assertEquals(Object.keys(real).sort(), Object.keys(shown).sort(), came);
    for (const [name, value] of Object.entries(shown)) {
      this.#compare(value, (real as Record<string, unknown>)[name], name, came);
    }
  }

  #learn(shown: string, real: string): void {
    if (!this.#words.has(shown)) this.#words.set(shown, real);
  }

  /** A text of the document in the words of this gateway. */
  #real(text: string): string {
    for (const [shown, real] of this.#words) text = text.replaceAll(shown, real);
    return text;
  }
}

for (const { title, lines } of conversations) {
  Deno.test(`conversation ${title} of PROTOCOL.md goes as it says`, async () => {
    const stage = new Stage(lines);
    for (const line of lines) await stage.play(line);
    await stage.end();
  });
}

Deno.test("a conversation that goes otherwise is found", async () => {
  const right = `A> WebSocket /ws\nA> {"type":"ping"}\nA< {"type":"pong"}\nA! lost\n`;
  const play = async (block: string) => {
    const lines = linesOf(block);
    const stage = new Stage(lines);
    try {
      for (const line of lines) await stage.play(line);
    } finally {
      await stage.end();
    }
  };
  await play(right);
  const wrong = [
    right.replace("pong", "ping"),
    right.replace('"pong"', '"pong","ok":true'),
    right.replace('A< {"type":"pong"}\n', ""),
    right.replace("A! lost", "A< close 1000"),
    right.replace('A> {"type":"ping"}\n', ""),
  ];
  for (const block of wrong) await assertRejects(() => play(block), AssertionError);
});

Deno.test("PROTOCOL.md has conversations, numbered from 1", () => {
  assertEquals(
    conversations.map(({ title }) => parseInt(title)),
    conversations.map((_, index) => index + 1),
  );
  assert(conversations.length >= 12);
});
