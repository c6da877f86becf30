import type { Store } from "../../server/stores/store.ts";

type Operation = Exclude<
  keyof Store,
  symbol | "name" | "survives" | "trouble" | "cluster"
>;

/** One call of a store. */
export interface Call {
  readonly operation: Operation;
  readonly args: readonly unknown[];
}

/**
 * A store between the hub and a real one: it counts, and a test may delay or refuse what it likes.
 */
export class Interposed {
  /** How often each operation was called. */
  readonly calls: Map<Operation, number> = new Map();
  /** Awaited before a call reaches the store; the call rejects with what it throws. */
  before: ((call: Call) => Promise<void> | void) | undefined;
  /** Awaited when the store has done it, before the hub hears of it. */
  after: ((call: Call) => Promise<void> | void) | undefined;
  /** The store itself; another one may take its place. */
  target: Store;
  /** What the hub gets. */
  readonly store: Store;
  #era = 0;

  constructor(target: Store) {
    this.target = target;
    this.store = new Proxy(target, {
      get: (_, key) => {
        const value = Reflect.get(this.target, key);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => this.#call(key as Operation, args);
      },
    });
  }

  /** Forgets the counts. */
  reset(): void {
    this.calls.clear();
  }

  /** How often an operation was called. */
  count(operation: Operation): number {
    return this.calls.get(operation) ?? 0;
  }

  /** The next call of an operation rejects with this. */
  refuseOnce(operation: Operation, error: unknown): void {
    this.before = (call) => {
      if (call.operation !== operation) return;
      this.before = undefined;
      throw error;
    };
  }

  /** Calls of an operation wait until the returned function is called. */
  hold(operation: Operation): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.before;
    this.before = async (call) => {
      await before?.(call);
      if (call.operation === operation) await promise;
    };
    return () => {
      this.before = before;
      resolve();
    };
  }

  /** What is on its way arrives nowhere: neither at the store, nor back. */
  cut(): void {
    this.#era++;
  }

  async #call(operation: Operation, args: unknown[]): Promise<unknown> {
    const era = this.#era;
    this.calls.set(operation, this.count(operation) + 1);
    try {
      if (this.before !== undefined) await this.before({ operation, args });
      if (era === this.#era) {
        const method = Reflect.get(this.target, operation) as (
          ...args: unknown[]
        ) => Promise<unknown>;
        const result = await method.apply(this.target, args);
        if (this.after !== undefined) await this.after({ operation, args });
        if (era === this.#era) return result;
      }
    } catch (error) {
      if (era === this.#era) throw error;
    }
    return await new Promise(() => {});
  }
}
