/**
 * The one table of codes. Every error frame, HTTP error body, close of a connection and rejected
 * promise carries one of these, and nothing else does.
 *
 * The range of a close code tells a client what to do (`PROTOCOL.md`, "Codes"):
 * 4000–4499 come back, 4500–4999 stay away.
 *
 * @module
 */

/** What one code means and what its receiver should do. */
export interface CodeInfo {
  /** Whether trying the same again may succeed. */
  readonly retry: boolean;
  /** HTTP status of a response that carries the code. */
  readonly status: number;
  /** WebSocket close code of a connection ended for this reason; absent if it never ends one. */
  readonly close?: number;
  /** What happened, as one sentence. */
  readonly text: string;
  /** What the receiver should do, as one sentence. */
  readonly action: string;
}

/** Name of a code: the `code` of error frames, error bodies and {@linkcode PushError}. */
export type Code =
  | "bad_frame"
  | "bad_request"
  | "unknown_type"
  | "invalid_channel"
  | "nesting_too_deep"
  | "message_too_large"
  | "frame_too_large"
  | "binary_frame"
  | "unsupported_version"
  | "token_required"
  | "token_invalid"
  | "token_expired"
  | "forbidden"
  | "bad_secret"
  | "replaced"
  | "unknown_session"
  | "going_away"
  | "slow_consumer"
  | "idle_timeout"
  | "handshake_timeout"
  | "rate_limited"
  | "too_many_channels"
  | "too_many_connections"
  | "too_many_sessions"
  | "gap"
  | "unavailable"
  | "store_full"
  | "outcome_unknown"
  | "not_found"
  | "method_not_allowed"
  | "internal"
  | "disconnected"
  | "connection_failed"
  | "outbox_full";

/** Every code and its meaning. */
export const CODES: Readonly<Record<Code, CodeInfo>> = {
  // Malformed input. The connection stays open.
  bad_frame: {
    retry: false,
    status: 400,
    text: "The frame is not a JSON object.",
    action: "Send one JSON object per text frame.",
  },
  bad_request: {
    retry: false,
    status: 400,
    text: "A field is missing or has the wrong type or value.",
    action: "Correct the field that the message names.",
  },
  unknown_type: {
    retry: false,
    status: 400,
    text: "The frame's type is not known.",
    action: "Use a type of PROTOCOL.md.",
  },
  invalid_channel: {
    retry: false,
    status: 400,
    text: "The channel name is not valid.",
    action: "Use 1 to 255 of the characters A-Z a-z 0-9 _ : . -",
  },
  nesting_too_deep: {
    retry: false,
    status: 400,
    text: "The JSON is nested too deeply.",
    action: "Flatten the payload, or send it as a string.",
  },
  message_too_large: {
    retry: false,
    status: 413,
    text: "The message is larger than the gateway accepts.",
    action: "Publish a reference to the payload instead.",
  },
  frame_too_large: {
    retry: false,
    status: 413,
    close: 4513,
    text: "The frame is larger than the gateway accepts.",
    action: "Send smaller frames.",
  },
  binary_frame: {
    retry: false,
    status: 400,
    close: 4514,
    text: "The frame is binary.",
    action: "Send text frames.",
  },
  unsupported_version: {
    retry: false,
    status: 400,
    close: 4505,
    text: "The protocol version is not supported.",
    action: "Update the client or the gateway.",
  },

  // Identity and rights.
  token_required: {
    retry: false,
    status: 401,
    close: 4500,
    text: "The gateway asks for a token and none came.",
    action: "Pass a token: the client's authToken, or an Authorization header.",
  },
  token_invalid: {
    retry: false,
    status: 401,
    close: 4501,
    text: "The token is not valid.",
    action: "Get a valid token; do not retry with this one.",
  },
  token_expired: {
    retry: true,
    status: 401,
    close: 4401,
    text: "The token has expired.",
    action: "Get a new token and come back.",
  },
  forbidden: {
    retry: false,
    status: 403,
    text: "The identity has no right to do this.",
    action: "Ask for the right, or leave it.",
  },
  bad_secret: {
    retry: false,
    status: 403,
    close: 4502,
    text: "The client id was minted by the gateway and its secret does not match.",
    action: "Connect without the client id to get a new one.",
  },

  // Sessions and connections.
  replaced: {
    retry: false,
    status: 409,
    close: 4510,
    text: "A newer connection of the same client took the session over.",
    action: "Stay away, or use another client id.",
  },
  unknown_session: {
    retry: true,
    status: 404,
    close: 4404,
    text: "The session is not known here: it has expired, or its gateway lost it.",
    action: "Register or connect anew.",
  },
  going_away: {
    retry: true,
    status: 503,
    close: 4000,
    text: "The gateway is shutting down.",
    action: "Come back in a moment; another node may answer.",
  },
  slow_consumer: {
    retry: true,
    status: 503,
    close: 4008,
    text: "The connection did not read fast enough.",
    action: "Come back; delivery goes on from the last position.",
  },
  idle_timeout: {
    retry: true,
    status: 408,
    close: 4001,
    text: "Nothing was heard from the client for too long.",
    action: "Come back.",
  },
  handshake_timeout: {
    retry: true,
    status: 408,
    close: 4002,
    text: "The client said nothing after connecting.",
    action: "Send the connect frame at once.",
  },

  // Limits.
  rate_limited: {
    retry: true,
    status: 429,
    close: 4429,
    text: "Too many frames or publishes in a short time.",
    action: "Slow down and try again.",
  },
  too_many_channels: {
    retry: false,
    status: 409,
    text: "The client is subscribed to as many channels as the gateway allows.",
    action: "Unsubscribe from a channel first.",
  },
  too_many_connections: {
    retry: true,
    status: 503,
    close: 4430,
    text: "The gateway has as many connections as it allows.",
    action: "Come back later.",
  },
  too_many_sessions: {
    retry: true,
    status: 503,
    close: 4431,
    text: "Every session that the gateway may hold is attached.",
    action: "Come back later.",
  },

  // The log.
  gap: {
    retry: false,
    status: 410,
    text: "Messages between the position and the oldest kept one are gone.",
    action: "Load the current state from its source; delivery goes on from the oldest kept.",
  },
  unavailable: {
    retry: true,
    status: 503,
    close: 4003,
    text: "The store does not answer.",
    action: "Try again; nothing was stored.",
  },
  store_full: {
    retry: true,
    status: 507,
    text: "The store has no room.",
    action: "Try again later, or raise the store's limit.",
  },
  outcome_unknown: {
    retry: false,
    status: 504,
    text: "It is not known whether the message was stored.",
    action: "Check with the application before publishing it again.",
  },

  // Routes.
  not_found: {
    retry: false,
    status: 404,
    text: "There is nothing at this address.",
    action: "Check the path, and whether the feature is switched on.",
  },
  method_not_allowed: {
    retry: false,
    status: 405,
    text: "The route does not take this method.",
    action: "Use a method of the Allow header.",
  },
  internal: {
    retry: true,
    status: 500,
    close: 4011,
    text: "The gateway failed in a way that it should not.",
    action: "Come back; report it with the gateway's log.",
  },

  // Only in the client.
  disconnected: {
    retry: true,
    status: 0,
    text: "The client is not connected.",
    action: "Call connect(), or wait until it reconnects.",
  },
  connection_failed: {
    retry: true,
    status: 0,
    text: "No transport reached the gateway.",
    action: "Check the address and the network; the client goes on trying.",
  },
  outbox_full: {
    retry: true,
    status: 0,
    text: "Too many publishes wait for a connection.",
    action: "Wait for some of them to settle.",
  },
};

/** Whether `value` names a code of the table. */
export function isCode(value: unknown): value is Code {
  return typeof value === "string" && Object.hasOwn(CODES, value);
}

const byClose = new Map<number, Code>(
  (Object.entries(CODES) as [Code, CodeInfo][])
    .filter(([, info]) => info.close !== undefined)
    .map(([code, info]) => [info.close!, code]),
);

/** Code whose close code is `close`, if one is. */
export function codeOfClose(close: number): Code | undefined {
  return byClose.get(close);
}

/**
 * Whether a client should come back after its connection was closed with `close`.
 *
 * 4500–4999 mean stay away; everything else, including the codes of RFC 6455 section 7.4.1 that a
 * proxy or a lost network produces, means come back.
 */
export function mayReturn(close: number): boolean {
  return close < 4500 || close > 4999;
}
