/**
 * IP addresses and networks as bytes, so that one address has one form however it was written.
 *
 * @module
 */

/** Bytes of an address: 4 or 16. One of IPv4 that is written as IPv6 (`::ffff:10.0.0.1`) has 4. */
export type AddressBytes = Uint8Array;

/** A network: the addresses that begin with certain bits. */
export interface Network {
  readonly bytes: AddressBytes;
  /** How many bits count. */
  readonly prefix: number;
}

const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const QUAD = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
// What IPv6 is written with (RFC 4291 section 2.2); the parser of URLs does the rest.
const IPV6 = /^[\da-f:]+:[\da-f:.]*$/i;
const NETWORK = /^([^/]+)(?:\/(\d{1,3}))?$/;
/** `::ffff:0:0/96` (RFC 4291 section 2.5.5.2). */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Whether a text is an address of IPv4, written with dots alone: there is one form of that. */
export function isQuad(text: string): boolean {
  return QUAD.test(text);
}

/** Reads an address, without a port or brackets; `undefined` if it is none. */
export function parseAddress(text: string): AddressBytes | undefined {
  const quad = IPV4.exec(text);
  if (quad !== null) return bytesOfQuad(quad);
  // A zone names an interface of this machine, and is no part of the address (RFC 4007 section 11).
  const [address] = text.split("%", 1);
  if (!IPV6.test(address) || address.length > 45) return undefined;
  const hostname = URL.parse(`http://[${address}]/`)?.hostname;
  if (hostname === undefined) return undefined;
  const bytes = bytesOfGroups(hostname.slice(1, -1));
  return MAPPED.every((byte, i) => bytes[i] === byte) ? bytes.slice(12) : bytes;
}

/** An address in its one form: `10.0.0.1`, `2001:db8::1` (RFC 5952). */
export function formatAddress(bytes: AddressBytes): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => bytes[2 * i] << 8 | bytes[2 * i + 1]);
  const hostname = new URL(`http://[${groups.map((it) => it.toString(16)).join(":")}]/`).hostname;
  return hostname.slice(1, -1);
}

/** Reads an address, or a network in CIDR notation (RFC 4632); `undefined` if it is none. */
export function parseNetwork(text: string): Network | undefined {
  const [, address, bits] = NETWORK.exec(text) ?? [];
  const bytes = address === undefined ? undefined : parseAddress(address);
  if (bytes === undefined) return undefined;
  const most = bytes.length * 8;
  if (bits === undefined) return { bytes, prefix: most };
  // What is written as IPv6 counts its bits from there.
  const prefix = Number(bits) - (most === 32 && address.includes(":") ? 96 : 0);
  return prefix < 0 || prefix > most ? undefined : { bytes, prefix };
}

/** Whether an address is in a network. */
export function isIn({ bytes, prefix }: Network, address: AddressBytes): boolean {
  if (bytes.length !== address.length) return false;
  const whole = prefix >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== address[i]) return false;
  const rest = prefix & 7;
  return rest === 0 || (bytes[whole] ^ address[whole]) >> (8 - rest) === 0;
}

function bytesOfQuad(quad: RegExpExecArray): AddressBytes | undefined {
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = quad[i + 1];
    const byte = Number(part);
    // A leading zero is read as octal by some, and by others not.
    if (byte > 255 || (part.length > 1 && part[0] === "0")) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** Bytes of an address as the parser of URLs writes it: hexadecimal groups, one `::` at most. */
function bytesOfGroups(text: string): AddressBytes {
  const [left, right] = text.split("::").map((part) => part === "" ? [] : part.split(":"));
  const behind = right ?? [];
  const gap = Array.from({ length: 8 - left.length - behind.length }, () => "0");
  const bytes = new Uint8Array(16);
  for (const [i, group] of [...left, ...gap, ...behind].entries()) {
    const value = parseInt(group, 16);
    bytes[2 * i] = value >> 8;
    bytes[2 * i + 1] = value & 255;
  }
  return bytes;
}
