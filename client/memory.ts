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
  /** Numbers of this epoch by the ids. */
  readonly #ids: Map<string, number> = new Map();
  readonly #formerIds: Map<string, number> = new Map();

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
    if (id !== undefined) remember(this.#ids, id, seq);
    if (this.#settled.rangeCount > MAX_RANGES) {
      this.#settled.dropUpTo(this.#settled.toRanges()[MAX_RANGES]);
    }
  }

  /** Remembers a message of an earlier epoch. */
  addFormer(id: string): void {
    remember(this.#formerIds, id, 0);
  }

  /** A new epoch begins. @param base numbers above it mean nothing any more */
  changeEpoch(base: number): void {
    for (const [id, seq] of this.#ids) if (seq > base && this.#ids.delete(id)) this.addFormer(id);
    this.#settled.dropAbove(base);
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

function remember(ids: Map<string, number>, id: string, seq: number): void {
  ids.delete(id);
  ids.set(id, seq);
  if (ids.size <= MAX_IDS) return;
  for (const oldest of ids.keys()) {
    ids.delete(oldest);
    break;
  }
}
