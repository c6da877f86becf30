import type { Json } from "@push/client/protocol";
import type { KvCommitter, Recorded } from "./committer.ts";
import { type KvLetter, KvLetters } from "./letters.ts";
import { KvLog } from "./log.ts";
import type { KvPage } from "./page.ts";
import { KvRevocations } from "./revocations.ts";
import { KvSessionRecord, KvSessions } from "./sessions.ts";
import { MemoryChannels } from "../memory/channels.ts";
import { MemoryData } from "../memory/data.ts";
import type { MemoryLog } from "../memory/log.ts";
import type { MemorySession } from "../memory/sessions.ts";

/** Every log of one KV store. */
class KvChannels extends MemoryChannels {
  /** Finds a log's places, after it was used or has changed. */
  override settle(log: MemoryLog, now: number): void {
    super.settle(log, now);
    (log as KvLog).used(now);
  }
}

/**
 * What a KV store has in memory: all that the memory store has but payloads. It decides everything,
 * as it does there; what changes is written down by the committer.
 */
export class KvData extends MemoryData {
  /** Logs. */
  override readonly channels: MemoryChannels = new KvChannels(this.tally);
  /** Sessions and positions. */
  override readonly sessions: KvSessions = new KvSessions(this.channels, this.tally, this);
  /** Dead letters. */
  override readonly letters: KvLetters = new KvLetters(this.tally, this);
  /** Revocations. */
  override readonly revocations: KvRevocations = new KvRevocations(this);
  readonly #committer: KvCommitter;
  readonly #nextId: () => number;
  /** Values of those session records that have more than one. */
  readonly #longSessions = new Map<number, number>();
  readonly #sessionRecords = new Map<number, KvSessionRecord>();

  /**
   * Makes one without anything.
   *
   * @param committer what is told of changes
   * @param nextId gives numbers that nothing was called by
   */
  constructor(committer: KvCommitter, nextId: () => number) {
    super();
    this.#committer = committer;
    this.#nextId = nextId;
  }

  /** A number that nothing was called by. */
  nextId(): number {
    return this.#nextId();
  }

  /** Makes a log, which is not taken in yet. */
  override makeLog(
    name: string,
    epoch: string,
    metadata: { readonly [key: string]: Json },
    now: number,
  ): KvLog {
    return this.makeLogAs(this.nextId(), name, epoch, metadata, now);
  }

  /** Makes a log with a number of its own. */
  makeLogAs(
    id: number,
    name: string,
    epoch: string,
    metadata: { readonly [key: string]: Json },
    now: number,
  ): KvLog {
    const nextId = this.#nextId;
    return new KvLog(nextId, id, name, epoch, metadata, now, this.tally, this.#committer);
  }

  /** Takes a new log in, and makes room for it. */
  override begin(log: MemoryLog, maxStoreBytes: number, now: number): void {
    super.begin(log, maxStoreBytes, now);
    this.#committer.changed(log as KvLog);
  }

  /** A position of a session in a log has moved, begun or ended. */
  override moved(session: MemorySession, log: MemoryLog): void {
    const { pages } = log as KvLog;
    // One that ended before it was written need not be.
    const page = session.positions.has(log.name) ? pages.of(session) : pages.get(session);
    page?.changed(session);
  }

  /** A session has begun, changed or ended. */
  sessionChanged(session: MemorySession): void {
    const { id } = session;
    let record = this.#sessionRecords.get(id);
    if (record === undefined) {
      record = new KvSessionRecord(
        session,
        this.#longSessions.get(id) ?? 1,
        () => this.sessions.get(session.key) === session,
        (chunks) => this.#sessionWritten(id, chunks),
      );
      this.#sessionRecords.set(id, record);
    }
    this.#committer.changed(record);
  }

  /** A letter has come, with this payload. */
  letterAdded(letter: KvLetter, payload: string): void {
    const page = this.#pageOf(letter)!;
    letter.home = page;
    page.addLetter(letter, payload);
  }

  /** The record of a revocation is to be written. */
  recordChanged(record: Recorded): void {
    this.#committer.changed(record);
  }

  /** A letter has gone. */
  letterRemoved(letter: KvLetter): void {
    // With the position that it may go back to, or by itself.
    const page = letter.home ?? this.#pageOf(letter);
    if (page !== undefined) page.removeLetter(letter);
    else this.#committer.changed({ write: (unit) => (letter.delete(unit), false) });
  }

  /** Takes over what the file says of a session. */
  restoreSession(
    session: MemorySession,
    chunks: number,
    detached?: { since: number; endsAt: number },
  ): void {
    this.sessions.restore(session, detached);
    if (chunks > 1) this.#longSessions.set(session.id, chunks);
  }

  #pageOf(letter: KvLetter): KvPage | undefined {
    const session = this.sessions.get(letter.session);
    const log = session?.positions.get(letter.channel)?.log as KvLog | undefined;
    return session && log?.pages.of(session);
  }

  #sessionWritten(id: number, chunks: number): void {
    this.#sessionRecords.delete(id);
    if (chunks > 1) this.#longSessions.set(id, chunks);
    else this.#longSessions.delete(id);
  }
}
