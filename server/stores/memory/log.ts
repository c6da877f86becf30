import type { Json } from "@push/client/protocol";
import { messageBytes } from "./bytes.ts";
import type { HeapEntry } from "./heap.ts";
import type { IdKeys } from "./id_key.ts";
import { IdTable } from "./id_table.ts";
import { PublishIds } from "./ids.ts";
import type { Position } from "./position.ts";
import type { Shelf } from "./shelf.ts";
import type { Tally } from "./tally.ts";
import type {
  Appended,
  ChannelRecord,
  Draft,
  LogState,
  Retention,
  StoredMessage,
} from "../store.ts";

/** What an append comes to, before anything is changed. */
export interface Drawn {
  /** Where each draft comes to stand. */
  readonly appended: readonly Appended[];
  /** What is to be stored. */
  readonly messages: readonly StoredMessage[];
  /** Publish ids of those that have one. */
  readonly ids: IdTable | undefined;
  /** Size of the largest. */
  readonly largest: number;
}

// What a channel costs beside its messages: seen with 20 000 of them, 490 bytes. Positions and publish
// ids are more.
const CHANNEL_OVERHEAD = 1024;

const NOBODY: ReadonlySet<Position> = new Set();

/** Log of one channel: what it keeps, what it drops, and for whose sake. */
export class MemoryLog {
  /** Name of the channel. */
  readonly name: string;
  /** Epoch of its numbers. */
  readonly epoch: string;
  /** Bytes that the channel counts beside its messages. */
  readonly overhead: number;
  /** Its messages. Only the log adds and drops. */
  readonly shelf: Shelf;
  /** Place among all logs by the time of the oldest message, if there is one. */
  byAge: HeapEntry<MemoryLog> | undefined;
  /** Place among all logs by the time of the oldest publish id, if there is one. */
  byIdAge: HeapEntry<MemoryLog> | undefined;
  /** Place among the idle logs by the time of the last use. */
  byIdleness: HeapEntry<MemoryLog> | undefined;
  readonly #tally: Tally;
  readonly #createdAt: number;
  readonly #metadata: string;
  /** Absent where there is none. */
  #positions: Set<Position> | undefined;
  #ids: PublishIds | undefined;
  #head = 0;
  #bytes = 0;
  /** At or below what every position needs; exact unless `#floorMayRise`. */
  #floor = Infinity;
  #floorMayRise = false;
  #appendsSinceAsked = 0;

  /** @param tally where messages are counted; `shelf` an empty one */
  constructor(
    name: string,
    epoch: string,
    metadata: { readonly [key: string]: Json },
    now: number,
    tally: Tally,
    shelf: Shelf,
  ) {
    this.name = name;
    this.epoch = epoch;
    this.#createdAt = now;
    this.#metadata = JSON.stringify(metadata);
    this.#tally = tally;
    this.shelf = shelf;
    this.overhead = CHANNEL_OVERHEAD + name.length + this.#metadata.length;
  }

  /** Highest number given. */
  get head(): number {
    return this.#head;
  }
  /** Lowest number kept. */
  get oldest(): number {
    return this.#head - this.shelf.count + 1;
  }
  /** Messages kept. */
  get count(): number {
    return this.shelf.count;
  }
  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }
  /** When the oldest was stored; `undefined` if none is kept. */
  get oldestAt(): number | undefined {
    return this.shelf.oldestAt;
  }
  /** When the oldest publish id came; `undefined` if none is remembered. */
  get oldestIdAt(): number | undefined {
    return this.#ids?.oldestAt;
  }
  /** Whether a session has a position. */
  get isHeld(): boolean {
    return this.#positions !== undefined && this.#positions.size > 0;
  }
  /** Whether nothing but its epoch and head would be lost with it. */
  get isIdle(): boolean {
    return this.count === 0 && !this.isHeld;
  }

  /** State as callers see it. */
  state(): LogState {
    return { epoch: this.epoch, head: this.#head, oldest: this.oldest };
  }

  /** The channel as listed. */
  record(): ChannelRecord {
    const metadata = JSON.parse(this.#metadata);
    return { ...this.state(), name: this.name, createdAt: this.#createdAt, metadata };
  }

  /** Goes on where a log was whose messages are on the shelf already. */
  resume(head: number, bytes: number): void {
    this.#head = head;
    this.#count(this.count, bytes);
  }

  /**
   * Works out what an append comes to; changes nothing.
   *
   * @param keys what spells publish ids
   */
  draw(drafts: readonly Draft[], now: number, keys: IdKeys): Drawn {
    const appended: Appended[] = [];
    const messages: StoredMessage[] = [];
    let ids: IdTable | undefined;
    let largest = 0;
    for (const { id, subject, origin, source, payload } of drafts) {
      const seq = this.#head + messages.length + 1;
      if (id !== undefined) {
        keys.spell(subject, id);
        const first = this.#ids?.seqOf(keys) ?? ids?.find(keys);
        if (first !== undefined) {
          appended.push({ seq: first, duplicate: true });
          continue;
        }
        (ids ??= new IdTable(drafts.length)).add(keys, seq, now);
      }
      const bytes = messageBytes(payload);
      if (bytes > largest) largest = bytes;
      appended.push({ seq, duplicate: false });
      messages.push({ id, origin, source, payload, seq, at: now, bytes });
    }
    return { appended, messages, ids, largest };
  }

  /** Stores what was drawn. */
  add({ messages, ids }: Drawn, now: number): void {
    this.shelf.add(messages);
    this.#count(messages.length, messages.reduce((sum, { bytes }) => sum + bytes, 0));
    this.#head += messages.length;
    this.#appendsSinceAsked += messages.length;
    if (ids !== undefined) this.remember(ids, now);
  }

  /** Remembers publish ids that came now. */
  remember(ids: IdTable, now: number): void {
    this.#ids ??= new PublishIds(this.#tally);
    this.#ids.addAll(ids, now);
  }

  /** Drops messages from the front that were stored at or before `limitAt`. */
  expire(limitAt: number): void {
    while (this.count > 0 && this.oldestAt! <= limitAt) {
      this.#dropOldest();
      this.#tally.expired++;
    }
  }

  /** Forgets publish ids that came at or before `limitAt`. */
  expireIds(limitAt: number): void {
    this.#ids?.expire(limitAt);
    if (this.#ids?.size === 0) this.#ids = undefined;
  }

  /** Forgets the oldest publish id, unless it is the only one. */
  forgetOldestId(): boolean {
    if (this.#ids === undefined || this.#ids.size < 2) return false;
    this.#ids.forgetOldest();
    return true;
  }

  /** Drops the oldest message because there is no room for it; there must be one. */
  evict(): void {
    if (this.oldest > this.#floor) this.#askFloor(false);
    if (this.oldest > this.#floor) this.#tally.evicted++;
    this.#dropOldest();
  }

  /**
   * Drops what goes beyond the history and nobody needs any more.
   *
   * @param ask whether to ask every position now, not only when that is cheap
   * @returns whether the log is still longer than the history
   */
  trim(retention: Retention, ask: boolean): boolean {
    if (!this.#trimToFloor(retention)) return false;
    this.#askFloor(ask);
    return this.#trimToFloor(retention);
  }

  /** Takes a position in, or learns that it has moved. */
  place(position: Position): void {
    const pin = position.needsAfter(this.epoch);
    const positions = this.#positions ??= new Set();
    if (!positions.has(position)) {
      if (positions.size === 0) this.#tally.fixed += this.overhead;
      positions.add(position);
    } else if (pin > position.pin && position.pin <= this.#floor) {
      this.#floorMayRise = true;
    }
    position.pin = pin;
    if (pin < this.#floor) this.#floor = pin;
  }

  /** Forgets a position. */
  remove(position: Position): void {
    if (this.#positions?.delete(position) !== true) return;
    if (this.isHeld) {
      if (position.pin <= this.#floor) this.#floorMayRise = true;
      return;
    }
    this.#positions = undefined;
    this.#tally.fixed -= this.overhead;
    this.#floor = Infinity;
    this.#floorMayRise = false;
  }

  /** Lets go of what is counted elsewhere. The log must be idle, and is not used again. */
  close(): void {
    this.#ids?.clear();
  }

  #trimToFloor({ historySize, historyBytes }: Retention): boolean {
    while (this.count > historySize || this.#bytes > historyBytes) {
      if (this.oldest > this.#floor) return true;
      this.#dropOldest();
    }
    return false;
  }

  /** Asks the positions; once in as many appends as there are positions, unless it must be now. */
  #askFloor(now: boolean): void {
    if (!this.#floorMayRise) return;
    const positions = this.#positions ?? NOBODY;
    if (!now && this.#appendsSinceAsked < positions.size) return;
    let floor = Infinity;
    for (const { pin } of positions) if (pin < floor) floor = pin;
    this.#floor = floor;
    this.#floorMayRise = false;
    this.#appendsSinceAsked = 0;
  }

  #dropOldest(): void {
    this.#count(-1, -this.shelf.drop());
  }

  #count(messages: number, bytes: number): void {
    this.#bytes += bytes;
    this.#tally.messages += messages;
    this.#tally.messageBytes += bytes;
    this.#tally.held += bytes;
  }
}
