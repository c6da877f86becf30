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

/** Whether a value is a string. */
export const isText = (value: unknown): value is string => typeof value === "string";
const isTextOrNone = (value: unknown): boolean => value === undefined || isText(value);
const isPlaced = ({ channel, epoch, seq }: Record<string, unknown>): boolean =>
  isText(channel) && isEpoch(epoch) && isSeq(seq);

/** Makes a reader: it gives an object back that passes, and `undefined` for anything else. */
export const reader =
  <T>(test: (object: Record<string, unknown>) => boolean) => (value: unknown): T | undefined =>
    isRecord(value) && test(value) ? value as T : undefined;

const readEra = reader(({ epoch, base }) => isEpoch(epoch) && isSeq(base));

/** Reads anything that has a type. */
export const readIncoming: (value: unknown) => Incoming | undefined = reader(({ type }) =>
  isText(type)
);

/** Reads a `channel_message`. */
export const readMessage: (frame: Incoming) => PlacedMessage | undefined = reader((frame) => {
  const { seq, source, _retry_count: count } = frame;
  return isPlaced(frame) && seq !== 0 && frame.data !== undefined && isText(frame.event_id) &&
    Number.isFinite(frame.timestamp) && (source === null || isText(source)) &&
    isTextOrNone(frame.id) && (count === undefined || isSeq(count));
});

/** Reads a `channel.subscribed` of the extended wire. */
export const readSubscribed: (frame: Incoming) => Foothold | undefined = reader((frame) =>
  frame.type === "channel.subscribed" && isPlaced(frame)
);

/** Reads a `channel.epoch`. */
export const readEpoch: (frame: Incoming) => EpochFrame | undefined = reader((
  { channel, epoch, earlier },
) =>
  isText(channel) && isEpoch(epoch) && Array.isArray(earlier) && earlier.length <= MAX_EARLIER &&
  earlier.every(readEra)
);

/** Reads a `channel.gap`. */
export const readGap: (frame: Incoming) => GapFrame | undefined = reader((frame) =>
  isPlaced(frame) && (frame.reason === "retention" || frame.reason === "epoch")
);

/** Reads a `channel.published`. */
export const readPublished: (frame: Incoming) => PublishedFrame | undefined = reader((frame) =>
  frame.type === "channel.published" && isPlaced(frame) && isSeq(frame.delivered) &&
  isText(frame.event_id)
);

/** Reads who the client is from `connected`; the terms in it are read by `termsOf`. */
export const readConnected: (frame: Incoming) => ConnectedFrame | undefined = reader((frame) =>
  frame.type === "connected" && isClientId(frame.client_id) &&
  Array.isArray(frame.subscriptions) && isTextOrNone(frame.secret)
);

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
