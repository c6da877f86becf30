import type { Ranges } from "./protocol/frames.ts";
import { RangeSet } from "./protocol/ranges.ts";

/** Ids remembered per channel across epochs (contract, "Order and storing"). */
const MAX_IDS = 1000;
/** Ranges remembered per channel; own messages, which are never delivered, split them. */
const MAX_RANGES = 4096;

/**
 * Which messages of one channel have been handled: within an epoch of the log by number, across
 * epochs by the id that they were published with. Only what is older than both bounds is forgotten.
 */
export class Memory {
  #settled: RangeSet = new RangeSet();
  #ids: Set<string> = new Set();
  #formerIds: Set<string> = new Set();

  /** Whether number `seq` of this epoch is settled. */
  has(seq: number): boolean {
    return this.#settled.has(seq);
  }

  /** Whether `id` was settled in an earlier epoch. Within one epoch an application may use an id again. */
  knew(id: string | undefined): boolean {
    return id !== undefined && this.#formerIds.has(id);
  }

  /** Remembers a message of this epoch. */
  add(seq: number, id: string | undefined): void {
    this.#settled.add(seq);
    if (id !== undefined) remember(this.#ids, id);
    if (this.#settled.rangeCount > MAX_RANGES) {
      this.#settled.dropUpTo(this.#settled.toRanges()[MAX_RANGES]);
    }
  }

  /** Remembers a message of an earlier epoch. */
  addFormer(id: string): void {
    remember(this.#formerIds, id);
  }

  /** A new epoch begins: numbers mean nothing any more. */
  changeEpoch(): void {
    for (const id of this.#ids) remember(this.#formerIds, id);
    this.#ids = new Set();
    this.#settled = new RangeSet();
  }

  /** What is settled above `floor`. */
  above(floor: number): Ranges {
    const rest = new RangeSet(this.#settled.toRanges());
    rest.dropUpTo(floor);
    return rest.toRanges();
  }

  /** Takes over what {@linkcode Memory.above} gave before a reload. */
  restore(settled: Ranges): void {
    this.#settled = new RangeSet(settled);
  }
}

function remember(ids: Set<string>, id: string): void {
  ids.delete(id);
  ids.add(id);
  if (ids.size <= MAX_IDS) return;
  for (const oldest of ids) {
    ids.delete(oldest);
    break;
  }
}
