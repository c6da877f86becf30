/**
 * Which slot of a Redis Cluster a key lives in, and which node has which slots.
 *
 * @module
 */
import type { Endpoint } from "./link_address.ts";

/** How many slots there are (Redis Cluster specification, "Key distribution model"). */
export const SLOTS = 16_384;

/** A run of slots, and the primary that has them. */
export interface SlotRange {
  /** First slot… */
  readonly from: number;
  /** …and last. */
  readonly to: number;
  /** The primary. */
  readonly node: Endpoint;
}

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0);
  return crc;
});
const encoder = new TextEncoder();

/** Slot of a key: of what stands between its first braces, if something does. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const tag = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of encoder.encode(tag)) {
    crc = (crc << 8 ^ CRC16[(crc >> 8 ^ byte) & 0xff]) & 0xffff;
  }
  return crc % SLOTS;
}

/**
 * Reads the answer to `CLUSTER SLOTS`.
 *
 * @param asked who answered: a node that does not know its own address means itself
 */
export function rangesOf(reply: unknown, asked: Endpoint): SlotRange[] {
  if (!Array.isArray(reply)) return [];
  return reply.map((entry) => {
    const [from, to, [host, port]] = entry as [number, number, [string | null, number]];
    return { from, to, node: { host: host ? host : asked.host, port } };
  });
}

/** Slot and node that `MOVED` or `ASK` names; `undefined` if the text is neither. */
export function redirection(
  text: string,
  asked: Endpoint,
): { readonly slot: number; readonly node: Endpoint } | undefined {
  const [, slot, host, port] = /^(?:MOVED|ASK) (\d+) (.*):(\d+)$/.exec(text) ?? [];
  if (slot === undefined || Number(slot) >= SLOTS) return undefined;
  return {
    slot: Number(slot),
    node: { host: host === "" ? asked.host : host, port: Number(port) },
  };
}
