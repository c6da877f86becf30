/**
 * What a gateway sends, looked at before it is believed: each reader gives a frame of the right
 * shape, or `undefined`. Only the members named here are ever read.
 *
 * @module
 */
import { isRecord } from "./check.ts";
import { isClientId } from "./protocol/channel_name.ts";
import { isCode } from "./protocol/codes.ts";
import { isEpoch, isSeq } from "./protocol/event_id.ts";
import type {
  ConnectedFrame,
  ErrorFrame,
  GapFrame,
  Json,
  MessageFrame,
  PresenceDiffFrame,
  PresenceEntry,
  PresenceState,
  PublishedFrame,
} from "./protocol/frames.ts";
import { MAX_MESSAGE_BYTES } from "./protocol/limits.ts";

/** Something with the looks of a frame. */
export type Incoming = Readonly<Record<string, unknown>> & { readonly type: string };

/** A message that carries its place. */
export type PlacedMessage = MessageFrame & { seq: number; epoch: string };

/** Where a subscription goes on. */
export interface Foothold {
  readonly channel: string;
  readonly epoch: string;
  readonly seq: number;
}

/** Reads anything that has a type. */
export function readIncoming(value: unknown): Incoming | undefined {
  return isRecord(value) && typeof value.type === "string" ? value as Incoming : undefined;
}

/** Reads a `channel_message`. */
export function readMessage(frame: Incoming): PlacedMessage | undefined {
  const { channel, data, event_id, timestamp, source = null, seq, epoch, id } = frame;
  const { _redelivered, _retry_count, _redriven } = frame;
  if (typeof channel !== "string" || data === undefined || typeof event_id !== "string") return;
  if (!isTime(timestamp) || !isSeq(seq) || seq === 0 || !isEpoch(epoch)) return undefined;
  return {
    type: "channel_message",
    channel,
    data: data as Json,
    event_id,
    timestamp,
    source: typeof source === "string" ? source : null,
    target: null,
    seq,
    epoch,
    ...typeof id === "string" && { id },
    ..._redelivered === true && { _redelivered },
    ...isSeq(_retry_count) && { _retry_count },
    ..._redriven === true && { _redriven },
  };
}

/** Reads a `channel.subscribed` of one's own protocol. */
export function readSubscribed(frame: Incoming): Foothold | undefined {
  const { type, channel, epoch, seq } = frame;
  if (type !== "channel.subscribed" || typeof channel !== "string") return undefined;
  return isEpoch(epoch) && isSeq(seq) ? { channel, epoch, seq } : undefined;
}

/** Reads a `channel.gap`. */
export function readGap(frame: Incoming): GapFrame | undefined {
  const { channel, epoch, seq, reason } = frame;
  if (typeof channel !== "string" || !isEpoch(epoch) || !isSeq(seq)) return undefined;
  if (reason !== "retention" && reason !== "epoch") return undefined;
  return { type: "channel.gap", channel, epoch, seq, reason };
}

/** Reads an `error`. A code that this version does not know becomes `internal`. */
export function readError(frame: Incoming): ErrorFrame | undefined {
  const { type, code, message, channel } = frame;
  if (type !== "error" || typeof code !== "string") return undefined;
  const text = typeof message === "string" ? message : "";
  return {
    type,
    code: isCode(code) ? code : "internal",
    message: isCode(code) ? text : `${code}: ${text}`,
    ...typeof channel === "string" && { channel },
  };
}

/** Reads a `channel.published`. */
export function readPublished(frame: Incoming): PublishedFrame | undefined {
  const { type, channel, delivered, event_id, epoch, seq, duplicate } = frame;
  if (type !== "channel.published" || typeof channel !== "string") return undefined;
  return {
    type,
    channel,
    delivered: isSeq(delivered) ? delivered : 0,
    ...typeof event_id === "string" && { event_id },
    ...isEpoch(epoch) && { epoch },
    ...isSeq(seq) && { seq },
    ...duplicate === true && { duplicate },
  };
}

/** Reads `connected`; numbers that make no sense become the gateway's defaults. */
export function readConnected(frame: Incoming): ConnectedFrame | undefined {
  const { type, version, client_id, secret, resumed, delivery, subscriptions } = frame;
  if (type !== "connected" || !isClientId(client_id)) return undefined;
  return {
    type,
    version: numberIn(version, 1, Infinity, 1),
    client_id,
    ...typeof secret === "string" && { secret },
    resumed: resumed === true,
    session_ttl: numberIn(frame.session_ttl, 0, Infinity, 0),
    delivery: delivery !== false,
    ack_timeout: numberIn(frame.ack_timeout, 0.001, 1e6, 30),
    retry_backoff: numberIn(frame.retry_backoff, 1, 1000, 2),
    window: Math.floor(numberIn(frame.window, 1, 1e6, 1024)),
    heartbeat_interval: numberIn(frame.heartbeat_interval, 0, 1e6, 15),
    max_message_bytes: numberIn(frame.max_message_bytes, 1, Infinity, MAX_MESSAGE_BYTES),
    subscriptions: Array.isArray(subscriptions) ? subscriptions : [],
  };
}

/** Reads a `presence_diff`. */
export function readDiff(frame: Incoming): PresenceDiffFrame | undefined {
  const { channel, joins, updates, leaves, timestamp } = frame;
  if (typeof channel !== "string") return undefined;
  return {
    type: "presence_diff",
    channel,
    joins: statesOf(joins),
    updates: statesOf(updates),
    leaves: statesOf(leaves),
    timestamp: isTime(timestamp) ? timestamp : 0,
  };
}

/** Reads the entries of a `presence.list`. */
export function readPresence(frame: Incoming): PresenceEntry[] | undefined {
  if (frame.type !== "presence.list" || !Array.isArray(frame.clients)) return undefined;
  return frame.clients.filter((entry) => isRecord(entry) && typeof entry.client_id === "string")
    .map((entry) => ({
      client_id: entry.client_id,
      status: typeof entry.status === "string" ? entry.status : "online",
      last_seen: isTime(entry.last_seen) ? entry.last_seen : 0,
      metadata: isRecord(entry.metadata) ? entry.metadata as PresenceEntry["metadata"] : {},
      channels: stringsOf(entry.channels),
    }));
}

/** The strings of a list; nothing for anything else. */
export function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function statesOf(value: unknown): PresenceState[] {
  if (!Array.isArray(value)) return [];
  return value.filter((state) => isRecord(state) && typeof state.client_id === "string")
    .map(({ client_id, status, metadata }) => ({
      client_id,
      status: typeof status === "string" ? status : "online",
      ...isRecord(metadata) && { metadata: metadata as PresenceState["metadata"] },
    }));
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function numberIn(value: unknown, min: number, max: number, fallback: number): number {
  return typeof value === "number" && value >= min && value <= max ? value : fallback;
}
