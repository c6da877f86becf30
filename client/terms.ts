import type { ConnectedFrame } from "./protocol/frames.ts";
import { MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, MAX_NESTING } from "./protocol/limits.ts";

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
  /** Of a frame, or of the body of a request. */
  readonly maxFrameBytes: number;
  /** Levels of a frame. */
  readonly maxNesting: number;
}

/** What a gateway says; numbers that make no sense, and those it has not said, become its defaults. */
export function termsOf(frame: Partial<ConnectedFrame>): Terms {
  const beat = frame.heartbeat_interval;
  return {
    delivery: frame.delivery !== false,
    ackTimeout: 1000 * sane(frame.ack_timeout, 30),
    retryBackoff: sane(frame.retry_backoff, 2, 1),
    window: sane(frame.window, 1024, 1),
    windowBytes: sane(frame.window_bytes, 2 ** 20),
    heartbeatInterval: beat === 0 ? 0 : 1000 * sane(beat, 15, 0.05),
    maxMessageBytes: sane(frame.max_message_bytes, MAX_MESSAGE_BYTES),
    maxFrameBytes: sane(frame.max_frame_bytes, MAX_FRAME_BYTES, 1024),
    maxNesting: sane(frame.max_nesting, MAX_NESTING, 2),
  };
}

function sane(value: number | undefined, fallback: number, least = 0.001): number {
  return Number.isFinite(value) && value! >= least ? value! : fallback;
}
