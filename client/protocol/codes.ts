/**
 * The codes, as far as a client needs them: what each means for its next step. Every error frame,
 * HTTP error body, close of a connection and rejected promise carries one of them, and nothing else
 * does. Their sentences are in `meanings.ts`, which only gateways load.
 *
 * The range of a close code tells a client what to do (`PROTOCOL.md`, "Codes"):
 * 4000–4499 come back, 4500–4999 stay away.
 *
 * @module
 */

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
  | "origin_not_allowed"
  | "host_not_allowed"
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
  | "too_many_handshakes"
  | "too_many_from_address"
  | "too_many_failures"
  | "too_many_takeovers"
  | "too_many_frames"
  | "too_many_publishes"
  | "too_many_polls"
  | "too_many_stored_channels"
  | "channel_name_too_long"
  | "metadata_too_large"
  | "gap"
  | "unavailable"
  | "store_full"
  | "outcome_unknown"
  | "not_found"
  | "method_not_allowed"
  | "internal"
  | "disconnected"
  | "connection_failed"
  | "outbox_full"
  | "invalid_message";

/**
 * The close code of each. Those that never end a connection have 1 if trying the same again may
 * succeed, and 0 if not.
 */
const CLOSES: { readonly [code in Code]: number } = {
  bad_frame: 0,
  bad_request: 0,
  unknown_type: 0,
  invalid_channel: 0,
  nesting_too_deep: 0,
  message_too_large: 0,
  frame_too_large: 4513,
  binary_frame: 4514,
  unsupported_version: 4505,
  token_required: 4500,
  token_invalid: 4501,
  token_expired: 4401,
  forbidden: 0,
  origin_not_allowed: 0,
  host_not_allowed: 0,
  bad_secret: 4502,
  replaced: 4510,
  unknown_session: 4404,
  going_away: 4000,
  slow_consumer: 4008,
  idle_timeout: 4001,
  handshake_timeout: 4002,
  rate_limited: 4429,
  too_many_channels: 0,
  too_many_connections: 4430,
  too_many_sessions: 4431,
  too_many_handshakes: 1,
  too_many_from_address: 1,
  too_many_failures: 4434,
  too_many_takeovers: 4433,
  too_many_frames: 4432,
  too_many_publishes: 1,
  too_many_polls: 1,
  too_many_stored_channels: 0,
  channel_name_too_long: 0,
  metadata_too_large: 0,
  gap: 0,
  unavailable: 4003,
  store_full: 1,
  outcome_unknown: 0,
  not_found: 0,
  method_not_allowed: 0,
  internal: 4011,
  disconnected: 1,
  connection_failed: 1,
  outbox_full: 1,
  invalid_message: 0,
};

/** What to do, where neither to try again nor to correct something is it. */
const ACTIONS: { readonly [code in Code]?: string } = {
  unsupported_version: "Update the client or the gateway.",
  replaced: "Use another clientId, or stay away.",
  gap: "Load the current state.",
  outcome_unknown: "Look before publishing it again.",
  disconnected: "Call connect().",
  connection_failed: "Check the URL, the network and the gateway's allowedOrigins.",
};

/** What happened, as one sentence for each code: empty until `meanings.ts` is loaded. */
export const sentences: { [code in Code]?: string } = {};

/** Whether `value` names a code of the table. */
export function isCode(value: unknown): value is Code {
  return typeof value === "string" && Object.hasOwn(CLOSES, value);
}

/** Whether trying the same again may succeed. */
export function mayRetry(code: Code): boolean {
  return CLOSES[code] > 0 && mayReturn(CLOSES[code]);
}

/** What happened, as one sentence; where there are no sentences, the code and what to do. */
export function textOf(code: Code): string {
  return sentences[code] ?? `${code}: ${actionOf(code)}`;
}

/** What the receiver should do, in short; `meanings.ts` has more words. */
export function actionOf(code: Code): string {
  return ACTIONS[code] ?? (
    code.startsWith("token")
      ? "Pass a valid authToken."
      : mayRetry(code)
      ? "Try again later."
      : "Correct it first."
  );
}

/** WebSocket close code of a connection ended for this reason; `undefined` if it never ends one. */
export function closeOf(code: Code): number | undefined {
  return CLOSES[code] > 1 ? CLOSES[code] : undefined;
}

/** Code whose close code is `close`, if one is. */
export function codeOfClose(close: number): Code | undefined {
  return (Object.keys(CLOSES) as Code[]).find((code) => close > 1 && CLOSES[code] === close);
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
