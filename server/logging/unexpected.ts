import { PushError } from "@push/client/protocol";

/** What was thrown that no code explains; `undefined` if a code does, and nothing needs to be mended. */
export function unexpected(error: unknown): unknown {
  if (!(error instanceof PushError)) return error ?? "nothing";
  return error.code === "internal" ? error.cause ?? error : undefined;
}
