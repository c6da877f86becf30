import type { RedisServer } from "../../../support/redis.ts";

/** Makes one server a replica of another; resolves once it has what that one has. */
export async function follow(replica: RedisServer, primary: RedisServer): Promise<void> {
  await replica.ask("REPLICAOF", "127.0.0.1", primary.port);
  while (await told(replica, "master_link_status") !== "up") await pause();
  while (
    await told(replica, "slave_repl_offset") !== await told(primary, "master_repl_offset")
  ) await pause();
}

/** What a server says of its replication. */
export async function told(server: RedisServer, name: string): Promise<string | undefined> {
  return new RegExp(`^${name}:(\\w+)`, "m").exec(`${await server.ask("INFO", "replication")}`)?.[1];
}

/** Resolves once what a server took over from its primary is in its append-only file. */
export async function onDisk(server: RedisServer): Promise<void> {
  while (/aof_rewrite_\w+:1/.test(`${await server.ask("INFO", "persistence")}`)) await pause();
}

/** Waits a moment, between two questions. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
