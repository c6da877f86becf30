import { ByteReader, ByteWriter } from "./bytes.ts";
import { keyOf, TABLES } from "./keys.ts";
import { FEW_BYTES } from "./segment.ts";
import type { Mutation, Unit } from "./unit.ts";
import { Fifo } from "../memory/fifo.ts";
import type { IdTable } from "../memory/id_table.ts";

/** Publish ids that one append has brought. */
export class PublishIdsOf {
  /** Id of the channel. */
  readonly channel: number;
  /** When they came. */
  readonly at: number;
  /** The ids. */
  readonly ids: IdTable;
  /** Most bytes that they can take in the file. */
  readonly bytes: number;

  constructor(channel: number, at: number, ids: IdTable) {
    this.channel = channel;
    this.at = at;
    this.ids = ids;
    this.bytes = ROW_OVERHEAD + ids.size * ID_OVERHEAD + ids.bytes;
  }
}

/** Publish ids that one append has brought, as they were found. */
export interface FoundIds {
  /** Id of the channel. */
  readonly channel: number;
  /** When they came. */
  readonly at: number;
  /** Numbers of their messages… */
  readonly seqs: readonly number[];
  /** …and their keys. */
  readonly keys: readonly Uint8Array[];
}

/** A page: one value full of publish ids. */
interface FullPage {
  readonly id: number;
  /** When the newest of its ids came. */
  readonly newestAt: number;
}

/** A page with its ids. */
interface Page extends FullPage {
  readonly bytes: Uint8Array;
}

const PAGE_BYTES = 60_000;
// Beside its ids: the channel, the time, their count.
const ROW_OVERHEAD = 32;
// Beside the key: its length and its message's number.
const ID_OVERHEAD = 12;
const MOST_DELETES = 300;

/**
 * Publish ids as they are in the file: apart from the messages, which may be gone before their ids
 * are forgotten. They stand in pages in the order in which they came, those of all channels together,
 * so that a commit writes one value for them and forgetting deletes a few.
 */
export class KvJournal {
  readonly #nextId: () => number;
  readonly #writer = new ByteWriter(PAGE_BYTES);
  /** The page that is filled up at present. */
  #open: Page | undefined;
  #staged: { readonly full: readonly Page[]; readonly open: Page | undefined } | undefined;
  readonly #full = new Fifo<FullPage | undefined>(undefined);
  #spent: number[] = [];

  /** @param nextId gives a number that no page had */
  constructor(nextId: () => number) {
    this.#nextId = nextId;
  }

  /** Whether there is something to delete from the file. */
  get hasSpent(): boolean {
    return this.#spent.length > 0;
  }

  /** Takes in a page that is in the file. */
  restore(id: number, newestAt: number): void {
    this.#full.push({ id, newestAt });
  }

  /**
   * Writes that remember ids.
   *
   * @param apart whether to write new pages only, and leave alone the one that is filled up
   */
  stage(appends: readonly PublishIdsOf[], apart: boolean = false): Mutation[] {
    if (appends.length === 0) return [];
    const begun = apart ? undefined : this.#open;
    const closed = apart && this.#open !== undefined ? [this.#open] : [];
    const pages: Page[] = [];
    const writer = this.#writer;
    writer.truncate(0);
    let id = begun?.id ?? this.#nextId();
    let newestAt = begun?.newestAt ?? -Infinity;
    if (begun !== undefined) writer.bytes(begun.bytes);
    const turn = () => {
      pages.push({ id, bytes: writer.copy(), newestAt });
      writer.truncate(0);
      id = this.#nextId();
      newestAt = -Infinity;
    };
    for (const { channel, at, ids } of appends) {
      let from = 0;
      while (from < ids.size) {
        const room = PAGE_BYTES - ROW_OVERHEAD - writer.length;
        let to = fitting(ids, from, room);
        // A page has one id at least, however long that is.
        if (to === from && writer.length > 0) {
          turn();
          continue;
        }
        to = Math.max(to, from + 1);
        newestAt = Math.max(newestAt, at);
        writer.number(channel);
        writer.signed(at);
        writeIds(writer, ids, from, to);
        from = to;
      }
    }
    turn();
    const last = pages[pages.length - 1];
    const open = !apart && last.bytes.length < FEW_BYTES ? last : undefined;
    this.#staged = { full: [...closed, ...pages.filter((page) => page !== open)], open };
    return pages.map((page) => ({ key: keyOf(TABLES.ids, page.id), value: page.bytes }));
  }

  /** What was staged is in the file, or is not. */
  settle(done: boolean): void {
    if (done && this.#staged !== undefined) {
      for (const { id, newestAt } of this.#staged.full) this.restore(id, newestAt);
      this.#open = this.#staged.open;
    }
    this.#staged = undefined;
  }

  /** Lets go of pages whose ids came at or before `limit`. */
  expire(limit: number): void {
    while (this.#full.length > 0 && this.#full.at(0)!.newestAt <= limit) {
      this.#spent.push(this.#full.shift()!.id);
    }
    if (this.#open === undefined || this.#staged !== undefined) return;
    if (this.#open.newestAt > limit || this.#full.length > 0) return;
    this.#spent.push(this.#open.id);
    this.#open = undefined;
  }

  /** Deletes pages from the file. */
  write(unit: Unit): boolean {
    const spent = this.#spent.splice(0, MOST_DELETES);
    for (const id of spent) unit.delete(keyOf(TABLES.ids, id));
    unit.onFailed(() => this.#spent.unshift(...spent));
    return this.hasSpent;
  }
}

/** Writes ids: their numbers and lengths, and then all keys. */
function writeIds(writer: ByteWriter, ids: IdTable, from: number, to: number): void {
  writer.number(to - from);
  let before = 0;
  for (let i = from; i < to; i++) {
    const seq = ids.seqAt(i);
    writer.signed(seq - before);
    writer.number(ids.lengthAt(i));
    before = seq;
  }
  writer.bytes(ids.keys(from, to));
}

/** Up to which id they fit into so many bytes. */
function fitting(ids: IdTable, from: number, bytes: number): number {
  if ((ids.size - from) * ID_OVERHEAD + ids.bytes <= bytes) return ids.size;
  let to = from;
  while (to < ids.size && (bytes -= ID_OVERHEAD + ids.lengthAt(to)) >= 0) to++;
  return to;
}

/** What a page says. Throws where it cannot be one. */
export function* readPage(bytes: Uint8Array): Generator<FoundIds> {
  const reader = new ByteReader(bytes);
  while (!reader.isAtEnd) {
    const channel = reader.number();
    const at = reader.signed();
    const count = reader.number();
    // Each has two bytes at least, so a wrong count makes no large array.
    if (2 * count > bytes.length) throw new RangeError("There are too many ids.");
    const seqs: number[] = [];
    const lengths: number[] = [];
    for (let i = 0, seq = 0; i < count; i++) {
      seqs.push(seq += reader.signed());
      lengths.push(reader.number());
    }
    yield { channel, at, seqs, keys: lengths.map((length) => reader.bytes(length)) };
  }
}
