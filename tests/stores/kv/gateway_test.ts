import { assert, assertEquals } from "@std/assert";
import { PushClient } from "../../../client/mod.ts";
import { Gateway } from "../../../mod.ts";
import { numbers } from "../../../server/testing/store_trial.ts";
import { freePort, GatewayProcess } from "../../support/gateway_process.ts";
import { Folder } from "./support/files.ts";

const RECONNECT = { min: 0.05, max: 0.2 };
const ROOT = new URL("../../../", import.meta.url);

/** A client that notes what its handler is run with, and what it is told of as lost. */
class Listener implements AsyncDisposable {
  readonly client: PushClient;
  readonly runs: unknown[] = [];
  readonly gaps: unknown[] = [];
  #waiting: { data: unknown; resolve: () => void }[] = [];

  constructor(url: string, clientId: string) {
    this.client = new PushClient(url, { clientId, reconnectDelay: RECONNECT });
    this.client.on("gap", (gap) => this.gaps.push(gap));
  }

  async start(): Promise<this> {
    await this.client.connect();
    await this.client.subscribe("events", ({ data }) => {
      this.runs.push(data);
      for (const one of this.#waiting) if (one.data === data) one.resolve();
    });
    return this;
  }

  /** Resolves once the handler was run with this. */
  has(data: unknown): Promise<void> {
    if (this.runs.includes(data)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ data, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.disconnect();
  }
}

function gatewayOn(kvPath: string, port = 0): Gateway {
  const delivery = { storeBackend: "kv", kvPath } as const;
  return new Gateway({ port, push: { enabled: true, delivery } });
}

Deno.test("a gateway over KV keeps what it stored for a client that comes back after a restart", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const port = freePort();
  const url = `ws://127.0.0.1:${port}/ws`;
  let gateway = gatewayOn(path, port);
  await gateway.start();
  assertEquals(gateway.store?.name, "kv");
  const first = await new Listener(url, "reader").start();
  await gateway.publish("events", 1);
  await first.has(1);
  await first[Symbol.asyncDispose]();
  // It is away, and the gateway too, for some of them.
  await gateway.publish("events", 2, { id: "two" });
  await gateway.stop();
  gateway = gatewayOn(path, port);
  await gateway.start();
  assert((await gateway.publish("events", 2, { id: "two" })).duplicate);
  await gateway.publish("events", 3);
  const again = await new Listener(url, "reader").start();
  await again.has(3);
  // The first may come again: its acknowledgement need not have left with the client.
  assertEquals([again.runs.filter((n) => n !== 1), again.gaps], [[2, 3], []]);
  await again[Symbol.asyncDispose]();
  await gateway.stop();
});

const IN_FLIGHT = 32;

/** Publishes for as long as it is let, and keeps what was accepted. */
class Publisher implements AsyncDisposable {
  readonly accepted: string[] = [];
  readonly #client: PushClient;
  readonly #name: string;
  #runs: Promise<unknown> = Promise.resolve();
  #sent = 0;
  #isStopped = false;
  #waiting = new Map<number, () => void>();

  constructor(url: string, name: string) {
    this.#name = name;
    this.#client = new PushClient(url, { reconnectDelay: RECONNECT });
  }

  /** How many were sent and are not accepted yet. */
  get underWay(): number {
    return this.#sent - this.accepted.length;
  }

  /** Begins: some are under way at any time. */
  async start(): Promise<this> {
    await this.#client.connect();
    this.#runs = Promise.all(Array.from({ length: IN_FLIGHT }, () => this.#run()));
    return this;
  }

  /** Resolves once so many more are accepted. */
  accepts(count: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(this.accepted.length + count, resolve));
  }

  /** Resolves once everything was accepted; rejects if something was not. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#runs;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const text = `${this.#name}.${++this.#sent}`;
      await this.#client.publish("events", text);
      this.#waiting.get(this.accepted.push(text))?.();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.disconnect();
  }
}

Deno.test("a gateway over KV that is killed with -9 twenty times under load loses nothing that it accepted", async () => {
  await using folder = await Folder.make();
  const port = freePort();
  const url = `ws://127.0.0.1:${port}/ws`;
  const start = () => GatewayProcess.start(port, "--store", "kv", "--kv-path", folder.file());
  let gateway = await start();
  try {
    const away = await new Listener(url, "away").start();
    await away[Symbol.asyncDispose]();
    await using one = await new Listener(url, "one").start();
    await using two = await new Listener(url, "two").start();
    const publishers = await Promise.all(
      numbers(1, 4).map((i) => {
        return new Publisher(url, `p${i}`).start();
      }),
    );
    let underWay = 0;
    for (let life = 0; life < 20; life++) {
      // Each time at another point of what goes on.
      await Promise.all(publishers.map((publisher, i) => publisher.accepts(50 + 7 * i + 3 * life)));
      underWay += publishers.reduce((sum, publisher) => sum + publisher.underWay, 0);
      await gateway.kill();
      gateway = await start();
    }
    assert(underWay > 20 * IN_FLIGHT, `${underWay} publishes were under way`);
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    await using back = await new Listener(url, "away").start();
    const accepted = publishers.flatMap((publisher) => publisher.accepted);
    for (const listener of [one, two, back]) {
      await Promise.all(
        publishers.map(({ accepted }, i) => listener.has(`p${i + 1}.${accepted.length}`)),
      );
      const { runs, gaps } = listener;
      assertEquals(gaps, []);
      // None is missing, none came twice.
      assertEquals(new Set(runs).size, runs.length);
      assertEquals(runs.toSorted(), accepted.toSorted());
      for (const [i, publisher] of publishers.entries()) {
        const own = runs.filter((text) => String(text).startsWith(`p${i + 1}.`));
        // In the order in which they were sent, whatever was sent again.
        assertEquals(own, publisher.accepted.map((_, n) => `p${i + 1}.${n + 1}`));
      }
    }
    // One order for all.
    assertEquals(one.runs, two.runs);
    assertEquals(back.runs, one.runs);
    await Promise.all(publishers.map((publisher) => publisher[Symbol.asyncDispose]()));
  } finally {
    await gateway.kill();
  }
});

/** Runs the command until it ends, or says that it listens. */
async function command(config: string, ...args: string[]): Promise<{ code: number; out: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      ...config === "" ? [] : ["--config", config, "--no-lock"],
      "mod.ts",
      ...args,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  let out = "";
  let isListening = false;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    out += text;
    if (isListening || !out.includes("client.subscribe")) continue;
    isListening = true;
    child.kill("SIGTERM");
  }
  const { code } = await child.status;
  return { code, out: out + await errors };
}

Deno.test("the command says who has the file, and does not start", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const gateway = gatewayOn(path);
  await gateway.start();
  const { code, out } = await command("", "--port", "0", "--store", "kv", "--kv-path", path);
  assertEquals(code, 2);
  // One sentence, and nothing else.
  assertEquals(
    out.trim(),
    `Cannot start: Cannot open the store '${path}': it is in use by another gateway`,
  );
  await gateway.stop();
  const later = await command("", "--port", "0", "--store", "kv", "--kv-path", path);
  assertEquals(later.code, 0, later.out);
});

Deno.test("the command needs no flag for KV", async () => {
  await using folder = await Folder.make();
  const manifest = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const config = folder.file("deno.json");
  // As for somebody who runs the published package: no workspace, and nothing unstable.
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      nodeModulesDir: "none",
      imports: {
        ...manifest.imports,
        "@push/client/protocol": new URL("client/protocol/mod.ts", ROOT).href,
      },
    }),
  );
  const path = folder.file();
  const { code, out } = await command(config, "--port", "0", "--store", "kv", "--kv-path", path);
  assertEquals(code, 0, out);
  assert(out.includes("kv: what is published is kept through a crash and a power cut"), out);
  // What the package has written the built-in one can read.
  const gateway = gatewayOn(path);
  await gateway.start();
  await gateway.stop();
});
