import type { Code } from "@push/client/protocol";
import type { Metrics } from "../metrics.ts";

/** The limit behind each code, and whether who hits it is both answered and closed. */
const LIMITS: readonly (readonly [code: Code, limit: string, isBoth?: true])[] = [
  ["frame_too_large", "maxFrameBytes"],
  ["message_too_large", "maxMessageBytes"],
  ["metadata_too_large", "maxMetadataBytes"],
  ["nesting_too_deep", "maxNesting"],
  ["too_many_channels", "maxChannels"],
  ["too_many_stored_channels", "maxStoredChannels"],
  ["channel_name_too_long", "maxChannelName"],
  ["too_many_sessions", "maxSessions", true],
  ["too_many_connections", "maxConnections"],
  ["too_many_from_address", "maxConnectionsPerAddress"],
  ["too_many_handshakes", "maxHandshakes"],
  ["handshake_timeout", "handshakeTimeout"],
  ["too_many_takeovers", "maxTakeovers", true],
  ["too_many_failures", "maxFailures", true],
  ["too_many_frames", "frameRate", true],
  ["too_many_publishes", "publishRate"],
  ["too_many_polls", "pollRate"],
  ["slow_consumer", "maxBufferedBytes"],
];

/** How often each limit was hit, as labels and values for `/metrics`. */
export function* limitHits(
  { errors, closed }: Metrics,
): Generator<[labels: string, count: number]> {
  for (const [code, limit, isBoth] of LIMITS) {
    const count = (errors.get(code) ?? 0) + (isBoth ? 0 : closed.get(code) ?? 0);
    yield [`{limit="${limit}"}`, count];
  }
}
