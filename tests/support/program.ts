import { within } from "./within.ts";

/** Where and with what a program runs. */
export interface ProgramOptions {
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Record<string, string>;
}

/** A program in a process of its own, and what it prints. */
export class RunningProgram implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<void>;
  readonly #waiting: Set<() => void> = new Set();
  #text = "";

  /** Starts it. */
  constructor(command: string, args: readonly string[], { cwd, env }: ProgramOptions = {}) {
    this.#child = new Deno.Command(command, {
      args: [...args],
      cwd,
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { stdout, stderr } = this.#child;
    this.#ended = Promise.all([this.#read(stdout), this.#read(stderr)]).then(async () => {
      await this.#child.status;
      this.#tell();
    });
  }

  /** Number of its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** What it has printed so far, on both outputs. */
  get text(): string {
    return this.#text;
  }

  /**
   * Waits until it has printed something.
   *
   * @param patience milliseconds
   * @returns the first match
   * @throws {Error} with all that it printed, if it ends without that
   */
  async printed(pattern: RegExp, patience = 60_000): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    let isEnded = false;
    const look = (): void => {
      const found = pattern.exec(this.#text);
      if (found) resolve(found);
      else if (isEnded) reject(new Error(`It ended without ${pattern}: ${this.#text}`));
    };
    this.#waiting.add(look);
    this.#ended.then(() => {
      isEnded = true;
      look();
    });
    look();
    try {
      return await within(promise, () => `${pattern} in: ${this.#text}`, patience);
    } finally {
      this.#waiting.delete(look);
    }
  }

  /** Waits until it has ended by itself. @returns its code */
  async ended(patience = 60_000): Promise<number> {
    await within(this.#ended, () => `the end of: ${this.#text}`, patience);
    return (await this.#child.status).code;
  }

  /** Sends it a signal; SIGKILL ends it as a crash does. */
  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.#ended;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.#text += text;
      this.#tell();
    }
  }

  #tell(): void {
    for (const look of this.#waiting) look();
  }
}

/** Runs a program to its end. @returns what it printed @throws {Error} with that if its code is not 0 */
export async function runProgram(
  command: string,
  args: readonly string[],
  options?: ProgramOptions,
  patience = 120_000,
): Promise<string> {
  await using program = new RunningProgram(command, args, options);
  const code = await program.ended(patience);
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${program.text}`);
  return program.text;
}

/** A new folder that is removed with everything in it. */
export class TempFolder implements AsyncDisposable {
  /** Path of the folder, after links. */
  readonly path: string = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "push-test-" }));

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
