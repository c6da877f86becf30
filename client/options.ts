import {
  booleanOf,
  functionOf,
  isRecord,
  membersOf,
  numberOf,
  refuseRange,
  refuseType,
} from "./check.ts";
import type { BackoffRange } from "./backoff.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "./clock.ts";
import { browserEnvironment, type Environment } from "./environment.ts";
import type { Policy, Transport } from "./lifecycle.ts";
import type { Fetch } from "./links/longpoll.ts";
import type { WebSocketConstructor } from "./links/websocket.ts";
import { isClientId } from "./protocol/channel_name.ts";
import { IDEMPOTENCY_WINDOW, MAX_CLIENT_ID } from "./protocol/limits.ts";

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
  /** Transports, the best first. Default `["websocket", "longpoll"]`. */
  readonly transports?: readonly Transport[];
  /**
   * Address that `/api/push/…` is appended to, where a proxy has moved it: `http:` or `https:`.
   * Default the address of the client without `/ws` at the end of its path; without any path if a
   * `ws:` or `wss:` address ends otherwise.
   */
  readonly apiUrl?: string | URL;
  /** Seconds in which a WebSocket must be open and accepted, above 0. Default 4. */
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
export interface ClientSettings {
  readonly socketUrl: string;
  readonly httpUrl: string;
  readonly token: string | TokenSource | undefined;
  readonly clientId: string | undefined;
  readonly policy: Policy;
  readonly connectTimeout: number;
  readonly requestTimeout: number;
  readonly publishTimeout: number;
  readonly maxOutbox: number;
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

const NAMES = [
  "authToken",
  "clientId",
  "autoReconnect",
  "fallbackToPolling",
  "transports",
  "apiUrl",
  "connectTimeout",
  "requestTimeout",
  "publishTimeout",
  "maxOutbox",
  "reconnectDelay",
  "heartbeatInterval",
  "sessionTtl",
  "WebSocket",
  "fetch",
  "clock",
  "random",
  "environment",
] as const satisfies readonly (keyof ClientOptions)[];

const ACT = "create a PushClient";
const DEFAULT_TRANSPORTS: readonly Transport[] = ["websocket", "longpoll"];

/**
 * Checks what `new PushClient(url, options)` was given.
 *
 * @throws {TypeError} if something is of the wrong type, or an option is not known
 * @throws {RangeError} if something has a wrong value
 */
export function checkOptions(url: string | URL, options?: ClientOptions): ClientSettings {
  const o = membersOf(ACT, "options", options, NAMES);
  const seconds = (name: "connectTimeout" | "requestTimeout", fallback: number): number =>
    1000 * numberOf(ACT, name, o[name], { above: true }, fallback);
  const delay = membersOf(ACT, "reconnectDelay", o.reconnectDelay, ["min", "max"]);
  const max = numberOf(ACT, "reconnectDelay.max", delay.max, { above: true }, 20);
  const min = numberOf(
    ACT,
    "reconnectDelay.min",
    delay.min,
    { above: true, max },
    Math.min(0.5, max),
  );
  const WebSocket = functionOf(ACT, "WebSocket", o.WebSocket) ?? globalWebSocket();
  const interval = numberOf(ACT, "heartbeatInterval", o.heartbeatInterval, { above: true }, void 0);
  const publishRange = { above: true, max: IDEMPOTENCY_WINDOW };
  return {
    ...checkUrls(url, o.apiUrl),
    token: checkToken(o.authToken),
    clientId: checkClientId(o.clientId),
    policy: {
      transports: checkTransports(o, WebSocket !== undefined),
      autoReconnect: booleanOf(ACT, "autoReconnect", o.autoReconnect, true),
    },
    connectTimeout: seconds("connectTimeout", 4),
    requestTimeout: seconds("requestTimeout", 10),
    publishTimeout: 1000 *
      numberOf(ACT, "publishTimeout", o.publishTimeout, publishRange, IDEMPOTENCY_WINDOW),
    maxOutbox: numberOf(ACT, "maxOutbox", o.maxOutbox, { min: 1, integer: true }, 1000),
    reconnectDelay: { min: 1000 * min, max: 1000 * max },
    heartbeatInterval: interval === undefined ? undefined : 1000 * interval,
    sessionTtl: numberOf(ACT, "sessionTtl", o.sessionTtl, {}, undefined),
    WebSocket,
    fetch: functionOf(ACT, "fetch", o.fetch) ?? ((input, init) => fetch(input, init)),
    clock: membersWith("clock", o.clock, ["now", "schedule"]) ?? systemClock,
    random: functionOf(ACT, "random", o.random) ?? systemRandom,
    environment: membersWith("environment", o.environment, ["onWake", "onHide"]) ??
      browserEnvironment(),
  };
}

/** Addresses of both transports: the gateway's API is where its socket is, without `/ws`, or at the root. */
function checkUrls(
  value: string | URL,
  apiUrl: string | URL | undefined,
): { socketUrl: string; httpUrl: string } {
  const url = urlOf("url", value);
  const match = /^(ws|http)(s?):$/.exec(url.protocol);
  if (!match) refuseRange(ACT, "url", "a URL that begins with ws, wss, http or https", `${value}`);
  const [, scheme, secure] = match;
  const path = pathOf(url);
  const base = path.replace(/\/ws$/, "");
  // With an HTTP address the gateway itself is meant, so the socket has its usual place there.
  const isBase = scheme === "http";
  return {
    socketUrl: `ws${secure}://${url.host}${isBase ? `${base}/ws` : url.pathname}${url.search}`,
    httpUrl: checkApiUrl(apiUrl) ??
      `http${secure}://${url.host}${isBase || base !== path ? base : ""}`,
  };
}

function checkApiUrl(value: string | URL | undefined): string | undefined {
  if (value === undefined) return undefined;
  const url = urlOf("apiUrl", value);
  if (!/^https?:$/.test(url.protocol)) {
    refuseRange(ACT, "apiUrl", "a URL that begins with http or https", `${value}`);
  }
  return `${url.protocol}//${url.host}${pathOf(url)}`;
}

function urlOf(name: string, value: string | URL): URL {
  if (typeof value !== "string" && !(value instanceof URL)) {
    refuseType(ACT, name, "a URL", value);
  }
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return refuseRange(ACT, name, "a URL", value);
  }
  if (url.username || url.password) {
    refuseRange(ACT, name, "a URL without a user name and password", `${url.protocol}//…`);
  }
  return url;
}

/** Path of a URL without slashes at its end. */
function pathOf({ pathname }: URL): string {
  return pathname.replace(/\/+$/, "");
}

function checkToken(value: ClientOptions["authToken"]): string | TokenSource | undefined {
  if (value === undefined || typeof value === "function") return value;
  if (typeof value !== "string") refuseType(ACT, "authToken", "a string or a function", value);
  return value === "" ? refuseRange(ACT, "authToken", "a string that is not empty", "") : value;
}

function checkClientId(value: string | undefined): string | undefined {
  if (value === undefined || isClientId(value)) return value;
  const wanted = `1 to ${MAX_CLIENT_ID} of A-Z a-z 0-9 _ : . - + @ = /`;
  const refuse = typeof value === "string" ? refuseRange : refuseType;
  return refuse(ACT, "clientId", wanted, value);
}

function checkTransports(o: Partial<ClientOptions>, sockets: boolean): readonly Transport[] {
  const fallback = booleanOf(ACT, "fallbackToPolling", o.fallbackToPolling, true);
  const list = o.transports ?? DEFAULT_TRANSPORTS;
  const wanted = `a list of ${DEFAULT_TRANSPORTS.join(", ")}, each at most once`;
  if (!Array.isArray(list)) refuseType(ACT, "transports", wanted, list);
  const wrong = list.find((item, i) =>
    !DEFAULT_TRANSPORTS.includes(item) || list.indexOf(item) !== i
  );
  if (wrong !== undefined || list.length === 0) {
    refuseRange(ACT, "transports", wanted, wrong ?? list);
  }
  const usable = (fallback ? list : list.slice(0, 1))
    .filter((item) => item !== "websocket" || sockets);
  if (usable.length === 0) {
    refuseType(ACT, "WebSocket", "given where there is no global one", void 0);
  }
  return usable;
}

/** An object with these methods, if there is a value at all. */
function membersWith<T extends object>(
  name: string,
  value: T | undefined,
  methods: readonly (keyof T & string)[],
): T | undefined {
  if (value === undefined) return undefined;
  const fits = isRecord(value) && methods.every((method) => typeof value[method] === "function");
  return fits ? value : refuseType(ACT, name, `an object with ${methods.join(" and ")}`, value);
}

function globalWebSocket(): WebSocketConstructor | undefined {
  return typeof WebSocket === "function" ? WebSocket : undefined;
}
