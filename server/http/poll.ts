import {
  type ClientFrame,
  decodeBatch,
  type Decoded,
  type GatewayFrame,
  type JsonObject,
  memberText,
  type RefreshedFrame,
} from "@push/client/protocol";
import { errorFrame, requestId, settles } from "../dialog/dialog.ts";
import {
  booleanField,
  clientIdField,
  isObject,
  objectsField,
  publishIdField,
  refuse,
  secondsField,
  stringField,
} from "../dialog/fields.ts";
import { handleFrame } from "../dialog/frames.ts";
import { randomId } from "../clock.ts";
import { open, type Opened, type Opening, readOpening, sessionTtl } from "../dialog/handshake.ts";
import type { HubContext } from "../context.ts";
import { refresh } from "../dialog/refresh.ts";
import { unexpected } from "../logging/unexpected.ts";
import { tellFailure } from "../dialog/refusal.ts";
import type { Door, Visitor } from "./door.ts";
import type { Hub } from "../hub.ts";
import { MAX_TOKEN } from "../access/authenticator.ts";
import { hashSecret } from "../access/secrets.ts";
import { adoptPositions, pollToken, readPositions } from "./poll_fields.ts";
import type { PollTerms } from "./poll_records.ts";
import type { Poller, Pollers, PollOptions } from "./pollers.ts";
import { type Body, json, jsonText } from "./respond.ts";

/** What the poll routes work with. */
export interface PollContext {
  readonly hub: Hub;
  readonly door: Door;
  readonly pollers: Pollers;
}

/** One route under `/api/push/poll/`. */
export type PollRoute = (context: PollContext, visitor: Visitor, body: Body) => Promise<Response>;

const MAX_FRAMES = 1024;
const MAX_TICKET = 64;
/** Milliseconds that a poll is held even if it does not want to wait: what is there has to be read. */
const SHORTEST_HOLD = 50;
const SUBSCRIBES: ReadonlySet<unknown> = new Set(["channel.subscribe", "channel.unsubscribe"]);
const CHANGES: PollOptions = { subscribes: true, verifies: false };

/** The routes by name, all `POST`. */
export const POLL_ROUTES: { readonly [name: string]: PollRoute } = {
  register,
  messages,
  send,
  refresh: refreshToken,
  unregister,
  subscribe: named("channel.subscribe", ["channel"], ["ok", "channel"]),
  unsubscribe: named("channel.unsubscribe", ["channel"], ["ok", "channel"]),
  ack: named("message_ack", ["event_id"], ["ok"]),
  nack: named("message_nack", ["event_id", "delay"], ["ok"]),
  heartbeat: named("presence.heartbeat", ["status", "metadata"], ["ok"]),
  create: named("channel.create", ["channel", "metadata"], ["ok", "channel"]),
  publish,
};

async function register(
  { hub, door, pollers }: PollContext,
  visitor: Visitor,
  { frame }: Body,
): Promise<Response> {
  const { connect } = frame;
  const token = stringField(frame, "auth_token", MAX_TOKEN);
  const ticket = stringField(frame, "ticket", MAX_TICKET);
  if (connect !== undefined) {
    if (!isObject(connect)) refuse("connect", "a connect frame", connect);
    const opening = readOpening(connect);
    const identity = await door.identify(visitor, { token: opening.token ?? token, ticket });
    const registered = await pollers.register(async (connection) => {
      const opened = await open(hub, identity, opening, connection);
      return { ...opened, terms: termsOf(opening, opened) };
    }, visitor.peer.address);
    return json({
      client_id: registered.poller.session.owner.clientId,
      poll_token: registered.token,
      connected: registered.frame,
    });
  }
  // A mistake costs no ticket.
  const name = clientIdField(frame);
  const identity = await door.identify(visitor, { token, ticket });
  const { token: poll_token, poller } = await pollers.register(async (connection, token) => {
    const { random, clock } = hub.context;
    const who = name === undefined && pollers.isShared
      // The token stands for a secret: another node goes on with the session, and nobody else.
      ? { minted: { clientId: randomId(random), secretHash: hashSecret(token) } }
      : { name };
    const since = clock.now();
    const terms = { ...who, instance: randomId(random), attempt: 0, since };
    const { session } = await hub.attach({
      ...terms,
      identity,
      ttl: name === undefined ? unnamedTtl(pollers) : sessionTtl(hub, true),
      wire: "fixed",
    }, connection);
    return { session, terms };
  }, visitor.peer.address);
  return json({ client_id: poller.session.owner.clientId, poll_token });
}

/**
 * An unnamed session ends with its connection, and that lingers after the last request. If the node
 * dies that has it, it lingers for another one.
 */
function unnamedTtl(pollers: Pollers): number {
  return pollers.isShared ? pollers.linger : 0;
}

/** What another node needs to go on with what `open` has opened. */
function termsOf(
  { instance, attempt, secret }: Opening,
  { session: { owner, askedAt: since }, frame }: Opened,
): PollTerms {
  const { clientId } = owner;
  if (owner.named) return { name: clientId, instance, attempt, since };
  const known = frame.secret ?? secret ?? "";
  return { minted: { clientId, secretHash: hashSecret(known) }, instance, attempt, since };
}

function messages(
  { hub, pollers }: PollContext,
  { request }: Visitor,
  { frame, text }: Body,
): Promise<Response> {
  const { longPollTimeout } = hub.context.settings.polling;
  const asked = secondsField(frame, "timeout", 86_400);
  const wanted = Math.min(asked === undefined ? Infinity : asked * 1000, longPollTimeout);
  const timeout = Math.max(wanted, SHORTEST_HOLD);
  const positions = readPositions(frame, hub.context.settings.limits.maxChannels);
  return pollers.request(pollToken(frame), async (poller) => {
    const { session, connection } = poller;
    adoptPositions(poller, positions);
    const waiting = connection.poll(timeout, request.signal);
    hub.drained(session);
    const frames = await waiting;
    return jsonText(`{"messages":[${frames.join(",")}],"poll_interval_hint":0}`);
  }, { polls: true, size: text.length });
}

/** Frames of `@push/client`, handled as if they had come over a WebSocket. */
function send(
  context: PollContext,
  visitor: Visitor,
  body: Body,
): Promise<Response> {
  const { hub, pollers } = context;
  objectsField(body.frame, "frames", MAX_FRAMES);
  const { maxNesting } = hub.context.settings.limits;
  const token = pollToken(body.frame);
  return pollers.request(token, async (poller) => {
    const decoded = decodeBatch(memberText(body, "frames") ?? "[]", maxNesting);
    const { limits, clock } = hub.context;
    // One of them is paid for.
    if (decoded.length > 1 && !poller.frames.take(clock.now(), decoded.length - 1)) {
      throw limits.tooManyFrames(poller.frames, decoded.length - 1);
    }
    const end = decoded.findIndex(({ frame }) => frame.type === "disconnect");
    const before = end < 0 ? decoded : decoded.slice(0, end);
    const forget = end >= 0 && booleanField(decoded[end].frame, "forget");
    const replies = await Promise.all(
      before.map((each) =>
        SUBSCRIBES.has(each.frame.type)
          ? answer(
            hub.context,
            each,
            () => pollers.request(token, (now) => run(hub, visitor, now, each), CHANGES),
          )
          : each.frame.type === "auth.refresh"
          ? answer(hub.context, each, () => guess(context, visitor, poller, each.frame))
          : answer(hub.context, each, () => run(hub, visitor, poller, each))
      ),
    );
    if (end >= 0) await pollers.unregister(token, forget);
    return json({ frames: replies.filter((reply) => reply !== undefined) });
  }, { size: body.text.length });
}

/** Goes on with another token. */
function refreshToken(
  context: PollContext,
  visitor: Visitor,
  { frame }: Body,
): Promise<Response> {
  return context.pollers.request(pollToken(frame), async (poller) => {
    const { expires_in } = await showToken(context, visitor, poller, frame);
    return json({ ok: true, expires_in });
  });
}

/** A token in a frame of several: the answer to the request does not show that it is wrong. */
async function guess(
  context: PollContext,
  visitor: Visitor,
  poller: Poller,
  frame: JsonObject,
): Promise<RefreshedFrame> {
  const { limits } = context.hub.context;
  limits.checkFailures(visitor.peer.address);
  try {
    return await showToken(context, visitor, poller, frame);
  } catch (error) {
    limits.failed(visitor.peer.address, error);
    tellRefusal(context.hub, visitor, poller, { frame, text: "" }, error);
    throw error;
  }
}

async function showToken(
  { hub, door, pollers }: PollContext,
  visitor: Visitor,
  poller: Poller,
  frame: JsonObject,
): Promise<RefreshedFrame> {
  const { session, connection } = poller;
  const { authenticator } = door;
  const request = door.about(visitor);
  const refreshed = await refresh({ hub, authenticator, session, connection, request }, frame);
  await pollers.changed(poller);
  return refreshed;
}

async function unregister(
  { pollers }: PollContext,
  _visitor: Visitor,
  { frame }: Body,
): Promise<Response> {
  await pollers.unregister(pollToken(frame), booleanField(frame, "forget"));
  return json({ ok: true });
}

function publish(
  context: PollContext,
  visitor: Visitor,
  body: Body,
): Promise<Response> {
  publishIdField(body.frame);
  return context.pollers.request(pollToken(body.frame), async (poller) => {
    const frame = { ...body.frame, type: "channel.publish" };
    const reply = await handled(context.hub, visitor, poller, { frame, text: body.text });
    const { delivered } = reply as { delivered: number };
    return json({ ok: true, channel: body.frame.channel, delivered });
  }, { size: body.text.length });
}

/** A route that is one frame of the fixed wire in other clothes. */
function named(
  type: ClientFrame["type"],
  takes: readonly string[],
  gives: readonly string[],
): PollRoute {
  return ({ hub, pollers }, visitor, { frame, text }) =>
    pollers.request(pollToken(frame), async (poller) => {
      const inner: JsonObject = { type };
      for (const key of takes) if (Object.hasOwn(frame, key)) inner[key] = frame[key];
      const decoded = { frame: inner, text: JSON.stringify(inner) };
      const reply = await handled(hub, visitor, poller, decoded);
      // To settle what was sent is no more than what was sent.
      if (settles(reply)) poller.frames.refund();
      const picked = gives.map((key) => [key, (reply as unknown as JsonObject)[key]]);
      return json(Object.fromEntries(picked));
    }, { subscribes: SUBSCRIBES.has(type), size: text.length });
}

async function handled(
  hub: Hub,
  visitor: Visitor,
  poller: Poller,
  decoded: Decoded,
): Promise<GatewayFrame> {
  return (await run(hub, visitor, poller, decoded))!;
}

/** Handles a frame. Its answer leaves with this response, and what flows with the next poll. */
async function run(
  hub: Hub,
  visitor: Visitor,
  poller: Poller,
  decoded: Decoded,
): Promise<GatewayFrame | undefined> {
  const { session, connection } = poller;
  try {
    const reply = await handleFrame({ hub, session, connection }, decoded);
    reply.after?.();
    return reply.frame;
  } catch (error) {
    tellRefusal(hub, visitor, poller, decoded, error);
    throw error;
  }
}

/** Logs that a poller was refused. What nobody expects is logged where the request is answered. */
function tellRefusal(
  { context }: Hub,
  { peer: { address: peer } }: Visitor,
  { session: { owner: { subject, clientId } } }: Poller,
  decoded: Decoded,
  error: unknown,
): void {
  if (unexpected(error) === undefined) {
    tellFailure(context, error, { peer, subject, clientId }, decoded);
  }
}

/** The answer to one frame of several: what goes wrong with it is told in its place. */
async function answer(
  { log, metrics }: HubContext,
  decoded: Decoded,
  handle: () => Promise<GatewayFrame | undefined>,
): Promise<GatewayFrame | undefined> {
  const id = requestId(decoded);
  try {
    const frame = await handle();
    return frame === undefined ? undefined : { ...frame, ...id };
  } catch (error) {
    const surprise = unexpected(error);
    if (surprise !== undefined) log.failure("request.failed", surprise);
    const frame = errorFrame(error);
    metrics.count(metrics.errors, frame.code);
    return { ...frame, ...id };
  }
}
