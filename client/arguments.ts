/**
 * What the methods of `PushClient` take, and how it is checked.
 *
 * @module
 */
import {
  check,
  type Checked,
  isRecord,
  type Kind,
  members,
  number,
  OBJECT,
  pattern,
  text,
  typed,
} from "./check.ts";
import type { AckMode } from "./handler.ts";
import type { Message } from "./message.ts";
import { isEpoch, isSeq, parseEventId, type Place } from "./protocol/event_id.ts";
import type { Json, Start } from "./protocol/frames.ts";
import { IDEMPOTENCY_WINDOW, MAX_PUBLISH_ID } from "./protocol/limits.ts";
import { SCHEMA, type Schema } from "./schema.ts";

/** Options of methods that only wait. */
export interface WaitOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode PushClient.disconnect}. */
export interface DisconnectOptions {
  /** Whether the session ends too, even a named one: its subscriptions and positions. Default false. */
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
  /** Seconds to wait for the sending, and again for the answer: above 0, at most 300. Default `publishTimeout` of the client. */
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
  /** Seconds to wait, above 0. Default 60. */
  readonly timeout?: number;
  /** What its payload must look like: as for `subscribe`. A message that does not fit is not the one. */
  readonly schema?: Schema<T>;
  /** Whether a message is the one. Default any. */
  readonly match?: (message: Message<T>) => boolean;
}

const SIGNAL: Kind<AbortSignal | undefined> = [
  "an AbortSignal",
  (value) => typeof (value as AbortSignal | null)?.aborted === "boolean",
];

/** Options of methods that only wait. */
export const WAIT = { signal: SIGNAL };

/** Options of `publish`. */
export const PUBLISH = {
  ...WAIT,
  id: text(MAX_PUBLISH_ID),
  echo: typed("boolean", false),
  timeout: number(undefined, IDEMPOTENCY_WINDOW),
};

/** Options of `waitFor`. */
export const WAIT_FOR = {
  ...WAIT,
  schema: SCHEMA,
  timeout: number(60),
  match: typed<((message: Message<never>) => boolean) | undefined>("function", undefined),
};

/** Options of `disconnect`. */
export const DISCONNECT = { forget: typed("boolean", false) };

/** Options of `subscribe`, where `since` may name a message of this channel. */
// deno-lint-ignore explicit-function-return-type
const subscribeShape = (channel: string) => ({
  ...WAIT,
  schema: SCHEMA,
  ack: pattern<AckMode>(/^(auto|manual)$/, "auto"),
  concurrency: number(1, undefined, 1, true),
  since: [
    "an eventId of the channel, or an epoch and seq",
    (since) => typeof since === "string" || isRecord(since),
    (since: Since) => {
      const { epoch, seq, channel: found = channel } = placeOf(since);
      return isEpoch(epoch) && isSeq(seq) && found === channel;
    },
  ] as Kind<Since | undefined>,
  last: number(undefined, 1_000_000, 0, true),
  all: typed("boolean", false),
});

/** Checks the options of `subscribe`. */
export function readSubscribe(
  channel: string,
  options: unknown,
): Checked<ReturnType<typeof subscribeShape>> & { readonly start: Start } {
  const act = "subscribe";
  const checked = members(act, "options", options, subscribeShape(channel));
  const { since, last, all } = checked;
  const start: Start = { ...last !== undefined && { last }, ...all && { all } };
  if (since) {
    const { epoch, seq } = placeOf(since) as Place;
    start.since = { epoch, seq };
  }
  const names = Object.keys(start);
  if (names.length < 2) return { ...checked, start };
  throw new TypeError(`Cannot ${act} with more than one of ${names.join(", ")}`);
}

type Since = string | Partial<Place>;

function placeOf(since: Since): Partial<Place> {
  return typeof since === "string" ? parseEventId(since) ?? {} : since;
}

/** JSON of a value; throws a `TypeError` if it has none. */
export function jsonOf(act: string, name: string, value: unknown): string {
  let cause: unknown;
  try {
    const json = JSON.stringify(value);
    if (json) return json;
  } catch (error) {
    cause = error;
  }
  throw new TypeError(`Cannot ${act} as '${name}' cannot be written as JSON`, { cause });
}

/** A JSON object as it is at this moment. */
export function metadataOf(act: string, value: unknown): { [key: string]: Json } {
  return JSON.parse(jsonOf(act, "metadata", check(act, "metadata", value, OBJECT)));
}
