/**
 * What the methods of `PushClient` take, and how it is checked.
 *
 * @module
 */
import {
  booleanOf,
  functionOf,
  isRecord,
  membersOf,
  numberOf,
  refuseRange,
  refuseType,
  signalOf,
} from "./check.ts";
import type { AckMode } from "./iterator.ts";
import type { Message } from "./message.ts";
import { isEpoch, isSeq, parseEventId } from "./protocol/event_id.ts";
import type { Json, Start } from "./protocol/frames.ts";
import { IDEMPOTENCY_WINDOW, MAX_PUBLISH_ID } from "./protocol/limits.ts";
import type { WaitForSettings } from "./wait_for.ts";

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
export interface SubscribeOptions {
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
  /** Ends the wait, and later the subscription. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode PushClient.waitFor}. */
export interface WaitForOptions<T = Json> extends WaitOptions {
  /** Seconds to wait, above 0. Default 60. */
  readonly timeout?: number;
  /** Whether a message is the one. Default any. */
  readonly match?: (message: Message<T>) => boolean;
}

/** Checks the options of a method that only waits. */
export function readWait(act: string, options: WaitOptions | undefined): AbortSignal | undefined {
  return signalOf(act, membersOf(act, "options", options, ["signal"]).signal);
}

/** Checks the options of `publish`; the time is in milliseconds. */
export function readPublish(options: PublishOptions | undefined): {
  id: string | undefined;
  echo: boolean;
  timeout: number | undefined;
  signal: AbortSignal | undefined;
} {
  const act = "publish";
  const o = membersOf(act, "options", options, ["id", "echo", "timeout", "signal"]);
  const { id } = o;
  if (id !== undefined && typeof id !== "string") refuseType(act, "id", "a string", id);
  if (id === "" || (id?.length ?? 0) > MAX_PUBLISH_ID) {
    refuseRange(act, "id", `1 to ${MAX_PUBLISH_ID} characters`, id);
  }
  const range = { above: true, max: IDEMPOTENCY_WINDOW };
  const seconds = numberOf(act, "timeout", o.timeout, range, undefined);
  return {
    id,
    echo: booleanOf(act, "echo", o.echo, false),
    timeout: seconds === undefined ? undefined : 1000 * seconds,
    signal: signalOf(act, o.signal),
  };
}

/** Checks the options of `subscribe`. */
export function readSubscribe(channel: string, options: SubscribeOptions | undefined): {
  mode: AckMode;
  concurrency: number;
  start: Start;
  signal: AbortSignal | undefined;
} {
  const act = "subscribe";
  const names = ["ack", "concurrency", "since", "last", "all", "signal"] as const;
  const o = membersOf(act, "options", options, names);
  const { ack: mode = "auto" } = o;
  if (mode !== "auto" && mode !== "manual") refuseRange(act, "ack", "auto or manual", mode);
  return {
    mode,
    concurrency: numberOf(act, "concurrency", o.concurrency, { min: 1, integer: true }, 1),
    start: startOf(channel, o),
    signal: signalOf(act, o.signal),
  };
}

/** Checks the options of `waitFor`. */
export function readWaitFor<T>(
  act: string,
  options: WaitForOptions<T> | undefined,
): WaitForSettings<T> {
  const o = membersOf(act, "options", options, ["timeout", "match", "signal"]);
  return {
    timeout: 1000 * numberOf(act, "timeout", o.timeout, { above: true }, 60),
    match: functionOf(act, "match", o.match),
    signal: signalOf(act, o.signal),
  };
}

/** JSON of a value; throws a `TypeError` if it has none. */
export function jsonOf(act: string, name: string, value: unknown): string {
  let text: string | undefined;
  let cause: unknown;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    cause = error;
  }
  if (text !== undefined) return text;
  throw new TypeError(`Cannot ${act} as '${name}' cannot be written as JSON`, { cause });
}

/** A JSON object as it is at this moment. */
export function metadataOf(act: string, value: unknown): { [key: string]: Json } {
  if (!isRecord(value)) refuseType(act, "metadata", "an object", value);
  return JSON.parse(jsonOf(act, "metadata", value));
}

function startOf(channel: string, { since, last, all }: Partial<SubscribeOptions>): Start {
  const act = "subscribe";
  const start: Start = {};
  if (since !== undefined) {
    const parsed = typeof since === "string" ? parseEventId(since) : undefined;
    const place = typeof since === "string" ? parsed : since;
    const wanted = "the eventId of a message of the channel, or its epoch and seq";
    if (place === undefined || (parsed && parsed.channel !== channel)) {
      refuseRange(act, "since", wanted, since);
    }
    if (!isRecord(place)) refuseType(act, "since", wanted, since);
    const { epoch, seq } = place;
    if (!isEpoch(epoch) || !isSeq(seq)) refuseRange(act, "since", wanted, since);
    start.since = { epoch, seq };
  }
  if (last !== undefined) {
    start.last = numberOf(act, "last", last, { max: 1_000_000, integer: true }, undefined);
  }
  if (booleanOf(act, "all", all, false)) start.all = true;
  if (Object.keys(start).length > 1) {
    throw new TypeError(`Cannot subscribe with more than one of ${Object.keys(start).join(", ")}`);
  }
  return start;
}
