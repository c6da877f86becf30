import { formatEventId } from "@push/client/protocol";
import type { StoredMessage } from "../stores/store.ts";

/** Which frames a connection understands: the fixed ones, or those of `@push/client` too. */
export type Wire = "fixed" | "extended";

/** A message on its way out: encoded once for each wire, the same text for every subscriber. */
export class Entry {
  /** The message. */
  readonly message: StoredMessage;
  readonly #channel: string;
  readonly #epoch: string;
  #fixed: string | undefined;
  #extended: string | undefined;

  /** @param channel name of its channel; `epoch` that its number belongs to */
  constructor(channel: string, epoch: string, message: StoredMessage) {
    this.#channel = channel;
    this.#epoch = epoch;
    this.message = message;
  }

  /** Its number. */
  get seq(): number {
    return this.message.seq;
  }

  /** Its frame. */
  text(wire: Wire): string {
    return wire === "fixed" ? this.#fixed ??= this.#encode() : this.#extended ??= this.#extend();
  }

  /** Its frame with the marks of a redelivery. */
  redeliveryText(wire: Wire, attempts: number, redriven: boolean): string {
    const marks = `,"_redelivered":true,"_retry_count":${attempts}`;
    return `${this.text(wire).slice(0, -1)}${marks}${redriven ? ',"_redriven":true' : ""}}`;
  }

  #encode(): string {
    const { seq, at, source, payload } = this.message;
    const eventId = formatEventId(this.#channel, this.#epoch, seq);
    // Channel names, epochs and so event ids have no character that JSON would escape.
    return `{"type":"channel_message","channel":"${this.#channel}","data":${payload},` +
      `"event_id":"${eventId}","timestamp":${at / 1000},` +
      `"source":${source === null ? "null" : JSON.stringify(source)},"target":null}`;
  }

  #extend(): string {
    const { seq, id } = this.message;
    const more = id === undefined ? "" : `,"id":${JSON.stringify(id)}`;
    return `${this.text("fixed").slice(0, -1)},"seq":${seq},"epoch":"${this.#epoch}"${more}}`;
  }
}

/** Several messages in a row, shared by every subscriber that stands at the same place. */
export class Batch {
  /** The messages, ascending. */
  readonly entries: readonly Entry[];
  /** Bytes that they count in a window. */
  readonly bytes: number;
  #origins: Set<string> | undefined;
  #text: string | undefined;

  /** @param entries the messages, ascending, at least one */
  constructor(entries: readonly Entry[]) {
    this.entries = entries;
    let bytes = 0;
    for (const { message } of entries) {
      bytes += message.bytes;
      if (message.origin !== null) (this.#origins ??= new Set()).add(message.origin);
    }
    this.bytes = bytes;
  }

  /** Number of messages. */
  get count(): number {
    return this.entries.length;
  }
  /** Number of the last message. */
  get last(): number {
    return this.entries[this.entries.length - 1].seq;
  }
  /** Whether `session` published one of them and wants it not. */
  hasOrigin(session: string): boolean {
    return this.#origins?.has(session) ?? false;
  }
  /** All of them as the text of one extended frame. */
  get text(): string {
    return this.#text ??= this.count === 1
      ? this.entries[0].text("extended")
      : `[${this.entries.map((entry) => entry.text("extended")).join(",")}]`;
  }
}
