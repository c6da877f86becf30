import type { KvDatabase } from "./engine.ts";
import { keyOf, TABLES } from "./keys.ts";
import { decodePayload, encodeLetter, encodePayload } from "./records.ts";
import type { KvPage } from "./page.ts";
import { deleteRecord, fetchRecord, setRecord, type Unit } from "./unit.ts";
import { MemoryLetters } from "../memory/letters.ts";
import type { Tally } from "../memory/tally.ts";
import type { DeadLetter, StoredMessage } from "../store.ts";

/** A dead letter whose payload is in the file. */
export class KvLetter implements DeadLetter {
  /** Number that it is called by in the file. */
  readonly id: number;
  readonly session: string;
  readonly channel: string;
  readonly epoch: string;
  readonly attempts: number;
  readonly reason: "timeout" | "nack";
  readonly at: number;
  /** The message, without its payload unless that was fetched. */
  message: StoredMessage;
  /** What writes it, until the file has it. */
  home: KvPage | undefined;
  /** Values that it has in the file, and that its payload has. */
  #chunks: number;
  #payloadChunks: number;

  /** @param id number that it is called by */
  constructor(id: number, letter: DeadLetter, chunks: number = 0, payloadChunks: number = 0) {
    this.id = id;
    this.session = letter.session;
    this.channel = letter.channel;
    this.epoch = letter.epoch;
    this.attempts = letter.attempts;
    this.reason = letter.reason;
    this.at = letter.at;
    this.message = { ...letter.message, payload: "" };
    this.#chunks = chunks;
    this.#payloadChunks = payloadChunks;
  }

  /** Writes it. */
  set(unit: Unit, payload: string): void {
    const bytes = encodePayload(payload);
    this.#payloadChunks = setRecord(unit, keyOf(TABLES.payload, this.id), bytes, { early: true });
    const line = encodeLetter({ letter: this, chunks: this.#payloadChunks });
    this.#chunks = setRecord(unit, keyOf(TABLES.letter, this.id), line);
    unit.onDone(() => this.home = undefined);
  }

  /** Deletes it. */
  delete(unit: Unit): void {
    deleteRecord(unit, keyOf(TABLES.letter, this.id), this.#chunks);
    deleteRecord(unit, keyOf(TABLES.payload, this.id), this.#payloadChunks);
  }

  /** Reads the payload; resolves to nothing if it is not there, or not one. */
  fetch(db: KvDatabase): Promise<string | undefined> {
    return fetchPayload(db, this.id, this.#payloadChunks);
  }

  /** Gives the message a payload. */
  fill(payload: string): void {
    this.message = { ...this.message, payload };
  }

  /** The letter as it was given. */
  plain(payload: string): DeadLetter {
    const { session, channel, epoch, attempts, reason, at } = this;
    const message = { ...this.message, payload };
    return { session, channel, epoch, message, attempts, reason, at };
  }
}

/** Reads a payload; resolves to nothing if it is not there, or not one. */
export async function fetchPayload(
  db: KvDatabase,
  id: number,
  chunks: number,
): Promise<string | undefined> {
  const bytes = await fetchRecord(db, keyOf(TABLES.payload, id), chunks);
  try {
    return bytes && decodePayload(bytes);
  } catch {
    return undefined;
  }
}

/** What is told of letters that come and go. */
export interface LetterHost {
  /** Number that nothing was called by. */
  nextId(): number;
  /** A letter has come, with this payload. */
  letterAdded(letter: KvLetter, payload: string): void;
  /** A letter has gone. */
  letterRemoved(letter: KvLetter): void;
}

/** Every dead letter of one KV store; payloads are in the file. */
export class KvLetters extends MemoryLetters {
  readonly #host: LetterHost;

  /** @param host what is told of letters */
  constructor(tally: Tally, host: LetterHost) {
    super(tally);
    this.#host = host;
  }

  /** Adds a letter of a subscription, which then has at most `most`. */
  override add(letter: DeadLetter, most: number): void {
    const written = new KvLetter(this.#host.nextId(), letter);
    this.#host.letterAdded(written, letter.message.payload);
    super.add(written, most);
  }

  /** Takes in a letter that is in the file. */
  restore(letter: KvLetter): void {
    super.add(letter, Infinity);
  }

  /** Takes a letter out that makes no sense. */
  discard(letter: KvLetter): void {
    const { session, channel, message: { seq } } = letter;
    const found = this.find({ session, channel, seq, limit: Infinity });
    if (found.includes(letter)) this.remove(letter);
  }

  /** A letter is gone. */
  protected override removed(letter: DeadLetter): void {
    this.#host.letterRemoved(letter as KvLetter);
  }
}
