import { PushError } from "@push/client/protocol";
import type { Clock } from "../clock.ts";

/** Milliseconds that the embedding program may take to decide. */
const PATIENCE = 10_000;

/** Waits for what the embedding program decides, for so long each, and for nothing once it is stopped. */
export class ProgramAnswers {
  readonly #name: string;
  readonly #clock: Clock;
  /** Ends what is waited for. */
  readonly #ends = new Set<(error: unknown) => void>();
  #isStopped = false;

  /** @param name what the program is asked by */
  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
  }

  /** Whether nothing is waited for any more. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /**
   * The program's answer, if it comes in time.
   *
   * @throws whatever the program rejects with; {PushError} `going_away` once this was stopped;
   *   {TypeError} if it took too long
   */
  async wait<T>(answer: PromiseLike<T>): Promise<T> {
    const { promise: end, reject } = Promise.withResolvers<never>();
    const cancel = this.#clock.schedule(
      PATIENCE,
      () => reject(new TypeError(`${this.#name}() took more than ${PATIENCE / 1000} seconds.`)),
    );
    this.#ends.add(reject);
    if (this.#isStopped) this.stop();
    try {
      return await Promise.race([answer, end]);
    } finally {
      cancel();
      this.#ends.delete(reject);
    }
  }

  /** Ends every wait with `going_away`, and those that are still to come. */
  stop(): void {
    this.#isStopped = true;
    for (const end of this.#ends) end(new PushError("going_away"));
  }
}
