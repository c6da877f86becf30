/**
 * Key of the method that `await using` calls. Runtimes that do not know it yet get a key of their
 * own, so that there is no method called `undefined`.
 */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ??
  Symbol.for("Symbol.asyncDispose");
