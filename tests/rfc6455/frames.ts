/**
 * Frames of RFC 6455 as bytes, right and wrong ones.
 *
 * @module
 */

/** What a frame is made of, where it differs from a whole masked text. */
export interface FrameParts {
  readonly opcode?: number;
  readonly fin?: boolean;
  /** The three reserved bits, as in `0b100`. */
  readonly rsv?: number;
  readonly masked?: boolean;
  /** Bytes of the length: 1, 3 or 9; by default as few as will do. */
  readonly lengthBytes?: 1 | 3 | 9;
  /** What the length says; by default the truth. */
  readonly claims?: bigint;
}

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

const MASK = [0x37, 0xfa, 0x21, 0x3d];
const encoder = new TextEncoder();

/** Text or bytes as bytes. */
export function bytesOf(payload: string | number[] | Uint8Array): Uint8Array {
  return typeof payload === "string" ? encoder.encode(payload) : Uint8Array.from(payload);
}

/** A frame from the client. */
export function frame(
  payload: string | number[] | Uint8Array,
  { opcode = TEXT, fin = true, rsv = 0, masked = true, lengthBytes, claims }: FrameParts = {},
): Uint8Array {
  const data = bytesOf(payload);
  const length = claims ?? BigInt(data.length);
  const form = lengthBytes ?? (length < 126n ? 1 : length < 65_536n ? 3 : 9);
  const bit = masked ? 0x80 : 0;
  const head = [(fin ? 0x80 : 0) | rsv << 4 | opcode];
  if (form === 1) head.push(bit | Number(length));
  else {
    head.push(bit | (form === 3 ? 126 : 127));
    const bits = form === 3 ? 16n : 64n;
    for (let shift = bits - 8n; shift >= 0n; shift -= 8n) head.push(Number(length >> shift & 255n));
  }
  if (masked) head.push(...MASK);
  const body = masked ? data.map((byte, i) => byte ^ MASK[i % 4]) : data;
  return joined([Uint8Array.from(head), body]);
}

/** A close frame with a code and a reason. */
export function closeFrame(code: number, reason: string | number[] = ""): Uint8Array {
  return frame([code >> 8, code & 255, ...bytesOf(reason)], { opcode: CLOSE });
}

/** Bytes one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
