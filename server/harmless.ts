import { PushError } from "@push/client/protocol";

/**
 * Waits for something that may be done twice without harm: where nobody knows whether it was done, it
 * counts as not done, and whoever asked may ask again.
 *
 * @throws {PushError} `unavailable` instead of `outcome_unknown`
 */
export function harmless<T>(work: Promise<T>): Promise<T> {
  return work.catch(mayBeDoneAgain);
}

/**
 * Throws what was thrown by something that may be done twice without harm.
 *
 * @throws {PushError} `unavailable` instead of `outcome_unknown`
 */
export function mayBeDoneAgain(error: unknown): never {
  if (!(error instanceof PushError) || error.code !== "outcome_unknown") throw error;
  throw new PushError("unavailable", undefined, { cause: error });
}
