import { Heap, HeapEntry } from "./heap.ts";
import type { MemoryLog } from "./log.ts";
import type { Tally } from "./tally.ts";
import type { Retention } from "../store.ts";

/** Every log of one memory store, and in which order they lose what is old. */
export class MemoryChannels {
  readonly #tally: Tally;
  readonly #logs = new Map<string, MemoryLog>();
  // Keys of these may be too low: what is old only gets younger, and is placed anew when found.
  readonly #byAge = new Heap<MemoryLog>();
  readonly #byIdAge = new Heap<MemoryLog>();
  readonly #byIdleness = new Heap<MemoryLog>();
  /** Logs that are longer than the history because somebody needs, or needed, what they keep. */
  readonly #long = new Set<MemoryLog>();

  /** @param tally where bytes are counted */
  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** How many there are. */
  get size(): number {
    return this.#logs.size;
  }

  /** Time of the oldest message of all; `undefined` if there is none. */
  get oldestAt(): number | undefined {
    return this.#oldest()?.oldestAt;
  }

  /** Log of a channel, if there is one. */
  get(name: string): MemoryLog | undefined {
    return this.#logs.get(name);
  }

  /** Every log, in the order in which they began. */
  all(): IterableIterator<MemoryLog> {
    return this.#logs.values();
  }

  /** Takes a log in. It cannot be forgotten as idle until it is settled. */
  add(log: MemoryLog): void {
    this.#logs.set(log.name, log);
    this.#tally.held += log.overhead;
  }

  /** Finds a log's places, after it was used or has changed. */
  settle(log: MemoryLog, now: number): void {
    if (log.count === 0) this.#leaveAge(log);
    else if (!isIn(log.byAge)) this.#putAge(log);
    const idAt = log.oldestIdAt;
    if (idAt === undefined) this.#leaveIdAge(log);
    else if (!isIn(log.byIdAge)) this.#byIdAge.set(log.byIdAge ??= new HeapEntry(log), idAt);
    if (log.isIdle) this.#byIdleness.set(log.byIdleness ??= new HeapEntry(log), now);
    else this.#leaveIdleness(log);
  }

  /** Drops what a log keeps beyond its history and nobody needs, as far as that is known cheaply. */
  trim(log: MemoryLog, retention: Retention): void {
    if (log.trim(retention, false)) this.#long.add(log);
  }

  /** Drops the oldest message of all; there must be one. */
  evictOldest(now: number): void {
    const log = this.#oldest()!;
    log.evict();
    // Among messages of one millisecond it is the next channel's turn.
    if (log.count > 0) this.#putAge(log);
    this.settle(log, now);
  }

  /** Forgets the channel that was idle for longest; returns false if none is idle. */
  forgetIdle(): boolean {
    const log = this.#byIdleness.first?.item;
    if (log === undefined) return false;
    this.#leaveIdleness(log);
    this.#leaveIdAge(log);
    this.#long.delete(log);
    this.#logs.delete(log.name);
    this.#tally.held -= log.overhead;
    log.close();
    return true;
  }

  /** Lets go of what has expired, and of what nobody needs any more. */
  sweep(retention: Retention, now: number): void {
    const { messageTtl, idempotencyWindow, metaTtl } = retention;
    for (let log = this.#oldest(); log !== undefined; log = this.#oldest()) {
      if (log.oldestAt! > now - messageTtl) break;
      log.expire(now - messageTtl);
      this.settle(log, now);
    }
    for (let log = this.#oldestId(); log !== undefined; log = this.#oldestId()) {
      if (log.oldestIdAt! > now - idempotencyWindow) break;
      log.expireIds(now - idempotencyWindow);
      if (log.oldestIdAt === undefined) this.#leaveIdAge(log);
    }
    for (const log of this.#long) {
      if (!log.trim(retention, true)) this.#long.delete(log);
      this.settle(log, now);
    }
    while (this.#byIdleness.size > 0 && this.#byIdleness.first!.key <= now - metaTtl) {
      this.forgetIdle();
    }
  }

  #putAge(log: MemoryLog): void {
    this.#byAge.set(log.byAge ??= new HeapEntry(log), log.oldestAt!);
  }

  // A log that has no place in a heap has no entry for one: there may be very many logs.

  #leaveAge(log: MemoryLog): void {
    if (log.byAge === undefined) return;
    this.#byAge.remove(log.byAge);
    log.byAge = undefined;
  }

  #leaveIdAge(log: MemoryLog): void {
    if (log.byIdAge === undefined) return;
    this.#byIdAge.remove(log.byIdAge);
    log.byIdAge = undefined;
  }

  #leaveIdleness(log: MemoryLog): void {
    if (log.byIdleness === undefined) return;
    this.#byIdleness.remove(log.byIdleness);
    log.byIdleness = undefined;
  }

  #oldest(): MemoryLog | undefined {
    return firstOf(this.#byAge, (log) => log.oldestAt);
  }

  #oldestId(): MemoryLog | undefined {
    return firstOf(this.#byIdAge, (log) => log.oldestIdAt);
  }
}

function isIn(entry: HeapEntry<MemoryLog> | undefined): boolean {
  return entry !== undefined && entry.index >= 0;
}

/** First item of a heap whose keys may be out of date. */
function firstOf<T>(heap: Heap<T>, keyOf: (item: T) => number | undefined): T | undefined {
  while (heap.first !== undefined) {
    const { first } = heap;
    const key = keyOf(first.item);
    if (key === first.key) return first.item;
    if (key === undefined) heap.remove(first);
    else heap.set(first, key);
  }
}
