import { type Code, CODES, PushError, type Start } from "@push/client/protocol";
import { channelField, refuse } from "../dialog/fields.ts";
import { harmless } from "../harmless.ts";
import type { Hub } from "../hub.ts";
import type { Door, Visitor } from "./door.ts";
import type { RequestHead } from "./head.ts";
import type { Session } from "../session/session.ts";
import type { EventStream } from "../transports/event_stream.ts";
import { isTooLong, type LogPlace, readPlaces } from "../transports/places.ts";
import { PlainStreamConnection, type PlainStreamHost } from "../transports/plain_stream.ts";
import { isReplaced } from "./poll_moves.ts";
import { adoptPositions, pollToken, readPositions } from "./poll_fields.ts";
import type { Pollers } from "./pollers.ts";
import { type Body, codeOf } from "./respond.ts";
import type { EventStreams } from "./streams.ts";

/** What the routes of server-sent events work with. */
export interface SseContext {
  readonly hub: Hub;
  readonly door: Door;
  readonly pollers: Pollers;
  readonly streams: EventStreams;
}

const HEADERS = {
  "content-type": "text/event-stream",
  // Neither a cache nor a compressing proxy may hold events back…
  "cache-control": "no-store, no-transform",
  // …nor nginx, which buffers answers by default.
  "x-accel-buffering": "no",
} as const;

/** Milliseconds after which readers come back, at least and at most: not all in the same moment. */
const SHORTEST_RETRY = 1_000;
const LONGEST_RETRY = 3_000;
/** Milliseconds after which they come back from a gateway that cannot take them now. */
const RETRY_LATER = 5_000;

/** `POST /api/push/sse`: from now on what a poll would answer leaves by this answer. */
export function pollerStream(
  { hub, pollers, streams }: SseContext,
  { peer: { address } }: Visitor,
  { frame, text }: Body,
): Promise<Response> {
  const positions = readPositions(frame, hub.context.settings.limits.maxChannels);
  return pollers.request(pollToken(frame), (poller) => {
    const { session, connection } = poller;
    adoptPositions(poller, positions);
    const source = streams.to(address, poller.place);
    const stream = connection.stream(source, () => hub.drained(session));
    hub.drained(session);
    return respond(stream);
  }, { polls: true, size: text.length });
}

/** `GET /api/push/sse?channel=…`: for an `EventSource` or `curl -N`. */
export async function plainStream(
  context: SseContext,
  visitor: Visitor,
): Promise<Response> {
  try {
    return await openPlain(context, visitor);
  } catch (error) {
    const { metrics, audit } = context.hub.context;
    const code = codeOf(error);
    if (!isEventSource(visitor.request) || !CODES[code].retry || code === "internal") throw error;
    audit.refused(error, { peer: visitor.peer.address }, "GET /api/push/sse");
    metrics.count(metrics.errors, code);
    return comeBack(code);
  }
}

/** Whether a request asks for nothing but events, as an `EventSource` does. */
export function isEventSource({ method, headers }: RequestHead): boolean {
  return method === "GET" && headers.get("accept") === "text/event-stream";
}

/**
 * What an `EventSource` gets that shall come back later: an error frame, and the end. From any other
 * answer than a stream it would never come back.
 */
export function comeBack(code: Code): Response {
  const frame = JSON.stringify({ type: "error", code, message: CODES[code].text });
  return new Response(`retry: ${RETRY_LATER}\ndata: ${frame}\n\n`, { headers: HEADERS });
}

async function openPlain(
  { hub, door, streams }: SseContext,
  visitor: Visitor,
): Promise<Response> {
  const { request, url } = visitor;
  const { turn, settings: { limits }, random } = hub.context;
  const identity = await door.identifyAddress(visitor);
  const channels = readChannels(url, limits.maxChannels);
  const starts = readStarts(request, url);
  const host = new PlainHost(hub, streams);
  const connection = new PlainStreamConnection(streams.to(visitor.peer.address), turn, host);
  try {
    const { session } = await hub.attach({
      identity,
      ttl: 0,
      wire: "fixed",
    }, connection);
    host.attached(session, connection);
    const subscribed = await Promise.all(channels.map(async (channel) => {
      const start = await startOf(session, channel, starts.get(channel));
      return { channel, ...await harmless(session.subscribe(channel, start, connection)) };
    }));
    const spread = random(1)[0] / 255 * (LONGEST_RETRY - SHORTEST_RETRY);
    const places = subscribed.map(({ channel, epoch, seq }) => [channel, { epoch, seq }] as const);
    const stream = connection.begin(new Map(places), SHORTEST_RETRY + Math.round(spread));
    for (const { start } of subscribed) start();
    return respond(stream);
  } catch (error) {
    connection.discard();
    if (!isReplaced(error)) throw error;
    // Nobody else can have its session: this side let go of it.
    throw new PushError(host.isSentAway ? "going_away" : "unavailable", undefined, {
      cause: error,
    });
  }
}

/**
 * Where a channel starts. Who may not read what was published before goes on all the same, and is
 * told of the gap.
 */
async function startOf(
  { permits }: Session,
  channel: string,
  place: LogPlace | undefined,
): Promise<Start> {
  if (place === undefined) return {};
  return await permits.may("history", channel) ? { since: place } : { position: place };
}

/** One plain stream's session. */
class PlainHost implements PlainStreamHost {
  readonly #hub: Hub;
  readonly #streams: EventStreams;
  #session: Session | undefined;
  #connection: PlainStreamConnection | undefined;
  #ended: Code | "normal" | undefined;

  constructor(hub: Hub, streams: EventStreams) {
    this.#hub = hub;
    this.#streams = streams;
  }

  /** Whether the connection was closed because the gateway shuts down. */
  get isSentAway(): boolean {
    return this.#ended === "going_away";
  }

  attached(session: Session, connection: PlainStreamConnection): void {
    this.#session = session;
    this.#connection = connection;
    if (this.#ended !== undefined) this.#leave();
  }

  written(channel: string, { epoch, seq }: LogPlace): void {
    this.#session?.ack(channel, epoch, seq, [], this.#connection!);
  }

  drained(): void {
    if (this.#session !== undefined) this.#hub.goesOn(this.#session);
  }

  lives(): void {
    if (this.#session !== undefined) this.#hub.presence.seen(this.#session);
  }

  ended(code: Code | "normal"): void {
    this.#ended ??= code;
    this.#streams.closed(code);
    this.#leave();
  }

  /** Nobody can come back to an unnamed session. */
  #leave(): void {
    if (this.#session !== undefined) this.#hub.detach(this.#session, this.#connection!, "left");
  }
}

function readChannels(url: URL, most: number): string[] {
  const channels = [...new Set(url.searchParams.getAll("channel"))];
  if (channels.length === 0) refuse("channel", "in the query, once or more", undefined);
  for (const channel of channels) channelField({ channel });
  if (channels.length > most) {
    throw new PushError(
      "too_many_channels",
      `A client may subscribe to ${most} channels, and the query has ${channels.length}.`,
    );
  }
  // A reader could not come back with an id that nobody takes.
  if (isTooLong(channels)) {
    throw new PushError(
      "too_many_channels",
      `The places of ${channels.length} channels with these names do not fit into one id.`,
    );
  }
  return channels;
}

/** Where the reader stands; the header is newer than an address. */
function readStarts(request: Request, url: URL): ReadonlyMap<string, LogPlace> {
  const id = request.headers.get("last-event-id") || url.searchParams.get("last_event_id");
  if (!id) return new Map();
  return readPlaces(id) ?? refuse("Last-Event-ID", "an id that this gateway has sent", id);
}

function respond({ body }: EventStream): Response {
  return new Response(body, { headers: HEADERS });
}
