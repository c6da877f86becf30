/**
 * Who is at the other end of a request, seen past the proxies in front of the gateway.
 *
 * @module
 */
import {
  type AddressBytes,
  formatAddress,
  isIn,
  isQuad,
  type Network,
  parseAddress,
  parseNetwork,
} from "./address.ts";
import type { HeaderFields } from "./head.ts";

/** The other end of a request. */
export interface Peer {
  /**
   * Its IP address in one form: IPv4 as such also where it came as IPv6, IPv6 in lower case and
   * shortened (RFC 5952). `undefined` where nobody knows: over a Unix socket, or in a gateway that is
   * mounted in a server which does not say.
   */
  readonly address: string | undefined;
  /** Whether it speaks over TLS, with the gateway or with a trusted proxy. */
  readonly secure: boolean;
}

/** Proxies whose word is taken: networks, and the addresses of this machine if `loopback` is said. */
export type TrustedProxies = readonly Network[];

/** Stands for this machine in a list of trusted proxies. */
export const LOOPBACK = "loopback";

const LOOPBACK_NETWORKS = ["127.0.0.0/8", "::1"];
/** More hops than any way through the net has: what stands before them is not read. */
const MOST_HOPS = 64;

/**
 * Reads a list of trusted proxies.
 *
 * @param entries addresses, networks (`10.0.0.0/8`), or `loopback`
 * @throws {RangeError} if an entry is none of these
 */
export function trustedProxies(entries: readonly string[]): TrustedProxies {
  return entries.flatMap((entry) => entry === LOOPBACK ? LOOPBACK_NETWORKS : [entry]).map((it) => {
    const network = parseNetwork(it);
    if (network === undefined) throw new RangeError(`'${it}' is no address and no network`);
    return network;
  });
}

/**
 * Who sent a request. Each proxy adds to `X-Forwarded-For` whom it got the request from, so the list
 * is believed from its end, as long as those who wrote it are trusted: the first that is not is the
 * peer. What an untrusted peer says of itself counts for nothing.
 *
 * `Forwarded` (RFC 7239) is not read: a proxy that writes one of the two fields passes the other one
 * on as the client wrote it.
 *
 * @param remote address of the other end of the connection
 * @param secure whether the connection is TLS
 * @param headers fields of the request
 * @param trusted proxies whose word is taken
 */
export function peerOf(
  remote: string | undefined,
  secure: boolean,
  headers: HeaderFields,
  trusted: TrustedProxies,
): Peer {
  // What is written with dots alone is written in its one form.
  if (trusted.length === 0 && remote !== undefined && isQuad(remote)) {
    return { address: remote, secure };
  }
  const bytes = remote === undefined ? undefined : parseAddress(remote);
  if (bytes === undefined) return { address: undefined, secure };
  if (!isTrusted(bytes, trusted)) {
    return { address: isQuad(remote!) ? remote : formatAddress(bytes), secure };
  }
  return {
    address: formatAddress(lastUntrusted(bytes, headers.get("x-forwarded-for"), trusted)),
    secure: secureBefore(headers.get("x-forwarded-proto")) ?? secure,
  };
}

function isTrusted(address: AddressBytes, trusted: TrustedProxies): boolean {
  return trusted.some((network) => isIn(network, address));
}

function lastUntrusted(
  nearest: AddressBytes,
  forwarded: string | null,
  trusted: TrustedProxies,
): AddressBytes {
  let peer = nearest;
  for (const hop of forwarded?.split(",").reverse().slice(0, MOST_HOPS) ?? []) {
    const address = parseHop(hop.trim());
    // What a proxy did not know, nobody knows: the proxy itself is the last that is known.
    if (address === undefined) return peer;
    peer = address;
    if (!isTrusted(address, trusted)) return peer;
  }
  return peer;
}

/** A hop as proxies write it: an address, some with a port behind it, IPv6 then in brackets. */
function parseHop(hop: string): AddressBytes | undefined {
  const [, bracketed, quad] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(hop) ?? [];
  return parseAddress(bracketed ?? quad ?? hop);
}

/** What the nearest proxy says of the scheme, if it says something that can be understood. */
function secureBefore(protocols: string | null): boolean | undefined {
  const last = protocols?.split(",").at(-1)?.trim().toLowerCase();
  if (last === "https" || last === "wss") return true;
  return last === "http" || last === "ws" ? false : undefined;
}
