/**
 * The wire of Push: frames, codes, limits, and how text becomes frames. Both `@push/client` and
 * `@push/gateway` are built on it; `PROTOCOL.md` says the same in words.
 *
 * @example Reading an event id
 * ```ts
 * import { formatEventId, parseEventId } from "@push/client/protocol";
 *
 * const id = formatEventId("alerts", "k3f9", 42);
 * console.log(parseEventId(id)?.seq); // 42
 * ```
 *
 * @module
 */
export * from "./channel_name.ts";
export * from "./codec.ts";
export * from "./codes.ts";
export * from "./error.ts";
export * from "./event_id.ts";
export * from "./frames.ts";
export * from "./limits.ts";
export * from "./meanings.ts";
export * from "./ranges.ts";
