import { PushError } from "@push/client/protocol";
import type { Cancel, Clock } from "../../clock.ts";

/** Milliseconds between two questions. */
const PAUSE = 100;

/** Asks again what has become of something whose answer was lost. */
export class Retry {
  readonly #clock: Clock;
  readonly #patience: number;
  readonly #pauses = new Set<() => void>();
  #isClosed = false;

  /** @param patience milliseconds after the first lost answer */
  constructor(clock: Clock, patience: number) {
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Asks no more; idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#pauses) end();
  }

  /**
   * Runs what has one effect however often it runs. Once an answer was lost, whatever goes wrong leaves
   * the outcome unknown.
   *
   * @throws {PushError} the first failure, if no answer was lost before it; else `outcome_unknown`
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    let unknown: PushError | undefined;
    let isOver = false;
    let cancel: Cancel | undefined;
    try {
      while (true) {
        try {
          return await work();
        } catch (error) {
          const isUnknown = error instanceof PushError && error.code === "outcome_unknown";
          if (unknown === undefined) {
            if (!isUnknown) throw error;
            unknown = error;
            cancel = this.#clock.schedule(this.#patience, () => isOver = true);
          }
          await this.#pause();
          if (isOver || this.#isClosed) throw unknown;
        }
      }
    } finally {
      cancel?.();
    }
  }

  #pause(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const cancel = this.#clock.schedule(PAUSE, end);
      this.#pauses.add(end);
    });
  }
}
