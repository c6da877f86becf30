import type { RandomBytes } from "../../clock.ts";
import type { KvData } from "./data.ts";
import type { KvDatabase } from "./engine.ts";
import { keyOf, TABLES } from "./keys.ts";
import { fetchPayload } from "./letters.ts";
import type { ChannelLoad } from "./load_channels.ts";
import type { KvLog } from "./log.ts";
import type { KvPage } from "./page.ts";
import {
  decodePage,
  decodePosition,
  type LateLine,
  type PayloadRef,
  type PositionLine,
} from "./positions.ts";
import type { KvTables } from "./tables.ts";
import type { KvTrash } from "./trash.ts";
import { chunkKeys, fetchRecord } from "./unit.ts";
import { Position } from "../memory/position.ts";
import type { MemorySession } from "../memory/sessions.ts";
import type { LateRecord, Retention } from "../store.ts";

/** A page as it was found. */
interface FoundPage {
  readonly id: number;
  readonly channel: string;
  readonly stamp: number;
  readonly chunks: number;
}

/** A position as it was found. */
interface Place {
  readonly session: MemorySession;
  readonly page: FoundPage;
  readonly bytes: Uint8Array | PayloadRef;
  line?: PositionLine;
}

/** Parts that loading of positions works with. */
export interface PositionParts {
  readonly db: KvDatabase;
  readonly data: KvData;
  readonly tables: KvTables;
  readonly channels: ChannelLoad;
  readonly sessions: ReadonlyMap<number, MemorySession>;
  readonly trash: KvTrash;
  readonly retention: Retention;
  readonly random: RandomBytes;
}

// A position that could not be read is one of an epoch that no channel has: whoever comes back to it
// is told of a gap.
const LOST: PositionLine = {
  cursor: { epoch: "lost", floor: 0, sent: 0, own: 0, settled: [] },
  late: [],
  unseen: [],
};

/** Reads positions. */
export class PositionLoad {
  readonly #parts: PositionParts;
  readonly #pages: FoundPage[] = [];
  readonly #places = new Map<string, Place>();
  /** Pages that have what nobody needs. */
  readonly #stale = new Set<FoundPage>();

  /** @param parts what is filled, and from where */
  constructor(parts: PositionParts) {
    this.#parts = parts;
  }

  /** Reads every page, before there are logs. */
  async read(): Promise<void> {
    const { tables, sessions } = this.#parts;
    await tables.readRecords(TABLES.position, 1, ({ numbers: [id], bytes, chunks }) => {
      const { channel, stamp, positions } = decodePage(bytes);
      const page = { id, channel, stamp, chunks };
      this.#pages.push(page);
      for (const [number, position] of positions) {
        const session = sessions.get(number);
        if (session === undefined) this.#drop(page, position);
        else this.#take({ session, page, bytes: position });
      }
    });
    for (const place of this.#places.values()) {
      place.line = await this.#lineOf(place.bytes);
      const { cursor: { epoch, floor, sent } } = place.line;
      const channel = this.#parts.channels.byName.get(place.page.channel);
      if (channel === undefined || channel.line.epoch !== epoch) continue;
      // Somebody has seen numbers of which the log knows nothing.
      if (Math.max(floor, sent) > channel.head) channel.isBroken = true;
    }
  }

  /** Puts positions where they belong, once there are logs. */
  async place(now: number): Promise<void> {
    const { data, retention, random } = this.#parts;
    const pages = new Map<FoundPage, { log: KvLog; page: KvPage }>();
    for (const found of this.#pages) {
      const terms = { retention, random };
      const known = data.channels.get(found.channel);
      const log = (known ?? data.log(found.channel, now, terms, {}, Infinity)) as KvLog;
      const page = log.pages.restore(found.id, found.chunks);
      pages.set(found, { log, page });
      if (this.#stale.has(found)) log.pages.pageChanged(page);
    }
    for (const { session, page: found, bytes, line } of this.#places.values()) {
      const { log, page } = pages.get(found)!;
      const payloads = new Map<string, PayloadRef>();
      const late = await this.#lateOf(line!, line!.late, payloads);
      const position = new Position(log, { ...line!.cursor, late });
      for (const { redriven } of await this.#lateOf(line!, line!.unseen, payloads)) {
        if (redriven !== undefined) position.putBack(redriven);
      }
      if (position.unseen.length > 0) data.sessions.addNews(session);
      session.positions.set(log.name, position);
      log.place(position);
      const apart = bytes instanceof Uint8Array ? undefined : bytes;
      const beside = apart !== undefined || payloads.size > 0 ? { apart, payloads } : undefined;
      log.pages.restoreSession(session, page, beside);
    }
  }

  #take(place: Place): void {
    const name = `${place.session.id}:${place.page.channel}`;
    const other = this.#places.get(name) ?? place;
    const [older, newer] = other.page.stamp < place.page.stamp ? [other, place] : [place, other];
    this.#places.set(name, newer);
    if (older !== newer) this.#drop(older.page, older.bytes);
  }

  #drop(page: FoundPage, bytes: Uint8Array | PayloadRef): void {
    this.#stale.add(page);
    if (!(bytes instanceof Uint8Array)) return this.#dropPayload(bytes);
    try {
      const { late, unseen } = decodePosition(bytes);
      for (const { payload } of [...late, ...unseen]) if (payload) this.#dropPayload(payload);
    } catch {
      // It names nothing that could be deleted.
    }
  }

  #dropPayload({ id, chunks }: PayloadRef): void {
    this.#parts.trash.add(...chunkKeys(keyOf(TABLES.payload, id), chunks));
  }

  async #lineOf(bytes: Uint8Array | PayloadRef): Promise<PositionLine> {
    const { db, tables } = this.#parts;
    const whole = bytes instanceof Uint8Array
      ? bytes
      : await fetchRecord(db, keyOf(TABLES.payload, bytes.id), bytes.chunks);
    try {
      if (whole !== undefined) return decodePosition(whole);
    } catch {
      // As if it were not there.
    }
    tables.miss();
    return LOST;
  }

  /** Late messages with their payloads; a payload that is gone leaves the number, which is owed. */
  async #lateOf(
    { cursor }: PositionLine,
    lines: readonly LateLine[],
    payloads: Map<string, PayloadRef>,
  ): Promise<LateRecord[]> {
    const records: LateRecord[] = [];
    for (const { record, payload: ref } of lines) {
      const { seq, attempts, redriven } = record;
      if (redriven === undefined || ref === undefined) {
        records.push(record);
        continue;
      }
      const payload = await fetchPayload(this.#parts.db, ref.id, ref.chunks);
      if (payload === undefined) {
        records.push({ seq, attempts });
      } else {
        records.push({ seq, attempts, redriven: { ...redriven, payload } });
        payloads.set(`${cursor.epoch}:${seq}`, ref);
      }
    }
    return records;
  }
}
