import { MESSAGE_OVERHEAD } from "../store.ts";

const encoder = new TextEncoder();
// Up to here a loop is faster than what the encoder allocates.
const SHORT = 512;

/** Size of a message that counts against limits: its payload in UTF-8, and a constant for the rest. */
export function messageBytes(payload: string): number {
  return MESSAGE_OVERHEAD +
    (payload.length > SHORT ? encoder.encode(payload).length : utf8Length(payload));
}

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      bytes++;
    } else if (isPair(unit, text.charCodeAt(i + 1))) {
      bytes += 2;
      i++;
    } else {
      bytes += 2;
    }
  }
  return bytes;
}

function isPair(high: number, low: number): boolean {
  return (high & 0xfc00) === 0xd800 && (low & 0xfc00) === 0xdc00;
}
