/**
 * What is in the file beside messages and publish ids, as bytes. Reading throws where the bytes
 * cannot be what they should be.
 *
 * @module
 */
import type { Json } from "@push/client/protocol";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { KvKey } from "./engine.ts";
import { keyOf, type Table } from "./keys.ts";
import { isRevocationKind, type Revocation } from "../revocations.ts";
import type { DeadLetter, StoredMessage } from "../store.ts";

/** What only grows. */
export interface StateRecord {
  /** Number of the last commit. */
  readonly commit: number;
  /** Lowest number that nothing was called by. */
  readonly nextId: number;
  /** Highest number of a claim. */
  readonly generation: number;
}

/** A channel. */
export interface ChannelLine {
  readonly name: string;
  readonly epoch: string;
  readonly createdAt: number;
  readonly metadata: { readonly [key: string]: Json };
}

/** A session. */
export interface SessionLine {
  readonly key: string;
  readonly generation: number;
  readonly instance: string;
  readonly attempt: number;
  readonly ttl: number;
  readonly secretHash: string | undefined;
  /** Since when it has no connection, and when it ends; `undefined` while it has one. */
  readonly detached: { readonly since: number; readonly endsAt: number } | undefined;
}

/** A dead letter, and in how many values its payload is. */
export interface LetterLine {
  readonly letter: DeadLetter;
  readonly chunks: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The version of the format as bytes. */
export function encodeVersion(format: number): Uint8Array {
  return toJson([format]);
}

/** The version of the format of bytes. */
export function decodeVersion(bytes: Uint8Array): number {
  return count(fromJson(bytes, 1)[0]);
}

/** The state as bytes. */
export function encodeState({ commit, nextId, generation }: StateRecord): Uint8Array {
  return toJson([commit, nextId, generation]);
}

/** The state of bytes. */
export function decodeState(bytes: Uint8Array): StateRecord {
  const [commit, nextId, generation] = fromJson(bytes, 3);
  return { commit: count(commit), nextId: count(nextId), generation: count(generation) };
}

/** A channel as bytes. */
export function encodeChannel(line: ChannelLine): Uint8Array {
  return toJson([line.name, line.epoch, line.createdAt, line.metadata]);
}

/** A channel of bytes. */
export function decodeChannel(bytes: Uint8Array): ChannelLine {
  const [name, epoch, createdAt, metadata] = fromJson(bytes, 4);
  if (typeof metadata !== "object" || metadata === null) throw new TypeError("No metadata.");
  return {
    name: text(name),
    epoch: text(epoch),
    createdAt: time(createdAt),
    metadata: metadata as { readonly [key: string]: Json },
  };
}

/** Highest number that a channel gave, and when it was used last, as bytes. */
export function encodeHead(head: number, usedAt: number): Uint8Array {
  return toJson([head, usedAt]);
}

/** Head and last use of bytes. */
export function decodeHead(bytes: Uint8Array): { readonly head: number; readonly usedAt: number } {
  const [head, usedAt] = fromJson(bytes, 2);
  return { head: count(head), usedAt: time(usedAt) };
}

/** A session as bytes. */
export function encodeSession(line: SessionLine): Uint8Array {
  const { key, generation, instance, attempt, ttl, secretHash, detached } = line;
  const { since, endsAt } = detached ?? { since: null, endsAt: null };
  return toJson([key, generation, instance, attempt, ttl, secretHash ?? null, since, endsAt]);
}

/** A session of bytes. */
export function decodeSession(bytes: Uint8Array): SessionLine {
  const [key, generation, instance, attempt, ttl, hash, since, endsAt] = fromJson(bytes, 8);
  return {
    key: text(key),
    generation: count(generation),
    instance: text(instance),
    attempt: time(attempt),
    ttl: time(ttl),
    secretHash: hash === null ? undefined : text(hash),
    detached: since === null ? undefined : { since: time(since), endsAt: time(endsAt) },
  };
}

/** A dead letter without its payload as bytes. */
export function encodeLetter({ letter, chunks }: LetterLine): Uint8Array {
  const { session, channel, epoch, message, attempts, reason, at } = letter;
  const { id = null, origin, source, seq, bytes } = message;
  const about = [seq, message.at, bytes, id, origin, source];
  return toJson([session, channel, epoch, attempts, reason, at, chunks, ...about]);
}

/** A dead letter of bytes; it has no payload yet. */
export function decodeLetter(line: Uint8Array): LetterLine {
  const [session, channel, epoch, attempts, reason, at, chunks, ...about] = fromJson(line, 13);
  const [seq, stored, bytes, id, origin, source] = about;
  if (reason !== "timeout" && reason !== "nack") throw new TypeError("No such reason.");
  const message: StoredMessage = {
    id: id === null ? undefined : text(id),
    origin: origin === null ? null : text(origin),
    source: source === null ? null : text(source),
    payload: "",
    seq: count(seq),
    at: time(stored),
    bytes: count(bytes),
  };
  return {
    letter: {
      session: text(session),
      channel: text(channel),
      epoch: text(epoch),
      message,
      attempts: count(attempts),
      reason,
      at: time(at),
    },
    chunks: count(chunks),
  };
}

/** A revocation as bytes. */
export function encodeRevocation({ kind, name, at, until }: Revocation): Uint8Array {
  return toJson([kind, name, at, until]);
}

/** A revocation of bytes. */
export function decodeRevocation(bytes: Uint8Array): Revocation {
  const [kind, name, at, until] = fromJson(bytes, 4);
  if (!isRevocationKind(kind)) throw new TypeError("No such kind.");
  return { kind, name: text(name), at: count(at), until: count(until) };
}

/** A payload as bytes. */
export function encodePayload(payload: string): Uint8Array {
  const writer = new ByteWriter(payload.length + 16);
  writer.text(payload);
  return writer.copy();
}

/** A payload of bytes. */
export function decodePayload(bytes: Uint8Array): string {
  const reader = new ByteReader(bytes);
  const payload = reader.text();
  reader.end();
  return payload;
}

/** Keys that were written early, as bytes. */
export function encodeKeys(keys: readonly KvKey[]): Uint8Array {
  const writer = new ByteWriter(16 * keys.length);
  for (const [, table, ...numbers] of keys) {
    writer.text(table as string);
    writer.number(numbers.length);
    for (const part of numbers) writer.number(part as number);
  }
  return writer.copy();
}

/** Keys of bytes. */
export function decodeKeys(bytes: Uint8Array): KvKey[] {
  const reader = new ByteReader(bytes);
  const keys: KvKey[] = [];
  while (!reader.isAtEnd) {
    const table = reader.text() as Table;
    const length = reader.number();
    if (length > 8) throw new RangeError("No such key.");
    keys.push(keyOf(table, ...Array.from({ length }, () => reader.number())));
  }
  return keys;
}

function toJson(value: readonly unknown[]): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

function fromJson(bytes: Uint8Array, length: number): unknown[] {
  const value = JSON.parse(decoder.decode(bytes));
  if (!Array.isArray(value) || value.length !== length) throw new TypeError("No such record.");
  return value;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("No text.");
  return value;
}

function time(value: unknown): number {
  if (typeof value !== "number") throw new TypeError("No number.");
  return value;
}

function count(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new TypeError("No count.");
  return value as number;
}
