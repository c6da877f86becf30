import { Fifo } from "./fifo.ts";
import type { Tally } from "./tally.ts";

/** Key of a publish id: no subject and id can be spelled as another pair. */
export function publishKey(subject: string, id: string): string {
  return `${subject.length}:${subject}${id}`;
}

/** Publish ids of one channel, in the order in which they came. */
export class PublishIds {
  readonly #tally: Tally;
  readonly #seqs = new Map<string, number>();
  readonly #keys = new Fifo<string>("");
  readonly #times = new Fifo<number>(0);

  /** @param tally where ids are counted */
  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#keys.length;
  }

  /** When the oldest came; `undefined` if there is none. */
  get oldestAt(): number | undefined {
    return this.size === 0 ? undefined : this.#times.at(0);
  }

  /** Number of the message that was published with this id, if it is remembered. */
  seqOf(key: string): number | undefined {
    return this.#seqs.get(key);
  }

  /** Remembers an id that is not remembered. */
  add(key: string, seq: number, at: number): void {
    this.#seqs.set(key, seq);
    this.#keys.push(key);
    this.#times.push(at);
    this.#tally.publishIds++;
  }

  /** Forgets the oldest; there must be one. */
  forgetOldest(): void {
    this.#seqs.delete(this.#keys.shift());
    this.#times.shift();
    this.#tally.publishIds--;
  }

  /** Forgets what came at or before `limit`. */
  expire(limit: number): void {
    while (this.size > 0 && this.#times.at(0) <= limit) this.forgetOldest();
  }

  /** Forgets all. */
  clear(): void {
    while (this.size > 0) this.forgetOldest();
  }
}
