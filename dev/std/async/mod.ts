/**
 * Stands in for `jsr:@std/async` in a checkout, so that it builds with the npm registry alone: the
 * same code from the npm package `deno-std`, with the types of the original. Never published.
 *
 * @module
 */

export * from "./abortable.ts";
export * from "./deadline.ts";
export * from "./delay.ts";
export * from "./mux_async_iterator.ts";
export * from "./pool.ts";
export * from "./retry.ts";
