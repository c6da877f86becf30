import { MuxAsyncIterator as Original } from "deno-std/async/mux_async_iterator.js";

/** Merges several async iterables into one. */
export interface MuxAsyncIterator<T> extends AsyncIterable<T> {
  /** Adds an iterable. */
  add(iterable: AsyncIterable<T>): void;
  /** Iterates over what all of them yield. */
  iterate(): AsyncIterableIterator<T>;
}

/** Merges several async iterables into one. */
export const MuxAsyncIterator: new <T>() => MuxAsyncIterator<T> = Original;
