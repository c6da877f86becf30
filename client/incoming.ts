/**
 * What a gateway sends, looked at before it is believed: each reader says whether the members that
 * the client reads are of the right type. No other member is ever read.
 *
 * @module
 */
import { isRecord } from "./check.ts";
import { isClientId } from "./protocol/channel_name.ts";
import { isCode } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";
import { isEpoch, isSeq } from "./protocol/event_id.ts";
import type {
  ConnectedFrame,
  EpochFrame,
  Era,
  GapFrame,
  MessageFrame,
  PublishedFrame,
  SubscribedFrame,
} from "./protocol/frames.ts";
import { MAX_EARLIER } from "./protocol/limits.ts";

/** Something with the looks of a frame. */
export type Incoming = Readonly<Record<string, unknown>> & { readonly type: string };

/** A message that carries its place. */
export type PlacedMessage = MessageFrame & Place;

/** Where a subscription goes on. */
export type Foothold = SubscribedFrame & Place;

interface Place {
  epoch: string;
  seq: number;
}

/** Reads anything that has a type. */
export function readIncoming(value: unknown): Incoming | undefined {
  return isRecord(value) && typeof value.type === "string" ? value as Incoming : undefined;
}

/** Reads a `channel_message`. */
export function readMessage(frame: Incoming): PlacedMessage | undefined {
  const { data, event_id, timestamp, source, seq, id, _retry_count: count } = frame;
  return isPlaced(frame) && seq !== 0 && data !== undefined && typeof event_id === "string" &&
      Number.isFinite(timestamp) && (source === null || typeof source === "string") &&
      (id === undefined || typeof id === "string") && (count === undefined || isSeq(count))
    ? frame as unknown as PlacedMessage
    : undefined;
}

/** Reads a `channel.subscribed` of the extended wire. */
export function readSubscribed(frame: Incoming): Foothold | undefined {
  return frame.type === "channel.subscribed" && isPlaced(frame)
    ? frame as unknown as Foothold
    : undefined;
}

/** Reads a `channel.epoch`. */
export function readEpoch(frame: Incoming): EpochFrame | undefined {
  const { channel, epoch, earlier } = frame;
  return typeof channel === "string" && isEpoch(epoch) && Array.isArray(earlier) &&
      earlier.length <= MAX_EARLIER && earlier.every(isEra)
    ? frame as unknown as EpochFrame
    : undefined;
}

/** Reads a `channel.gap`. */
export function readGap(frame: Incoming): GapFrame | undefined {
  const { reason } = frame;
  return isPlaced(frame) && (reason === "retention" || reason === "epoch")
    ? frame as unknown as GapFrame
    : undefined;
}

/** Reads an `error`, as what a promise rejects with. A code that this version does not know becomes `internal`. */
export function readError({ type, code, message }: Incoming): PushError | undefined {
  if (type !== "error" || typeof code !== "string") return undefined;
  const text = typeof message === "string" && message !== "" ? message : undefined;
  return isCode(code) ? new PushError(code, text) : new PushError("internal", `${code}: ${text}`);
}

/** Reads a `channel.published`. */
export function readPublished(frame: Incoming): PublishedFrame | undefined {
  const { type, delivered, event_id } = frame;
  return type === "channel.published" && isPlaced(frame) && isSeq(delivered) &&
      typeof event_id === "string"
    ? frame as unknown as PublishedFrame
    : undefined;
}

/** Reads who the client is from `connected`; the terms in it are read by `termsOf`. */
export function readConnected(frame: Incoming): ConnectedFrame | undefined {
  const { type, client_id, secret, subscriptions } = frame;
  return type === "connected" && isClientId(client_id) && Array.isArray(subscriptions) &&
      (secret === undefined || typeof secret === "string")
    ? frame as unknown as ConnectedFrame
    : undefined;
}

/** The strings of a list; nothing for anything else. */
export function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function isEra(value: unknown): value is Era {
  return isRecord(value) && isEpoch(value.epoch) && isSeq(value.base);
}

function isPlaced({ channel, epoch, seq }: Incoming): boolean {
  return typeof channel === "string" && isEpoch(epoch) && isSeq(seq);
}
