import { KvStore, type KvStoreOptions } from "../../../../server/stores/kv/store.ts";
import type { Retention, StoreLimits } from "../../../../server/stores/store.ts";
import { seededRandom, StoreTrial } from "../../../../server/testing/mod.ts";

const HOUR = 3_600_000;

/** What stores of these tests keep, if nothing else is said. */
export const RETENTION: Retention = {
  messageTtl: HOUR,
  historySize: 1_000_000,
  historyBytes: 2 ** 24,
  maxChannelBytes: 2 ** 24,
  maxStoreBytes: 2 ** 28,
  metaTtl: 4 * HOUR,
  idempotencyWindow: 300_000,
};

/** Limits of stores of these tests, if nothing else is said. */
export const LIMITS: StoreLimits = {
  maxSessions: 100_000,
  deadLetterTtl: 2 * HOUR,
  maxDeadLetters: 100,
};

let stores = 0;

/** What a store of these tests may differ in. */
export type Terms = Partial<Omit<KvStoreOptions, "retention" | "limits">> & {
  readonly retention?: Partial<Retention>;
  readonly limits?: Partial<StoreLimits>;
};

/** A store that is not open yet. */
export function newStore(path: string, { retention, limits, ...rest }: Terms = {}): KvStore {
  return new KvStore({
    // As in life, no two processes draw the same.
    random: seededRandom(++stores).bytes,
    ...rest,
    path,
    retention: { ...RETENTION, ...retention },
    limits: { ...LIMITS, ...limits },
  });
}

/** An open store. */
export async function openStore(path: string, terms: Terms = {}): Promise<KvStore> {
  const store = newStore(path, terms);
  await store.open();
  return store;
}

/** Words for what tests do with one store. */
export function trialOf(store: KvStore, start: number = 1_000_000): StoreTrial {
  return new StoreTrial(store, store, { start, spare: 0, advance: () => {} });
}

/** Terms of a store that drops nothing, for as long as a test lasts. */
export const KEEP_ALL: Terms = {
  retention: {
    historyBytes: 2 ** 40,
    maxChannelBytes: 2 ** 40,
    maxStoreBytes: 2 ** 40,
    idempotencyWindow: 24 * HOUR,
  },
};

/** A folder for one test. */
export class Folder implements AsyncDisposable {
  readonly #path: string;
  #copies = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Makes one. */
  static async make(): Promise<Folder> {
    return new Folder(await Deno.makeTempDir({ prefix: "push-kv-" }));
  }

  /** Path of a file in it. */
  file(name: string = "push.db"): string {
    return `${this.#path}/${name}`;
  }

  /** A copy of a database as it is at this moment, as after a crash. */
  async crash(path: string): Promise<string> {
    const copy = this.file(`copy${++this.#copies}.db`);
    await Deno.copyFile(path, copy);
    // What was committed last is in the write-ahead log; its index is made anew.
    await Deno.copyFile(`${path}-wal`, `${copy}-wal`);
    return copy;
  }

  /** Bytes of a database. */
  async size(path: string): Promise<number> {
    const sizes = await Promise.all(["", "-wal"].map(async (suffix) => {
      try {
        return (await Deno.stat(path + suffix)).size;
      } catch {
        return 0;
      }
    }));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#path, { recursive: true });
  }
}
