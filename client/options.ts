import { ABOVE_0, check, isText, members, number, OBJECT } from "./check.ts";
import type { BackoffRange } from "./backoff.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "./clock.ts";
import { browserEnvironment, type Environment } from "./environment.ts";
import type { Transport } from "./lifecycle.ts";
import type { Fetch } from "./links/http.ts";
import type { WebSocketConstructor } from "./links/websocket.ts";
import type { PublishKeeper } from "./outbox.ts";
import { CLIENT_ID } from "./protocol/channel_name.ts";
import { IDEMPOTENCY_WINDOW } from "./protocol/limits.ts";

/**
 * Gives the token to connect with. Asked at the first connection, again before the token expires, so
 * that the connection goes on with a new one, and after it has expired.
 */
export type TokenSource = () => string | Promise<string>;

/** Options of `PushClient`. Every duration is in seconds; fractions are allowed. */
export interface ClientOptions {
  /** Token that the gateway asks for, or a function that gets one. It never travels in a URL. Default none. */
  readonly authToken?: string | TokenSource;
  /**
   * Name of this client: 1 to 128 of `A-Z a-z 0-9 _ : . - + @ = /`. A named session lives on
   * between the runs of a program. By default the gateway gives a name.
   */
  readonly clientId?: string;
  /** Whether a connection that failed or was lost is tried again. Default true. */
  readonly autoReconnect?: boolean;
  /** Whether another transport is tried where the first of `transports` fails. Default true. */
  readonly fallbackToPolling?: boolean;
  /** Transports, the best first. Default `["websocket", "sse", "longpoll"]`. */
  readonly transports?: readonly Transport[];
  /**
   * Address that `/api/push/…` is appended to, where a proxy has moved it: `http:` or `https:`,
   * which `ws:` and `wss:` mean too.
   * Default the address of the client without `/ws` at the end of its path; without any path if a
   * `ws:` or `wss:` address ends otherwise.
   */
  readonly apiUrl?: string | URL;
  /**
   * Seconds in which a WebSocket must be open and accepted, from 0.001. Default 2.5, so that the others
   * follow in time, and 10 where there is no other.
   */
  readonly connectTimeout?: number;
  /** Seconds after which a request rejects with `disconnected`, from 0.001. Default 10. */
  readonly requestTimeout?: number;
  /**
   * Seconds that a publish may wait to be sent, and may then wait for its answer: 0.001 to 300,
   * the time in which the gateway knows a repeat. Default 300.
   */
  readonly publishTimeout?: number;
  /** Publishes that may wait for their answer at a time, from 1. Default 1000. */
  readonly maxOutbox?: number;
  /** What keeps unanswered publishes over a reload: see `@push/client/outbox`. Default none. */
  readonly outbox?: PublishKeeper;
  /**
   * Seconds of the growing wait between tries: random up to a ceiling that doubles from `min`
   * (default 0.5) to `max` (default 20), both from 0.001.
   */
  readonly reconnectDelay?: { readonly min?: number; readonly max?: number };
  /** Most seconds between signs of life, from 0.001. Default what the gateway asks for. */
  readonly heartbeatInterval?: number;
  /** Seconds that the session outlives its connection, from 0. Default, and most, what the gateway grants. */
  readonly sessionTtl?: number;
  /** Class of the WebSocket. Default the global one. */
  readonly WebSocket?: WebSocketConstructor;
  /** Function that sends HTTP requests. Default the global one. */
  readonly fetch?: Fetch;
  /** Source of time. Default the machine's. */
  readonly clock?: Clock;
  /** Source of randomness. Default the machine's. */
  readonly random?: RandomBytes;
  /** The page around the client. Default the browser's, where there is one. */
  readonly environment?: Environment;
}

/** Options after checking and defaults, every duration in milliseconds. */
export interface ClientSettings {
  /** The best first. */
  readonly transports: readonly Transport[];
  readonly autoReconnect: boolean;
  readonly socketUrl: string;
  readonly httpUrl: string;
  readonly authToken?: string | TokenSource;
  readonly clientId?: string;
  readonly connectTimeout: number;
  readonly requestTimeout: number;
  readonly publishTimeout: number;
  readonly maxOutbox: number;
  readonly outbox?: PublishKeeper;
  readonly reconnectDelay: BackoffRange;
  readonly heartbeatInterval: number | undefined;
  /** Seconds, as on the wire. */
  readonly sessionTtl?: number;
  readonly WebSocket: WebSocketConstructor | undefined;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly environment?: Environment | undefined;
}

const TRANSPORTS: readonly Transport[] = ["websocket", "sse", "longpoll"];
const ADDRESS = "a URL of HTTP or WebSocket without a user name";

/**
 * Checks what `new PushClient(url, options)` was given.
 *
 * @throws {TypeError} if something is of the wrong type, or an option is not known
 * @throws {RangeError} if something has a wrong value
 */
export function checkOptions(url: string | URL, options?: ClientOptions): ClientSettings {
  const o = members(options, {
    authToken: [
      "a function or a string that is not empty",
      (value) => isText(value) || typeof value === "function",
      Boolean,
    ],
    clientId: CLIENT_ID,
    autoReconnect: "boolean",
    fallbackToPolling: "boolean",
    transports: [
      `a list of ${TRANSPORTS.join(", ")}, each at most once`,
      Array.isArray,
      (list: Transport[]) =>
        list[0] && list.every((it, i) => TRANSPORTS.includes(it) && list.indexOf(it) === i),
    ],
    apiUrl: ["", () => true],
    connectTimeout: number(),
    requestTimeout: number(),
    publishTimeout: number(ABOVE_0, IDEMPOTENCY_WINDOW),
    maxOutbox: number(1, undefined, 1),
    outbox: "object",
    reconnectDelay: OBJECT,
    heartbeatInterval: number(),
    sessionTtl: number(0),
    WebSocket: "function",
    fetch: "function",
    clock: "object",
    random: "function",
    environment: "object",
  }, {
    autoReconnect: true,
    fallbackToPolling: true,
    transports: TRANSPORTS,
    requestTimeout: 10,
    publishTimeout: IDEMPOTENCY_WINDOW,
    maxOutbox: 1000,
    WebSocket: globalThis.WebSocket,
    fetch: (input: string, init: RequestInit) => fetch(input, init),
    clock: systemClock,
    random: systemRandom,
    environment: browserEnvironment(),
  });
  const most = o.reconnectDelay?.max ?? 20;
  const { min, max } = members(
    o.reconnectDelay,
    {
      max: number(),
      min: number(ABOVE_0, most),
    },
    { max: most, min: Math.min(0.5, most) },
    "reconnectDelay",
  );
  const transports = o.transports
    .slice(0, o.fallbackToPolling ? undefined : 1)
    .filter((transport) => transport !== "websocket" || o.WebSocket);
  // Nothing is left where there is no global one.
  if (!transports[0]) check("WebSocket", o.WebSocket, "function");
  return {
    ...o,
    ...urlsOf(url, o.apiUrl),
    transports,
    connectTimeout: 1000 * (o.connectTimeout ?? (transports[1] ? 2.5 : 10)),
    requestTimeout: 1000 * o.requestTimeout,
    publishTimeout: 1000 * o.publishTimeout,
    reconnectDelay: { min: 1000 * min, max: 1000 * max },
    heartbeatInterval: o.heartbeatInterval && 1000 * o.heartbeatInterval,
  };
}

/** Addresses of all transports: the gateway's API is where its socket is, without `/ws`, or at the root. */
function urlsOf(
  url: string | URL,
  apiUrl: string | URL | undefined = url,
): { socketUrl: string; httpUrl: string } {
  const [scheme, rest, base, ws = "", slashes, query = ""] = partsOf("url", url);
  const [, apiRest, apiBase, apiWs = ""] = partsOf("apiUrl", apiUrl);
  // With an HTTP address the gateway itself is meant, so the socket has its usual place there.
  const isBase = scheme === "http";
  return {
    socketUrl: `ws${rest}${base}${isBase ? "/ws" : ws + slashes}${query}`,
    httpUrl: `http${apiRest}${apiUrl !== url ? apiBase + apiWs : isBase || ws ? base : ""}`,
  };
}

/** Parts of an address: scheme, `s`, host and port, path, `/ws`, slashes, query. */
function partsOf(name: string, value: string | URL): string[] {
  let parts: string[] | null | undefined;
  try {
    parts = /^(http|ws)(s?:\/\/[^/@]+)(?=\/)([^?#]*?)(\/ws)?(\/*)(\?[^#]*)?(#|$)/
      .exec(new URL(value).href);
  } catch {
    // It is refused below.
  }
  // A password is not shown.
  const shown = isText(value) || value instanceof URL ? `${value}`.replace(/.*@/, "…@") : value;
  check<unknown>(name, shown, [ADDRESS, isText, () => parts]);
  return parts!.slice(1);
}
