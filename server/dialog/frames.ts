import {
  type Decoded,
  formatEventId,
  type GatewayFrame,
  type JsonObject,
  type PresenceEntry,
  PushError,
  type Start,
} from "@push/client/protocol";
import { Forbidden } from "../access/permits.ts";
import { knownTo, seenBy } from "../access/seen.ts";
import {
  channelField,
  epochField,
  metadataField,
  objectsField,
  rangesField,
  refuse,
  requiredString,
  secondsField,
  seqField,
  startFields,
  stringField,
} from "./fields.ts";
import { subscribedFrame } from "./answers.ts";
import { harmless } from "../harmless.ts";
import { readPublish } from "./publishes.ts";
import type { Hub } from "../hub.ts";
import type { Session } from "../session/session.ts";
import type { Connection } from "../transports/connection.ts";

/** What a frame is answered with. */
export interface Reply {
  /** The answer; some frames have none. */
  readonly frame?: GatewayFrame;
  /** Done once the answer is on its way. */
  readonly after?: () => void;
}

/** Who sent a frame. */
export interface Speaker {
  readonly hub: Hub;
  readonly session: Session;
  readonly connection: Connection;
}

type Handler = (speaker: Speaker, decoded: Decoded) => Reply | Promise<Reply>;

/** Longest wait that a nack may ask for, in seconds. */
const MAX_NACK_DELAY = 86_400;
const MAX_STATUS = 64;
const MAX_EVENT_ID = 320;

/** One handler for each frame that a connected client may send. */
const handlers: { readonly [type: string]: Handler | undefined } = Object.assign(
  Object.create(null),
  {
    "channel.create": create,
    "channel.subscribe": subscribe,
    "channel.unsubscribe": unsubscribe,
    "channel.publish": publish,
    "channel.list": list,
    "presence.heartbeat": heartbeat,
    "presence.query": presence,
    "message_ack": messageAck,
    "message_nack": messageNack,
    "ping": () => ({ frame: { type: "pong" } }),
    "ack": ack,
    "nack": nack,
    "renew": renew,
  } satisfies { [type: string]: Handler },
);

const EXTENDED = new Set(["ack", "nack", "renew"]);

/**
 * Handles one frame of an attached session. Answers at once where nothing needs to be waited for.
 *
 * @throws {PushError} or rejects with one
 */
export function handleFrame(speaker: Speaker, decoded: Decoded): Reply | Promise<Reply> {
  const { type } = decoded.frame;
  if (typeof type !== "string") refuse("type", "a string", type);
  const handler = handlers[type];
  if (handler === undefined || (EXTENDED.has(type) && speaker.session.wire !== "extended")) {
    throw new PushError(
      "unknown_type",
      `The frame type ${JSON.stringify(type.slice(0, 40))} is not known here.`,
    );
  }
  const reply = handler(speaker, decoded);
  if (reply instanceof Promise && handler === create) speaker.session.during(reply);
  // Whatever is not a publish has the same effect once and twice.
  return reply instanceof Promise && handler !== publish ? harmless(reply) : reply;
}

async function create({ hub, session }: Speaker, { frame }: Decoded): Promise<Reply> {
  const channel = channelField(frame);
  const { limits } = hub.context.settings;
  const metadata = metadataField(frame, "metadata", limits.maxMetadataBytes) ?? {};
  if (!await session.permits.may("publish", channel)) throw new Forbidden("publish", channel);
  hub.context.limits.checkCreate(session.publishes, channel);
  const ok = await hub.create(channel, metadata);
  return { frame: { type: "channel.created", channel, ok } };
}

/** Where who says nothing of it starts. */
const HEAD: Start = {};

async function subscribe(speaker: Speaker, { frame }: Decoded): Promise<Reply> {
  const { session, connection } = speaker;
  const channel = channelField(frame);
  const extended = session.wire === "extended";
  const start = extended ? startFields(frame) : HEAD;
  const subscribed = await session.subscribe(channel, start, connection);
  const after = subscribed.start;
  return extended
    ? { frame: subscribedFrame(channel, subscribed), after }
    : { frame: { type: "channel.subscribed", channel, ok: subscribed.ok }, after };
}

async function unsubscribe(
  { session, connection }: Speaker,
  { frame }: Decoded,
): Promise<Reply> {
  const channel = channelField(frame);
  const ok = await session.unsubscribe(channel, connection);
  return { frame: { type: "channel.unsubscribed", channel, ok } };
}

async function publish({ hub, session }: Speaker, decoded: Decoded): Promise<Reply> {
  const asked = readPublish(hub.context, session, decoded);
  const { channel } = asked;
  const { outcomes: [published], delivered } = await session.publish(channel, [asked]);
  if (published instanceof PushError) throw published;
  if (session.wire === "fixed") {
    return { frame: { type: "channel.published", channel, delivered } };
  }
  const { epoch, seq, duplicate } = published;
  const event_id = formatEventId(channel, epoch, seq);
  return {
    frame: {
      type: "channel.published",
      channel,
      delivered,
      event_id,
      epoch,
      seq,
      ...(duplicate ? { duplicate } : {}),
    },
  };
}

async function list({ hub, session }: Speaker): Promise<Reply> {
  // Whoever asks for a list behind what makes a channel has that one, too.
  await session.changes;
  const { permits } = session;
  const channels = (await hub.channels()).map(({ name }) => name);
  return { frame: { type: "channel.list", channels: await knownTo(permits, channels) } };
}

function heartbeat({ hub, session }: Speaker, { frame }: Decoded): Reply {
  const status = stringField(frame, "status", MAX_STATUS) ?? "online";
  const metadata = metadataField(frame, "metadata", hub.context.settings.limits.maxMetadataBytes);
  return {
    frame: {
      type: "presence.heartbeat_ack",
      ok: hub.presence.heartbeat(session, status, metadata),
    },
  };
}

function presence(
  { hub, session: { permits } }: Speaker,
  { frame }: Decoded,
): Reply | Promise<Reply> {
  const all = frame.channel === undefined || frame.channel === null;
  const channel = all ? null : channelField(frame);
  const reply = (entries: PresenceEntry[]): Reply => ({
    frame: { type: "presence.list", channel, presence: entries, clients: entries },
  });
  const seen = seenBy(permits, hub.presence, channel);
  return seen instanceof Promise ? seen.then(reply) : reply(seen);
}

function messageAck({ session, connection }: Speaker, { frame }: Decoded): Reply {
  const event_id = requiredString(frame, "event_id", MAX_EVENT_ID);
  return { frame: { type: "ack_received", event_id, ok: session.ackEvent(event_id, connection) } };
}

function messageNack({ session, connection }: Speaker, { frame }: Decoded): Reply {
  const event_id = requiredString(frame, "event_id", MAX_EVENT_ID);
  const delay = (secondsField(frame, "delay", MAX_NACK_DELAY) ?? 0) * 1000;
  const ok = session.nackEvent(event_id, delay, connection);
  return { frame: { type: "nack_received", event_id, ok } };
}

function ack({ hub, session, connection }: Speaker, { frame }: Decoded): Reply {
  // All is read before anything is done: a frame counts as a whole, or not at all.
  const acks = objectsField(frame, "acks", hub.context.settings.limits.maxChannels).map((each) => ({
    channel: channelField(each),
    epoch: epochField(each),
    upto: each.upto === undefined ? undefined : seqField(each, "upto"),
    ranges: rangesField(each, "ranges"),
  }));
  for (const { channel, epoch, upto, ranges } of acks) {
    session.ack(channel, epoch, upto, ranges, connection);
  }
  return {};
}

function nack({ session, connection }: Speaker, { frame }: Decoded): Reply {
  const delay = (secondsField(frame, "delay", MAX_NACK_DELAY) ?? 0) * 1000;
  session.nack(channelField(frame), epochField(frame), seqField(frame), delay, connection);
  return {};
}

function renew({ hub, session, connection }: Speaker, { frame }: Decoded): Reply {
  const renewals = objectsField(frame, "renew", hub.context.settings.limits.maxChannels)
    .map((each: JsonObject) => ({
      channel: channelField(each),
      epoch: epochField(each),
      ranges: rangesField(each, "ranges"),
    }));
  for (const { channel, epoch, ranges } of renewals) {
    session.renew(channel, epoch, ranges, connection);
  }
  return {};
}
