import type { Arrived } from "../http/head.ts";
import type { Upgrader } from "../http/upgrader.ts";

/** What a server says of a request, as the second argument of a handler of `Deno.serve`. */
export interface RequestInfo {
  /** The other end of the connection; its `hostname` is absent over a Unix socket. */
  readonly remoteAddr?: { readonly transport: string; readonly hostname?: string };
}

/** How a request came. */
export interface Arrival {
  /** Address of the other end of the connection, if it has one. */
  readonly remote: string | undefined;
  /** Whether the connection is TLS. */
  readonly secure: boolean;
  /** Makes a WebSocket of the connection. */
  readonly upgrader: Upgrader;
}

/** Answers requests. Never rejects. */
export type Handler = (request: Arrived, arrival: Arrival) => Promise<Response>;

/** The gateway's own HTTP server. */
export interface Listener {
  /** Where it listens. */
  readonly address: { readonly hostname: string; readonly port: number };
  /**
   * Takes no more connections, waits a little for the requests under way and for their answers to
   * leave, then closes what is left. Idempotent.
   */
  close(): Promise<void>;
}

/** Milliseconds that requests under way get to end, and their answers to leave. */
export const GRACE = 2_000;
/** Milliseconds after which a server that had to stop accepting tries again. */
export const RELISTEN_DELAY = 200;
