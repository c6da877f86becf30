import { isChannelName } from "./channel_name.ts";

/** Place of a message: the channel, the epoch of its log, and its number in it. */
export interface Place {
  /** Channel name. */
  readonly channel: string;
  /** Epoch of the channel's log: 1 to 32 of `a-z 0-9`. */
  readonly epoch: string;
  /** Number in the log: an integer from 1. */
  readonly seq: number;
}

const EPOCH = /^[a-z0-9]{1,32}$/;

/** Whether `value` has the form of an epoch. */
export function isEpoch(value: unknown): value is string {
  return typeof value === "string" && EPOCH.test(value);
}

/** Whether `value` can be the number of a message. */
export function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

/** Writes a place as an event id: `epoch:seq:channel`. Opaque to clients of the fixed wire. */
export function formatEventId(channel: string, epoch: string, seq: number): string {
  return `${epoch}:${seq}:${channel}`;
}

/** Reads an event id; `undefined` if it is not one. Never throws. */
export function parseEventId(id: unknown): Place | undefined {
  if (typeof id !== "string") return undefined;
  const [, epoch, seq, channel] = /^(\w{1,32}):([1-9]\d{0,15}):(.*)$/.exec(id) ?? [];
  return isEpoch(epoch) && isSeq(+seq) && isChannelName(channel)
    ? { channel, epoch, seq: +seq }
    : undefined;
}
