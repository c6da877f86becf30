import type { KeptPublish, OutboxStore } from "./store.ts";

/** As much of `localStorage` as is used here. */
export interface StorageLike {
  /** How many keys there are. */
  readonly length: number;
  /** The name of a key, by its number. */
  key(index: number): string | null;
  /** The text under a key. */
  getItem(key: string): string | null;
  /** Sets the text under a key. */
  setItem(key: string, text: string): void;
  /** Removes a key. */
  removeItem(key: string): void;
}

/**
 * Keeps publishes in a `localStorage`, each under a key of its own. It writes at once, so what was
 * published before the page went is there.
 *
 * @param storage where to
 * @param name begins every key. Default `push:outbox`
 */
export function storageStore(storage: StorageLike, name: string = "push:outbox"): OutboxStore {
  const prefix = `${name}:`;
  return {
    load() {
      const found: unknown[] = [];
      for (let i = 0; i < storage.length; i++) {
        const key = storage.key(i);
        if (!key?.startsWith(prefix)) continue;
        try {
          found.push(JSON.parse(storage.getItem(key) ?? "null"));
        } catch {
          // Somebody else's.
        }
      }
      return found;
    },
    put: (kept: KeptPublish) => storage.setItem(prefix + kept.key, JSON.stringify(kept)),
    remove: (key) => storage.removeItem(prefix + key),
  };
}
