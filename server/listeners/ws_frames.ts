import { Buffer } from "node:buffer";

const TEXT = 0x81;
const encoder = new TextEncoder();

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
