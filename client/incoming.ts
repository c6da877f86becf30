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

/** Whether a member is of the right type. */
type Test = (value: unknown) => unknown;

/** Whether a value is a string. */
export const isText = (value: unknown): value is string => typeof value === "string";
const is = (wanted: string): Test => (value) => value === wanted;
const orNone = (test: Test): Test => (value) => value === undefined || test(value);

/** Makes a reader: it gives an object back whose members pass, and `undefined` for anything else. */
export function reader<T>(
  shape: { readonly [key: string]: Test },
): (value: unknown) => T | undefined {
  const tests = Object.entries(shape);
  return (value) =>
    isRecord(value) && tests.every(([key, test]) => test(value[key])) ? value as T : undefined;
}

const PLACE = { channel: isText, epoch: isEpoch, seq: isSeq };
const readEra = reader({ epoch: isEpoch, base: isSeq });

/** Reads anything that has a type. */
export const readIncoming: (value: unknown) => Incoming | undefined = reader({ type: isText });

/** Reads a `channel_message`. */
export const readMessage: (frame: Incoming) => PlacedMessage | undefined = reader({
  ...PLACE,
  seq: (seq) => isSeq(seq) && seq > 0,
  data: (data) => data !== undefined,
  event_id: isText,
  timestamp: Number.isFinite,
  source: (source) => source === null || isText(source),
  id: orNone(isText),
  _retry_count: orNone(isSeq),
});

/** Reads a `channel.subscribed` of the extended wire. */
export const readSubscribed: (frame: Incoming) => Foothold | undefined = reader({
  ...PLACE,
  type: is("channel.subscribed"),
});

/** Reads a `channel.epoch`. */
export const readEpoch: (frame: Incoming) => EpochFrame | undefined = reader({
  channel: isText,
  epoch: isEpoch,
  earlier: (list) => Array.isArray(list) && list.length <= MAX_EARLIER && list.every(readEra),
});

/** Reads a `channel.gap`. */
export const readGap: (frame: Incoming) => GapFrame | undefined = reader({
  ...PLACE,
  reason: (reason) => reason === "retention" || reason === "epoch",
});

/** Reads a `channel.published`. */
export const readPublished: (frame: Incoming) => PublishedFrame | undefined = reader({
  ...PLACE,
  type: is("channel.published"),
  delivered: isSeq,
  event_id: isText,
});

/** Reads who the client is from `connected`; the terms in it are read by `termsOf`. */
export const readConnected: (frame: Incoming) => ConnectedFrame | undefined = reader({
  type: is("connected"),
  client_id: isClientId,
  subscriptions: Array.isArray,
  secret: orNone(isText),
});

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
