import {
  type Decoded,
  type GatewayFrame,
  isSeq,
  type JsonObject,
  memberText,
  type PresenceEntry,
  PushError,
} from "@push/client/protocol";
import { Forbidden } from "../access/permits.ts";
import { knownTo, seenBy } from "../access/seen.ts";
import {
  booleanField,
  byteLength,
  channelField,
  epochField,
  metadataField,
  objectsField,
  publishIdField,
  rangesField,
  refuse,
  requiredString,
  secondsField,
  seqField,
  startFields,
  stringField,
} from "./fields.ts";
import { harmless } from "../harmless.ts";
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

/** Channels that sessions are making: a list that is asked for behind them has them. */
const making = new WeakMap<Session, Promise<void>>();

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
  if (reply instanceof Promise && (handler === create || handler === subscribe)) {
    const { session } = speaker;
    const made = Promise.allSettled([making.get(session), reply]).then(() => {});
    making.set(session, made);
  }
  // Whatever is not a publish has the same effect once and twice.
  return reply instanceof Promise && handler !== publish ? harmless(reply) : reply;
}

/**
 * Payload of a publish as the JSON text that it was written with.
 *
 * @throws {PushError} `bad_request` if there is none, `message_too_large`
 */
export function payloadOf(decoded: Decoded, maxBytes: number): string {
  const payload = memberText(decoded, "data");
  if (payload === undefined) refuse("data", "a JSON value", undefined);
  if (payload.length > maxBytes || byteLength(payload) > maxBytes) {
    throw new PushError(
      "message_too_large",
      `The payload has ${
        byteLength(payload)
      } bytes, and at most ${maxBytes} are accepted (maxMessageBytes).`,
    );
  }
  return payload;
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

async function subscribe(speaker: Speaker, { frame }: Decoded): Promise<Reply> {
  const { session, connection } = speaker;
  const channel = channelField(frame);
  const extended = session.wire === "extended";
  const start = extended ? startFields(frame) : {};
  const subscribed = await session.subscribe(channel, start, connection);
  const { ok, epoch, earlier, seq, stored } = subscribed;
  return {
    frame: {
      type: "channel.subscribed",
      channel,
      ok,
      ...(extended ? { epoch, seq, ...(stored ? { stored } : {}) } : {}),
      ...(extended && earlier.length > 0 ? { earlier } : {}),
    },
    after: subscribed.start,
  };
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
  const { frame } = decoded;
  const channel = channelField(frame);
  const payload = payloadOf(decoded, hub.context.settings.limits.maxMessageBytes);
  const options = { id: publishIdField(frame), echo: booleanField(frame, "echo") };
  const number = session.wire === "extended" && isSeq(frame.request_id)
    ? frame.request_id
    : undefined;
  hub.context.limits.checkPublish(session.publishes, number, channel, payload.length);
  const { delivered, epoch, seq, duplicate } = await session.publish(channel, payload, options);
  if (session.wire === "fixed") {
    return { frame: { type: "channel.published", channel, delivered } };
  }
  const event_id = `${epoch}:${seq}:${channel}`;
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
  await making.get(session);
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
