import { systemRandom } from "../../../../server/clock.ts";
import type { RedisOptions } from "../../../../server/options/types.ts";
import { RedisStore } from "../../../../server/stores/redis/store.ts";
import type { Retention } from "../../../../server/stores/store.ts";
import { redisSettings } from "./settings.ts";

const HOUR = 3_600_000;

/** A store that is open, with room for everything. */
export async function openRedisStore(
  redis: RedisOptions,
  retention: Partial<Retention> = {},
): Promise<RedisStore> {
  const store = new RedisStore({
    settings: redisSettings(redis),
    retention: {
      messageTtl: HOUR,
      historySize: 100_000,
      historyBytes: 2 ** 28,
      maxChannelBytes: 2 ** 28,
      maxStoreBytes: 2 ** 30,
      metaTtl: 4 * HOUR,
      idempotencyWindow: 300_000,
      ...retention,
    },
    limits: { maxSessions: 1000, deadLetterTtl: HOUR, maxDeadLetters: 100 },
    random: systemRandom,
  });
  await store.open();
  return store;
}
