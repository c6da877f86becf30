import { check, type Kind, members, number, pattern, typed } from "./check.ts";
import type { BackoffRange } from "./backoff.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "./clock.ts";
import { browserEnvironment, type Environment } from "./environment.ts";
import type { Policy, Transport } from "./lifecycle.ts";
import type { Fetch } from "./links/http.ts";
import type { WebSocketConstructor } from "./links/websocket.ts";
import type { PublishKeeper } from "./outbox.ts";
import { CLIENT_ID } from "./protocol/channel_name.ts";
import { IDEMPOTENCY_WINDOW } from "./protocol/limits.ts";

/** Gives the token to connect with. Asked at the first connection, and again after a token has expired. */
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
   * Seconds in which a WebSocket must be open and accepted, above 0. Default 2.5, so that the others
   * follow in time, and 10 where there is no other.
   */
  readonly connectTimeout?: number;
  /** Seconds after which a request rejects with `disconnected`, above 0. Default 10. */
  readonly requestTimeout?: number;
  /**
   * Seconds that a publish may wait to be sent, and may then wait for its answer: above 0, at most
   * 300, the time in which the gateway knows a repeat. Default 300.
   */
  readonly publishTimeout?: number;
  /** Publishes that may wait for their answer at a time, from 1. Default 1000. */
  readonly maxOutbox?: number;
  /** What keeps unanswered publishes over a reload: see `@push/client/outbox`. Default none. */
  readonly outbox?: PublishKeeper;
  /**
   * Seconds of the growing wait between tries: random up to a ceiling that doubles from `min`
   * (default 0.5) to `max` (default 20), both above 0.
   */
  readonly reconnectDelay?: { readonly min?: number; readonly max?: number };
  /** Most seconds between signs of life, above 0. Default what the gateway asks for. */
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
export interface ClientSettings extends Policy {
  readonly socketUrl: string;
  readonly httpUrl: string;
  readonly authToken: string | TokenSource | undefined;
  readonly clientId: string | undefined;
  readonly connectTimeout: number;
  readonly requestTimeout: number;
  readonly publishTimeout: number;
  readonly maxOutbox: number;
  readonly outbox: PublishKeeper | undefined;
  readonly reconnectDelay: BackoffRange;
  readonly heartbeatInterval: number | undefined;
  /** Seconds, as on the wire. */
  readonly sessionTtl: number | undefined;
  readonly WebSocket: WebSocketConstructor | undefined;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly environment: Environment | undefined;
}

const ACT = "create a PushClient";
const TRANSPORTS: readonly Transport[] = ["websocket", "sse", "longpoll"];
const ANY: Kind<unknown> = ["", () => true];

/**
 * Checks what `new PushClient(url, options)` was given.
 *
 * @throws {TypeError} if something is of the wrong type, or an option is not known
 * @throws {RangeError} if something has a wrong value
 */
export function checkOptions(url: string | URL, options?: ClientOptions): ClientSettings {
  const shape = {
    authToken: [
      "a function or a string that is not empty",
      (value) => /^(st|fu)/.test(typeof value),
      (value: unknown) => value !== "",
    ] as Kind<string | TokenSource | undefined>,
    clientId: pattern(CLIENT_ID),
    autoReconnect: typed("boolean", true),
    fallbackToPolling: typed("boolean", true),
    transports: [
      `a list of ${TRANSPORTS.join(", ")}, each at most once`,
      Array.isArray,
      (list: Transport[]) =>
        list.length > 0 && list.every((it, i) => TRANSPORTS.includes(it) && list.indexOf(it) === i),
      TRANSPORTS,
    ] as Kind<readonly Transport[]>,
    apiUrl: ANY,
    connectTimeout: number(undefined),
    requestTimeout: number(10),
    publishTimeout: number(IDEMPOTENCY_WINDOW, IDEMPOTENCY_WINDOW),
    maxOutbox: number(1000, undefined, 1, true),
    outbox: typed<PublishKeeper | undefined>("object", undefined),
    reconnectDelay: typed<Record<string, unknown> | undefined>("object", undefined),
    heartbeatInterval: number(undefined),
    sessionTtl: number(undefined, undefined, 0),
    WebSocket: typed<WebSocketConstructor | undefined>("function", globalThis.WebSocket),
    fetch: typed<Fetch>("function", (input, init) => fetch(input, init)),
    clock: typed("object", systemClock),
    random: typed("function", systemRandom),
    environment: typed("object", browserEnvironment()),
  } satisfies { [name in keyof ClientOptions]-?: Kind<unknown> };
  const o = members(ACT, "options", options, shape);
  const most = options?.reconnectDelay?.max ?? 20;
  const { min, max } = members(ACT, "reconnectDelay", o.reconnectDelay, {
    max: number(most),
    min: number(Math.min(0.5, most), most),
  }, "reconnectDelay.");
  const transports = o.transports
    .slice(0, o.fallbackToPolling ? undefined : 1)
    .filter((transport) => transport !== "websocket" || o.WebSocket);
  // Nothing is left where there is no global one.
  if (transports.length === 0) check(ACT, "WebSocket", undefined, shape.WebSocket);
  return {
    ...o,
    ...urlsOf(url, o.apiUrl),
    transports,
    connectTimeout: 1000 * (o.connectTimeout ?? (transports.length > 1 ? 2.5 : 10)),
    requestTimeout: 1000 * o.requestTimeout,
    publishTimeout: 1000 * o.publishTimeout,
    reconnectDelay: { min: 1000 * min, max: 1000 * max },
    heartbeatInterval: o.heartbeatInterval && 1000 * o.heartbeatInterval,
  };
}

/** Addresses of all transports: the gateway's API is where its socket is, without `/ws`, or at the root. */
function urlsOf(url: unknown, apiUrl: unknown): { socketUrl: string; httpUrl: string } {
  const [, scheme, rest, base, ws = "", slashes, query = ""] = partsOf("url", url);
  // With an HTTP address the gateway itself is meant, so the socket has its usual place there.
  const isBase = scheme === "http";
  const [, , apiRest, apiBase, apiWs = ""] = partsOf("apiUrl", apiUrl === undefined ? url : apiUrl);
  return {
    socketUrl: `ws${rest}${base}${isBase ? "/ws" : ws + slashes}${query}`,
    httpUrl: `http${apiRest}${apiUrl ? apiBase + apiWs : isBase || ws ? base : ""}`,
  };
}

/** Parts of an address: scheme, `s`, host and port, path, `/ws`, slashes, query. */
function partsOf(name: string, value: unknown): string[] {
  const isText = typeof value === "string" || value instanceof URL;
  let parts: string[] | null = null;
  try {
    parts = /^(http|ws)(s?:\/\/[^/@]+)(?=\/)([^?#]*?)(\/ws)?(\/*)(\?[^#]*)?(#|$)/
      .exec(new URL(value as string).href);
  } catch {
    // It is refused below.
  }
  // A password is not shown.
  check(ACT, name, isText ? `${value}`.replace(/.*@/, "…@") : value, [
    "a URL of HTTP or WebSocket without a user name",
    "string",
    () => parts !== null,
  ]);
  return parts!;
}
