import { Buffer, isUtf8 } from "node:buffer";

const TEXT = 0x81;
/** A pong: final, not compressed. */
const PONG = 0x8a;
const MASKED = 0x80;
const encoder = new TextEncoder();

/** A ping that says nothing, each character a byte. */
export const PING = "\x89\x00";

/** Who is told of frames that came. */
export interface FrameReader {
  /** Whether it still wants to be told. */
  readonly isReading: boolean;
  /** A text came. */
  text(text: string): void;
  /** A pong came. */
  heard(): void;
}

/**
 * Reads texts of a client, and pongs, as long as each is one whole frame without a fault, and its reader
 * reads. What it has read is not masked any more.
 *
 * @param most bytes of a text
 * @returns where the first one begins that is something else, or only a part of one; the length, if none
 *   does
 */
export function readWhole(bytes: Buffer, most: number, reader: FrameReader): number {
  let at = 0;
  // The least is a head of two bytes, and a mask.
  while (at + 6 <= bytes.length && reader.isReading) {
    const kind = bytes[at];
    let length = bytes[at + 1] - MASKED;
    if ((kind !== TEXT && kind !== PONG) || length < 0 || length > 126) return at;
    let mask = at + 2;
    if (length === 126) {
      // A long pong, or the few bytes of a length that are not there.
      if (kind === PONG || mask + 2 > bytes.length) return at;
      length = bytes.readUInt16BE(mask);
      mask += 2;
    }
    const from = mask + 4;
    const to = from + length;
    if (to > bytes.length || length > most) return at;
    if (kind === PONG) {
      reader.heard();
    } else {
      const isAscii = unmask(bytes, mask, from, to);
      if (!isAscii && !isUtf8(bytes.subarray(from, to))) {
        // Whoever reads it next finds a mask that changes nothing.
        bytes.fill(0, mask, from);
        return at;
      }
      reader.text(bytes.toString(isAscii ? "latin1" : "utf8", from, to));
    }
    at = to;
  }
  return at;
}

/** Takes the mask off (RFC 6455 section 5.3); returns whether what was under it is ASCII alone. */
function unmask(bytes: Buffer, mask: number, from: number, to: number): boolean {
  let all = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] ^ bytes[mask + ((i - from) & 3)];
    bytes[i] = byte;
    all |= byte;
  }
  return all < 0x80;
}

/**
 * Texts as frames of a server, one for each, in one piece: final, not masked and not compressed
 * (RFC 6455 section 5.2). Texts that are not well-formed get U+FFFD, as everywhere.
 */
export function textFrames(texts: readonly string[]): Buffer {
  const payloads = texts.map((text) => encoder.encode(text));
  let size = 0;
  for (const { length } of payloads) size += headSize(length) + length;
  // Sockets keep it for as long as a reader takes: a shared pool must not be kept by that.
  const frames = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const payload of payloads) {
    at = writeHead(frames, at, payload.length);
    frames.set(payload, at);
    at += payload.length;
  }
  return frames;
}

/** Longest frame that is made as characters. */
const MAX_ASCII = 1024;
// deno-lint-ignore no-control-regex -- that is what ASCII is
const ASCII = /^[\x00-\x7f]*$/;

/**
 * A short text as a frame, each character of which is a byte: for one that is written once, that costs
 * less than bytes do. `undefined` if it is longer, or has other characters than ASCII.
 */
export function asciiFrame(text: string): string | undefined {
  const { length } = text;
  if (length > MAX_ASCII || !ASCII.test(text)) return undefined;
  return length < 126
    ? String.fromCharCode(TEXT, length) + text
    : String.fromCharCode(TEXT, 126, length >> 8, length & 255) + text;
}

function headSize(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHead(frames: Buffer, at: number, length: number): number {
  frames[at] = TEXT;
  if (length < 126) {
    frames[at + 1] = length;
  } else if (length < 65_536) {
    frames[at + 1] = 126;
    frames.writeUInt16BE(length, at + 2);
  } else {
    frames[at + 1] = 127;
    frames.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2);
    frames.writeUInt32BE(length % 2 ** 32, at + 6);
  }
  return at + headSize(length);
}
