/** A gateway in a process of its own, to be killed. */
export class GatewayProcess {
  readonly #child: Deno.ChildProcess;
  readonly #log: Promise<void>;

  private constructor(child: Deno.ChildProcess, log: Promise<void>) {
    this.#child = child;
    this.#log = log;
  }

  /** Starts the command and waits until it listens. */
  static async start(port: number, ...args: string[]): Promise<GatewayProcess> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "mod.ts", "--port", String(port), ...args],
      // What a test provokes is no news; what fails is.
      env: { PUSH_LOG_LEVEL: "error" },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
    const log = (async () => {
      let text = "";
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (text.includes("listens on")) resolve();
      }
      reject(new Error(`The gateway ended: ${text}`));
    })();
    // Once it listens, its end is no news.
    log.catch(() => {});
    await listening;
    return new GatewayProcess(child, log);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#log;
  }
}

/** A port of 127.0.0.1 that was free just now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
