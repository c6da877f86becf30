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
  /** Most bytes of payload outstanding per channel. */
  readonly windowBytes: number;
  /** 0 if the gateway knows no presence. */
  readonly heartbeatInterval: number;
  readonly maxMessageBytes: number;
}

/** What a gateway says; numbers that make no sense, and those it has not said, become its defaults. */
export function termsOf(frame: Partial<ConnectedFrame>): Terms {
  const beat = frame.heartbeat_interval;
  return {
    delivery: frame.delivery !== false,
    ackTimeout: 1000 * numberIn(frame.ack_timeout, 0.001, 1e6, 30),
    retryBackoff: numberIn(frame.retry_backoff, 1, 1000, 2),
    window: numberIn(frame.window, 1, 1e6, 1024),
    windowBytes: numberIn(frame.window_bytes, 1, Infinity, 2 ** 20),
    heartbeatInterval: 1000 * numberIn(beat, 0.05, 1e6, beat === 0 ? 0 : 15),
    maxMessageBytes: numberIn(frame.max_message_bytes, 1, Infinity, MAX_MESSAGE_BYTES),
  };
}

function numberIn(value: unknown, min: number, max: number, fallback: number): number {
  return typeof value === "number" && value >= min && value <= max ? value : fallback;
}
