import type { ClientSettings } from "./options.ts";
import type { Code } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";

/** Why something is given up. */
export const LATE = "It took too long.";

/**
 * A promise that is settled from outside: by its owner, by an `AbortSignal` or by the clock,
 * whichever comes first. What was set up for it is undone when it settles.
 */
export class Deferred<T> {
  /** The promise. */
  declare readonly promise: Promise<T>;
  /** Fulfills the promise, unless it is settled. */
  declare resolve: (value: T) => void;
  /** Rejects the promise, unless it is settled. */
  declare reject: (error: unknown) => void;
  #undo: (() => void)[] | undefined = [];

  /**
   * Makes a promise that nothing else settles yet.
   *
   * @param signal rejects it with its reason when it aborts
   * @param group where it is until it settles
   */
  constructor(signal?: AbortSignal, group?: Set<Deferred<T>>) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = (value) => this.#close() && resolve(value);
      this.reject = (error) => this.#close() && reject(error);
    });
    const abort = (): void => this.reject(signal!.reason);
    signal?.addEventListener("abort", abort);
    group?.add(this);
    this.whenSettled(() => {
      signal?.removeEventListener("abort", abort);
      group?.delete(this);
    });
    if (signal?.aborted) abort();
  }

  /** Whether the promise has been settled. */
  get settled(): boolean {
    return !this.#undo;
  }

  /** Runs `task` when the promise settles; at once if it has. */
  whenSettled(task: () => void): this {
    if (this.#undo) this.#undo.push(task);
    else task();
    return this;
  }

  /** Rejects with this code when what takes a request too long has passed. */
  rejectedAfter(
    { clock, requestTimeout }: Pick<ClientSettings, "clock" | "requestTimeout">,
    code: Code = "disconnected",
    detail: string = LATE,
  ): this {
    const late = (): void => this.reject(new PushError(code, detail));
    return this.whenSettled(clock.schedule(requestTimeout, late));
  }

  #close(): unknown {
    const undo = this.#undo;
    this.#undo = undefined;
    undo?.forEach((task) => task());
    return undo;
  }
}
