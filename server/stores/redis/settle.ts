/**
 * Work of several parts, of which one that fails does not keep the others from being done.
 *
 * @module
 */

/** Does one after the other, all of them; rejects with the first failure. */
export async function inTurns(tasks: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const task of tasks) await task().catch((error) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Waits for all of them; rejects with the first failure only then. */
export async function allDone(tasks: Iterable<Promise<unknown>>): Promise<void> {
  const failed = (await Promise.allSettled(tasks)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
}
