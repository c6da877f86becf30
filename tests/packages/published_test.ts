import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { TestBrowser } from "../support/browser.ts";
import { type ProgramOptions, RunningProgram, runProgram, TempFolder } from "../support/program.ts";
import { Registry } from "../support/jsr.ts";

const ROOT = new URL("../../", import.meta.url);
const VERSION = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))).version;
const chromium = new TestBrowser();
let jsr: Registry;

Deno.test.beforeAll(async () => {
  jsr = new Registry();
  // The gate checks the types; here it would take a minute more.
  await jsr.publish(new URL("client/", ROOT), "--no-check");
  await jsr.publish(ROOT, "--no-check");
  await using std = new TempFolder();
  await copyStandIn("assert", std.path);
  await jsr.publish(std.path, "--no-check");
  await chromium.launch();
});

Deno.test.afterAll(async () => {
  await chromium.close();
  await jsr[Symbol.asyncDispose]();
});

/** A package under `dev/std`, as if it were meant to be published. */
async function copyStandIn(name: string, folder: string): Promise<void> {
  const from = new URL(`dev/std/${name}/`, ROOT);
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(new URL(name, from), `${folder}/${name}`);
  }
  const { publish: _, ...manifest } = JSON.parse(await Deno.readTextFile(`${folder}/deno.json`));
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(manifest));
}

/** An empty folder and an empty cache: what somebody has who has just installed Deno. */
class Newcomer implements AsyncDisposable {
  readonly #work = new TempFolder();
  readonly #cache = new TempFolder();

  get options(): ProgramOptions {
    const env = { JSR_URL: jsr.url, DENO_DIR: this.#cache.path };
    return { cwd: this.#work.path, env };
  }

  start(...args: string[]): RunningProgram {
    return new RunningProgram(Deno.execPath(), args, this.options);
  }

  async run(...args: string[]): Promise<string> {
    return await runProgram(Deno.execPath(), args, this.options);
  }

  async write(file: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.#work.path}/${file}`, text);
  }

  async read(file: string): Promise<string> {
    return await Deno.readTextFile(`${this.#work.path}/${file}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]();
    await this.#cache[Symbol.asyncDispose]();
  }
}

async function addressOf(gateway: RunningProgram): Promise<string> {
  return (await gateway.printed(/ws:\/\/127\.0\.0\.1:\d+\/ws/))[0];
}

/** A program that subscribes, publishes, and prints what it got. */
const PROGRAM = `
import { PushClient } from "jsr:@push/client";

const client = new PushClient(Deno.args[0]);
await client.connect();
const publisher = new PushClient(Deno.args[0]);
await publisher.connect();
const waiting = client.waitFor<{ level: string }>("alerts");
await client.subscribe("alerts");
await publisher.publish("alerts", { level: "info" });
console.log("Got", (await waiting).data.level);
await publisher.disconnect();
await client.disconnect();
`;

Deno.test("the registry has what is published, and nothing else", async () => {
  const folders = [
    "/server/",
    "/README.md",
    "/LICENSE",
    "/CHANGELOG.md",
    "/PROTOCOL.md",
    "/SECURITY.md",
  ];
  const known = [...folders, "/mod.ts", "/deno.json", "/deno.lock"];
  const extra = (name: string, known: string[]) =>
    jsr.files(name).filter((file) => !known.some((start) => file.startsWith(start)));
  assertEquals(extra("@push/gateway", known), []);
  const { exports } = JSON.parse(await Deno.readTextFile(new URL("client/deno.json", ROOT)));
  const client = jsr.files("@push/client");
  for (const file of Object.values<string>(exports)) assert(client.includes(file.slice(1)), file);
  assertEquals(
    client.filter((file) => !/\.ts$|^\/(README\.md|LICENSE|deno\.json)$/.test(file)),
    [],
  );
  assertEquals(client.filter((file) => file.includes("_test.")), []);
});

Deno.test("`deno run -A jsr:@push/gateway` starts a gateway that carries messages", async () => {
  await using newcomer = new Newcomer();
  await using gateway = newcomer.start("run", "-A", "jsr:@push/gateway", "--port", "0");
  const address = await addressOf(gateway);
  assert(jsr.served.includes(`/@push/gateway/${VERSION}/server/gateway.ts`));
  await newcomer.write("main.ts", PROGRAM);
  assertMatch(await newcomer.run("run", "-A", "--check", "main.ts", address), /^Got info$/m);
  gateway.kill("SIGTERM");
  assertEquals(await gateway.ended(), 0);
});

Deno.test("`--store kv` needs no flag of Deno, and keeps messages through a crash", async () => {
  await using newcomer = new Newcomer();
  const command = ["run", "-A", "jsr:@push/gateway", "--port", "0", "--store", "kv"];
  const publish = async (gateway: RunningProgram): Promise<number> => {
    const address = (await addressOf(gateway)).replace(/^ws(.*)\/ws$/, "http$1");
    const response = await fetch(`${address}/api/push/publish`, {
      method: "POST",
      body: JSON.stringify({ channel: "alerts", data: 1 }),
    });
    return (await response.json()).seq;
  };
  {
    await using gateway = newcomer.start(...command);
    assertEquals(await publish(gateway), 1);
  }
  await using gateway = newcomer.start(...command);
  assertEquals(await publish(gateway), 2);
});

Deno.test("a program embeds a gateway, and proves a store with the testing kit", async () => {
  await using newcomer = new Newcomer();
  await newcomer.write(
    "main.ts",
    `
import { Gateway } from "jsr:@push/gateway";
import * as kit from "jsr:@push/gateway/testing";
import { PushError } from "jsr:@push/client/protocol";

const gateway = new Gateway({ port: 0, push: { enabled: true } });
await gateway.start();
console.log("Stored as", (await gateway.publish("alerts", 1)).seq);
const tooLarge = gateway.publish("alerts", "x".repeat(2 ** 20));
await tooLarge.catch((error) => console.log(error instanceof PushError && error.code));
await gateway.stop();
console.log("The kit has", Object.keys(kit).length > 0);
`,
  );
  const text = await newcomer.run("run", "-A", "--check", "main.ts");
  assertMatch(text, /^Stored as 1\nmessage_too_large\nThe kit has true$/m);
});

Deno.test("a page talks to such a gateway with a bundle of jsr:@push/client", async () => {
  await using newcomer = new Newcomer();
  await using gateway = newcomer.start("run", "-A", "jsr:@push/gateway", "--port", "0");
  await newcomer.write(
    "page.ts",
    `
import { PushClient } from "jsr:@push/client";

/** Resolves with what came back. */
export async function talk(address: string): Promise<string> {
  const client = new PushClient(address);
  await client.connect();
  await client.subscribe("alerts");
  const waiting = client.waitFor<{ level: string }>("alerts");
  await client.publish("alerts", { level: "page" }, { echo: true });
  const { data: { level } } = await waiting;
  const { transport } = client;
  await client.disconnect();
  return level + " over " + transport;
}
Object.assign(globalThis, { talk });
`,
  );
  const bundling = ["bundle", "--platform", "browser", "--minify", "-o", "page.js", "page.ts"];
  await newcomer.run(...bundling);
  const script = await newcomer.read("page.js");
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const isScript = request.url.endsWith("/page.js");
      const body = isScript ? script : `<!doctype html><script type=module src=/page.js></script>`;
      const type = isScript ? "text/javascript" : "text/html";
      return new Response(body, { headers: { "content-type": `${type}; charset=utf-8` } });
    },
  );
  await using visit = await chromium.visit([/favicon/]);
  const page = await visit.open(`http://127.0.0.1:${server.addr.port}/`);
  const said = await page.evaluate(
    (address) =>
      (globalThis as unknown as { talk(address: string): Promise<string> }).talk(address),
    await addressOf(gateway),
  );
  assertEquals(said, "page over websocket");
});

Deno.test("a file that is left out of `publish.include` is noticed when publishing", async () => {
  await using copy = new TempFolder();
  await copyTree(["mod.ts", "deno.json", "server", "client", "dev"], copy.path);
  const manifest = JSON.parse(await Deno.readTextFile(`${copy.path}/deno.json`));
  const include = manifest.publish.include.map((it: string) => it.replace("server/**", "server/*"));
  manifest.publish = { ...manifest.publish, include };
  await Deno.writeTextFile(`${copy.path}/deno.json`, JSON.stringify(manifest));
  await using other = new Registry();
  await assertRejects(() => other.publish(copy.path, "--no-check"), Error, "excluded-module");
  assertEquals(other.files("@push/gateway"), []);
});

Deno.test("a file that the registry lacks keeps the gateway from starting", async () => {
  const bringBack = jsr.lose("@push/gateway", "/server/command/banner.ts");
  try {
    await using newcomer = new Newcomer();
    await using gateway = newcomer.start("run", "-A", "jsr:@push/gateway", "--port", "0");
    assert(await gateway.ended() !== 0);
    assertMatch(gateway.text, /server\/command\/banner\.ts/);
  } finally {
    bringBack();
  }
});

async function copyTree(names: string[], folder: string): Promise<void> {
  for (const name of names) {
    const from = new URL(name, ROOT);
    const to = `${folder}/${name}`;
    if ((await Deno.stat(from)).isFile) {
      await Deno.copyFile(from, to);
      continue;
    }
    await Deno.mkdir(to);
    const entries = await Array.fromAsync(Deno.readDir(from));
    await copyTree(entries.map((entry) => `${name}/${entry.name}`), folder);
  }
}
