import type { Frame } from "../support/wire_client.ts";
import { within } from "../support/within.ts";

const MODULES = ["-c", "import websockets, aiohttp"];

/** A Python program that prints one JSON object per line. */
export class PythonProcess implements AsyncDisposable {
  /** What it has printed, in order. */
  readonly printed: Frame[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  readonly #complaints: Promise<string>;
  #wake: (() => void) | undefined;
  #ended = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#read = this.#readLines();
    this.#complaints = new Response(child.stderr).text();
  }

  /**
   * Starts a program of `python/`.
   *
   * @throws {Error} with one sentence if Python or a module is missing
   */
  static async start(
    script: string,
    args: string[],
    env: Record<string, string>,
  ): Promise<PythonProcess> {
    const path = new URL(`python/${script}`, import.meta.url).pathname;
    const command = new Deno.Command(await python(), {
      args: ["-u", path, ...args],
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    return new PythonProcess(command.spawn());
  }

  /** The first line, also of those printed already, for which `is` holds. */
  async line(what: string, is: (line: Frame) => boolean): Promise<Frame> {
    while (true) {
      const found = this.printed.find(is);
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`It ended without ${what}: ${await this.#complaints}`);
      await within(new Promise<void>((resolve) => this.#wake = resolve), what);
    }
  }

  /** Waits until it has ended; throws if that was not in peace. */
  async end(): Promise<void> {
    const { code } = await within(this.#child.status, "the Python program to end");
    await this.#read;
    if (code !== 0) throw new Error(`It ended with ${code}: ${await this.#complaints}`);
  }

  /** Ends it if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await Promise.all([this.#child.status, this.#read, this.#complaints]);
  }

  async #readLines(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.printed.push(...lines.map((line) => JSON.parse(line)));
      this.#wake?.();
    }
    this.#ended = true;
    this.#wake?.();
  }
}

/** The first Python that has the modules: Debian's belong to Debian's, which need not be the first. */
async function python(): Promise<string> {
  for (const command of ["python3", "/usr/bin/python3"]) {
    try {
      const { success } = await new Deno.Command(command, {
        args: MODULES,
        stdout: "null",
        stderr: "null",
      }).output();
      if (success) return command;
    } catch {
      // There is no such program.
    }
  }
  throw new Error(
    "Cannot run the Python clients as there is no python3 with the modules websockets and " +
      "aiohttp: install python3-websockets and python3-aiohttp",
  );
}
