import type { KvDatabase } from "./engine.ts";
import { keyOf, TABLES } from "./keys.ts";
import type { KvLog } from "./log.ts";
import { FEW_BYTES, type Packed, type Segment } from "./segment.ts";

// Together at most 2 MiB.
const MOST_TAILS = 1024;

/**
 * Bytes of the newest segments that are short, so that the next append fills them up: else a channel
 * with a message now and then would have as many segments as messages.
 */
export class KvTails {
  readonly #db: KvDatabase;
  readonly #bytes = new Map<Segment, Uint8Array<ArrayBuffer>>();

  /** @param db where they are read that are not at hand */
  constructor(db: KvDatabase) {
    this.#db = db;
  }

  /** The tail of a log, to be filled up; resolves to nothing if a new segment is to begin. */
  async get(log: KvLog): Promise<Packed | undefined> {
    const segment = fillable(log);
    if (segment === undefined) return undefined;
    const known = this.#bytes.get(segment);
    if (known !== undefined) return { segment, bytes: known };
    const { value } = await this.#db.get(keyOf(TABLES.messages, log.id, segment.first));
    // What is not as it should be is noticed when it is read, and stays as it is.
    if (!(value instanceof Uint8Array) || value.length !== segment.length) return undefined;
    return { segment, bytes: value.slice() };
  }

  /** Whether it still is the tail of a log that can be filled up. */
  fits(log: KvLog, tail: Packed): boolean {
    return fillable(log) === tail.segment;
  }

  /** Puts a new tail in the place of the old one. */
  replace(old: Packed | undefined, tail: Packed): void {
    if (old !== undefined) this.#bytes.delete(old.segment);
    if (tail.bytes.length >= FEW_BYTES) return;
    this.#bytes.set(tail.segment, tail.bytes);
    if (this.#bytes.size > MOST_TAILS) this.#bytes.delete(this.#bytes.keys().next().value!);
  }
}

function fillable({ shelf: { tail } }: KvLog): Segment | undefined {
  return tail !== undefined && tail.length < FEW_BYTES && tail.dropped === 0 ? tail : undefined;
}
