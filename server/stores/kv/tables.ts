import type { KvDatabase, KvEntry, KvKey } from "./engine.ts";
import { keyOf, numbersOf, type Table, TABLES } from "./keys.ts";
import { joinRecord, type Unit } from "./unit.ts";

/** A record that was found. */
export interface Found {
  /** Numbers of its key. */
  readonly numbers: readonly number[];
  /** Its bytes. */
  readonly bytes: Uint8Array;
  /** Values that it is in. */
  readonly chunks: number;
}

const BATCH = 500;
const encoder = new TextEncoder();

/**
 * Reads the tables of a file. What is not as it should be is set aside: moved to where nobody looks
 * for it, so that it harms nothing and is not lost.
 */
export class KvTables {
  readonly #db: KvDatabase;
  readonly #nextId: () => number;
  /** Entries that are to be set aside. */
  readonly #aside: KvEntry[] = [];
  #missed = 0;

  /** @param nextId gives numbers that nothing was called by */
  constructor(db: KvDatabase, nextId: () => number) {
    this.#db = db;
    this.#nextId = nextId;
  }

  /** How much could not be read. */
  get missed(): number {
    return this.#missed + this.#aside.length;
  }

  /** Whether something is to be set aside. */
  get hasAside(): boolean {
    return this.#aside.length > 0;
  }

  /** Something in an entry could not be read. */
  miss(): void {
    this.#missed++;
  }

  /** Finds the highest number that anything is called by. */
  async highestId(): Promise<number> {
    let highest = 0;
    for (const table of Object.values(TABLES)) {
      for await (const { key } of this.#list(table)) {
        const id = key[2];
        if (Number.isSafeInteger(id)) highest = Math.max(highest, id as number);
      }
    }
    return highest;
  }

  /**
   * Reads a table, in the order of its keys.
   *
   * @param length numbers of a key
   * @param read takes one record; where it throws, the record is set aside
   * @param unreadable hears of a record that was set aside
   */
  async read(
    table: Table,
    length: number,
    read: (found: Found) => void,
    unreadable: (numbers: readonly number[]) => void = () => {},
  ): Promise<void> {
    for await (const entry of this.#list(table)) {
      const numbers = numbersOf(entry.key);
      this.#take(
        [entry],
        numbers?.length === length ? numbers : undefined,
        (values) => ({ numbers: numbers!, bytes: values[0], chunks: 1 }),
        read,
        unreadable,
      );
    }
  }

  /** Reads a table of records that may be in several values; see {@linkcode KvTables.read}. */
  async readRecords(table: Table, length: number, read: (found: Found) => void): Promise<void> {
    let entries: KvEntry[] = [];
    const flush = () => {
      if (entries.length === 0) return;
      const numbers = numbersOf(entries[0].key);
      this.#take(
        entries,
        numbers?.length === length ? numbers : undefined,
        (values) => ({ numbers: numbers!, bytes: joinRecord(values), chunks: values.length }),
        read,
        () => {},
      );
      entries = [];
    };
    for await (const entry of this.#list(table)) {
      // Further values stand right behind the first.
      if (entry.key.length !== length + 3) flush();
      entries.push(entry);
    }
    flush();
  }

  /** Moves what was set aside to where nobody looks for it; returns whether there is more. */
  write(unit: Unit): boolean {
    const entries = this.#aside.splice(0, 5);
    for (const { key, value } of entries) {
      const id = this.#nextId();
      unit.set(keyOf(TABLES.aside, id), value);
      unit.set([...keyOf(TABLES.aside, id), "key"], encoder.encode(Deno.inspect(key)));
      unit.delete(key as KvKey);
    }
    unit.onFailed(() => this.#aside.push(...entries));
    return this.#aside.length > 0;
  }

  #take(
    entries: readonly KvEntry[],
    numbers: readonly number[] | undefined,
    found: (values: Uint8Array[]) => Found,
    read: (found: Found) => void,
    unreadable: (numbers: readonly number[]) => void,
  ): void {
    try {
      if (numbers === undefined) throw new RangeError("No such key.");
      read(found(entries.map(({ value }) => bytesOf(value))));
    } catch {
      this.#aside.push(...entries);
      if (numbers !== undefined) unreadable(numbers);
    }
  }

  #list(table: Table): AsyncIterable<KvEntry> {
    return this.#db.list({ prefix: keyOf(table) }, { batchSize: BATCH });
  }
}

function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError("No bytes.");
  return value;
}
