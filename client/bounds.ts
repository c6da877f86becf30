/**
 * Every wait and every bound of the client. The file imports nothing: so bundlers put the numbers
 * where they are used.
 *
 * @module
 */

/** Longest wait for more to acknowledge, in milliseconds (contract, "Wire"). */
export const MAX_ACK_WAIT = 200;
/** Most messages in one frame: as many ranges as a gateway reads (`isRanges`). */
export const MAX_ACKS = 4096;
/**
 * Part of the window's bytes, counted in UTF-16 code units, that is acknowledged at once: as JSON one
 * of them is at most 6 bytes, so this comes before the window is full.
 */
export const ACK_PART = 0.125;

/** Most channels in one `connect` frame that the gateway has not accepted before. */
export const MAX_NEW = 64;
/** Most frames that wait for a channel to flow, beside two windows: of this subscription and the last. */
export const MAX_EARLY = 1024;

/** Milliseconds after which a connection counts as steady. */
export const STEADY = 10_000;
/** Milliseconds that a goodbye may take. */
export const LEAVE_TIMEOUT = 2000;

/** Most messages that are handed out before others get their turn. */
export const TURN = 64;

/** Most seconds before a message is sent again to a handler that threw. */
export const MAX_RETRY_DELAY = 3600;

/** Most numbers in a list of ranges, two for each (`isRanges`). */
export const MAX_RANGES = 8192;
/** Ids remembered per channel across epochs (contract, "Order and storing"). */
export const MAX_IDS = 1000;
/** Ended epochs that are known as such. */
export const MAX_EPOCHS = 8;

/**
 * Milliseconds in which a publish is sent again. A copy may be late by half a minute and still meet a
 * gateway that knows the first one, so that it is never stored twice: `IDEMPOTENCY_WINDOW` less that.
 */
export const RESEND_WINDOW = 270_000;

/** Part of a token's time after which a new one is asked for. */
export const REFRESH_PART = 0.9;
/** Least seconds before that: who gives the same token again is not asked all the time. */
export const MIN_REFRESH = 1;

/** Most characters of a line. */
export const MAX_LINE = 33_554_432;

/** Seconds that a poll asks the gateway to wait for a message: less than most proxies allow. */
export const POLL_TIMEOUT = 25;
/** Milliseconds in which a stream must bring its first event: a proxy that gathers brings none. */
export const FIRST_EVENT = 2000;
/** Milliseconds of silence after which a stream is opened anew; the gateway writes every 10 s. */
export const SILENCE = 25_000;
/** Milliseconds in which receiving, twice in a row, ends too soon: then it is waited as long. */
export const TOO_SOON = 500;
/** Longest wait, in seconds, that a gateway can ask for: between polls, or before publishes. */
export const MAX_HINT = 60;

/**
 * Part of the gateway's `maxFrameBytes` that is sent together, counted in UTF-16 code units: as UTF-8
 * one of them is at most 3 bytes. Of positions in one `connect` frame or poll, too; the other channels
 * follow.
 */
export const FRAME_PART = 4;
/** Most frames that are sent together (`SendBody`). */
export const MAX_FRAMES = 1024;

/** Milliseconds between signs of life where the gateway knows no presence. */
export const PING_INTERVAL = 25_000;
/** Milliseconds of silence beyond the interval after which a connection counts as lost. */
export const GRACE = 10_000;
/** Milliseconds in which a connection that is asked for a sign of life must give one. */
export const CHECK_TIMEOUT = 5000;

// Values of `readyState` of a WebSocket (HTML, "The WebSocket interface").
/** It is open. */
export const OPEN = 1;
/** It is closed. */
export const CLOSED = 3;
