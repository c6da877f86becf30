import { deadline as original } from "deno-std/async/deadline.js";

/** Options of {@linkcode deadline}. */
export interface DeadlineOptions {
  /** Ends the wait early. */
  signal?: AbortSignal;
}

/** Rejects with a `TimeoutError` if the promise has not settled after `ms` milliseconds. */
export const deadline: <T>(p: Promise<T>, ms: number, options?: DeadlineOptions) => Promise<T> =
  original;
