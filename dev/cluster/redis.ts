/**
 * A Redis server of one's own: on a free port of 127.0.0.1, with its files in a temporary folder,
 * gone without a trace after `stop()` or with the process that started it.
 *
 * @module
 */
import { onFreePort } from "./ports.ts";
import { askRedis, infoMember, type Reply } from "./resp.ts";
import { Watched } from "./watched.ts";

/** How a server is started. */
export interface RedisOptions {
  /** Whether writes go to an append-only file. @default {true} */
  readonly appendonly?: boolean;
  /** When that file is synchronized with the disk. @default {"everysec"} */
  readonly appendfsync?: "always" | "everysec" | "no";
  /** Most memory for data, as Redis writes it: `"16mb"`. No limit by default. */
  readonly maxmemory?: string;
  /** More lines of its configuration file; they win. */
  readonly config?: readonly string[];
  /** Port; a free one by default. */
  readonly port?: number;
  /** Program. @default {"redis-server"} */
  readonly program?: string;
}

/** How long a server may take to start or to end, in milliseconds. */
const PATIENCE = 20_000;

/** What a start came to where its port was taken. */
const TAKEN = /Address already in use|Failed listening on port/;

/** How often its folder is removed until nothing is in it. */
const REMOVALS = 20;
/** What it writes to its log, and what it says before it has one. */
const LOGS = ["log", "output"];

/** A server and its files. */
export class RedisServer implements AsyncDisposable {
  /** Port of 127.0.0.1. */
  readonly port: number;
  /** Folder with its configuration, its log and its data. */
  readonly dir: string;
  readonly #program: string;
  readonly #flags: readonly string[];
  #process: Watched | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(port: number, dir: string, program: string, flags: readonly string[]) {
    this.port = port;
    this.dir = dir;
    this.#program = program;
    this.#flags = flags;
  }

  /**
   * Starts a server of this configuration; resolves to `undefined` if the port was taken.
   *
   * @param lines lines of the configuration file beside port, folder and log
   * @throws {Error} with the last lines of the log if it does not start
   */
  static async open(
    port: number,
    lines: readonly string[],
    { program = "redis-server", flags = [] }: {
      readonly program?: string;
      readonly flags?: readonly string[];
    } = {},
  ): Promise<RedisServer | undefined> {
    const dir = await Deno.makeTempDir({ prefix: "push-redis-" });
    const server = new RedisServer(port, dir, program, flags);
    const whole = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${dir}`,
      `logfile ${dir}/log`,
      "daemonize no",
      "protected-mode no",
      ...lines,
    ];
    await Deno.writeTextFile(`${dir}/redis.conf`, whole.join("\n") + "\n");
    try {
      if (await server.#start()) return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
    await server.stop();
    return undefined;
  }

  /** Where clients connect. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Its process; another one after a restart. @throws {Error} while it does not run */
  get pid(): number {
    if (!this.running) throw new Error(`Redis on port ${this.port} does not run`);
    return this.#process!.pid;
  }

  /** Whether its process lives, suspended or not. */
  get running(): boolean {
    return this.#process !== undefined && this.#process.status === undefined;
  }

  /** Asks it one command over a connection of its own. */
  ask(...words: (string | number)[]): Promise<Reply> {
    return askRedis(this.port, words);
  }

  /**
   * Sends its process a signal; one that ends it resolves after the end.
   *
   * `SIGKILL`, the default, is a crash. `SIGSTOP` leaves it alive and silent, until `SIGCONT`.
   */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    this.#process?.signal(signal);
    if (["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT"].includes(signal)) await this.#process?.ended;
  }

  /** Starts it again on the same port with the same files; ends it before where it runs. */
  async restart(): Promise<void> {
    if (this.#stopped !== undefined) throw new Error("Cannot restart Redis as it was stopped");
    await this.#process?.stop(PATIENCE);
    if (!(await this.#start())) throw await this.#failure();
  }

  /** The last lines of its log. */
  async log(lines = 20): Promise<string> {
    const texts = LOGS.map((name) => Deno.readTextFile(`${this.dir}/${name}`).catch(() => ""));
    return (await Promise.all(texts)).join("").trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Ends it and removes its files; idempotent. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  /** Same as {@linkcode stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    // Nothing of it is needed any more, so it need not save anything.
    await this.#process?.kill();
    // A child that saves lives a moment longer, and may have made a file meanwhile.
    for (let tries = 1;; tries++) {
      try {
        return await Deno.remove(this.dir, { recursive: true });
      } catch (error) {
        if (tries === REMOVALS) throw error;
      }
      await new Promise<void>((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Resolves to whether it answers; false if its port is taken. */
  async #start(): Promise<boolean> {
    for (const name of LOGS) await Deno.remove(`${this.dir}/${name}`).catch(() => {});
    const process = Watched.start({
      command: [this.#program, `${this.dir}/redis.conf`, ...this.#flags],
      dir: this.dir,
      output: `${this.dir}/output`,
    });
    this.#process = process;
    const end = Date.now() + PATIENCE;
    while (process.status === undefined && Date.now() < end) {
      if (await this.#answers(process.pid)) return true;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await process.kill();
    if (TAKEN.test(await this.log())) return false;
    throw await this.#failure();
  }

  /** Whether it answers, and is the process that was started: somebody else may have the port. */
  async #answers(pid: number): Promise<boolean> {
    try {
      const info = await this.ask("INFO");
      return infoMember(info, "process_id") === `${pid}` && infoMember(info, "loading") !== "1";
    } catch {
      return false;
    }
  }

  async #failure(): Promise<Error> {
    const log = await this.log();
    return new Error(`Cannot start Redis on port ${this.port}:\n${log}`);
  }
}

/**
 * Starts a standalone Redis; resolves once it answers.
 *
 * @throws {Error} with the last lines of its log if it does not start
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const lines = [
    'save ""',
    `appendonly ${options.appendonly === false ? "no" : "yes"}`,
    `appendfsync ${options.appendfsync ?? "everysec"}`,
    "maxmemory-policy noeviction",
    ...(options.maxmemory === undefined ? [] : [`maxmemory ${options.maxmemory}`]),
    ...(options.config ?? []),
  ];
  const start = (port: number) => RedisServer.open(port, lines, { program: options.program });
  if (options.port === undefined) return await onFreePort(start);
  const server = await start(options.port);
  if (server !== undefined) return server;
  throw new Error(`Cannot start Redis on port ${options.port}: the port is taken`);
}
