import { ByteReader, ByteWriter } from "./bytes.ts";
import { keyOf, TABLES } from "./keys.ts";
import { FEW_BYTES } from "./segment.ts";
import type { Mutation, Unit } from "./unit.ts";
import { Fifo } from "../memory/fifo.ts";

/** Publish ids that one append has brought. */
export class PublishIdsOf {
  /** Id of the channel. */
  readonly channel: number;
  /** When they came. */
  readonly at: number;
  /** Numbers by key. */
  readonly keys: ReadonlyMap<string, number>;
  /** Most bytes that they can take in the file. */
  readonly bytes: number;

  constructor(channel: number, at: number, keys: ReadonlyMap<string, number>) {
    this.channel = channel;
    this.at = at;
    this.keys = keys;
    let bytes = 32;
    for (const key of keys.keys()) bytes += costOf(key);
    this.bytes = bytes;
  }
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
    const writer = new ByteWriter(PAGE_BYTES);
    let id = begun?.id ?? this.#nextId();
    let newestAt = begun?.newestAt ?? -Infinity;
    if (begun !== undefined) writer.bytes(begun.bytes);
    const turn = () => {
      pages.push({ id, bytes: writer.copy(), newestAt });
      writer.truncate(0);
      id = this.#nextId();
      newestAt = -Infinity;
    };
    for (const { channel, at, keys } of appends) {
      let left = [...keys];
      while (left.length > 0) {
        if (writer.length > 0 && writer.length + costOf(left[0][0]) > PAGE_BYTES) turn();
        const row = left.slice(0, fitting(left, PAGE_BYTES - writer.length));
        left = left.slice(row.length);
        newestAt = Math.max(newestAt, at);
        writeRow(writer, channel, at, row);
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

function writeRow(
  writer: ByteWriter,
  channel: number,
  at: number,
  row: readonly (readonly [string, number])[],
): void {
  writer.number(channel);
  writer.signed(at);
  writer.number(row.length);
  let before = 0;
  for (const [key, seq] of row) {
    writer.text(key);
    writer.signed(seq - before);
    before = seq;
  }
}

/** How many ids fit into so many bytes; one at least. */
function fitting(ids: readonly (readonly [string, number])[], bytes: number): number {
  let count = 0;
  while (count < ids.length && (bytes -= costOf(ids[count][0])) >= 0) count++;
  return Math.max(count, 1);
}

/** Most bytes that an id can take: counting them takes longer than what it saves. */
function costOf(key: string): number {
  return ID_OVERHEAD + 3 * key.length;
}

/** What a page says. Throws where it cannot be one. */
export function* readPage(bytes: Uint8Array): Generator<PublishIdsOf> {
  const reader = new ByteReader(bytes);
  while (!reader.isAtEnd) {
    const channel = reader.number();
    const at = reader.signed();
    const keys = new Map<string, number>();
    let seq = 0;
    for (let left = reader.number(); left > 0; left--) {
      const key = reader.text();
      seq += reader.signed();
      keys.set(key, seq);
    }
    yield new PublishIdsOf(channel, at, keys);
  }
}
