import { ByteReader, ByteWriter } from "./bytes.ts";
import type { KvAtomic, KvDatabase, KvKey } from "./engine.ts";
import type { PublishIdsOf } from "./journal.ts";
import { keyBytes } from "./keys.ts";
import { MAX_VALUE } from "./segment.ts";

/** One value set, or deleted where there is none. */
export interface Mutation {
  readonly key: KvKey;
  /** Bytes, but for what was found in the file and is no record of the store. */
  readonly value?: unknown;
}

// Deno KV ends at 1000 mutations, 819 200 bytes, and 81 920 bytes of keys in one commit. What is left
// is for the number of the commit and for publish ids.
const MOST_MUTATIONS = 900;
const MOST_BYTES = 700_000;
const MOST_KEY_BYTES = 70_000;

/** What mutations come to, and whether they fit into one commit. */
export class Load {
  #mutations = 0;
  #bytes = 0;
  #keyBytes = 0;

  /** How many mutations there are. */
  get mutations(): number {
    return this.#mutations;
  }
  /** Whether nothing was added. */
  get isEmpty(): boolean {
    return this.#mutations === 0 && this.#bytes === 0;
  }
  /** Whether it fits into one commit. */
  get fits(): boolean {
    return this.#mutations <= MOST_MUTATIONS && this.#bytes <= MOST_BYTES &&
      this.#keyBytes <= MOST_KEY_BYTES;
  }

  /** Counts one mutation. */
  count({ key, value }: Mutation): void {
    const length = keyBytes(key);
    this.#mutations++;
    this.#keyBytes += length;
    this.#bytes += length + lengthOf(value);
  }

  /** Counts bytes that go in beside mutations. */
  countBytes(bytes: number): void {
    this.#bytes += bytes;
  }

  /** What both come to. */
  plus(other: Load): Load {
    const sum = new Load();
    sum.#mutations = this.#mutations + other.#mutations;
    sum.#bytes = this.#bytes + other.#bytes;
    sum.#keyBytes = this.#keyBytes + other.#keyBytes;
    return sum;
  }
}

/** Writes that belong together: all of them happen, or none, whatever they come to. */
export class Unit {
  /** What may be written before, since nobody sees it without the rest. */
  readonly early: Mutation[] = [];
  /** What makes it visible. */
  readonly main: Mutation[] = [];
  /** Publish ids that are remembered with it. */
  readonly ids: PublishIdsOf[] = [];
  /** What everything comes to. */
  readonly load: Load = new Load();
  /** What `main` alone comes to. */
  readonly mainLoad: Load = new Load();
  readonly #onDone: (() => void)[] = [];
  readonly #onAnswer: (() => void)[] = [];
  readonly #onUnsure: ((error: unknown) => void)[] = [];
  readonly #onFailed: ((error: unknown) => void)[] = [];

  /** Sets a value. */
  set(key: KvKey, value: unknown): void {
    this.#push(this.main, { key, value });
  }
  /** Sets a value that nobody looks for until the rest is there. */
  setEarly(key: KvKey, value: Uint8Array): void {
    this.#push(this.early, { key, value });
  }
  /** Deletes a value. */
  delete(key: KvKey): void {
    this.#push(this.main, { key });
  }
  /** Remembers publish ids. */
  remember(ids: PublishIdsOf): void {
    this.ids.push(ids);
    this.load.countBytes(ids.bytes);
  }

  /** Calls this once it is in the file. */
  onDone(listener: () => void): void {
    this.#onDone.push(listener);
  }
  /** Calls this soon after it is in the file, when the next commit is on its way. */
  onAnswer(listener: () => void): void {
    this.#onAnswer.push(listener);
  }
  /** Calls this once it is certain that nothing of it is, and never will be, in the file. */
  onFailed(listener: (error: unknown) => void): void {
    this.#onFailed.push(listener);
  }
  /** Calls this where it is not known for now whether it is in the file. */
  onUnsure(listener: (error: unknown) => void): void {
    this.#onUnsure.push(listener);
  }

  /** It is in the file. */
  done(): void {
    for (const listener of this.#onDone) listener();
  }
  /** Those who wait can be told of it. */
  answer(): void {
    for (const listener of this.#onAnswer) listener();
  }
  /** It is not. */
  failed(error: unknown): void {
    for (const listener of this.#onFailed) listener(error);
  }
  /** Nobody knows. */
  unsure(error: unknown): void {
    for (const listener of this.#onUnsure) listener(error);
  }

  #push(list: Mutation[], mutation: Mutation): void {
    list.push(mutation);
    this.load.count(mutation);
    if (list === this.main) this.mainLoad.count(mutation);
  }
}

function lengthOf(value: unknown): number {
  if (value === undefined) return 0;
  return value instanceof Uint8Array ? value.length : MAX_VALUE;
}

/** Adds mutations to a commit. */
export function mutate(atomic: KvAtomic, mutations: readonly Mutation[]): void {
  for (const { key, value } of mutations) {
    if (value === undefined) atomic.delete(key);
    else atomic.set(key, value);
  }
}

/** Keys of bytes that are cut into values: further ones stand behind the first. */
export function* chunkKeys(key: KvKey, chunks: number): Generator<KvKey> {
  yield key;
  for (let i = 1; i < chunks; i++) yield [...key, i];
}

/** Cuts bytes into values; there is one at least. */
export function* chunksOf(bytes: Uint8Array): Generator<Uint8Array> {
  let at = 0;
  do {
    yield bytes.length <= MAX_VALUE ? bytes : bytes.subarray(at, at + MAX_VALUE);
    at += MAX_VALUE;
  } while (at < bytes.length);
}

/**
 * Sets a record: bytes of any length under one key, which say themselves in how many values they are.
 *
 * @param options `chunks` that it has in the file; `early` where nobody looks for it yet
 * @returns in how many values it is
 */
export function setRecord(
  unit: Unit,
  key: KvKey,
  bytes: Uint8Array,
  { chunks = 0, early = false }: { readonly chunks?: number; readonly early?: boolean } = {},
): number {
  const writer = new ByteWriter(bytes.length + 12);
  const count = chunksFor(bytes.length);
  writer.number(count);
  writer.bytes(bytes);
  const values = chunksOf(writer.copy());
  for (const chunk of chunkKeys(key, count)) {
    const value = values.next().value as Uint8Array;
    if (early) unit.setEarly(chunk, value);
    else unit.set(chunk, value);
  }
  for (let i = count; i < chunks; i++) unit.delete([...key, i]);
  return count;
}

/** Deletes a record of so many values. */
export function deleteRecord(unit: Unit, key: KvKey, chunks: number): void {
  for (const chunk of chunkKeys(key, chunks)) unit.delete(chunk);
}

/** Values for so many bytes and the number of values. */
function chunksFor(length: number): number {
  let chunks = Math.floor(length / MAX_VALUE);
  while (chunks * MAX_VALUE < length + (chunks < 0x80 ? 1 : chunks < 0x4000 ? 2 : 3)) chunks++;
  return chunks;
}

/** Puts the values of a record together. Throws where they cannot be. */
export function joinRecord(values: readonly Uint8Array[]): Uint8Array {
  const reader = new ByteReader(values[0]);
  if (reader.number() !== values.length) throw new RangeError("A part is missing.");
  const first = values[0].subarray(reader.at);
  return values.length === 1 ? first : join([first, ...values.slice(1)]);
}

/** Reads a record of so many values; resolves to nothing if it is not there, or not one. */
export async function fetchRecord(
  db: KvDatabase,
  key: KvKey,
  chunks: number,
): Promise<Uint8Array | undefined> {
  const values: Uint8Array[] = [];
  for (const chunk of chunkKeys(key, chunks)) {
    const { value } = await db.get(chunk);
    if (!(value instanceof Uint8Array)) return undefined;
    values.push(value);
  }
  try {
    return joinRecord(values);
  } catch {
    return undefined;
  }
}

/** Puts bytes one behind the other. */
export function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(parts.reduce((sum, { length }) => sum + length, 16));
  for (const part of parts) writer.bytes(part);
  return writer.copy();
}
