import type { Entry } from "./consumer.ts";

/** Epochs whose messages are refused because a newer one has begun. */
const MAX_EPOCHS = 8;

/** What is left of the epochs of a channel that have ended. */
export class Past {
  readonly #epochs: Set<string> = new Set();
  /** Unsettled messages, by the id that they were published with. */
  readonly #unsettled: Map<string, Entry> = new Map();

  /** Whether `epoch` has ended. */
  has(epoch: string): boolean {
    return this.#epochs.has(epoch);
  }

  /** An epoch has ended. @param entries its unsettled messages */
  add(epoch: string, entries: Iterable<Entry>): void {
    if (this.#epochs.size >= MAX_EPOCHS) this.#epochs.clear();
    this.#epochs.add(epoch);
    for (const entry of entries) {
      const { id } = entry.received;
      if (id !== undefined) this.#unsettled.set(id, entry);
    }
  }

  /** Takes out the unsettled message with this id, which has a place in the present epoch. */
  take(id: string | undefined): Entry | undefined {
    const entry = id === undefined ? undefined : this.#unsettled.get(id);
    if (entry) this.#unsettled.delete(id!);
    return entry;
  }

  /** Whether a message may have a place in a later epoch. */
  holds(entry: Entry): boolean {
    const { id } = entry.received;
    return id !== undefined && this.#unsettled.get(id) === entry;
  }

  /** Forgets a message that is settled. @returns whether it was known */
  settle(entry: Entry): boolean {
    return this.holds(entry) && this.#unsettled.delete(entry.received.id!);
  }
}
