import { retry as original, RetryError as Original } from "deno-std/async/retry.js";

/** Options of {@linkcode retry}; times are in milliseconds. */
export interface RetryOptions {
  /** How much longer each wait is than the last. Default 2. */
  multiplier?: number;
  /** The longest wait. Default 60 000. */
  maxTimeout?: number;
  /** Calls at most. Default 5. */
  maxAttempts?: number;
  /** The first wait. Default 1 000. */
  minTimeout?: number;
  /** The random part of each wait, from 0 to 1. Default 1. */
  jitter?: number;
}

/** Thrown when the last attempt failed; `cause` is its error. */
export type RetryError = Error;

/** Thrown when the last attempt failed; `cause` is its error. */
export const RetryError: new (cause: unknown, attempts: number) => RetryError = Original;

/** Calls a function until it succeeds, with growing, jittered waits between the attempts. */
export const retry: <T>(fn: (() => Promise<T>) | (() => T), options?: RetryOptions) => Promise<T> =
  original;
