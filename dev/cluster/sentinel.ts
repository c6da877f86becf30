/**
 * A Redis primary with a replica, and three sentinels that replace it when it dies.
 *
 * @module
 */
import { onFreePort } from "./ports.ts";
import { RedisServer, startRedis } from "./redis.ts";
import { infoMember } from "./resp.ts";

/** How the set is started. */
export interface SentinelOptions {
  /** Name that clients ask the sentinels for. @default {"push"} */
  readonly name?: string;
  /** Silence in milliseconds after which the primary counts as dead. @default {500} */
  readonly downAfter?: number;
  /** When the append-only files are synchronized with the disk. @default {"everysec"} */
  readonly appendfsync?: "always" | "everysec" | "no";
  /** More lines of the configuration of both servers. */
  readonly config?: readonly string[];
}

const SENTINELS = 3;
const QUORUM = 2;

/** How long the set may take to be complete, in milliseconds. */
const PATIENCE = 30_000;

/** Five processes on free ports of 127.0.0.1. */
export class SentinelSet implements AsyncDisposable {
  /** Name that clients ask the sentinels for. */
  readonly name: string;
  /** The server that is the primary at first. */
  readonly primary: RedisServer;
  /** The server that is its replica at first. */
  readonly replica: RedisServer;
  /** The sentinels. */
  readonly sentinels: readonly RedisServer[];

  constructor(
    name: string,
    primary: RedisServer,
    replica: RedisServer,
    sentinels: readonly RedisServer[],
  ) {
    this.name = name;
    this.primary = primary;
    this.replica = replica;
    this.sentinels = sentinels;
  }

  /** Where the sentinels listen, as `host:port`. */
  get addresses(): string[] {
    return this.sentinels.map(({ port }) => `127.0.0.1:${port}`);
  }

  /** The server that the sentinels hold for the primary now. */
  async current(): Promise<RedisServer> {
    for (const sentinel of this.sentinels.filter(({ running }) => running)) {
      const address = await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", this.name)
        .catch(() => null);
      const port = Array.isArray(address) ? Number(address[1]) : undefined;
      const server = [this.primary, this.replica].find((it) => it.port === port);
      if (server !== undefined) return server;
    }
    throw new Error(`No sentinel knows a primary of '${this.name}'`);
  }

  /** The other one of the two servers. */
  async other(): Promise<RedisServer> {
    return await this.current() === this.primary ? this.replica : this.primary;
  }

  /**
   * Resolves once the replica follows the primary and every sentinel knows all, so that the primary
   * may die.
   *
   * @throws {Error} if that takes too long
   */
  async complete(): Promise<void> {
    const end = Date.now() + PATIENCE;
    let missing: string;
    while ((missing = await this.#missing().catch(String)) !== "") {
      if (Date.now() > end) throw new Error(`The sentinel set is not complete: ${missing}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Resolves once another server than `before` is the primary and takes writes. */
  async replaced(before: RedisServer): Promise<RedisServer> {
    const end = Date.now() + PATIENCE;
    while (Date.now() < end) {
      const server = await this.current().catch(() => before);
      if (server !== before) {
        const role = await server.ask("ROLE").catch(() => null);
        if (Array.isArray(role) && role[0] === "master") return server;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`Redis on port ${before.port} was not replaced`);
  }

  /**
   * Kills the primary; resolves to the server that replaced it.
   *
   * @param lost milliseconds before that of which the replica hears nothing, while the primary still
   * answers
   */
  async failOver(lost = 0): Promise<RedisServer> {
    const primary = await this.current();
    const replica = await this.other();
    if (lost > 0) {
      // What is in the pipe already would arrive later: the replica stops, and the pipe is cut.
      await replica.kill("SIGSTOP");
      await primary.ask("CLIENT", "KILL", "TYPE", "replica");
      await new Promise((resolve) => setTimeout(resolve, lost));
    }
    await primary.kill();
    await replica.kill("SIGCONT");
    return await this.replaced(primary);
  }

  /** Ends all and removes all files; idempotent. */
  async stop(): Promise<void> {
    const all = [...this.sentinels, this.replica, this.primary];
    await Promise.all(all.map((server) => server.stop()));
  }

  /** Same as {@linkcode stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #missing(): Promise<string> {
    const primary = await this.current();
    const replication = await primary.ask("INFO", "replication");
    if (!/state=online/.test(String(replication))) return "the replica does not follow";
    for (const sentinel of this.sentinels) {
      const info = await sentinel.ask("INFO", "sentinel");
      const known = infoMember(info, "master0") ?? "";
      if (!known.includes(`address=127.0.0.1:${primary.port}`)) return `it sees ${known}`;
      if (!known.includes("status=ok")) return `a sentinel sees ${known}`;
      if (!known.includes("slaves=1,")) return "a sentinel does not know the replica";
      if (!known.includes(`sentinels=${SENTINELS}`)) return "a sentinel does not know the others";
    }
    return "";
  }
}

/**
 * Starts the set; resolves once it is complete.
 *
 * @throws {Error} with the last lines of a log if one of its processes does not start
 */
export async function startSentinel(options: SentinelOptions = {}): Promise<SentinelSet> {
  const { name = "push", downAfter = 500, appendfsync, config = [] } = options;
  await using started = new AsyncDisposableStack();
  const serverLines = ["repl-diskless-sync-delay 0", ...config];
  const primary = started.use(await startRedis({ appendfsync, config: serverLines }));
  const follow = `replicaof 127.0.0.1 ${primary.port}`;
  const replica = started.use(await startRedis({ appendfsync, config: [follow, ...serverLines] }));
  const sentinelLines = [
    `sentinel monitor ${name} 127.0.0.1 ${primary.port} ${QUORUM}`,
    `sentinel down-after-milliseconds ${name} ${downAfter}`,
    `sentinel failover-timeout ${name} 3000`,
    `sentinel parallel-syncs ${name} 1`,
  ];
  const sentinels: RedisServer[] = [];
  while (sentinels.length < SENTINELS) {
    const start = (port: number) =>
      RedisServer.open(port, sentinelLines, { flags: ["--sentinel"] });
    sentinels.push(started.use(await onFreePort(start)));
  }
  const set = new SentinelSet(name, primary, replica, sentinels);
  await set.complete();
  started.move();
  return set;
}
