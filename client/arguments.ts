/**
 * What the methods of `PushClient` take, and how it is checked.
 *
 * @module
 */
import { ABOVE_0, check, isRecord, isText, type Kind, members, number, OBJECT } from "./check.ts";
import type { Message } from "./message.ts";
import { isEpoch, isSeq, parseEventId, type Place } from "./protocol/event_id.ts";
import type { Json, Start } from "./protocol/frames.ts";
import { IDEMPOTENCY_WINDOW } from "./protocol/limits.ts";
import { SCHEMA, type Schema } from "./schema.ts";

/** Options of methods that only wait. */
export interface WaitOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode PushClient.disconnect}. */
export interface DisconnectOptions {
  /**
   * Whether the session ends too, even a named one: its subscriptions and positions. Without a
   * connection the gateway does not hear it, and keeps them for as long as it does anyway. Default false.
   */
  readonly forget?: boolean;
}

/** Options of {@linkcode PushClient.publish}. */
export interface PublishOptions extends WaitOptions {
  /**
   * Id of the message, 1 to 128 characters: within 5 minutes a repeat on the same channel is stored
   * once and answered with the first result. Default random.
   */
  readonly id?: string;
  /** Whether this client wants the message too, if it is subscribed. Default false. */
  readonly echo?: boolean;
  /** Seconds to wait for the sending, and again for the answer: 0.001 to 300. Default `publishTimeout` of the client. */
  readonly timeout?: number;
}

/** Options of {@linkcode PushClient.subscribe}. At most one of `since`, `last` and `all` may be given. */
export interface SubscribeOptions<T = unknown> {
  /**
   * Who acknowledges: with `auto` a message is acknowledged when its handler has finished; with
   * `manual` only by `message.ack()`, and a message that is not settled holds its place. Default `auto`.
   */
  readonly ack?: "auto" | "manual";
  /** Messages that the handler gets at a time, from 1. Default 1. */
  readonly concurrency?: number;
  /** Start after this place: the `eventId` of a message, or its epoch and number. */
  readonly since?: string | { readonly epoch: string; readonly seq: number };
  /** Start with so many of the kept messages, 0 to 1 000 000. */
  readonly last?: number;
  /** Start with the oldest kept message. */
  readonly all?: boolean;
  /**
   * What payloads must look like, in the form of any library of Standard Schema: what it makes of a
   * payload is the message's `data`. A message that does not fit is told by the `error` event and
   * refused, as if its handler had thrown, so that in the end it is a dead letter.
   */
  readonly schema?: Schema<T>;
  /** Ends the wait, and later the subscription. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode PushClient.waitFor}. */
export interface WaitForOptions<T = Json> extends WaitOptions {
  /** Seconds to wait, from 0.001. Default 60. */
  readonly timeout?: number;
  /** What its payload must look like: as for `subscribe`. A message that does not fit is not the one. */
  readonly schema?: Schema<T>;
  /** Whether a message is the one. Default any. */
  readonly match?: (message: Message<T>) => boolean;
}

const SIGNAL: Kind = [
  "an AbortSignal",
  (value) => typeof (value as AbortSignal | null)?.aborted === "boolean",
];

/** Options of methods that only wait. */
export const WAIT = { signal: SIGNAL };

/** Options of `publish`. */
export const PUBLISH = {
  ...WAIT,
  id: /^.{1,128}$/s,
  echo: "boolean",
  timeout: number(ABOVE_0, IDEMPOTENCY_WINDOW),
} as const;

/** Options of `waitFor`. */
export const WAIT_FOR = { ...WAIT, schema: SCHEMA, timeout: number(), match: "function" } as const;

/** Checks the options of `subscribe`, where `since` may name a message of this channel. */
export function readSubscribe<T>(
  channel: string,
  options: SubscribeOptions<T> | undefined,
): SubscribeOptions<T> & { readonly start: Start } {
  const since = options?.since;
  const { epoch, seq, channel: named = channel }: Place = Object(
    isText(since) ? parseEventId(since) : since,
  );
  const checked = members(options, {
    ...WAIT,
    schema: SCHEMA,
    ack: /^(auto|manual)$/,
    concurrency: number(1, undefined, 1),
    since: [
      "an eventId of the channel, or an epoch and seq",
      (since) => isText(since) || isRecord(since),
      () => isEpoch(epoch) && isSeq(seq) && named === channel,
    ],
    last: number(0, 1e6, 1),
    all: "boolean",
  });
  const { last, all } = checked;
  const start: Start = {
    ...since && { since: { epoch, seq } },
    ...last !== undefined && { last },
    ...all && { all },
  };
  const names = Object.keys(start);
  if (names.length < 2) return { ...checked, start };
  throw new TypeError(`'options' may have only one of ${names.join(", ")}`);
}

/** JSON of a value; throws a `TypeError` if it has none. */
export function jsonOf(name: string, value: unknown): string {
  let cause: unknown;
  try {
    const json = JSON.stringify(value);
    if (json) return json;
  } catch (error) {
    cause = error;
  }
  throw new TypeError(`'${name}' cannot be written as JSON`, { cause });
}

/** A JSON object as it is at this moment. */
export function metadataOf(value: object): { [key: string]: Json } {
  return JSON.parse(jsonOf("metadata", check("metadata", value, OBJECT)));
}
