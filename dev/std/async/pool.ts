import { pooledMap as original } from "deno-std/async/pool.js";

/** Maps over an iterable with at most `poolLimit` calls running; results come in order. */
export const pooledMap: <T, R>(
  poolLimit: number,
  array: Iterable<T> | AsyncIterable<T>,
  iteratorFn: (data: T) => Promise<R>,
) => AsyncIterableIterator<R> = original;
