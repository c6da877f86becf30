/**
 * The sentences of the codes: what gateways say, and what `PROTOCOL.md` shows. Not part of the
 * client, for which `codes.ts` says enough.
 *
 * @module
 */
import { closeOf, type Code, mayRetry, sentences } from "./codes.ts";

/** What one code means and what its receiver should do. */
export interface CodeInfo {
  /** Whether trying the same again may succeed. */
  readonly retry: boolean;
  /** HTTP status of a response that carries the code; 0 if none does. */
  readonly status: number;
  /** WebSocket close code of a connection ended for this reason; absent if it never ends one. */
  readonly close?: number;
  /** What happened, as one sentence. */
  readonly text: string;
  /** What the receiver should do, as one sentence. */
  readonly action: string;
}

/** HTTP status, what happened, and what to do. */
type Meaning = readonly [status: number, text: string, action: string];

const MEANINGS: { readonly [code in Code]: Meaning } = {
  // Malformed input. The connection stays open.
  bad_frame: [400, "The frame is not a JSON object.", "Send one JSON object per text frame."],
  bad_request: [
    400,
    "A field is missing or has the wrong type or value.",
    "Correct the field that the message names.",
  ],
  unknown_type: [400, "The frame's type is not known.", "Use a type of PROTOCOL.md."],
  invalid_channel: [
    400,
    "The channel name is not valid.",
    "Use 1 to 255 of the characters A-Z a-z 0-9 _ : . -",
  ],
  nesting_too_deep: [
    400,
    "The JSON is nested too deeply.",
    "Flatten the payload, or send it as a string.",
  ],
  message_too_large: [
    413,
    "The message is larger than the gateway accepts.",
    "Publish a reference to the payload instead.",
  ],
  metadata_too_large: [413, "The metadata is larger than the gateway accepts.", "Send less of it."],
  frame_too_large: [413, "The frame is larger than the gateway accepts.", "Send smaller frames."],
  binary_frame: [400, "The frame is binary.", "Send text frames."],
  unsupported_version: [
    400,
    "The protocol version is not supported.",
    "Update the client or the gateway.",
  ],

  // Identity and rights.
  token_required: [
    401,
    "The gateway asks for a token and none came.",
    "Pass a token: the client's authToken, or an Authorization header.",
  ],
  token_invalid: [401, "The token is not valid.", "Get a valid token; do not retry with this one."],
  token_expired: [401, "The token has expired.", "Get a new token and come back."],
  forbidden: [403, "The identity has no right to do this.", "Ask for the right, or leave it."],
  origin_not_allowed: [
    403,
    "Pages of this origin may not talk to the gateway.",
    "Add the page's origin to the gateway's push.allowedOrigins.",
  ],
  host_not_allowed: [
    421,
    "The request is for a host that is not the gateway's.",
    "Add the host to the gateway's allowedHosts.",
  ],
  bad_secret: [
    403,
    "The client id was minted by the gateway and its secret does not match.",
    "Connect without the client id to get a new one.",
  ],

  // Sessions and connections.
  replaced: [
    409,
    "A newer connection of the same client took the session over.",
    "Stay away, or use another client id.",
  ],
  unknown_session: [
    404,
    "The session is not known here: it has expired, or its gateway lost it.",
    "Register or connect anew.",
  ],
  going_away: [
    503,
    "The gateway is shutting down.",
    "Come back in a moment; another node may answer.",
  ],
  slow_consumer: [
    503,
    "The connection did not read fast enough.",
    "Come back; delivery goes on from the last position.",
  ],
  idle_timeout: [408, "Nothing was heard from the client for too long.", "Come back."],
  handshake_timeout: [
    408,
    "The client said nothing after connecting.",
    "Send the connect frame at once.",
  ],

  // Limits.
  rate_limited: [429, "Too much at a time.", "Wait for answers, and try again."],
  too_many_frames: [
    429,
    "More frames or requests came in a second than the gateway takes from one client.",
    "Come back, and send less often.",
  ],
  too_many_publishes: [
    429,
    "More was published in a second than the gateway takes from one client; nothing was stored.",
    "Publish it again after retry_after seconds.",
  ],
  too_many_polls: [
    429,
    "More polls came in a second than the gateway takes from one client.",
    "Wait for the answer to a poll before the next one.",
  ],
  too_many_channels: [
    409,
    "The client is subscribed to as many channels as the gateway allows.",
    "Unsubscribe from a channel first.",
  ],
  too_many_connections: [
    503,
    "The gateway has as many connections as it allows.",
    "Come back later.",
  ],
  too_many_sessions: [
    503,
    "There is no room for another session, and none of the same subject is away.",
    "Come back later.",
  ],
  too_many_handshakes: [
    503,
    "Too many connections have not said who they are.",
    "Show a token with the upgrade, or come back later.",
  ],
  too_many_from_address: [
    429,
    "This address has as many connections as one may have.",
    "Close one; behind a proxy, the gateway must trust it.",
  ],
  too_many_failures: [
    429,
    "Too many wrong tokens came from this address.",
    "Correct them, and come back later.",
  ],
  too_many_takeovers: [
    429,
    "Too many connections take this session from each other.",
    "Give each its own client id.",
  ],
  too_many_stored_channels: [
    507,
    "The gateway has as many channels as it may store.",
    "Use one that exists, or raise push.limits.maxStoredChannels.",
  ],
  channel_name_too_long: [
    400,
    "The channel's name is longer than the gateway accepts.",
    "Use a shorter name, or raise push.limits.maxChannelName.",
  ],

  // The log.
  gap: [
    410,
    "Messages between the position and the oldest kept one are gone.",
    "Load the current state from its source; delivery goes on from the oldest kept.",
  ],
  unavailable: [503, "The store does not answer.", "Try again; nothing was stored."],
  store_full: [507, "The store has no room.", "Try again later, or raise the store's limit."],
  outcome_unknown: [
    504,
    "It is not known whether the message was stored.",
    "Check with the application before publishing it again.",
  ],

  // Routes.
  not_found: [
    404,
    "There is nothing at this address.",
    "Check the path, and whether the feature is switched on.",
  ],
  method_not_allowed: [
    405,
    "The route does not take this method.",
    "Use a method of the Allow header.",
  ],
  internal: [
    500,
    "The gateway failed in a way that it should not.",
    "Come back; report it with the gateway's log.",
  ],

  // Only in the client.
  disconnected: [0, "The client is not connected.", "Call connect(), or wait until it reconnects."],
  connection_failed: [
    0,
    "No transport reached the gateway.",
    "Check the address, the network and the gateway's allowedOrigins.",
  ],
  outbox_full: [0, "Too many publishes wait for a connection.", "Wait for some of them to settle."],
  invalid_message: [
    0,
    "The message is not what the schema wants.",
    "Compare what is published with the schema.",
  ],
};

/** Every code and its meaning. */
export const CODES: Readonly<Record<Code, CodeInfo>> = Object.fromEntries(
  (Object.entries(MEANINGS) as [Code, Meaning][]).map(([code, [status, text, action]]) => {
    const close = closeOf(code);
    const info: CodeInfo = {
      retry: mayRetry(code),
      status,
      ...close !== undefined && { close },
      text,
      action,
    };
    return [code, info];
  }),
) as Record<Code, CodeInfo>;

// So that errors made without a text of their own say the same.
for (const code of Object.keys(CODES) as Code[]) sentences[code] = CODES[code].text;
