/**
 * Gateways in processes of their own, to be stopped, killed and started again.
 *
 * @module
 */
import { freePort } from "./ports.ts";
import { Watched } from "./watched.ts";

const ROOT = new URL("../../", import.meta.url);

/** How long a gateway may take to start, in milliseconds. */
const PATIENCE = 30_000;

/** Lines of its output that are remembered. */
const REMEMBERED = 200;

/** How often a start is tried where the port is taken. */
const TRIES = 20;

/** How a gateway is started. */
export interface GatewayNodeOptions {
  /** What people call it. @default {"gateway"} */
  readonly name?: string;
  /** Arguments of the command beside `--port`. */
  readonly args?: readonly string[];
  /** Environment beside that of this process. */
  readonly env?: Record<string, string>;
  /** Port; a free one by default. */
  readonly port?: number;
  /** Hears every line that it writes. */
  readonly onLine?: (line: string) => void;
  /** Hears of the end of its process, and whether that was asked for. */
  readonly onEnd?: (status: Deno.CommandStatus, wasAsked: boolean) => void;
}

/** One gateway: the same port through all its lives. */
export class GatewayNode implements AsyncDisposable {
  /** What people call it. */
  readonly name: string;
  readonly #options: GatewayNodeOptions;
  readonly #lines: string[] = [];
  #port: number;
  #process: Watched | undefined;
  #reading: Promise<unknown> = Promise.resolve();
  #isListening = false;
  #starts = 0;
  #isWanted = false;

  private constructor(options: GatewayNodeOptions) {
    this.name = options.name ?? "gateway";
    this.#options = options;
    this.#port = options.port ?? freePort();
  }

  /**
   * Starts a gateway; resolves once it listens.
   *
   * @throws {Error} with what it wrote last if it ends before
   */
  static async start(options: GatewayNodeOptions = {}): Promise<GatewayNode> {
    const node = new GatewayNode(options);
    await node.start();
    return node;
  }

  /** Port of 127.0.0.1 that it listens on. */
  get port(): number {
    return this.#port;
  }

  /** Address of its WebSocket. */
  get ws(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  /** Address of its routes. */
  get http(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Whether it has said that it listens, and its process lives. */
  get running(): boolean {
    return this.#isListening && this.#process?.status === undefined;
  }

  /** Its process; another one after a restart. @throws {Error} if it was never started */
  get pid(): number {
    if (this.#process === undefined) throw new Error(`${this.name} was not started`);
    return this.#process.pid;
  }

  /** How its process ended; `undefined` while it lives. */
  get ending(): Deno.CommandStatus | undefined {
    return this.#process?.status;
  }

  /** How often it was started. */
  get starts(): number {
    return this.#starts;
  }

  /** What it wrote last, in all its lives. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Starts it where it does not run; resolves once it listens. */
  async start(): Promise<void> {
    if (this.running) return;
    for (let n = 1;; n++) {
      if (await this.#start()) return;
      const wasTaken = /port is in use/.test(this.#lines.slice(-20).join("\n"));
      if (!wasTaken || n === TRIES) throw this.#failure();
      // Whoever knows this gateway knows its port.
      if (this.#options.port === undefined && this.#starts === 0) this.#port = freePort();
      else await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Sends its process a signal. */
  signal(signal: Deno.Signal): void {
    this.#process?.signal(signal);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#isWanted = false;
    await this.#process?.kill();
    await this.#reading;
  }

  /** Asks it to end; resolves after the end. */
  async stop(): Promise<void> {
    this.#isWanted = false;
    await this.#process?.stop(10_000);
    await this.#reading;
  }

  /** Stops it and starts it again. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Ends it; idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  /** Resolves to whether it listens; false if it ended before. */
  async #start(): Promise<boolean> {
    const { args = [], env } = this.#options;
    this.#isListening = false;
    const process = Watched.start({
      command: [Deno.execPath(), "run", "-A", "mod.ts", "--port", `${this.port}`, ...args],
      cwd: ROOT,
      env: { NO_COLOR: "1", ...env },
      piped: true,
    });
    this.#process = process;
    this.#isWanted = true;
    process.ended.then((status) => this.#options.onEnd?.(status, !this.#isWanted));
    const { promise: listening, resolve: listens } = Promise.withResolvers<boolean>();
    const hear = (line: string) => {
      this.#lines.push(line);
      if (this.#lines.length > REMEMBERED) this.#lines.shift();
      this.#options.onLine?.(line);
      if (line.includes("listens on")) listens(true);
    };
    this.#reading = Promise.all([readLines(process.stdout, hear), readLines(process.stderr, hear)]);
    const timer = setTimeout(() => process.signal("SIGKILL"), PATIENCE);
    const isListening = await Promise.race([listening, process.ended.then(() => false)]);
    clearTimeout(timer);
    if (!isListening) await this.#reading;
    else this.#starts++;
    return this.#isListening = isListening;
  }

  #failure(): Error {
    const last = this.#lines.slice(-10).join("\n");
    return new Error(`Cannot start ${this.name} on port ${this.port}:\n${last}`);
  }
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  hear: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.forEach(hear);
  }
  if (rest !== "") hear(rest);
}

/**
 * Starts gateways at once; resolves once all listen. If one fails, none is left.
 *
 * @param count how many
 * @param options of the nth of them, counted from 1
 */
export async function startGateways(
  count: number,
  options: (n: number) => GatewayNodeOptions = () => ({}),
): Promise<GatewayNode[]> {
  const starting = Array.from({ length: count }, (_, i) => {
    return GatewayNode.start({ name: `gateway ${i + 1}`, ...options(i + 1) });
  });
  const results = await Promise.allSettled(starting);
  const nodes = results.flatMap((it) => it.status === "fulfilled" ? [it.value] : []);
  const failed = results.find((it) => it.status === "rejected");
  if (failed === undefined) return nodes;
  await Promise.all(nodes.map((node) => node.kill()));
  throw failed.reason;
}
