import { resolveOptions } from "../../../../server/options/options.ts";
import type { RedisSettings } from "../../../../server/options/settings.ts";
import type { RedisOptions } from "../../../../server/options/types.ts";

/** Settings of Redis with options of one's own, and short waits. */
export function redisSettings(redis: RedisOptions): RedisSettings {
  const options = { host: "127.0.0.1", commandTimeout: 2, ...redis };
  return resolveOptions({ push: { redis: options } }).push.redis!;
}
