import { ByteReader, ByteWriter } from "./bytes.ts";
import { MESSAGE_OVERHEAD, type StoredMessage } from "../store.ts";

/** Largest value of Deno KV, in bytes. */
export const MAX_VALUE = 65_536;

/** Segments below this length are filled up by what comes next. */
export const FEW_BYTES = 2048;

// So that what makes an append visible fits into one commit: it has at most so many segments for
// its bytes, and what is known of each fits into one value.
const MOST_SEGMENTS = 200;
const MOST_MESSAGES = 16_384;

const HAS_ID = 1;
const ORIGIN = 2;
const SAME_ORIGIN = 4;
const SOURCE = 8;
const SAME_SOURCE = 16;

/** Messages in a row, packed together: what is known of them without reading them. */
export class Segment {
  /** Number of the first message. */
  readonly first: number;
  /** Bytes that each message counts. */
  readonly sizes: readonly number[];
  /** When they were stored: pairs of a count and the time of so many. */
  readonly times: readonly number[];
  /** Bytes that they are packed into. */
  readonly length: number;
  /** How many of the oldest are dropped. */
  dropped = 0;

  constructor(
    first: number,
    sizes: readonly number[],
    times: readonly number[],
    length: number,
  ) {
    this.first = first;
    this.sizes = sizes;
    this.times = times;
    this.length = length;
  }

  /** Number of the last message. */
  get last(): number {
    return this.first + this.sizes.length - 1;
  }
  /** Whether every message is dropped. */
  get isSpent(): boolean {
    return this.dropped === this.sizes.length;
  }
  /** Values that hold its bytes. */
  get chunks(): number {
    return Math.max(Math.ceil(this.length / MAX_VALUE), 1);
  }

  /** When a message was stored, by its index. */
  timeOf(index: number): number {
    const { times } = this;
    let i = 0;
    while (index >= times[i]) {
      index -= times[i];
      i += 2;
    }
    return times[i + 1];
  }
}

/** A segment that is to be written, and its bytes. */
export interface Packed {
  readonly segment: Segment;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Packs messages into segments.
 *
 * @param messages in a row, at least one
 * @param tail a segment right before them, to be filled up if that is worth it
 */
export function pack(messages: readonly StoredMessage[], tail?: Packed): Packed[] {
  const total = messages.reduce((sum, { bytes }) => sum + bytes, 0);
  // What may need several commits leaves alone what everybody sees.
  if (total > MAX_VALUE) tail = undefined;
  const limit = Math.max(MAX_VALUE, Math.ceil(total / MOST_SEGMENTS));
  const packed: Packed[] = [];
  const writer = scratch();
  let first = messages[0].seq;
  let sizes: number[] = [];
  let times: number[] = [];
  if (tail !== undefined) {
    writer.bytes(tail.bytes);
    first = tail.segment.first;
    sizes = [...tail.segment.sizes];
    times = [...tail.segment.times];
  }
  let before: StoredMessage | undefined;
  const close = () => {
    const bytes = writer.copy();
    packed.push({ segment: new Segment(first, sizes, times, bytes.length), bytes });
  };
  for (const message of messages) {
    const start = writer.length;
    writeMessage(writer, message, before);
    const isFull = writer.length > limit || sizes.length === MOST_MESSAGES;
    if (isFull && sizes.length > 0) {
      writer.truncate(start);
      close();
      writer.truncate(0);
      writeMessage(writer, message, undefined);
      first = message.seq;
      sizes = [];
      times = [];
    }
    sizes.push(message.bytes);
    if (times.at(-1) === message.at) times[times.length - 2]++;
    else times.push(1, message.at);
    before = message;
  }
  close();
  return packed;
}

/**
 * Unpacks some messages of a segment.
 *
 * @param bytes of the segment, or of what it has grown to since
 * @param indexes of the messages, ascending
 * @throws {Error} if the bytes are not those of the segment
 */
export function unpack(
  segment: Segment,
  bytes: Uint8Array,
  indexes: readonly number[],
): StoredMessage[] {
  if (bytes.length < segment.length) throw new RangeError("The segment is cut off.");
  const reader = new ByteReader(bytes);
  const messages: StoredMessage[] = [];
  let origin: string | null = null;
  let source: string | null = null;
  let next = 0;
  for (let index = 0; next < indexes.length; index++) {
    const flags = reader.number();
    const wanted = index === indexes[next];
    const header = reader.number();
    if (header % 2 === 0 && header / 2 !== segment.sizes[index] - MESSAGE_OVERHEAD) {
      throw new RangeError("No such message.");
    }
    const payload = wanted ? reader.textBehind(header) : reader.skipBehind(header);
    let id: string | undefined;
    if (flags & HAS_ID) {
      if (wanted) id = reader.text();
      else reader.skipText();
    }
    // "The same" is said of the last that was there.
    if ((flags & (ORIGIN | SAME_ORIGIN)) === ORIGIN) origin = reader.text();
    if ((flags & (SOURCE | SAME_SOURCE)) === SOURCE) source = reader.text();
    if (!wanted) continue;
    next++;
    messages.push({
      id,
      origin: flags & ORIGIN ? origin : null,
      source: flags & SOURCE ? source : null,
      payload: payload as string,
      seq: segment.first + index,
      at: segment.timeOf(index),
      bytes: segment.sizes[index],
    });
  }
  return messages;
}

/** What is known of a segment, as bytes. */
export function encodeSegment({ sizes, times, length }: Segment): Uint8Array<ArrayBuffer> {
  const writer = scratch();
  writer.number(length);
  writer.number(sizes.length);
  for (const size of sizes) writer.number(size - MESSAGE_OVERHEAD);
  let before = 0;
  for (let i = 0; i < times.length; i += 2) {
    writer.number(times[i]);
    writer.signed(times[i + 1] - before);
    before = times[i + 1];
  }
  return writer.copy();
}

/** @throws {RangeError} if the bytes are not those of a segment */
export function decodeSegment(first: number, bytes: Uint8Array): Segment {
  const reader = new ByteReader(bytes);
  const length = reader.number();
  const count = reader.number();
  // Each message has a byte here and two there at least, so a wrong count makes no large array.
  if (count === 0 || first === 0 || count > bytes.length || 2 * count > length) {
    throw new RangeError("No such segment.");
  }
  const sizes = Array.from({ length: count }, () => reader.number() + MESSAGE_OVERHEAD);
  const times: number[] = [];
  let before = 0;
  for (let timed = 0; timed < count; timed += times[times.length - 2]) {
    const run = reader.number();
    before += reader.signed();
    if (run === 0 || timed + run > count) throw new RangeError("No such times.");
    times.push(run, before);
  }
  reader.end();
  return new Segment(first, sizes, times, length);
}

let shared = new ByteWriter(2 * MAX_VALUE);

/** An empty writer for what takes no time: memory for one segment after the other is work, too. */
function scratch(): ByteWriter {
  // A long message is not to keep its room for ever.
  if (shared.capacity > 4 * MAX_VALUE) shared = new ByteWriter(2 * MAX_VALUE);
  shared.truncate(0);
  return shared;
}

function writeMessage(
  writer: ByteWriter,
  { id, origin, source, payload }: StoredMessage,
  before: StoredMessage | undefined,
): void {
  const sameOrigin = origin !== null && origin === before?.origin;
  const sameSource = source !== null && source === before?.source;
  writer.number(
    (id === undefined ? 0 : HAS_ID) |
      (origin === null ? 0 : sameOrigin ? ORIGIN | SAME_ORIGIN : ORIGIN) |
      (source === null ? 0 : sameSource ? SOURCE | SAME_SOURCE : SOURCE),
  );
  writer.text(payload);
  if (id !== undefined) writer.text(id);
  if (origin !== null && !sameOrigin) writer.text(origin);
  if (source !== null && !sameSource) writer.text(source);
}
