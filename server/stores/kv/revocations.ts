import type { Recorded } from "./committer.ts";
import { keyOf, TABLES } from "./keys.ts";
import { encodeRevocation } from "./records.ts";
import { deleteRecord, setRecord, type Unit } from "./unit.ts";
import { MemoryRevocations } from "../memory/revocations.ts";
import { keyOfRevocation, mergedRevocation, type Revocation } from "../revocations.ts";

/** What is told of revocations that change. */
export interface RevocationHost {
  /** Number that nothing was called by. */
  nextId(): number;
  /** The record of a revocation is to be written. */
  recordChanged(record: Recorded): void;
}

/** Every revocation of one KV store: what the memory store does with them, written down. */
export class KvRevocations extends MemoryRevocations {
  readonly #host: RevocationHost;
  readonly #records = new Map<string, RevocationRecord>();

  /** @param host what is told of records */
  constructor(host: RevocationHost) {
    super();
    this.#host = host;
  }

  /** Takes a revocation (see `Store.revoke`). */
  override revoke(revocation: Revocation, most: number, now: number): boolean {
    const kept = super.revoke(revocation, most, now);
    const record = this.#records.get(keyOfRevocation(revocation));
    // It may be one that could not be written before: whoever asks again waits for that.
    if (kept && record !== undefined && !record.isWritten) this.#host.recordChanged(record);
    return kept;
  }

  /**
   * Takes in what is in the file.
   *
   * @returns number and values of a record that nobody needs, if there is one
   */
  restore(
    id: number,
    entry: Revocation,
    chunks: number,
  ): { readonly id: number; readonly chunks: number } | undefined {
    const key = keyOfRevocation(entry);
    const known = this.get(key);
    const record = this.#records.get(key);
    if (known === undefined || record === undefined) {
      this.#records.set(key, new RevocationRecord(id, entry, chunks));
      this.take(entry);
      return undefined;
    }
    const merged = mergedRevocation(known, entry);
    if (merged !== known) {
      this.take(merged);
      this.changed(merged);
    }
    return { id, chunks };
  }

  /** A revocation is new, or reaches further. */
  protected override changed(entry: Revocation): void {
    const key = keyOfRevocation(entry);
    let record = this.#records.get(key);
    if (record === undefined) {
      record = new RevocationRecord(this.#host.nextId(), entry, 0);
      this.#records.set(key, record);
    }
    record.set(entry);
    this.#host.recordChanged(record);
  }

  /** A revocation is kept no longer. */
  protected override forgotten(entry: Revocation): void {
    const key = keyOfRevocation(entry);
    const record = this.#records.get(key);
    if (record === undefined) return;
    this.#records.delete(key);
    record.set(undefined);
    this.#host.recordChanged(record);
  }
}

/** A revocation as it is in the file. */
class RevocationRecord implements Recorded {
  readonly #id: number;
  #entry: Revocation | undefined;
  /** What the file has, and in how many values. */
  #written: Revocation | undefined;
  #chunks: number;

  constructor(id: number, entry: Revocation, chunks: number) {
    this.#id = id;
    this.#entry = entry;
    this.#chunks = chunks;
    if (chunks > 0) this.#written = entry;
  }

  /** Whether the file has it as it is. */
  get isWritten(): boolean {
    return this.#entry === this.#written;
  }

  set(entry: Revocation | undefined): void {
    this.#entry = entry;
  }

  write(unit: Unit): boolean {
    const entry = this.#entry;
    const place = keyOf(TABLES.revocation, this.#id);
    let chunks = 0;
    if (entry === undefined) deleteRecord(unit, place, Math.max(this.#chunks, 1));
    else chunks = setRecord(unit, place, encodeRevocation(entry), { chunks: this.#chunks });
    unit.onDone(() => {
      this.#written = entry;
      this.#chunks = chunks;
    });
    return false;
  }
}
