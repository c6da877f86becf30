/**
 * Limits that both sides check, so that a client can refuse at once what a gateway would refuse.
 *
 * @module
 */

/** Version of the protocol that {@linkcode ConnectFrame} speaks. */
export const PROTOCOL_VERSION = 1;
/** Longest channel name, in characters. */
export const MAX_CHANNEL_NAME = 255;
/** Longest client id, in characters. */
export const MAX_CLIENT_ID = 128;
/** Longest publish id, in characters. */
export const MAX_PUBLISH_ID = 128;
/** Largest payload of one message, in bytes of JSON. Default of the gateway. */
export const MAX_MESSAGE_BYTES = 65_536;
/** Largest frame or request body, in bytes. Default of the gateway. */
export const MAX_FRAME_BYTES = 1_048_576;
/** Deepest nesting of JSON in a frame. Default of the gateway. */
export const MAX_NESTING = 64;
/** Largest presence metadata, in bytes of JSON. Default of the gateway. */
export const MAX_METADATA_BYTES = 1_024;
/** Most earlier epochs that a frame names. */
export const MAX_EARLIER = 16;
/** Seconds in which a repeated publish id is stored once (contract, "Order and storing"). */
export const IDEMPOTENCY_WINDOW = 300;
