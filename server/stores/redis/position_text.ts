import type { Cursor, LateRecord, StoredMessage } from "../store.ts";

/** A position as it was read: see `position_lua.ts` for the text. */
const TEXT =
  /^1 (\d+) [01] \S+ (\d+) (\d+) (\d+) (-|[\d,]+) (-|[\d,]+) (-|[\d,]+) (-|[\d,]+) (-|[\d.r,]+) (.*)$/s;
const NONE = "-";

/** The parts of a position that a commit sends. */
export interface PositionText {
  /** Settled above the floor: pairs of distance from the last number and length. */
  readonly settled: string;
  /** Late: distance from the last number, attempts, and `r` if it was redriven. */
  readonly late: string;
}

/** Writes an epoch: ours are of `a-z 0-9`, and what else a client calls one is made so. */
export function writeEpoch(epoch: string): string {
  return encodeURIComponent(epoch.toWellFormed());
}

/** Reads an epoch; `undefined` if it is none. */
export function readEpoch(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Writes what is settled or late: by distances, since the numbers lie close together. */
export function writeExceptions({ floor, settled, late }: Cursor): PositionText {
  let last = floor;
  const pairs: number[] = [];
  for (let i = 0; i < settled.length; i += 2) {
    const from = Math.max(settled[i], last + 1);
    if (settled[i + 1] < from) continue;
    pairs.push(from - last, settled[i + 1] - from);
    last = settled[i + 1];
  }
  last = 0;
  const sorted = [...late].sort((a, b) => a.seq - b.seq);
  const records = sorted.map(({ seq, attempts, redriven }) => {
    const text = `${seq - last}.${attempts}${redriven === undefined ? "" : "r"}`;
    last = seq;
    return text;
  });
  return { settled: pairs.join(",") || NONE, late: records.join(",") || NONE };
}

/**
 * Reads a position.
 *
 * @param text the position as stored
 * @param redriven texts of redriven messages by their numbers
 * @returns `undefined` if nobody can read it
 */
export function readPosition(
  text: string,
  redriven: ReadonlyMap<number, string>,
): Cursor | undefined {
  const parts = TEXT.exec(text);
  if (parts === null) return undefined;
  const [, , floor, sent, own, unseen, loaded, , settled, late, name] = parts;
  const epoch = readEpoch(name);
  if (epoch === undefined) return undefined;
  const cursor = { epoch, floor: Number(floor), sent: Number(sent), own: Number(own) };
  const ranges = readSettled(settled, cursor.floor);
  const records = readLate(late, redriven);
  if (ranges === undefined || records === undefined) return undefined;
  if (![cursor.floor, cursor.sent, cursor.own].every(Number.isSafeInteger)) return undefined;
  for (const seq of [...numbersOf(unseen), ...numbersOf(loaded)]) {
    records.set(seq, withMessage({ seq, attempts: 0 }, redriven));
  }
  const sorted = [...records.values()].sort((a, b) => a.seq - b.seq);
  return { ...cursor, settled: ranges, late: sorted };
}

/** Where a session stands whose position is lost: nowhere, so that its client is told of a gap. */
export function lostPosition(): Cursor {
  return { epoch: "lost", floor: 0, sent: 0, own: 0, settled: [], late: [] };
}

/** Writes a message that is kept beside a position. */
export function writeMessage(message: StoredMessage): string {
  const { id, seq, at, bytes, origin, source, payload } = message;
  return JSON.stringify({ id, seq, at, bytes, origin, source, payload });
}

/** Reads a message; `undefined` if it is none. */
export function readMessage(text: string): StoredMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { id, seq, at, bytes, origin, source, payload } = value as Record<string, unknown>;
  const isText = (it: unknown): it is string | null => it === null || typeof it === "string";
  if (id !== undefined && typeof id !== "string") return undefined;
  if (!Number.isSafeInteger(seq) || typeof at !== "number" || typeof bytes !== "number") {
    return undefined;
  }
  if (!isText(origin) || !isText(source) || typeof payload !== "string") return undefined;
  const message = { seq: seq as number, at, bytes, origin, source, payload };
  return id === undefined ? message : { id, ...message };
}

function readSettled(text: string, floor: number): number[] | undefined {
  const distances = numbersOf(text);
  if (distances.length % 2 !== 0) return undefined;
  const ranges: number[] = [];
  let last = floor;
  for (let i = 0; i < distances.length; i += 2) {
    const from = last + distances[i];
    last = from + distances[i + 1];
    if (distances[i] === 0 || !Number.isSafeInteger(last)) return undefined;
    ranges.push(from, last);
  }
  return ranges;
}

function readLate(
  text: string,
  redriven: ReadonlyMap<number, string>,
): Map<number, LateRecord> | undefined {
  const records = new Map<number, LateRecord>();
  if (text === NONE) return records;
  let seq = 0;
  for (const part of text.split(",")) {
    const [, distance, attempts, mark] = /^(\d+)\.(\d+)(r?)$/.exec(part) ?? [];
    if (distance === undefined) return undefined;
    seq += Number(distance);
    if (!Number.isSafeInteger(seq)) return undefined;
    const record = { seq, attempts: Number(attempts) };
    records.set(seq, mark === "r" ? withMessage(record, redriven) : record);
  }
  return records;
}

function withMessage(record: LateRecord, redriven: ReadonlyMap<number, string>): LateRecord {
  const text = redriven.get(record.seq);
  const message = text === undefined ? undefined : readMessage(text);
  return message === undefined ? record : { ...record, redriven: message };
}

function numbersOf(text: string): number[] {
  return text === NONE ? [] : text.split(",").map(Number);
}
