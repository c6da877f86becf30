import type { Recorded } from "./committer.ts";
import type { KvKey } from "./engine.ts";
import { keyOf, TABLES } from "./keys.ts";
import type { KvLetter } from "./letters.ts";
import type { KvLog } from "./log.ts";
import { encodePage, encodePosition, type LateLine, type PayloadRef } from "./positions.ts";
import { encodePayload } from "./records.ts";
import { chunkKeys, deleteRecord, setRecord, type Unit } from "./unit.ts";
import type { MemorySession } from "../memory/sessions.ts";
import type { LateRecord } from "../store.ts";

/** What a page is part of. */
export interface PageHost {
  /** Number that nothing was called by. */
  nextId(): number;
  /** The page is to be written. */
  pageChanged(page: KvPage): void;
  /** A session has no position in the page any more. */
  pageLeft(page: KvPage, session: MemorySession): void;
  /** What is at these keys can be deleted. */
  obsolete(keys: readonly KvKey[]): void;
}

/** What is in the file of a position beside its page. */
export interface Beside {
  /** The position itself, where it takes many bytes. */
  readonly apart?: PayloadRef;
  /** Payloads of redriven messages, by epoch and number. */
  readonly payloads: ReadonlyMap<string, PayloadRef>;
}

// A page takes about as many bytes as a database's page, which is written whole anyway.
const MOST_SESSIONS = 64;
// Longer positions are written apart, and only when they change.
const SHORT = 512;
// Letters written at once. Of each session the hub gives up one at a time, so they all fit.
const MOST_LETTERS = 200;
// Values deleted with the page; more of them go later.
const MOST_DELETES = 300;
// Mutations from which on letters wait for the next commit: a long payload is many values.
const MANY = 400;

/**
 * Positions of some sessions in one channel, and their letters that come and go: they are written
 * together. Sessions that follow one channel mostly move at the same time, so that a commit with
 * thousands of positions writes a few dozen values.
 */
export class KvPage implements Recorded {
  /** Number that it is called by in the file. */
  readonly id: number;
  readonly #log: KvLog;
  readonly #host: PageHost;
  readonly #sessions = new Set<MemorySession>();
  readonly #changed = new Set<MemorySession>();
  #beside = new Map<MemorySession, Beside>();
  readonly #added = new Map<KvLetter, string>();
  readonly #removed = new Set<KvLetter>();
  #chunks: number;

  /** @param chunks values that it has in the file */
  constructor(id: number, log: KvLog, host: PageHost, chunks: number = 0) {
    this.id = id;
    this.#log = log;
    this.#host = host;
    this.#chunks = chunks;
  }

  /** Whether another session can come in. */
  get hasRoom(): boolean {
    return this.#sessions.size < MOST_SESSIONS;
  }

  /** Takes a session in. */
  add(session: MemorySession, beside?: Beside): void {
    this.#sessions.add(session);
    if (beside !== undefined) this.#beside.set(session, beside);
  }

  /** The position of a session has moved, begun or ended. */
  changed(session: MemorySession): void {
    this.#changed.add(session);
    this.#host.pageChanged(this);
  }

  /** A letter is given up, with this payload. */
  addLetter(letter: KvLetter, payload: string): void {
    this.#added.set(letter, payload);
    this.#host.pageChanged(this);
  }

  /** A letter is gone. */
  removeLetter(letter: KvLetter): void {
    this.#removed.add(letter);
    this.#host.pageChanged(this);
  }

  /** Payload of a letter that the file may not have yet. */
  payloadOf(letter: KvLetter): string | undefined {
    return this.#added.get(letter);
  }

  /** Writes positions and letters. What comes is there before what goes is gone. */
  write(unit: Unit): boolean {
    // What came and went before anybody wrote it.
    for (const letter of this.#removed) {
      if (this.#added.delete(letter)) this.#removed.delete(letter);
    }
    for (const [letter, payload] of [...this.#added].slice(0, MOST_LETTERS)) {
      letter.set(unit, payload);
      unit.onDone(() => this.#added.delete(letter));
    }
    if (this.#added.size > MOST_LETTERS) return true;
    this.#writePositions(unit);
    let left = this.#removed.size;
    for (const letter of this.#removed) {
      if (unit.mainLoad.mutations >= MANY) break;
      letter.delete(unit);
      unit.onDone(() => this.#removed.delete(letter));
      left--;
    }
    return left > 0;
  }

  #writePositions(unit: Unit): void {
    const key = keyOf(TABLES.position, this.id);
    const beside = new Map<MemorySession, Beside>();
    const positions: (readonly [number, Uint8Array | PayloadRef])[] = [];
    for (const session of this.#sessions) {
      if (session.positions.get(this.#log.name)?.log === this.#log) {
        positions.push([session.id, this.#positionOf(unit, session, beside)]);
      } else {
        this.#sessions.delete(session);
        this.#host.pageLeft(this, session);
      }
    }
    let chunks = 0;
    if (positions.length > 0) {
      const line = { channel: this.#log.name, stamp: this.#host.nextId(), positions };
      chunks = setRecord(unit, key, encodePage(line), { chunks: this.#chunks });
    } else {
      deleteRecord(unit, key, Math.max(this.#chunks, 1));
    }
    const obsolete = this.#obsolete(beside);
    for (const apart of obsolete.splice(0, MOST_DELETES)) unit.delete(apart);
    const changed = [...this.#changed];
    this.#changed.clear();
    unit.onDone(() => {
      this.#chunks = chunks;
      this.#beside = beside;
      if (obsolete.length > 0) this.#host.obsolete(obsolete);
    });
    unit.onFailed(() => {
      for (const session of changed) this.#changed.add(session);
    });
  }

  #positionOf(
    unit: Unit,
    session: MemorySession,
    beside: Map<MemorySession, Beside>,
  ): Uint8Array | PayloadRef {
    const known = this.#beside.get(session);
    if (known?.apart !== undefined && !this.#changed.has(session)) {
      beside.set(session, known);
      return known.apart;
    }
    const { cursor, unseen } = session.positions.get(this.#log.name)!;
    const payloads = new Map<string, PayloadRef>();
    const lines = (records: readonly LateRecord[]) =>
      records.map((record) => this.#lineOf(unit, cursor.epoch, record, payloads, known?.payloads));
    const bytes = encodePosition({ cursor, late: lines(cursor.late), unseen: lines(unseen) });
    const apart = bytes.length > SHORT ? this.#setApart(unit, bytes) : undefined;
    if (apart !== undefined || payloads.size > 0) beside.set(session, { apart, payloads });
    return apart ?? bytes;
  }

  /** A late message; the payload of a redriven one is written once, apart. */
  #lineOf(
    unit: Unit,
    epoch: string,
    record: LateRecord,
    payloads: Map<string, PayloadRef>,
    known: ReadonlyMap<string, PayloadRef> | undefined,
  ): LateLine {
    if (record.redriven === undefined) return { record };
    const name = `${epoch}:${record.seq}`;
    const payload = payloads.get(name) ?? known?.get(name) ??
      this.#setApart(unit, encodePayload(record.redriven.payload));
    payloads.set(name, payload);
    return { record, payload };
  }

  #setApart(unit: Unit, bytes: Uint8Array): PayloadRef {
    const id = this.#host.nextId();
    return { id, chunks: setRecord(unit, keyOf(TABLES.payload, id), bytes, { early: true }) };
  }

  /** What was written apart and is needed no more. */
  #obsolete(beside: ReadonlyMap<MemorySession, Beside>): KvKey[] {
    const keys: KvKey[] = [];
    const drop = ({ id, chunks }: PayloadRef) =>
      keys.push(...chunkKeys(keyOf(TABLES.payload, id), chunks));
    for (const [session, { apart, payloads }] of this.#beside) {
      const now = beside.get(session);
      if (apart !== undefined && apart !== now?.apart) drop(apart);
      for (const [name, payload] of payloads) {
        if (!now?.payloads.has(name)) drop(payload);
      }
    }
    return keys;
  }
}
