/**
 * Positions as they are in the file.
 *
 * @module
 */
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { Cursor, LateRecord } from "../store.ts";

/** Where the payload of a message is that is not in the log. */
export interface PayloadRef {
  /** Number that it is called by. */
  readonly id: number;
  /** Values that it is cut into. */
  readonly chunks: number;
}

/** A late message, and where its payload is if it was redriven. */
export interface LateLine {
  readonly record: LateRecord;
  readonly payload?: PayloadRef;
}

/** Where a session stands in a channel. */
export interface PositionLine {
  readonly cursor: Omit<Cursor, "late">;
  readonly late: readonly LateLine[];
  readonly unseen: readonly LateLine[];
}

/** Positions of some sessions in one channel. */
export interface PageLine {
  /** The channel. */
  readonly channel: string;
  /** Of two pages with one session the one with the higher stamp counts. */
  readonly stamp: number;
  /** Positions by session, as bytes; where those are many, where they are. */
  readonly positions: readonly (readonly [session: number, bytes: Uint8Array | PayloadRef])[];
}

/** A page as bytes. */
export function encodePage({ channel, stamp, positions }: PageLine): Uint8Array {
  const writer = new ByteWriter(64 + channel.length + 64 * positions.length);
  writer.text(channel);
  writer.number(stamp);
  for (const [session, bytes] of positions) {
    writer.number(session);
    if (bytes instanceof Uint8Array) {
      writer.number(bytes.length);
      writer.bytes(bytes);
    } else {
      writer.number(0);
      writer.number(bytes.id);
      writer.number(bytes.chunks);
    }
  }
  return writer.copy();
}

/** A page of bytes. */
export function decodePage(bytes: Uint8Array): PageLine {
  const reader = new ByteReader(bytes);
  const channel = reader.text();
  const stamp = reader.number();
  const positions: [number, Uint8Array | PayloadRef][] = [];
  while (!reader.isAtEnd) {
    const session = reader.number();
    const length = reader.number();
    const apart = () => ({ id: reader.number(), chunks: reader.number() });
    positions.push([session, length > 0 ? reader.bytes(length) : apart()]);
  }
  return { channel, stamp, positions };
}

/** A position as bytes. */
export function encodePosition({ cursor, late, unseen }: PositionLine): Uint8Array {
  const writer = new ByteWriter(64);
  writer.text(cursor.epoch);
  writer.number(cursor.floor);
  writer.number(cursor.sent);
  writer.number(cursor.own);
  writer.number(cursor.settled.length);
  let before = 0;
  for (const seq of cursor.settled) {
    writer.signed(seq - before);
    before = seq;
  }
  writeLate(writer, late);
  writeLate(writer, unseen);
  return writer.copy();
}

/** A position of bytes; redriven messages have no payload yet. */
export function decodePosition(bytes: Uint8Array): PositionLine {
  const reader = new ByteReader(bytes);
  const epoch = reader.text();
  const floor = reader.number();
  const sent = reader.number();
  const own = reader.number();
  const settled: number[] = [];
  let before = 0;
  for (let left = reader.number(); left > 0; left--) settled.push(before += reader.signed());
  const late = readLate(reader);
  const unseen = readLate(reader);
  reader.end();
  return { cursor: { epoch, floor, sent, own, settled }, late, unseen };
}

function writeLate(writer: ByteWriter, lines: readonly LateLine[]): void {
  writer.number(lines.length);
  let before = 0;
  for (const { record: { seq, attempts, redriven }, payload } of lines) {
    writer.signed(seq - before);
    before = seq;
    writer.number(attempts);
    writer.number(redriven === undefined ? 0 : payload!.id);
    if (redriven === undefined) continue;
    const { id, origin, source, at, bytes } = redriven;
    writer.number(payload!.chunks);
    writer.signed(at);
    writer.number(bytes);
    writer.text(JSON.stringify([id ?? null, origin, source]));
  }
}

function readLate(reader: ByteReader): LateLine[] {
  const lines: LateLine[] = [];
  let seq = 0;
  for (let left = reader.number(); left > 0; left--) {
    seq += reader.signed();
    const attempts = reader.number();
    const ref = reader.number();
    if (ref === 0) {
      lines.push({ record: { seq, attempts } });
      continue;
    }
    const payload = { id: ref, chunks: reader.number() };
    const at = reader.signed();
    const bytes = reader.number();
    const [id, origin, source] = JSON.parse(reader.text());
    const redriven = { id: id ?? undefined, origin, source, payload: "", seq, at, bytes };
    lines.push({ record: { seq, attempts, redriven }, payload });
  }
  return lines;
}
