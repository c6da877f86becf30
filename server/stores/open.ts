import type { RandomBytes } from "../clock.ts";
import type { PushSettings } from "../options/settings.ts";
import { IDEMPOTENCY_WINDOW } from "@push/client/protocol";
import { KvStore } from "./kv/store.ts";
import { MemoryStore } from "./memory/store.ts";
import { MixedStore } from "./mixed/store.ts";
import type { StoreNews } from "./news.ts";
import { RedisStore } from "./redis/store.ts";
import type { Retention, Store, StoreLimits } from "./store.ts";

/** How much a store keeps, by the settings. */
export function retentionOf({ delivery }: PushSettings): Retention {
  const { messageTtl, historySize, historyBytes, maxChannelBytes, maxStoreBytes } = delivery;
  return {
    messageTtl,
    historySize,
    historyBytes,
    maxChannelBytes,
    maxStoreBytes,
    // Twice the longest session (contract, "Retention").
    metaTtl: 2 * Math.max(messageTtl, delivery.sessionGrace),
    idempotencyWindow: IDEMPOTENCY_WINDOW * 1000,
  };
}

/** Limits of a store, by the settings. */
export function storeLimitsOf({ delivery, limits }: PushSettings): StoreLimits {
  const { deadLetterTtl, maxDeadLetters } = delivery;
  return { maxSessions: limits.maxSessions, deadLetterTtl, maxDeadLetters };
}

/**
 * Makes the store that the settings name. The caller opens it.
 *
 * @param tell takes what the store has to say
 */
export function openStore(settings: PushSettings, random: RandomBytes, tell?: StoreNews): Store {
  const terms = { retention: retentionOf(settings), limits: storeLimitsOf(settings), random, tell };
  const { redis, delivery: { storeBackend, kvPath } } = settings;
  if (storeBackend === "kv") return new KvStore({ ...terms, path: kvPath });
  if (redis === undefined) return new MemoryStore(terms);
  const parts = { ...terms, settings: redis };
  return storeBackend === "redis" ? new RedisStore(parts) : new MixedStore(parts);
}
