import type { Clock } from "./clock.ts";

/**
 * A promise that is settled from outside: by its owner, by an `AbortSignal` or by the clock,
 * whichever comes first. What was set up for it is undone when it settles.
 */
export class Deferred<T> {
  /** The promise. */
  readonly promise: Promise<T>;
  /** Fulfills the promise, unless it is settled. */
  resolve!: (value: T) => void;
  /** Rejects the promise, unless it is settled. */
  reject!: (error: unknown) => void;
  #undo: (() => void)[] | undefined = [];

  /** Makes a promise that nothing settles yet. @param group where it is until it settles */
  constructor(group?: Set<Deferred<T>>) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = (value) => this.#close() && resolve(value);
      this.reject = (error) => this.#close() && reject(error);
    });
    group?.add(this);
    this.whenSettled(() => group?.delete(this));
  }

  /** Whether the promise has been settled. */
  get settled(): boolean {
    return this.#undo === undefined;
  }

  /** Runs `task` when the promise settles; at once if it has. */
  whenSettled(task: () => void): this {
    if (this.#undo) this.#undo.push(task);
    else task();
    return this;
  }

  /** Rejects with the signal's reason when it aborts. */
  abortedBy(signal: AbortSignal | undefined): this {
    const abort = (): void => this.reject(signal!.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    return this.whenSettled(() => signal?.removeEventListener("abort", abort));
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
    undo?.forEach((task) => task());
    return undo !== undefined;
  }
}
