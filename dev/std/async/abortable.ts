import { abortable as original } from "deno-std/async/abortable.js";

/** Makes a promise reject, or an async iterable throw, when the signal aborts. */
export const abortable: {
  <T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
  <T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;
} = original;
