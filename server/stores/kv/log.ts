import type { Json } from "@push/client/protocol";
import type { KvCommitter, Recorded } from "./committer.ts";
import { keyOf, TABLES } from "./keys.ts";
import { KvPages } from "./pages.ts";
import { encodeChannel, encodeHead } from "./records.ts";
import { encodeSegment, type Packed, type Segment } from "./segment.ts";
import { KvShelf } from "./shelf.ts";
import { chunkKeys, chunksOf, deleteRecord, setRecord, type Unit } from "./unit.ts";
import { MemoryLog } from "../memory/log.ts";
import type { Tally } from "../memory/tally.ts";

// Values deleted at once.
const MOST_DELETES = 200;
// How much earlier than it was used last a channel may seem to have been used, in milliseconds.
const USE_STEP = 600_000;

/** Log of one channel, whose messages are in the file. */
export class KvLog extends MemoryLog implements Recorded {
  /** Number that the channel is called by in the file. */
  readonly id: number;
  declare readonly shelf: KvShelf;
  /** Where the positions in it are written. */
  readonly pages: KvPages;
  /** Whether the file knows of the channel. */
  isDurable = false;
  /** Whether somebody was told, or is being told, that the channel is new. */
  isAnnounced = false;
  /** Whether an append is under way. */
  isBusy = false;
  /** Whether it was forgotten. */
  isClosed = false;
  readonly #committer: KvCommitter;
  #chunks = 0;
  #usedAt: number;
  /** The same, as the file has it. */
  #knownUsedAt: number;
  #isUnwritten = true;
  #isHeadUnwritten = false;

  /**
   * Begins one.
   *
   * @param nextId gives numbers that nothing was called by
   * @param id the number of the channel
   */
  constructor(
    nextId: () => number,
    id: number,
    name: string,
    epoch: string,
    metadata: { readonly [key: string]: Json },
    now: number,
    tally: Tally,
    committer: KvCommitter,
  ) {
    const shelf = new KvShelf(() => this.#segmentSpent());
    super(name, epoch, metadata, now, tally, shelf);
    this.id = id;
    this.pages = new KvPages(this, committer, nextId);
    this.#committer = committer;
    this.#usedAt = now;
    this.#knownUsedAt = now;
  }

  /** Whether nothing but its epoch and head would be lost with it. */
  override get isIdle(): boolean {
    return super.isIdle && !this.isBusy;
  }

  /** Takes over what the file says of it. */
  restore(chunks: number, head: number, bytes: number, usedAt: number): void {
    this.#chunks = chunks;
    this.#usedAt = usedAt;
    this.#knownUsedAt = usedAt;
    this.#isUnwritten = false;
    this.isDurable = true;
    this.isAnnounced = true;
    this.resume(head, bytes);
  }

  /** It was used: where it is idle, that decides when it is forgotten. */
  used(now: number): void {
    this.#usedAt = now;
    if (!this.isIdle || Math.abs(now - this.#knownUsedAt) < USE_STEP) return;
    this.#isHeadUnwritten = true;
    this.#committer.changed(this);
  }

  /** It is forgotten. */
  override close(): void {
    super.close();
    this.isClosed = true;
    this.#committer.changed(this);
  }

  /** Writes what the file does not know yet. */
  write(unit: Unit): boolean {
    this.#deleteSpent(unit);
    if (this.isClosed) {
      if (this.shelf.hasSpent) return true;
      deleteRecord(unit, keyOf(TABLES.channel, this.id), Math.max(this.#chunks, 1));
      unit.delete(keyOf(TABLES.head, this.id));
      return false;
    }
    if (this.#isUnwritten) this.#writeChannel(unit);
    if (this.#isHeadUnwritten) this.#writeHead(unit);
    return this.shelf.hasSpent;
  }

  /** Writes segments, and the channel itself if the file does not know it. */
  writeSegments(unit: Unit, packed: readonly Packed[]): void {
    if (this.#isUnwritten) this.#writeChannel(unit);
    for (const { segment, bytes } of packed) {
      const values = chunksOf(bytes);
      const isNew = segment.first > this.head;
      for (const key of chunkKeys(keyOf(TABLES.messages, this.id, segment.first), segment.chunks)) {
        const value = values.next().value as Uint8Array;
        if (isNew) unit.setEarly(key, value);
        else unit.set(key, value);
      }
      unit.set(keyOf(TABLES.segment, this.id, segment.first), encodeSegment(segment));
    }
  }

  #segmentSpent(): void {
    // The file forgets the numbers with the last segment.
    if (this.count === 0) this.#isHeadUnwritten = true;
    this.#committer.changed(this);
  }

  #writeChannel(unit: Unit): void {
    this.#isUnwritten = false;
    const chunks = setRecord(
      unit,
      keyOf(TABLES.channel, this.id),
      encodeChannel(this.record()),
      { early: true },
    );
    unit.onDone(() => {
      this.#chunks = chunks;
      this.isDurable = true;
    });
    unit.onFailed(() => this.#isUnwritten = true);
  }

  #writeHead(unit: Unit): void {
    this.#isHeadUnwritten = false;
    const usedAt = this.#usedAt;
    unit.set(keyOf(TABLES.head, this.id), encodeHead(this.head, usedAt));
    unit.onDone(() => this.#knownUsedAt = usedAt);
    unit.onFailed(() => this.#isHeadUnwritten = true);
  }

  #deleteSpent(unit: Unit): void {
    const spent: Segment[] = this.shelf.takeSpent(MOST_DELETES);
    for (const { first, chunks } of spent) {
      unit.delete(keyOf(TABLES.segment, this.id, first));
      for (const key of chunkKeys(keyOf(TABLES.messages, this.id, first), chunks)) {
        unit.delete(key);
      }
    }
    unit.onFailed(() => this.shelf.keepSpent(spent));
  }
}
