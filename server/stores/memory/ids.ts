import type { IdKeys } from "./id_key.ts";
import { IdTable } from "./id_table.ts";
import type { Tally } from "./tally.ts";

/** Publish ids of one channel, in the order in which they came. */
export class PublishIds {
  readonly #tally: Tally;
  readonly #table = new IdTable();

  /** @param tally where ids are counted */
  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#table.size;
  }

  /** When the oldest came; `undefined` if there is none. */
  get oldestAt(): number | undefined {
    return this.size === 0 ? undefined : this.#table.timeAt(0);
  }

  /** Number of the message that was published with the id that was spelled last, if that is known. */
  seqOf(keys: IdKeys): number | undefined {
    return this.#table.find(keys);
  }

  /** Remembers ids that are not remembered. */
  addAll(ids: IdTable, at: number): void {
    this.#table.addAll(ids, at);
    this.#tally.publishIds += ids.size;
  }

  /** Forgets the oldest; there must be one. */
  forgetOldest(): void {
    this.#table.shift();
    this.#tally.publishIds--;
  }

  /** Forgets what came at or before `limit`. */
  expire(limit: number): void {
    while (this.size > 0 && this.#table.timeAt(0) <= limit) this.forgetOldest();
  }

  /** Forgets all. */
  clear(): void {
    while (this.size > 0) this.forgetOldest();
  }
}
