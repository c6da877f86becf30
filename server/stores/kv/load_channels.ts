import { keyOf, TABLES } from "./keys.ts";
import { type ChannelLine, decodeChannel, decodeHead } from "./records.ts";
import { decodeSegment, type Segment } from "./segment.ts";
import type { KvTables } from "./tables.ts";
import type { KvTrash } from "./trash.ts";
import { chunkKeys } from "./unit.ts";

/** A channel as it was found. */
export interface FoundChannel {
  readonly id: number;
  readonly line: ChannelLine;
  /** Values that its record has. */
  readonly chunks: number;
  head: number;
  usedAt: number;
  /** Segments in a row, up to the newest. */
  segments: Segment[];
  /** Whether it cannot be told which numbers were given. */
  isBroken: boolean;
}

/** Reads channels and what is known of their segments. */
export class ChannelLoad {
  /** Channels by their numbers. */
  readonly byId: Map<number, FoundChannel> = new Map();
  /** Channels by their names. */
  readonly byName: Map<string, FoundChannel> = new Map();
  /** The latest time that any of them speaks of. */
  latest = 0;
  readonly #tables: KvTables;
  readonly #trash: KvTrash;

  /** @param trash takes what nobody needs */
  constructor(tables: KvTables, trash: KvTrash) {
    this.#tables = tables;
    this.#trash = trash;
  }

  /** Reads everything. */
  async run(): Promise<void> {
    await this.#readChannels();
    await this.#readHeads();
    await this.#readSegments();
    for (const channel of this.byId.values()) {
      const last = channel.segments.at(-1)?.last;
      if (last !== undefined && last < channel.head) this.drop(channel);
      channel.head = Math.max(channel.head, last ?? 0);
    }
  }

  /** Lets every segment of a channel go. */
  drop(channel: FoundChannel): void {
    for (const segment of channel.segments) this.#dropSegment(channel.id, segment);
    channel.segments = [];
  }

  /** Lets everything of a channel go. */
  forget(channel: FoundChannel): void {
    const { id, chunks } = channel;
    this.drop(channel);
    this.#trash.add(...chunkKeys(keyOf(TABLES.channel, id), chunks), keyOf(TABLES.head, id));
  }

  async #readChannels(): Promise<void> {
    await this.#tables.readRecords(TABLES.channel, 1, ({ numbers: [id], bytes, chunks }) => {
      const line = decodeChannel(bytes);
      const usedAt = line.createdAt;
      const channel = { id, line, chunks, head: 0, usedAt, segments: [], isBroken: false };
      // Of two with one name the older was forgotten before the newer began.
      const older = this.byName.get(line.name);
      if (older !== undefined) {
        this.byId.delete(older.id);
        this.forget(older);
      }
      this.byName.set(line.name, channel);
      this.byId.set(id, channel);
      this.#see(usedAt);
    });
  }

  async #readHeads(): Promise<void> {
    await this.#tables.read(TABLES.head, 1, ({ numbers: [id], bytes }) => {
      const { head, usedAt } = decodeHead(bytes);
      const channel = this.byId.get(id);
      if (channel === undefined) return this.#trash.add(keyOf(TABLES.head, id));
      channel.head = head;
      channel.usedAt = Math.max(usedAt, channel.usedAt);
      this.#see(usedAt);
    });
  }

  async #readSegments(): Promise<void> {
    await this.#tables.read(TABLES.segment, 2, ({ numbers: [id, first], bytes }) => {
      const segment = decodeSegment(first, bytes);
      const channel = this.byId.get(id);
      if (channel === undefined) return this.#dropSegment(id, segment);
      const last = channel.segments.at(-1)?.last;
      if (last !== undefined && first <= last) throw new RangeError("It has what another has.");
      // A log has no holes.
      if (last !== undefined && first > last + 1) this.drop(channel);
      channel.segments.push(segment);
      channel.isBroken = false;
      this.#see(segment.times.at(-1)!);
    }, ([id, first]) => this.#missSegment(id, first));
  }

  #missSegment(id: number, first: number): void {
    const channel = this.byId.get(id);
    const last = channel?.segments.at(-1)?.last ?? 0;
    // What is inside of another segment is none.
    if (channel !== undefined && first <= last) return;
    this.#trash.add(keyOf(TABLES.messages, id, first));
    if (channel === undefined) return;
    this.drop(channel);
    // Unless another comes after it, nobody knows how far the numbers went.
    channel.isBroken = first > channel.head;
  }

  #dropSegment(id: number, { first, chunks }: Segment): void {
    this.#trash.add(keyOf(TABLES.segment, id, first));
    this.#trash.add(...chunkKeys(keyOf(TABLES.messages, id, first), chunks));
  }

  #see(time: number): void {
    this.latest = Math.max(this.latest, time);
  }
}
