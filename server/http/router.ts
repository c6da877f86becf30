import { type Code, PushError } from "@push/client/protocol";
import type { Identity } from "../access/identity.ts";
import type { Hub } from "../hub.ts";
import type { Door, Visitor } from "./door.ts";
import {
  type ApiRoute,
  channels,
  deadLetters,
  demandAdmin,
  pollPresence,
  presence,
  redrive,
} from "./api.ts";
import { type Arrived, type RequestHead, wholeOf } from "./head.ts";
import { health, metrics } from "./health.ts";
import type { Hosts } from "./hosts.ts";
import { isPreflight, type Origins, preflight } from "./origins.ts";
import { POLL_ROUTES } from "./poll.ts";
import { publish } from "./publish.ts";
import { revocations, revoke } from "./revoke.ts";
import type { Pollers } from "./pollers.ts";
import { type Body, codeOf, fail, failure, json, readBody } from "./respond.ts";
import { comeBack, isEventSource, plainStream, pollerStream } from "./sse.ts";
import type { Audit } from "../logging/audit.ts";
import type { Log } from "../logging/log.ts";
import { unexpected } from "../logging/unexpected.ts";
import type { Peer } from "./peer.ts";
import type { EventStreams } from "./streams.ts";
import type { Sockets } from "./upgrade.ts";
import type { Upgrader } from "./upgrader.ts";

/** What requests are answered from while push is on. */
export interface PushParts {
  readonly hub: Hub;
  readonly door: Door;
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
  /** Which hosts requests may be for. */
  readonly hosts: Hosts;
  /** Who sent the request. */
  readonly peer: Peer;
  /** Makes a WebSocket of the connection that the request came by. */
  readonly upgrader: Upgrader;
  readonly log: Log;
  readonly audit: Audit;
  /** Whether its store could not be opened. */
  readonly failed?: boolean;
  /** Absent while push is off: then only `/health` answers. */
  readonly push: PushParts | undefined;
}

interface Api {
  readonly method: string;
  readonly handle: ApiRoute;
}

const API: { readonly [path: string]: Api } = {
  "/api/push/channels": { method: "GET", handle: channels },
  "/api/push/presence": { method: "GET", handle: presence },
  "/api/push/poll/presence": { method: "GET", handle: pollPresence },
  "/api/push/dead-letters": { method: "GET", handle: deadLetters },
  "/api/push/dead-letters/redrive": { method: "POST", handle: redrive },
  "/api/push/revoke": { method: "POST", handle: revoke },
  "/api/push/revocations": { method: "GET", handle: revocations },
};
const POLL = "/api/push/poll/";
const PUBLISH = "/api/push/publish";
const SSE = "/api/push/sse";
const TICKET = "/api/push/ticket";
const OWN: ReadonlySet<string> = new Set([PUBLISH, SSE]);
const LOOKED_AT: ReadonlySet<string> = new Set(["/health", "/metrics", TICKET]);
const EMPTY: Body = { frame: {}, text: "{}" };

/** Answers one request. Never rejects. */
export async function answer(parts: RouterParts, request: Arrived): Promise<Response> {
  // The address is made from the header Host, which may hold anything.
  const url = parse(request.url);
  if (url === null) return fail("bad_request", "The address and the header Host make no URL.");
  if (!parts.hosts.allows(request, url)) {
    return await answerTo(parts, request, url, "host_not_allowed");
  }
  const { pathname } = url;
  const isGuarded = pathname === parts.path || pathname.startsWith("/api/");
  if (!isGuarded && pathname !== "/health") return await answerTo(parts, request, url);
  const { allowed, headers } = parts.origins.judge(request, url, parts.peer.secure);
  const refusal = isGuarded && !allowed ? "origin_not_allowed" : undefined;
  const answered = answerTo(parts, request, url, refusal);
  const response = answered instanceof Promise ? await answered : answered;
  // An upgrade is no answer that a page reads.
  if (response.status === 101 || (!allowed && !isGuarded)) return response;
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

/** The address that was parsed last: of all requests most are for the same. It may hold no secret. */
let lastAddress = "";
let lastUrl: URL | null = null;

function parse(address: string): URL | null {
  if (address === lastAddress) return lastUrl;
  const url = URL.parse(address);
  if (url === null || address.includes("?")) return url;
  lastAddress = address;
  return lastUrl = url;
}

function answerTo(
  parts: RouterParts,
  request: Arrived,
  url: URL,
  refusal?: Code,
): Response | Promise<Response> {
  try {
    if (refusal !== undefined) throw new PushError(refusal);
    const answered = route(parts, request, url);
    if (!(answered instanceof Promise)) return answered;
    return answered.catch((error) => refuse(parts, request, url, error));
  } catch (error) {
    return refuse(parts, request, url, error);
  }
}

function refuse(parts: RouterParts, request: RequestHead, url: URL, error: unknown): Response {
  tell(parts, request, url, error);
  if (parts.push !== undefined) {
    const { metrics, limits } = parts.push.hub.context;
    limits.failed(parts.peer.address, error);
    metrics.count(metrics.errors, codeOf(error));
  }
  return failure(error);
}

/** Logs why a request was refused or could not be answered. */
function tell(
  { path, log, audit, peer }: RouterParts,
  request: RequestHead,
  url: URL,
  error: unknown,
) {
  const { method } = request;
  const name = routeName(path, url.pathname);
  const surprise = unexpected(error);
  if (surprise !== undefined) {
    return log.failure("request.failed", surprise, { peer: peer.address, method, path: name });
  }
  const who = { peer: peer.address };
  const code = codeOf(error);
  if (code === "origin_not_allowed") {
    return audit.originRefused(request.headers.get("origin"), who, name);
  }
  if (code === "host_not_allowed") {
    return audit.hostRefused(request.headers.get("host") ?? url.host, who, name);
  }
  audit.refused(error, who, `${method} ${name}`);
}

/** Path of a route, as it may be logged: what is none of the gateway's could hold anything. */
function routeName(webSocket: string, pathname: string): string {
  if (pathname === webSocket || OWN.has(pathname) || Object.hasOwn(API, pathname)) return pathname;
  const poll = pathname.startsWith(POLL) ? pathname.slice(POLL.length) : "";
  return Object.hasOwn(POLL_ROUTES, poll) || LOOKED_AT.has(pathname) ? pathname : "elsewhere";
}

/** Answers at once where nothing has to be waited for. */
function route(
  { path, uptime, draining, failed, push, upgrader, peer }: RouterParts,
  arrived: Arrived,
  url: URL,
): Response | Promise<Response> {
  const { pathname } = url;
  if (pathname.startsWith("/api/") && isPreflight(arrived)) return preflight();
  if (failed) {
    if (pathname === SSE && isEventSource(arrived)) return comeBack("unavailable");
    return fail("unavailable", "The gateway could not open its store.");
  }
  if (pathname === "/health" || pathname === "/metrics") {
    const { method } = arrived;
    if (method !== "GET" && method !== "HEAD") {
      return fail("method_not_allowed", undefined, { allow: "GET, HEAD" });
    }
  }
  if (pathname === "/health") {
    return answerHealth(push, { request: arrived, url, peer }, uptime, draining);
  }
  if (draining && pathname === SSE && isEventSource(arrived)) return comeBack("going_away");
  if (draining && pathname !== "/metrics") return fail("going_away");
  if (push === undefined) return fail("not_found", "Push is switched off: set push.enabled.");
  // Before anything is looked at that may be a token.
  const { limits } = push.hub.context;
  const isBarred = limits.isBarred(peer.address);
  if (isBarred && pathname === SSE && isEventSource(arrived)) return comeBack("too_many_failures");
  limits.checkFailures(peer.address);
  if (pathname === path) {
    return push.sockets.upgrade({ request: arrived, url, peer }, upgrader);
  }
  const visitor = { request: wholeOf(arrived), url, peer };
  if (pathname === "/metrics") return answerMetrics(push, visitor);
  if (pathname.startsWith(POLL) && !push.hub.context.settings.polling.enabled) {
    return fail("not_found", "Polling is switched off: set push.polling.enabled.");
  }
  if (pathname === PUBLISH) return answerPublish(push, visitor);
  if (pathname === SSE) return answerSse(push, visitor);
  if (pathname === TICKET) return answerTicket(push, visitor);
  const api = Object.hasOwn(API, pathname) ? API[pathname] : undefined;
  if (api !== undefined) return answerApi(push, api, visitor);
  if (pathname.startsWith(POLL)) return answerPoll(push, pathname.slice(POLL.length), visitor);
  return fail("not_found", `There is nothing at ${JSON.stringify(pathname.slice(0, 100))}.`);
}

/** `GET /health` */
async function answerHealth(
  push: PushParts | undefined,
  visitor: Visitor<RequestHead>,
  uptime: number,
  draining: boolean,
): Promise<Response> {
  const vitals = push && vitalsOf(push);
  const detailed = push !== undefined && await mayLook(push, visitor);
  const alive = visitor.url.searchParams.get("probe") === "live";
  return health(vitals, { uptime, draining, detailed, alive });
}

/** `GET /metrics` */
async function answerMetrics(push: PushParts, visitor: Visitor): Promise<Response> {
  await demandAdmin(push.hub, await push.door.identify(visitor));
  return metrics(vitalsOf(push));
}

async function answerApi(
  push: PushParts,
  { method, handle }: Api,
  visitor: Visitor,
): Promise<Response> {
  const { request, url } = visitor;
  if (request.method !== method) return fail("method_not_allowed", undefined, { allow: method });
  const identity = await push.door.identify(visitor);
  return await audited(push, visitor, identity, async () => {
    const body = method === "POST" ? await read(push, request) : EMPTY;
    // It may have taken its time.
    push.door.authenticator.admit(identity);
    return await handle(push.hub, url, body, identity);
  });
}

/** `POST /api/push/publish` */
async function answerPublish(push: PushParts, visitor: Visitor): Promise<Response> {
  const { request, peer: { address } } = visitor;
  if (request.method !== "POST") return fail("method_not_allowed", undefined, { allow: "POST" });
  const { hub, door } = push;
  const identity = await door.identify(visitor);
  return await audited(
    push,
    visitor,
    identity,
    () => publish({ hub, identity, address }, request, () => door.authenticator.admit(identity)),
  );
}

/** Tells whoever was refused by their subject. */
async function audited(
  { hub }: PushParts,
  { request, url, peer: { address: peer } }: Visitor,
  { subject }: Identity,
  answer: () => Promise<Response>,
): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    hub.context.audit.refused(error, { peer, subject }, `${request.method} ${url.pathname}`);
    throw error;
  }
}

/** `POST /api/push/ticket` */
async function answerTicket({ door }: PushParts, visitor: Visitor): Promise<Response> {
  const { method, body } = visitor.request;
  if (method !== "POST") return fail("method_not_allowed", undefined, { allow: "POST" });
  await body?.cancel();
  return json(await door.ticketFor(await door.identify(visitor)));
}

async function answerSse(push: PushParts, visitor: Visitor): Promise<Response> {
  const { request } = visitor;
  const { sse, polling } = push.hub.context.settings;
  if (!sse.enabled) {
    return fail("not_found", "Server-sent events are switched off: set push.sse.enabled.");
  }
  if (request.method === "GET") return await plainStream(push, visitor);
  if (request.method !== "POST") {
    return fail("method_not_allowed", undefined, { allow: "GET, POST" });
  }
  // Only a poller has a token to show.
  if (!polling.enabled) {
    return fail("not_found", "Polling is switched off: set push.polling.enabled.");
  }
  return await pollerStream(push, visitor, await read(push, request));
}

async function answerPoll(push: PushParts, name: string, visitor: Visitor): Promise<Response> {
  const { request } = visitor;
  const handle = Object.hasOwn(POLL_ROUTES, name) ? POLL_ROUTES[name] : undefined;
  if (handle === undefined) return fail("not_found", "There is no such route for polling.");
  if (request.method !== "POST") return fail("method_not_allowed", undefined, { allow: "POST" });
  return await handle(push, visitor, await read(push, request));
}

function read({ hub }: PushParts, request: Request): Promise<Body> {
  const { maxFrameBytes, maxNesting } = hub.context.settings.limits;
  return readBody(request, maxFrameBytes, maxNesting);
}

function vitalsOf({ hub, sockets, pollers, streams }: PushParts) {
  return { hub, sockets: sockets.size, pollers: pollers.size, streams: streams.size };
}

/** Whether a request may see more than that the gateway lives. */
async function mayLook({ hub, door }: PushParts, visitor: Visitor<RequestHead>): Promise<boolean> {
  const { isProtected } = door.authenticator;
  // Those who only look whether it lives show nothing.
  if (isProtected && !visitor.request.headers.has("authorization")) return false;
  const { limits, audit } = hub.context;
  try {
    limits.checkFailures(visitor.peer.address);
    const identity = await door.identify(visitor);
    return await hub.context.authorization.allows(identity, "admin", null);
  } catch (error) {
    limits.failed(visitor.peer.address, error);
    audit.refused(error, { peer: visitor.peer.address }, "GET /health");
    return false;
  }
}
