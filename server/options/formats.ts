/**
 * What texts in options must look like.
 *
 * @module
 */
import { parseNetwork } from "../http/address.ts";
import { LOOPBACK } from "../http/peer.ts";

/** Signatures of JSON Web Tokens that can be accepted (RFC 7518 section 3.1, RFC 8037). */
export const ALGORITHMS: readonly string[] = [
  ...["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA"],
];
const LONGEST_ORIGIN = 300;
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._~[\]:-]+$/;
const REDIS_PROTOCOLS = ["redis:", "rediss:"];
const MOST_DATABASE = 65_535;

/**
 * Host as it stands in a URL; `undefined` if it is none. A shortened or numeric address comes out
 * in full (`127.1` as `127.0.0.1`).
 */
export function hostInUrl(host: string): string | undefined {
  if (!/^[\w.:-]{1,255}$/.test(host)) return undefined;
  return URL.parse(`http://${host.includes(":") ? `[${host}]` : host}/`)?.hostname;
}

/** Whether a text names trusted proxies. */
export function isNetwork(text: string): boolean {
  return text === LOOPBACK || parseNetwork(text) !== undefined;
}

/** Whether a text is written as browsers write the header Origin, or is the wildcard. */
export function isOrigin(text: string): boolean {
  if (text === "*") return true;
  if (text.length > LONGEST_ORIGIN || !ORIGIN.test(text)) return false;
  const url = URL.parse(text);
  // Of another scheme than the web's nothing has an origin of its own, and browsers send it as it is.
  return url !== null && (url.origin === text || url.origin === "null");
}

/** Whether a path is one that can be requested, and none of the gateway's own. */
export function isFreePath(path: string): boolean {
  // What a URL would spell in another way could never be requested, or would name another path.
  if (!path.startsWith("/") || URL.parse(path, "http://localhost")?.pathname !== path) return false;
  return !/^\/(health|metrics|api\/push)(\/|$)/.test(path);
}

/** Whether a text is a URL of Redis, whose path is a number of a database or nothing. */
export function isRedisUrl(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || !REDIS_PROTOCOLS.includes(url.protocol) || url.hostname === "") return false;
  if (databaseIn(url) === undefined) return false;
  return [url.username, url.password, url.hostname].every(isEncoded);
}

/** Number of the database that a URL of Redis names; `undefined` if its path is no such number. */
export function databaseIn({ pathname }: URL): number | undefined {
  const [, digits] = /^\/?(\d{0,5})$/.exec(pathname) ?? [];
  return digits === undefined || Number(digits) > MOST_DATABASE ? undefined : Number(digits);
}

/** Whether a part of a URL can be read: each percent sign begins a character. */
function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether nobody on the way can change what is at an address. */
export function isKeyUrl(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || url.hash !== "" || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && /^(localhost|\[::1\]|127(\.\d+){3})$/.test(url.hostname);
}

/** Whether a text is a host, or a host and a port; an IPv6 address stands in brackets. */
export function isAddress(text: string): boolean {
  const [, host, port] = /^([^:[\]]+|\[[^\]]*:[^\]]*\])(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || hostInUrl(host.replace(/[[\]]/g, "")) === undefined) return false;
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
}
