/**
 * What went wrong between this node and Redis, in the codes of the table: whether a command was
 * surely not executed, or may have been.
 *
 * @module
 */
import { type Code, PushError } from "@push/client/protocol";

/** Answers that refuse a command before it does anything, and pass by themselves. */
const REFUSED = new Set([
  "LOADING",
  "READONLY",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "TRYAGAIN",
  "MOVED",
  "ASK",
  "BUSY",
  "MISCONF",
  "NOREPLICAS",
  "NOAUTH",
]);

/** What an answer of Redis that is an error begins with, such as `NOSCRIPT`; `undefined` for others. */
export function replyCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== "ReplyError") return undefined;
  return /^-?([A-Z]+)\b/.exec(error.message)?.[1] ?? "ERR";
}

/** The error for a command that was not sent. */
export function unavailable(trouble: string | undefined): PushError {
  return new PushError("unavailable", trouble ?? "Redis cannot be reached.");
}

/**
 * The error for a command that was sent and failed.
 *
 * @param what the command or script, for people
 * @param error what `ioredis` rejected with
 */
export function failed(what: string, error: unknown): PushError {
  if (error instanceof PushError) return error;
  const reply = replyCode(error);
  const cause = error instanceof Error ? error : new Error(String(error));
  const is = (code: Code, text: string) => new PushError(code, text, { cause });
  if (reply === undefined) {
    // It was not written, and is not kept to be written later.
    if (/isn't writeable/.test(cause.message)) {
      return is("unavailable", "The connection to Redis was lost.");
    }
    return is("outcome_unknown", `Redis did not answer (${what}): ${cause.message}`);
  }
  if (reply === "OOM") return is("store_full", "Redis has no memory left (maxmemory).");
  if (REFUSED.has(reply)) return is("unavailable", `Redis refuses at present: ${cause.message}`);
  return is("internal", `Redis cannot do ${what}: ${cause.message}`);
}
