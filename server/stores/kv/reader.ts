import { PushError } from "@push/client/protocol";
import { type KvDatabase, reasonOf } from "./engine.ts";
import { keyOf, TABLES } from "./keys.ts";
import type { KvLetter } from "./letters.ts";
import type { KvLog } from "./log.ts";
import { type Segment, unpack } from "./segment.ts";
import type { Pick } from "./shelf.ts";
import { chunkKeys, join } from "./unit.ts";
import type { StoredMessage } from "../store.ts";

/** Messages, or a segment that could not be read. */
export type Fetched = { readonly messages: StoredMessage[] } | { readonly lost: Segment };

// Deno KV gives so many values at once without a range.
const FEW_VALUES = 10;
// Values of a range at once: at most 6 MiB.
const BATCH = 100;

/** Reads payloads from the file. */
export class KvReader {
  readonly #db: KvDatabase;
  /** What failed last, and why. */
  #failed: { readonly read: () => Promise<unknown>; readonly why: string } | undefined;

  /** @param db where they are */
  constructor(db: KvDatabase) {
    this.#db = db;
  }

  /** Why the last reading failed; `undefined` if it did not. */
  get trouble(): string | undefined {
    return this.#failed?.why;
  }

  /** Tries again what failed last. */
  async retry(): Promise<void> {
    if (this.#failed !== undefined) await this.#reading(this.#failed.read).catch(() => {});
  }

  /**
   * Messages of a log.
   *
   * @throws {PushError} `unavailable` if the file cannot be read
   */
  async messages(log: KvLog, picks: readonly Pick[]): Promise<Fetched> {
    const values = await this.#reading(() => this.#values(log, picks));
    const messages: StoredMessage[] = [];
    for (const { segment, indexes } of picks) {
      const unpacked = unpackFrom(values, segment, indexes);
      if (unpacked === undefined) return { lost: segment };
      for (const message of unpacked) messages.push(message);
    }
    return { messages };
  }

  /**
   * Payload of a dead letter; resolves to nothing if it is not there, or not one.
   *
   * @throws {PushError} `unavailable` if the file cannot be read
   */
  async payload(letter: KvLetter): Promise<string | undefined> {
    return letter.home?.payloadOf(letter) ?? await this.#reading(() => letter.fetch(this.#db));
  }

  /** Values of the segments, by `first:chunk`. */
  async #values(log: KvLog, picks: readonly Pick[]): Promise<Map<string, unknown>> {
    const values = new Map<string, unknown>();
    const keys = picks.flatMap(({ segment: { first, chunks } }) => [
      ...chunkKeys(keyOf(TABLES.messages, log.id, first), chunks),
    ]);
    const take = ({ key, value }: { readonly key: readonly unknown[]; readonly value: unknown }) =>
      values.set(`${key[3]}:${key[4] ?? 0}`, value);
    if (keys.length <= FEW_VALUES) {
      for (const entry of await this.#db.getMany(keys)) take(entry);
    } else {
      const end = keyOf(TABLES.messages, log.id, picks[picks.length - 1].segment.first + 1);
      const batchSize = Math.min(keys.length, BATCH);
      for await (const entry of this.#db.list({ start: keys[0], end }, { batchSize })) take(entry);
    }
    return values;
  }

  async #reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      const found = await read();
      this.#failed = undefined;
      return found;
    } catch (cause) {
      const why = `The store's file cannot be read: ${reasonOf(cause)}.`;
      this.#failed = { read, why };
      throw new PushError("unavailable", why, { cause });
    }
  }
}

function unpackFrom(
  values: ReadonlyMap<string, unknown>,
  segment: Segment,
  indexes: readonly number[],
): StoredMessage[] | undefined {
  const parts: Uint8Array[] = [];
  for (let chunk = 0; chunk < segment.chunks; chunk++) {
    const value = values.get(`${segment.first}:${chunk}`);
    if (!(value instanceof Uint8Array)) return undefined;
    parts.push(value);
  }
  try {
    return unpack(segment, parts.length === 1 ? parts[0] : join(parts), indexes);
  } catch {
    return undefined;
  }
}
