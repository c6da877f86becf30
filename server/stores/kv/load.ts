import { type RandomBytes, randomEpoch } from "../../clock.ts";
import type { KvCommitter } from "./committer.ts";
import type { KvData } from "./data.ts";
import type { KvDatabase } from "./engine.ts";
import { type KvJournal, readPage } from "./journal.ts";
import { keyOf, TABLES } from "./keys.ts";
import { KvLetter } from "./letters.ts";
import type { KvLog } from "./log.ts";
import { ChannelLoad } from "./load_channels.ts";
import { PositionLoad } from "./load_positions.ts";
import { decodeLetter, decodeRevocation, decodeSession, type SessionLine } from "./records.ts";
import type { KvTables } from "./tables.ts";
import { KvTrash } from "./trash.ts";
import { chunkKeys } from "./unit.ts";
import { IdTable } from "../memory/id_table.ts";
import { MemorySession } from "../memory/sessions.ts";
import type { Retention } from "../store.ts";

/** Parts that loading fills. */
export interface LoadParts {
  readonly db: KvDatabase;
  readonly data: KvData;
  readonly journal: KvJournal;
  readonly committer: KvCommitter;
  readonly tables: KvTables;
  readonly retention: Retention;
  readonly random: RandomBytes;
}

/**
 * Fills memory with what is in the file: everything but payloads. What makes no sense is set aside,
 * and what it leaves of a channel is kept as far as no loss is silent: a log without holes, or one of
 * a new epoch.
 */
export class KvLoad {
  /** Sessions that had a connection when the file was used last. */
  readonly orphans: MemorySession[] = [];
  readonly #parts: LoadParts;
  readonly #trash = new KvTrash();
  readonly #channels: ChannelLoad;
  readonly #logs = new Map<number, KvLog>();
  readonly #sessions = new Map<number, MemorySession>();
  /** The latest time that anything in the file speaks of. */
  #latest = 0;

  /** @param parts what is filled, and from where */
  constructor(parts: LoadParts) {
    this.#parts = parts;
    this.#channels = new ChannelLoad(parts.tables, this.#trash);
  }

  /** Reads everything. */
  async run(): Promise<void> {
    await this.#channels.run();
    this.#see(this.#channels.latest);
    await this.#readSessions();
    const positions = new PositionLoad({
      ...this.#parts,
      channels: this.#channels,
      sessions: this.#sessions,
      trash: this.#trash,
    });
    await positions.read();
    this.#makeLogs();
    await this.#readIds();
    await positions.place(this.#latest);
    await this.#readLetters();
    await this.#readRevocations();
    this.#settle();
    if (this.#parts.tables.hasAside) this.#parts.committer.changed(this.#parts.tables);
    this.#parts.committer.changed(this.#trash);
  }

  async #readSessions(): Promise<void> {
    const { tables, data } = this.#parts;
    const lines = new Map<string, { id: number; line: SessionLine; chunks: number }>();
    await tables.readRecords(TABLES.session, 1, ({ numbers: [id], bytes, chunks }) => {
      const found = { id, line: decodeSession(bytes), chunks };
      const { key, generation } = found.line;
      const other = lines.get(key) ?? found;
      // Of two with one key the older has ended before the newer began.
      const [older, newer] = other.line.generation < generation ? [other, found] : [found, other];
      lines.set(key, newer);
      if (older === newer) return;
      this.#trash.add(...chunkKeys(keyOf(TABLES.session, older.id), older.chunks));
    });
    for (const { id, line, chunks } of lines.values()) {
      const { key, secretHash, generation, instance, attempt, ttl, detached } = line;
      const session = new MemorySession(key, secretHash);
      Object.assign(session, { id, generation, instance, attempt, ttl });
      data.restoreSession(session, chunks, detached);
      this.#sessions.set(id, session);
      if (detached === undefined) this.orphans.push(session);
      else this.#see(detached.since);
    }
  }

  #makeLogs(): void {
    const { data, random } = this.#parts;
    for (const channel of this.#channels.byId.values()) {
      const { name, epoch, createdAt, metadata } = channel.line;
      if (channel.isBroken) {
        this.#channels.forget(channel);
        const log = data.makeLog(name, randomEpoch(random), metadata, createdAt);
        data.begin(log, Infinity, this.#latest);
        continue;
      }
      const log = data.makeLogAs(channel.id, name, epoch, metadata, createdAt);
      let bytes = 0;
      for (const segment of channel.segments) bytes += log.shelf.restore(segment);
      log.restore(channel.chunks, channel.head, bytes, channel.usedAt);
      data.channels.add(log);
      this.#logs.set(channel.id, log);
    }
  }

  async #readIds(): Promise<void> {
    const { tables, journal, data, retention, random } = this.#parts;
    const spelled = data.keys(random);
    await tables.read(TABLES.ids, 1, ({ numbers: [page], bytes }) => {
      let newestAt = -Infinity;
      for (const { channel, at, seqs, keys } of readPage(bytes)) {
        newestAt = Math.max(newestAt, at);
        const log = this.#logs.get(channel);
        if (log === undefined) continue;
        const ids = new IdTable(seqs.length);
        for (let i = 0; i < seqs.length; i++) {
          if (seqs[i] > log.head) continue;
          spelled.take(keys[i]);
          ids.add(spelled, seqs[i], at);
        }
        // An id that came again after its window is of the later message.
        log.expireIds(at - retention.idempotencyWindow);
        if (ids.size > 0) log.remember(ids, at);
        data.limitIds(log);
      }
      journal.restore(page, newestAt);
      this.#see(newestAt);
    });
  }

  async #readLetters(): Promise<void> {
    const { tables, data } = this.#parts;
    await tables.readRecords(TABLES.letter, 1, ({ numbers: [id], bytes, chunks }) => {
      const { letter, chunks: payloadChunks } = decodeLetter(bytes);
      const found = new KvLetter(id, letter, chunks, payloadChunks);
      data.letters.restore(found);
      // What was put back is a letter no more.
      const position = data.sessions.get(letter.session)?.positions.get(letter.channel);
      const isBack = position?.epoch === letter.epoch &&
        position.unseen.some(({ seq }) => seq === letter.message.seq);
      if (isBack) data.letters.remove(found);
      this.#see(letter.at);
    });
  }

  async #readRevocations(): Promise<void> {
    const { tables, data } = this.#parts;
    await tables.readRecords(TABLES.revocation, 1, ({ numbers: [id], bytes, chunks }) => {
      const spare = data.revocations.restore(id, decodeRevocation(bytes), chunks);
      if (spare === undefined) return;
      this.#trash.add(...chunkKeys(keyOf(TABLES.revocation, spare.id), spare.chunks));
    });
  }

  /** Lets go of what would have gone while the file was in use. */
  #settle(): void {
    const { data, retention } = this.#parts;
    for (const log of data.channels.all()) {
      data.channels.trim(log, retention);
      while (log.bytes > retention.maxChannelBytes) log.evict();
      const found = this.#channels.byName.get(log.name);
      data.channels.settle(log, found?.usedAt ?? this.#latest);
    }
    data.makeRoom(retention.maxStoreBytes, this.#latest);
    data.tally.evicted = 0;
  }

  #see(time: number): void {
    this.#latest = Math.max(this.#latest, time);
  }
}
