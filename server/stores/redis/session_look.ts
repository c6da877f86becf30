import { escapeName } from "./keys.ts";
import { LOOK_SCRIPT } from "./session_scripts.ts";
import type { SessionParts } from "./session_parts.ts";

/** How a session stands. */
export interface SessionLook {
  /** Its newest generation; 0 if it does not live. */
  readonly generation: number;
  /** Store time at which it ends, unless it is renewed. */
  readonly ends: number;
  /**
   * For each channel asked for: `undefined` if the session does not name it; else what put messages
   * back that its holder has not loaded, or nothing.
   */
  readonly news: readonly (string | undefined)[];
}

/**
 * Asks a session how it stands, and which of these channels it names.
 *
 * @param holder who believes to hold it, if that is who asks: its generation, its node and the number
 *   of this step
 */
export async function lookAt(
  { link, keys, tally }: SessionParts,
  key: string,
  channels: readonly string[],
  holder: readonly [generation: number | "", step: string] = ["", ""],
): Promise<SessionLook> {
  const args = [...holder, ...channels.map(escapeName)];
  const answer = await link.run(LOOK_SCRIPT, [keys.session(key)], args) as unknown[];
  const [bad, generation, ends, ...news] = answer;
  tally.quarantined += Number(bad);
  return {
    generation: Number(generation),
    ends: Number(ends),
    news: channels.map((_, i) => typeof news[i] === "string" ? news[i] : undefined),
  };
}
