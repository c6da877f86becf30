import type { PollEntry } from "./poll_entry.ts";
import type { PollRecords } from "./poll_records.ts";

/** Other nodes are told anew after so many sweeps. */
const SWEEPS_PER_TELLING = 3;

/** Tells other nodes how to go on with the pollers of this one. */
export class PollTelling {
  readonly #records: PollRecords;
  /** Pollers of which others are being told, and those of which they are to be told anew then. */
  readonly #telling = new Map<PollEntry, Promise<void>>();
  readonly #next = new Map<PollEntry, Promise<void>>();

  /** @param records where that is kept */
  constructor(records: PollRecords) {
    this.#records = records;
  }

  /** Tells how to go on with a poller. Who asks while that is under way shares the next. */
  tell(entry: PollEntry): Promise<void> {
    const present = this.#telling.get(entry);
    if (present === undefined) {
      const telling = this.#tell(entry).finally(() => this.#telling.delete(entry));
      this.#telling.set(entry, telling);
      return telling;
    }
    let next = this.#next.get(entry);
    if (next === undefined) {
      next = present.catch(() => {}).then(() => {
        this.#next.delete(entry);
        return this.tell(entry);
      });
      this.#next.set(entry, next);
    }
    return next;
  }

  /**
   * Tells which channels a poller is subscribed to, if that has changed; resolves to whether they are
   * known: not if another node has taken it.
   */
  async tellChanges(entry: PollEntry): Promise<boolean> {
    const { names } = entry;
    if (entry.told !== names) await this.tell(entry);
    return entry.told !== undefined;
  }

  /** Tells anew from time to time, before it is forgotten. What fails is tried with the next sweep. */
  sweep(entry: PollEntry): void {
    entry.toldSweeps++;
    if (entry.toldSweeps < SWEEPS_PER_TELLING && entry.told !== undefined) return;
    this.tell(entry).catch(() => {});
  }

  async #tell(entry: PollEntry): Promise<void> {
    const { session, terms, hash, holder, fate } = entry;
    if (fate.ended !== undefined) return;
    const { ttl, wire, channels, generation, identity } = session;
    const told = entry.names;
    entry.toldSweeps = 0;
    try {
      const record = { ...terms, identity, ttl, wire, holder, generation, channels };
      // Another node may have taken it long ago, where this one was stopped.
      entry.told = await this.#records.keep(hash, record) ? told : undefined;
    } catch (error) {
      entry.told = undefined;
      throw error;
    }
  }
}
