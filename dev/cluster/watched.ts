/**
 * Programs that do not outlive the process that started them, whichever way it ends.
 *
 * @module
 */

// The guard waits on a pipe that only the starting process holds, so it learns of its end even when
// that was `kill -9`. A word on the pipe says that the program has ended and there is nothing left to
// do. `exec` keeps the program's pid that of the shell: what a caller signals is the program itself.
const GUARD = `
dir=$1; out=$2; shift 2
exec 3<&0 </dev/null
( trap '' INT TERM HUP
  read -r word <&3 && exit
  kill -9 $$
  if [ -n "$dir" ]; then sleep 0.1; rm -rf "$dir"; fi
) >/dev/null 2>&1 &
exec 3<&-
if [ -n "$out" ]; then exec >>"$out" 2>&1; fi
exec "$@"
`;

/** How to start a program. */
export interface Watching {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** Folder that is removed if the starting process dies. */
  readonly dir?: string;
  /** File that gets what it writes; without one it is dropped unless it is read. */
  readonly output?: string;
  /** Working folder. */
  readonly cwd?: string | URL;
  /** Environment beside that of this process. */
  readonly env?: Record<string, string>;
  /** Whether standard output and standard error are read. */
  readonly piped?: boolean;
}

/** A running program. */
export class Watched {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  /** How it ended, once it has. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** Set once it has ended. */
  status: Deno.CommandStatus | undefined;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.ended = this.#end();
  }

  /**
   * Starts a program in a process group of its own, so that Ctrl-C in a terminal does not reach it.
   *
   * @throws {Deno.errors.NotFound} if there is no shell
   */
  static start({ command, dir = "", output = "", cwd, env, piped = false }: Watching): Watched {
    const child = new Deno.Command("sh", {
      args: ["-c", GUARD, "guard", dir, output, ...command],
      cwd,
      env,
      stdin: "piped",
      stdout: piped ? "piped" : "null",
      stderr: piped ? "piped" : "null",
      detached: true,
    }).spawn();
    return new Watched(child);
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** What it writes to standard output; only where it is piped. */
  get stdout(): ReadableStream<Uint8Array> {
    return this.#child.stdout;
  }

  /** What it writes to standard error; only where it is piped. */
  get stderr(): ReadableStream<Uint8Array> {
    return this.#child.stderr;
  }

  /** Sends a signal; nothing happens if it has ended. */
  signal(signal: Deno.Signal): void {
    try {
      if (this.status === undefined) this.#child.kill(signal);
    } catch {
      // It ended at this moment.
    }
  }

  /** Asks it to end, and ends it by force if it has not within `patience` milliseconds. */
  async stop(patience = 5_000): Promise<void> {
    this.signal("SIGTERM");
    // One that was suspended could not end.
    this.signal("SIGCONT");
    const timer = setTimeout(() => this.signal("SIGKILL"), patience);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  async #end(): Promise<Deno.CommandStatus> {
    const status = await this.#child.status;
    this.status = status;
    try {
      await this.#input.write(new TextEncoder().encode("ended\n"));
      await this.#input.close();
    } catch {
      // The guard is gone.
    }
    return status;
  }
}
