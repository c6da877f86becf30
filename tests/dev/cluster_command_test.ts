import { assert, assertEquals, assertMatch } from "@std/assert";
import { isFree } from "../../dev/cluster/ports.ts";
import { startRedis } from "../support/redis.ts";
import { ask } from "../support/http_client.ts";
import { within } from "../support/within.ts";

const ROOT = new URL("../../", import.meta.url);

/** A program of this checkout that runs until it ends or is told to. */
class Program implements AsyncDisposable {
  text = "";
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<unknown>;
  readonly #waiting = new Set<() => void>();

  constructor(file: string, ...args: string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL(file, ROOT).pathname, ...args],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#reading = Promise.all(
      [this.#child.stdout, this.#child.stderr].map((it) => this.#read(it)),
    );
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.text += text;
      for (const wake of this.#waiting) wake();
    }
  }

  /** Waits until it has written something; resolves to what matched. */
  async says(what: RegExp): Promise<RegExpExecArray> {
    const { promise, resolve } = Promise.withResolvers<RegExpExecArray>();
    const look = () => {
      const match = what.exec(this.text);
      if (match !== null) resolve(match);
    };
    this.#waiting.add(look);
    look();
    const match = await within(promise, () => `${what} in:\n${this.text}`);
    this.#waiting.delete(look);
    return match;
  }

  async write(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for its end; resolves to its exit code. */
  async ends(): Promise<number> {
    const { code } = await within(this.#child.status, () => `its end: ${this.text}`, 30_000);
    await this.#input.close().catch(() => {});
    await this.#reading;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.ends();
  }
}

/** Ports in what the command prints. */
function ports(text: string): number[] {
  return [...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
}

Deno.test("dev:cluster starts all, obeys lines of standard input, and ends in order at a signal", async () => {
  await using program = new Program("dev/cluster/mod.ts", "--nodes", "2", "--port", "0");
  const [, balancer] = await program.says(/balancer +ws:\/\/127\.0\.0\.1:(\d+)\/ws/);
  await program.says(/redis +redis:\/\/127\.0\.0\.1:\d+/);
  const publish = () =>
    ask(`http://127.0.0.1:${balancer}/api/push/publish`, {
      body: { channel: "news", data: "hello" },
      headers: { connection: "close" },
    });
  assertEquals((await publish()).body.seq, 1);
  await program.write("kill 2");
  await program.says(/gateway 2 does not run/);
  for (const seq of [2, 3]) assertEquals((await publish()).body.seq, seq);
  await program.write("list");
  await program.says(/gateway 1 +runs/);
  await program.write("start 2");
  await program.says(/gateway 2 runs/);
  await program.write("stop 9");
  await program.says(/There is no gateway 9/);
  await program.write("nonsense");
  await program.says(/Commands are list/);
  const used = ports(program.text);
  program.signal("SIGINT");
  assertEquals(await program.ends(), 0);
  assertMatch(program.text, /Stopping…/);
  assertEquals(used.filter((port) => !isFree(port)), []);
});

Deno.test("dev:cluster takes a Redis that runs, and leaves it running", async () => {
  await using redis = await startRedis();
  await using program = new Program(
    "dev/cluster/mod.ts",
    "--nodes=1",
    "--port=0",
    `--redis-url=${redis.url}`,
  );
  await program.says(/Ctrl-C stops everything/);
  await program.write("quit");
  assertEquals(await program.ends(), 0);
  assertEquals(await redis.ask("PING"), "PONG");
});

Deno.test("dev:cluster explains itself, and refuses a wrong flag", async () => {
  await using help = new Program("dev/cluster/mod.ts", "--help");
  assertEquals(await help.ends(), 0);
  for (const flag of ["--nodes", "--port", "--redis-url"]) assert(help.text.includes(flag));
  for (const wrong of ["--nodes=0", "--port=x", "--nonsense"]) {
    await using program = new Program("dev/cluster/mod.ts", wrong);
    assertEquals(await program.ends(), 2);
  }
});

Deno.test("examples/cluster: every subscriber gets every message once while a gateway dies", async () => {
  await using program = new Program("examples/cluster/main.ts", "60");
  assertEquals(await program.ends(), 0, program.text);
  assertMatch(program.text, /Killing gateway 2/);
  assertMatch(program.text, /All got each message once, in the same order/);
});

Deno.test("examples/cluster: the listener prints what is published", async () => {
  await using cluster = new Program("dev/cluster/mod.ts", "--nodes=2", "--port=0");
  const [, balancer] = await cluster.says(/balancer +ws:\/\/127\.0\.0\.1:(\d+)\/ws/);
  await cluster.says(/Ctrl-C stops everything/);
  await using listener = new Program(
    "examples/cluster/listen.ts",
    `ws://127.0.0.1:${balancer}/ws`,
    "news",
  );
  await listener.says(/listens to news/);
  const body = { channel: "news", data: "hello" };
  await ask(`http://127.0.0.1:${balancer}/api/push/publish`, { body });
  await listener.says(/news: hello/);
  cluster.signal("SIGTERM");
  assertEquals(await cluster.ends(), 0);
});
