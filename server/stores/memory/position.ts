import type { MemoryLog } from "./log.ts";
import type { Cursor, LateRecord, StoredMessage } from "../store.ts";

/** Most positions have nothing late and nothing settled out of order: they share this. */
const NONE = Object.freeze([]) as unknown as never[];

/** Where one session stands in one channel. */
export class Position {
  /** Log of the channel. */
  readonly log: MemoryLog;
  /** Everything at or below is kept by nobody for this session's sake. Only the log changes it. */
  pin = 0;
  #cursor: Cursor;
  /** Put back from the dead letters, and not loaded by the session's holder since. */
  #unseen: readonly LateRecord[] = NONE;

  /** @param cursor where it stands; `log` the channel's log */
  constructor(log: MemoryLog, cursor: Cursor) {
    this.log = log;
    this.#cursor = copyOf(cursor);
  }

  /** Epoch that its numbers belong to. */
  get epoch(): string {
    return this.#cursor.epoch;
  }

  /** Where it stands, as the session's holder said last. */
  get cursor(): Cursor {
    return this.#cursor;
  }

  /** What was put back, and not loaded since. */
  get unseen(): readonly LateRecord[] {
    return this.#unseen;
  }

  /** Highest number that the session needs nothing at or below of, in a log of this epoch. */
  needsAfter(epoch: string): number {
    // In another epoch nothing is settled yet.
    if (this.#cursor.epoch !== epoch) return 0;
    let lowest = this.#cursor.floor;
    for (const { seq, redriven } of this.#cursor.late) {
      if (redriven === undefined && seq <= lowest) lowest = seq - 1;
    }
    return lowest;
  }

  /** Moves; returns false, and stays, if that were backwards within the epoch. */
  moveTo(cursor: Cursor): boolean {
    if (cursor.epoch === this.#cursor.epoch) {
      if (cursor.floor < this.#cursor.floor) return false;
      if (this.#unseen.length > 0) {
        const told = new Set(cursor.late.map(({ seq }) => seq));
        this.#unseen = this.#unseen.filter(({ seq }) => !told.has(seq));
      }
    } else {
      this.#unseen = NONE;
    }
    this.#cursor = copyOf(cursor);
    return true;
  }

  /** Makes a dead letter of this epoch a late message. */
  putBack(message: StoredMessage): void {
    this.#unseen = [...this.#unseen, { seq: message.seq, attempts: 0, redriven: message }];
  }

  /** The cursor, for the session's holder: from now on it knows what was put back. */
  load(): Cursor {
    if (this.#unseen.length > 0) {
      const again = new Set(this.#unseen.map(({ seq }) => seq));
      const late = [...this.#cursor.late.filter(({ seq }) => !again.has(seq)), ...this.#unseen]
        .sort((a, b) => a.seq - b.seq);
      this.#cursor = { ...this.#cursor, late };
      this.#unseen = NONE;
    }
    return copyOf(this.#cursor);
  }
}

function copyOf(cursor: Cursor): Cursor {
  const { epoch, floor, sent, own } = cursor;
  return { epoch, floor, sent, own, settled: copied(cursor.settled), late: copied(cursor.late) };
}

function copied<T>(list: readonly T[]): T[] {
  return list.length === 0 ? NONE : [...list];
}
