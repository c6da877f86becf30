/**
 * How the signature of a JSON Web Token is spelled. A token without an id is revoked by its text, and the
 * signature is the one part of the text that is not signed: whoever has the token could spell it anew.
 *
 * @module
 */

/** Orders of the curves, by algorithm (SEC 2 section 2). */
const ORDERS: ReadonlyMap<unknown, bigint> = new Map([
  ["ES256", 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n],
  [
    "ES384",
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ],
  [
    "ES512",
    0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  ],
]);

/** Whether a token's signature is spelled as RFC 7515 wants it: without padding, spaces and spare bits. */
export function isSpelledRight(token: string): boolean {
  const signature = token.slice(token.lastIndexOf(".") + 1);
  const bytes = decode(signature);
  return bytes !== undefined && encode(bytes) === signature;
}

/**
 * The other text of the same token whose signature is as right, which anybody can make: of two numbers
 * that ECDSA signs with, the second may be negative. `undefined` if there is none.
 */
export function twinOf(token: string): string | undefined {
  const [header, payload, signature, ...more] = token.split(".");
  if (signature === undefined || more.length > 0) return undefined;
  const order = ORDERS.get(algorithmOf(header));
  const bytes = decode(signature);
  if (order === undefined || bytes === undefined || bytes.length === 0) return undefined;
  const half = bytes.length / 2;
  const second = BigInt(`0x0${bytes.subarray(half).toHex()}`);
  if (!Number.isInteger(half) || second <= 0n || second >= order) return undefined;
  const hex = (order - second).toString(16).padStart(2 * half, "0");
  bytes.set(Uint8Array.fromHex(hex.slice(-2 * half)), half);
  return `${header}.${payload}.${encode(bytes)}`;
}

function algorithmOf(header: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(decode(header)))?.alg;
  } catch {
    return undefined;
  }
}

function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    return undefined;
  }
}

function encode(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
