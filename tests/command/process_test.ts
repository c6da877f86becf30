import { assertEquals, assertMatch } from "@std/assert";

const PROGRAM = new URL("./program.ts", import.meta.url);

/** The command as a process, and the lines of its standard output. */
class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #errors: Promise<string>;

  constructor(args: string[], env: Record<string, string> = {}, permissions = ["-A"]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", ...permissions, PROGRAM.href, ...args],
      env: { NO_COLOR: "1", ...env },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#lines = linesOf(this.#child.stdout);
    this.#errors = new Response(this.#child.stderr).text();
  }

  /** Reads on to a line that has this in it. */
  async line(part: RegExp): Promise<RegExpExecArray> {
    while (true) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`The process ended without ${part}: ${await this.#errors}`);
      const found = part.exec(value);
      if (found !== null) return found;
    }
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async ended(): Promise<{ code: number; errors: string; rest: string[] }> {
    const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => this.#lines });
    const { code } = await this.#child.status;
    return { code, errors: await this.#errors, rest };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.ended();
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`process: prints the port that it picked, stops on ${signal}, ends with 0`, async () => {
    await using command = new Process(["--port", "0"]);
    const [, port] = await command.line(/ws:\/\/127\.0\.0\.1:([1-9]\d*)\/ws/);
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    connection.close();
    await command.line(/client\.subscribe/);
    command.kill(signal);
    assertEquals(await command.ended(), {
      code: 0,
      errors: "",
      rest: [`Stopping after ${signal}; the next one stops at once.`, "Stopped."],
    });
  });
}

Deno.test("process: ends at once on the second signal, with the code of that signal", async () => {
  await using command = new Process(["--port", "0", "--window=1"]);
  await command.line(/client\.subscribe/);
  command.kill("SIGTERM");
  await command.line(/^Stopping after SIGTERM/);
  command.kill("SIGINT");
  const { code, errors, rest } = await command.ended();
  assertEquals([code, errors, rest], [130, "", []]);
});

Deno.test("process: a busy port is one sentence and code 1", async () => {
  using busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using command = new Process([`--port=${busy.addr.port}`]);
  assertEquals(await command.ended(), {
    code: 1,
    errors: `Cannot listen on 127.0.0.1:${busy.addr.port}: the port is in use, ` +
      "choose another with --port (0 picks a free one)\n",
    rest: [],
  });
});

Deno.test("process: nonsense is one sentence and code 2", async () => {
  const cases: [args: string[], env: Record<string, string>, errors: RegExp][] = [
    [["--prot"], {}, /^Cannot use flag "--prot": there is no such flag, did you mean --port\?\n$/],
    [[], { PUSH_PORT: "x" }, /^Cannot use variable PUSH_PORT: [^\n]*\n$/],
    [["--config", "/dev/null/no"], {}, /^Cannot read configuration "\/dev\/null\/no": [^\n]*\n$/],
    [["--config", "."], {}, /^Cannot read configuration ".": it is a directory\n$/],
    [["--host=0.0.0.0"], {}, /^Cannot listen on "0.0.0.0" without a token[^\n]*\n$/],
  ];
  for (const [args, env, errors] of cases) {
    await using command = new Process(args, env);
    const ended = await command.ended();
    assertMatch(ended.errors, errors);
    assertEquals([ended.code, ended.rest], [2, []]);
  }
});

Deno.test("process: reads the variables that it may read, and asks for no more", async () => {
  const env = { PUSH_PORT: "7", PUSH_TOKEN: "geheim", PUSH_WINDOW: "9" };
  const permissions = ["--allow-env=PUSH_PORT,PUSH_TOKEN", "--allow-read"];
  await using command = new Process(["--print-config"], env, permissions);
  const { code, errors, rest } = await command.ended();
  assertEquals([code, errors], [0, ""]);
  const config = JSON.parse(rest.join("\n"));
  assertEquals([config.port, config.authToken, config.push.delivery.window], [7, "***", 1024]);
});

Deno.test("process: says in one sentence what it may not do", async () => {
  await using command = new Process([], {}, ["--allow-read"]);
  const { code, errors } = await command.ended();
  assertEquals(code, 1);
  assertMatch(errors, /^Cannot start: Requires net access to [^\n]*\n$/);
});
