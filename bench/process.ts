/** A server or a load generator in a process of its own, and what it costs. */
export class Measured {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = linesOf(child.stdout)[Symbol.asyncIterator]();
  }

  /** Starts a Deno program; its standard output is read line by line. */
  static start(program: string, ...args: string[]): Measured {
    return Measured.command([Deno.execPath(), "run", "-A", "--quiet", program, ...args]);
  }

  /** Starts any program. */
  static command([program, ...args]: readonly string[]): Measured {
    const child = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    return new Measured(child);
  }

  /** Number of the process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The next line that it prints. */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("The process ended before it said what it should.");
    return value;
  }

  /** The next line that begins with `start`, without it. */
  async lineAfter(start: string): Promise<string> {
    while (true) {
      const line = await this.line();
      if (line.startsWith(start)) return line.slice(start.length);
    }
  }

  /** Writes to its standard input. */
  async write(text: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  }

  /** Lets it go on, where it waits for that. */
  go(): Promise<void> {
    return this.write("\n");
  }

  /** CPU seconds used so far, by the kernel for it included. */
  cpuSeconds(): Promise<number> {
    return cpuSecondsOf(this.#child.pid);
  }

  /** Resident memory, in bytes. */
  async memory(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.#child.pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await this.#child.stdin.close().catch(() => {});
    await this.#lines.return?.();
  }
}

/** CPU seconds that a process has used so far, by the kernel for it included. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  // The name may contain spaces and parentheses; the fields after it do not (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

/** Ticks of /proc/PID/stat a second: 100 on every Linux that Deno runs on (sysconf(_SC_CLK_TCK)). */
const CLOCK_TICKS = 100;

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
