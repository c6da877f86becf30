import type { Clock } from "./clock.ts";

/**
 * A promise that is settled from outside: by its owner, by an `AbortSignal` or by the clock,
 * whichever comes first. What was set up for it is undone when it settles.
 */
export class Deferred<T> {
  /** The promise. */
  readonly promise: Promise<T>;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  #undo: (() => void)[] | undefined = [];

  /** Makes a promise that nothing settles yet. */
  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Whether the promise has been settled. */
  get settled(): boolean {
    return this.#undo === undefined;
  }

  /** Fulfills the promise, unless it is settled. */
  resolve(value: T): void {
    if (this.#close()) this.#resolve(value);
  }

  /** Rejects the promise, unless it is settled. */
  reject(error: unknown): void {
    if (this.#close()) this.#reject(error);
  }

  /** Runs `task` when the promise settles; at once if it has. */
  whenSettled(task: () => void): this {
    if (this.#undo) this.#undo.push(task);
    else task();
    return this;
  }

  /** Rejects with the signal's reason when it aborts. */
  abortedBy(signal: AbortSignal | undefined): this {
    if (!signal) return this;
    const abort = (): void => this.reject(signal.reason);
    if (signal.aborted) abort();
    else {
      signal.addEventListener("abort", abort);
      this.whenSettled(() => signal.removeEventListener("abort", abort));
    }
    return this;
  }

  /** Rejects with what `error` gives, `delay` milliseconds from now. */
  rejectedAfter(clock: Clock, delay: number, error: () => unknown): this {
    return this.settled
      ? this
      : this.whenSettled(clock.schedule(delay, () => this.reject(error())));
  }

  #close(): boolean {
    const undo = this.#undo;
    this.#undo = undefined;
    for (const task of undo ?? []) task();
    return undo !== undefined;
  }
}
