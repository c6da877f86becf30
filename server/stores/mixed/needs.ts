import { Heap, HeapEntry } from "../memory/heap.ts";
import type { Position } from "../memory/position.ts";

/** Positions of one epoch in one channel, the one that is furthest behind first. */
interface Group {
  readonly heap: Heap<Position>;
  readonly epoch: string;
}

/** What the positions of each channel need of its log: by epoch, the number that all are beyond. */
export class Needs {
  readonly #channels = new Map<string, Map<string, Group>>();
  readonly #places = new Map<Position, { readonly entry: HeapEntry<Position>; group: Group }>();
  readonly #changed = new Set<string>();
  readonly #lowered = new Set<string>();

  /** Channels with positions. */
  get channels(): IterableIterator<string> {
    return this.#channels.keys();
  }

  /** Whether something has changed since {@linkcode Needs.takeChanged}. */
  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** By epoch, the highest number that no position needs; empty where there is none. */
  of(channel: string): [epoch: string, settled: number][] {
    const groups = this.#channels.get(channel)?.values() ?? [];
    return Array.from(groups, ({ epoch, heap }) => [epoch, heap.first!.key]);
  }

  /** A position is new, or has moved. */
  place(channel: string, position: Position): void {
    const before = this.#places.get(position);
    const known = before !== undefined && before.group.epoch === position.epoch;
    const group = known ? before.group : this.#group(channel, position.epoch);
    const lowest = group.heap.first?.key;
    const entry = known ? before.entry : new HeapEntry(position);
    group.heap.set(entry, position.needsAfter(position.epoch));
    if (!known) {
      if (before !== undefined) this.#take(channel, before.entry, before.group);
      this.#places.set(position, { entry, group });
    }
    const now = group.heap.first!.key;
    if (now === lowest) return;
    this.#changed.add(channel);
    if (lowest === undefined || now < lowest) this.#lowered.add(channel);
  }

  /** A position is no more. */
  remove(channel: string, position: Position): void {
    const place = this.#places.get(position);
    if (place === undefined) return;
    this.#places.delete(position);
    this.#take(channel, place.entry, place.group);
  }

  /** Channels where something has changed, since this was asked last. */
  takeChanged(): string[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    this.#lowered.clear();
    return changed;
  }

  /** Of those the channels where more is needed than before. */
  takeLowered(): string[] {
    const lowered = [...this.#lowered];
    this.#lowered.clear();
    for (const channel of lowered) this.#changed.delete(channel);
    return lowered;
  }

  /** Counts a channel as changed, as it is not known to others any more. */
  doubt(channel: string): void {
    this.#changed.add(channel);
  }

  #group(channel: string, epoch: string): Group {
    let groups = this.#channels.get(channel);
    if (groups === undefined) this.#channels.set(channel, groups = new Map());
    let group = groups.get(epoch);
    if (group === undefined) groups.set(epoch, group = { epoch, heap: new Heap() });
    return group;
  }

  #take(channel: string, entry: HeapEntry<Position>, { heap, epoch }: Group): void {
    const lowest = heap.first?.key;
    heap.remove(entry);
    if (heap.first?.key === lowest) return;
    this.#changed.add(channel);
    if (heap.size > 0) return;
    const groups = this.#channels.get(channel)!;
    groups.delete(epoch);
    if (groups.size === 0) this.#channels.delete(channel);
  }
}
