/**
 * What a gateway sends, looked at before it is believed: each reader says whether the members that
 * the client reads are of the right type. No other member is ever read.
 *
 * @module
 */
import { isText } from "./check.ts";
import type { Published } from "./outbox.ts";
import { isClientId } from "./protocol/channel_name.ts";
import { isCode } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";
import { isEpoch, isSeq } from "./protocol/event_id.ts";
import type {
  ConnectedFrame,
  EpochFrame,
  GapFrame,
  MessageFrame,
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

const isTextOrNone = (value: unknown): boolean => value === undefined || isText(value);
/** The last epoch that was looked at: that of most frames. */
let known: unknown = NaN;
const isPlaced = ({ channel, epoch, seq }: Incoming): boolean => {
  if (epoch !== known && isEpoch(epoch)) known = epoch;
  return epoch === known && isText(channel) && isSeq(seq);
};

/** Reads anything that has a type. */
export function readIncoming(value: unknown): Incoming | undefined {
  return isText(Object(value).type) ? value as Incoming : undefined;
}

/** Whether it is a `channel_message`, if its type says so. */
export function isMessage(frame: Incoming): frame is Incoming & PlacedMessage {
  const { seq, source, _retry_count: count } = frame;
  return isPlaced(frame) && seq !== 0 && frame.data !== undefined && isText(frame.event_id) &&
    Number.isFinite(frame.timestamp) && (source === null || isText(source)) &&
    isTextOrNone(frame.id) && (count === undefined || isSeq(count));
}

/** Whether it is a `channel.subscribed` of the extended wire. */
export function isSubscribed(frame: Incoming): frame is Incoming & Foothold {
  return frame.type === "channel.subscribed" && isPlaced(frame);
}

/** Whether it is a `channel.epoch`, if its type says so. */
export function isEpochChange(frame: Incoming): frame is Incoming & EpochFrame {
  const { channel, epoch, earlier } = frame;
  return isText(channel) && isEpoch(epoch) && Array.isArray(earlier) &&
    earlier.length <= MAX_EARLIER &&
    earlier.every((era) => isEpoch(Object(era).epoch) && isSeq(era.base));
}

/** Whether it is a `channel.gap`, if its type says so. */
export function isGap(frame: Incoming): frame is Incoming & GapFrame {
  const { reason } = frame;
  return isPlaced(frame) && (reason === "retention" || reason === "epoch");
}

/** Reads a `channel.published`. */
export function readPublished(frame: Incoming): Published | undefined {
  const { type, event_id: eventId, epoch, seq, delivered, duplicate } = frame;
  return type === "channel.published" && isPlaced(frame) && isSeq(delivered) && isText(eventId)
    ? { eventId, epoch, seq, delivered, duplicate: duplicate === true } as Published
    : undefined;
}

/** Whether it is a `connected`, as far as it says who the client is; `termsOf` reads the rest. */
export function isConnected(frame: Incoming): frame is Incoming & ConnectedFrame {
  return frame.type === "connected" && isClientId(frame.client_id) &&
    Array.isArray(frame.subscriptions) && isTextOrNone(frame.secret) &&
    isTextOrNone(frame.known_as);
}

/** Reads an `error`, as what a promise rejects with. A code that this version does not know becomes `internal`. */
export function readError({ type, code, message }: Incoming): PushError | undefined {
  if (type !== "error" || !isText(code)) return undefined;
  const text = isText(message) && message || undefined;
  return isCode(code) ? new PushError(code, text) : new PushError("internal", `${code}: ${text}`);
}

/** The strings of a list; nothing for anything else. */
export function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(isText) : [];
}
