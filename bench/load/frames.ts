/** WebSocket frames as bytes (RFC 6455 section 5), as much of them as a load generator needs. */

/** What a frame is. */
export const TEXT = 1;
/** The peer ends the connection. */
export const CLOSE = 8;
/** The peer asks for a sign of life. */
export const PING = 9;
/** A sign of life. */
export const PONG = 10;

/** Bytes before the payload of a client's frame with a 16-bit length: two, the length, the mask. */
const LONG_HEAD = 8;
const SHORT_HEAD = 6;

/**
 * A frame from a client. Its mask is zero, which leaves the payload as it is: what is measured is the
 * server, and this one is trusted.
 *
 * @throws {RangeError} if the payload is longer than 65535 bytes
 */
export function encodeFrame(payload: Uint8Array, opcode = TEXT): Uint8Array<ArrayBuffer> {
  const { length } = payload;
  if (length > 0xffff) throw new RangeError(`Cannot encode a frame of ${length} bytes`);
  const head = length < 126 ? SHORT_HEAD : LONG_HEAD;
  const frame = new Uint8Array(head + length);
  frame[0] = 0x80 | opcode;
  if (head === SHORT_HEAD) {
    frame[1] = 0x80 | length;
  } else {
    frame[1] = 0x80 | 126;
    frame[2] = length >> 8;
    frame[3] = length & 0xff;
  }
  frame.set(payload, head);
  return frame;
}

/** Hears what is in frames: the payload is `bytes` from `start` to before `end`, and not kept. */
export interface FrameHandler {
  (opcode: number, bytes: Uint8Array, start: number, end: number): void;
}

/**
 * Hands out the whole frames in `bytes` from `start` to before `end`; returns where the first one that is
 * not whole begins.
 *
 * @throws {Error} if a frame is masked, or a message is in several frames: no peer here does that
 */
export function decodeFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  handle: FrameHandler,
): number {
  let at = start;
  while (end - at >= 2) {
    const first = bytes[at];
    let length = bytes[at + 1];
    let payload = at + 2;
    if (length > 127) throw new Error("The server masks its frames.");
    if (length === 126) {
      if (end - at < 4) break;
      length = bytes[at + 2] << 8 | bytes[at + 3];
      payload = at + 4;
    } else if (length === 127) {
      if (end - at < 10) break;
      length = 0;
      for (let i = at + 2; i < at + 10; i++) length = length * 256 + bytes[i];
      payload = at + 10;
    }
    if (end - payload < length) break;
    if (first <= 0x80) throw new Error("The server splits its messages.");
    handle(first & 0x0f, bytes, payload, payload + length);
    at = payload + length;
  }
  return at;
}
