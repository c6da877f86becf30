import { PushError } from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import type { Positions } from "./positions.ts";
import type { DeadLetter } from "../stores/store.ts";
import type { Subscription } from "./subscription.ts";

/** Whose dead letters come back. */
export interface ReturnedHolder {
  /** Key of the session. */
  readonly key: string;
  /** What every part of the hub shares. */
  readonly context: HubContext;
}

/** Dead letters that were put back into the stored positions of one session. */
export class Returned {
  readonly #holder: ReturnedHolder;
  readonly #positions: Positions;
  /** Put back without a place in their channel: on their way back to the dead letters. */
  #misfits: DeadLetter[] = [];

  /**
   * @param holder whose dead letters
   * @param positions where they were put
   */
  constructor(holder: ReturnedHolder, positions: Positions) {
    this.#holder = holder;
    this.#positions = positions;
  }

  /**
   * Hands a subscription what was put back into its stored position. What has no place in the channel
   * any more, because the log has lost its number, goes back to the dead letters.
   *
   * @throws {PushError} `replaced` if a newer claim, perhaps of this very session, has overtaken it; as
   *   the store
   */
  async take(channel: string, subscription: Subscription): Promise<void> {
    const { key: session, context: { clock } } = this.#holder;
    await this.#positions.readRedriven(
      () => ({ channel, cursor: subscription.snapshot() }),
      (epoch, late) => {
        const reach = subscription.reach(epoch) ?? -1;
        const at = clock.now();
        for (const { seq, redriven } of late) {
          const message = redriven!;
          if (seq <= reach) subscription.redrive(message);
          else {
            const about = { session, channel, epoch, message };
            this.#misfits.push({ ...about, attempts: 0, reason: "nack", at });
          }
        }
      },
    );
    const deadLetters = this.#misfits.filter((letter) => letter.channel === channel);
    if (deadLetters.length === 0) return;
    const stored = await this.#positions.write(
      () => [{ channel, cursor: subscription.snapshot(), deadLetters }],
      () => this.#misfits = this.#misfits.filter((letter) => !deadLetters.includes(letter)),
    );
    if (!stored) throw new PushError("replaced");
  }
}
