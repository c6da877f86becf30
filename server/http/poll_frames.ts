import {
  type ClientFrame,
  decodeBatch,
  type Decoded,
  type GatewayFrame,
  type JsonObject,
  memberText,
  type RefreshedFrame,
} from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import { errorFrame, requestId, settles } from "../dialog/answers.ts";
import { booleanField, objectsField, publishIdField } from "../dialog/fields.ts";
import { handleFrame } from "../dialog/frames.ts";
import { refresh } from "../dialog/refresh.ts";
import { tellFailure } from "../dialog/refusal.ts";
import type { Hub } from "../hub.ts";
import { unexpected } from "../logging/unexpected.ts";
import type { Visitor } from "./door.ts";
import type { PollContext, PollRoute } from "./poll.ts";
import { pollToken } from "./poll_fields.ts";
import type { Poller, PollOptions } from "./pollers.ts";
import { type Body, json } from "./respond.ts";

const MAX_FRAMES = 1024;
const SUBSCRIBES: ReadonlySet<unknown> = new Set(["channel.subscribe", "channel.unsubscribe"]);
const CHANGES: PollOptions = { subscribes: true, verifies: false };

/** Frames of `@push/client`, handled as if they had come over a WebSocket. */
export function send(
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

/** `publish`: one message, and no frame around it. */
export function publish(
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
export function named(
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

/** Goes on with another token. */
export function refreshToken(
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
