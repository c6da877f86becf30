import {
  type Code,
  type Decoded,
  type GatewayFrame,
  isSeq,
  PushError,
  type SubscribedFrame,
} from "@push/client/protocol";
import { Forbidden } from "../access/permits.ts";
import { retryAfter } from "../limits/throttled.ts";
import type { Subscribed } from "../session/session.ts";

/** Longest frame that may settle something. */
const LONGEST_SETTLING = 512;
const SETTLING = /"message_n?ack"/;

/** Whether a frame may be one that is given back what it cost: it pays when it is handled. */
export function maySettle(text: string): boolean {
  return text.length <= LONGEST_SETTLING && SETTLING.test(text);
}

/** Whether a frame answers that something outstanding was settled. */
export function settles(frame: GatewayFrame): boolean {
  return (frame.type === "ack_received" || frame.type === "nack_received") && frame.ok;
}

/** The frame that tells a client what went wrong. */
export function errorFrame(error: unknown): GatewayFrame & { type: "error"; code: Code } {
  const known = error instanceof PushError ? error : new PushError("internal");
  const channel = known instanceof Forbidden ? known.channel ?? undefined : undefined;
  const wait = retryAfter(known);
  return {
    type: "error",
    code: known.code,
    message: known.message,
    ...(channel === undefined ? {} : { channel }),
    ...(wait === undefined ? {} : { retry_after: wait }),
  };
}

/** The answer to a subscribe on the extended wire. */
export function subscribedFrame(
  channel: string,
  { ok, epoch, seq, stored, earlier }: Subscribed,
): SubscribedFrame {
  return {
    type: "channel.subscribed",
    channel,
    ok,
    epoch,
    seq,
    stored: stored ? true : undefined,
    earlier: earlier.length > 0 ? earlier : undefined,
  };
}

/** The request id to echo, if the frame has a usable one. */
export function requestId({ frame }: Decoded): { request_id?: number } {
  return isSeq(frame.request_id) ? { request_id: frame.request_id } : {};
}
