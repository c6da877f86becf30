import { PushError } from "@push/client/protocol";
import type { Hub } from "../hub.ts";
import type { Authenticator } from "../access/authenticator.ts";
import { bearerToken } from "../access/secrets.ts";
import {
  type ApiRoute,
  channels,
  deadLetters,
  pollPresence,
  presence,
  publish,
  redrive,
} from "./api.ts";
import { health, metrics } from "./health.ts";
import { isPreflight, type Origins, preflight } from "./origins.ts";
import { POLL_ROUTES } from "./poll.ts";
import type { Pollers } from "./pollers.ts";
import { type Body, codeOf, fail, failure, readBody } from "./respond.ts";
import { comeBack, isEventSource, plainStream, pollerStream } from "./sse.ts";
import type { EventStreams } from "./streams.ts";
import type { Sockets } from "./upgrade.ts";

/** What requests are answered from while push is on. */
export interface PushParts {
  readonly hub: Hub;
  readonly authenticator: Authenticator;
  readonly sockets: Sockets;
  readonly pollers: Pollers;
  readonly streams: EventStreams;
}

/** What requests are answered from. */
export interface RouterParts {
  /** Path of the WebSocket. */
  readonly path: string;
  /** Milliseconds since the start. */
  readonly uptime: number;
  /** Whether the gateway is shutting down, or has. */
  readonly draining: boolean;
  /** Which pages may use the gateway. */
  readonly origins: Origins;
  /** Whether its store could not be opened. */
  readonly failed?: boolean;
  /** Absent while push is off: then only `/health` answers. */
  readonly push: PushParts | undefined;
}

const API: { readonly [path: string]: { readonly method: string; readonly handle: ApiRoute } } = {
  "/api/push/publish": { method: "POST", handle: publish },
  "/api/push/channels": { method: "GET", handle: channels },
  "/api/push/presence": { method: "GET", handle: presence },
  "/api/push/poll/presence": { method: "GET", handle: pollPresence },
  "/api/push/dead-letters": { method: "GET", handle: deadLetters },
  "/api/push/dead-letters/redrive": { method: "POST", handle: redrive },
};
const POLL = "/api/push/poll/";
const SSE = "/api/push/sse";
const EMPTY: Body = { frame: {}, text: "{}" };

/** Answers one request. Never rejects. */
export async function answer(parts: RouterParts, request: Request): Promise<Response> {
  // The address is made from the header Host, which may hold anything.
  const url = URL.parse(request.url);
  if (url === null) return fail("bad_request", "The address and the header Host make no URL.");
  const { pathname } = url;
  const isGuarded = pathname === parts.path || pathname.startsWith("/api/");
  if (!isGuarded && pathname !== "/health") return await answerTo(parts, request, url);
  const { allowed, headers } = parts.origins.judge(request, url);
  const response = await answerTo(parts, request, url, isGuarded && !allowed);
  // An upgrade is no answer that a page reads.
  if (response.status === 101 || (!allowed && !isGuarded)) return response;
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

async function answerTo(
  parts: RouterParts,
  request: Request,
  url: URL,
  isRefused = false,
): Promise<Response> {
  try {
    if (isRefused) throw new PushError("origin_not_allowed");
    return await route(parts, request, url);
  } catch (error) {
    if (!(error instanceof PushError)) console.error("A request could not be answered.", error);
    if (parts.push !== undefined) {
      const { metrics } = parts.push.hub.context;
      metrics.count(metrics.errors, codeOf(error));
    }
    return failure(error);
  }
}

async function route(
  { path, uptime, draining, failed, push }: RouterParts,
  request: Request,
  url: URL,
): Promise<Response> {
  const { pathname } = url;
  if (pathname.startsWith("/api/") && isPreflight(request)) return preflight();
  if (failed) {
    if (pathname === SSE && isEventSource(request)) return comeBack("unavailable");
    return fail("unavailable", "The gateway could not open its store.");
  }
  if (pathname === "/health" || pathname === "/metrics") {
    const { method } = request;
    if (method !== "GET" && method !== "HEAD") {
      return fail("method_not_allowed", undefined, { allow: "GET, HEAD" });
    }
  }
  if (pathname === "/health") {
    const vitals = push && vitalsOf(push);
    const detailed = push !== undefined && await mayLook(push.authenticator, request);
    const alive = url.searchParams.get("probe") === "live";
    return health(vitals, { uptime, draining, detailed, alive });
  }
  if (draining && pathname === SSE && isEventSource(request)) return comeBack("going_away");
  if (draining && pathname !== "/metrics") return fail("going_away");
  if (push === undefined) return fail("not_found", "Push is switched off: set push.enabled.");
  if (pathname === "/metrics") {
    await push.authenticator.identify(bearerToken(request.headers.get("authorization")));
    return metrics(vitalsOf(push));
  }
  if (pathname === path) return push.sockets.upgrade(request, url);
  if (pathname.startsWith(POLL) && !push.hub.context.settings.polling.enabled) {
    return fail("not_found", "Polling is switched off: set push.polling.enabled.");
  }
  if (pathname === SSE) return answerSse(push, request, url);
  const api = Object.hasOwn(API, pathname) ? API[pathname] : undefined;
  if (api !== undefined) return answerApi(push, api, request, url);
  if (pathname.startsWith(POLL)) return answerPoll(push, pathname.slice(POLL.length), request);
  return fail("not_found", `There is nothing at ${JSON.stringify(pathname.slice(0, 100))}.`);
}

async function answerApi(
  push: PushParts,
  { method, handle }: { readonly method: string; readonly handle: ApiRoute },
  request: Request,
  url: URL,
): Promise<Response> {
  if (request.method !== method) return fail("method_not_allowed", undefined, { allow: method });
  const { subject } = await push.authenticator.identify(
    bearerToken(request.headers.get("authorization")),
  );
  return handle(push.hub, url, method === "POST" ? await read(push, request) : EMPTY, subject);
}

async function answerSse(push: PushParts, request: Request, url: URL): Promise<Response> {
  const { sse, polling } = push.hub.context.settings;
  if (!sse.enabled) {
    return fail("not_found", "Server-sent events are switched off: set push.sse.enabled.");
  }
  if (request.method === "GET") return await plainStream(push, request, url);
  if (request.method !== "POST") {
    return fail("method_not_allowed", undefined, { allow: "GET, POST" });
  }
  // Only a poller has a token to show.
  if (!polling.enabled) {
    return fail("not_found", "Polling is switched off: set push.polling.enabled.");
  }
  return await pollerStream(push, await read(push, request));
}

async function answerPoll(push: PushParts, name: string, request: Request): Promise<Response> {
  const handle = Object.hasOwn(POLL_ROUTES, name) ? POLL_ROUTES[name] : undefined;
  if (handle === undefined) return fail("not_found", "There is no such route for polling.");
  if (request.method !== "POST") return fail("method_not_allowed", undefined, { allow: "POST" });
  return await handle(push, request, await read(push, request));
}

function read({ hub }: PushParts, request: Request): Promise<Body> {
  const { maxFrameBytes, maxNesting } = hub.context.settings.limits;
  return readBody(request, maxFrameBytes, maxNesting);
}

function vitalsOf({ hub, sockets, pollers, streams }: PushParts) {
  return { hub, sockets: sockets.size, pollers: pollers.size, streams: streams.size };
}

/** Whether a request may see more than that the gateway lives. */
async function mayLook(authenticator: Authenticator, request: Request): Promise<boolean> {
  try {
    await authenticator.identify(bearerToken(request.headers.get("authorization")));
    return true;
  } catch {
    return false;
  }
}
