/** What a Redis says of itself. */
import type { RedisServer } from "../dev/cluster/redis.ts";

/** How often a command was called since the start, by scripts too. */
export async function redisCalls(redis: RedisServer, command: string): Promise<number> {
  const info = String(await redis.ask("INFO", "commandstats"));
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(info)?.[1] ?? 0);
}

/** Its name and version. */
export async function redisVersion(redis: RedisServer): Promise<string> {
  const version = /^redis_version:(\S+)/m.exec(String(await redis.ask("INFO", "server")))?.[1];
  return `Redis ${version}`;
}

/** Bytes that it has allocated. */
export async function redisMemory(redis: RedisServer): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(String(await redis.ask("INFO", "memory")))?.[1]);
}
