import type { ConnectedFrame } from "./protocol/frames.ts";
import { MAX_MESSAGE_BYTES } from "./protocol/limits.ts";

/** What the gateway said in `connected`; every duration in milliseconds. */
export interface Terms {
  /** Whether messages are acknowledged at all. */
  readonly delivery: boolean;
  readonly ackTimeout: number;
  readonly retryBackoff: number;
  /** Most messages outstanding per channel. */
  readonly window: number;
  /** 0 if the gateway knows no presence. */
  readonly heartbeatInterval: number;
  readonly maxMessageBytes: number;
}

/** What holds until a gateway has said otherwise: the gateway's defaults. */
export const DEFAULT_TERMS: Terms = {
  delivery: true,
  ackTimeout: 30_000,
  retryBackoff: 2,
  window: 1024,
  heartbeatInterval: 15_000,
  maxMessageBytes: MAX_MESSAGE_BYTES,
};

/** Reads the terms of a checked `connected` frame. */
export function termsOf(frame: ConnectedFrame): Terms {
  return {
    delivery: frame.delivery,
    ackTimeout: 1000 * frame.ack_timeout,
    retryBackoff: frame.retry_backoff,
    window: frame.window,
    heartbeatInterval: 1000 * frame.heartbeat_interval,
    maxMessageBytes: frame.max_message_bytes,
  };
}
