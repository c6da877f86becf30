import { show } from "../options/wording.ts";

/** What was thrown, on one line, for the person at the terminal. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return show(error);
  return (error.message || error.name).replace(/\s*\n\s*/g, " ");
}
