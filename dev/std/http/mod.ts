/**
 * Stands in for `jsr:@std/http` in a checkout, so that it builds with the npm registry alone: the
 * same code from the npm package `deno-std`, with the types of the original. Never published.
 *
 * @module
 */

export * from "./negotiation.ts";
export * from "./server_sent_event_stream.ts";
export * from "./status.ts";
