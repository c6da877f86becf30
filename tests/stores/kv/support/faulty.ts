import {
  type KvAtomic,
  type KvDatabase,
  type KvEntry,
  type KvKey,
  openDatabase,
} from "../../../../server/stores/kv/engine.ts";

/** What is to become of the next commits: an error before, or after they happened. */
export type Fault = { readonly error: Error; readonly happens: boolean };

/** A real database that can be told to fail as a disk does. */
export class FaultyDatabase {
  /** What becomes of commits from now on. */
  fault: Fault | undefined;
  /** So many commits still succeed before that. */
  spared = 0;
  #gate: { reached(): void; readonly opened: Promise<void> } | undefined;
  /** Whether reading fails. */
  isBlind = false;
  /** Commits that were tried. */
  commits = 0;
  /** Entries that were listed. */
  listed = 0;
  /** Most mutations, and most bytes of values, of one commit so far. */
  largest: { mutations: number; bytes: number } = { mutations: 0, bytes: 0 };

  /** Opens the real one. */
  readonly open = async (path: string): Promise<KvDatabase> => {
    const real = await openDatabase(path);
    return {
      get: (key) => this.#read(() => real.get(key)),
      getMany: (keys) => this.#read(() => real.getMany(keys)),
      list: (selector, options) => this.#count(real.list(selector, options)),
      atomic: () => this.#atomic(real.atomic()),
      close: () => real.close(),
    };
  };

  /** From now on every commit fails. */
  fail(message: string, { happens = false }: { happens?: boolean } = {}): void {
    this.fault = { error: new Error(message), happens };
  }

  /** Holds the next commit up. */
  hold(): { readonly reached: Promise<void>; release(): void } {
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    this.#gate = { reached: resolve, opened };
    const release = () => {
      this.#gate = undefined;
      open();
    };
    return { reached, release };
  }

  /** From now on everything works. */
  heal(): void {
    this.fault = undefined;
    this.isBlind = false;
    this.spared = 0;
  }

  async *#count(entries: AsyncIterable<KvEntry>): AsyncIterable<KvEntry> {
    for await (const entry of entries) {
      this.listed++;
      yield entry;
    }
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    if (this.isBlind) throw new Error("disk I/O error");
    return await read();
  }

  #atomic(real: KvAtomic): KvAtomic {
    let mutations = 0;
    let bytes = 0;
    const atomic: KvAtomic = {
      check: (check) => (real.check(check), atomic),
      set: (key: KvKey, value: unknown) => {
        mutations++;
        bytes += value instanceof Uint8Array ? value.length : 0;
        real.set(key, value);
        return atomic;
      },
      delete: (key: KvKey) => (mutations++, real.delete(key), atomic),
      commit: async () => {
        this.commits++;
        this.#gate?.reached();
        await this.#gate?.opened;
        this.largest.mutations = Math.max(this.largest.mutations, mutations);
        this.largest.bytes = Math.max(this.largest.bytes, bytes);
        if (this.fault === undefined || this.spared-- > 0) return await real.commit();
        if (this.fault.happens) await real.commit();
        throw this.fault.error;
      },
    };
    return atomic;
  }
}
