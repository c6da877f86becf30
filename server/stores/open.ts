import type { RandomBytes } from "../clock.ts";
import type { PushSettings } from "../options/settings.ts";
import { IDEMPOTENCY_WINDOW } from "@push/client/protocol";
import { MemoryStore } from "./memory.ts";
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
 * @throws {TypeError} if this version does not have it
 */
export function openStore(settings: PushSettings, random: RandomBytes): Store {
  const { storeBackend } = settings.delivery;
  if (storeBackend === "memory" && settings.redis === undefined) {
    return new MemoryStore({
      retention: retentionOf(settings),
      limits: storeLimitsOf(settings),
      random,
    });
  }
  const name = settings.redis === undefined ? storeBackend : "redis";
  throw new TypeError(`Cannot open the store '${name}': this version has 'memory' only`);
}
