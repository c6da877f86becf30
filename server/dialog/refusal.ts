import { type Decoded, isChannelName } from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import { unexpected } from "../logging/unexpected.ts";
import type { Suspect } from "../logging/audit.ts";

/**
 * Logs why a frame has failed: that somebody was refused for who they are or for a limit, or what was
 * thrown that nobody expects. What is only a mistake of the client is not told.
 *
 * @param who who sent it, as far as that is known
 * @param decoded the frame, if it could be read
 */
export function tellFailure(
  { audit, log }: HubContext,
  error: unknown,
  who: Suspect,
  decoded?: Decoded,
): void {
  const surprise = unexpected(error);
  if (surprise !== undefined) return log.failure("frame.failed", surprise, suspectOf(who));
  const { type, channel } = decoded?.frame ?? {};
  const action = typeof type === "string" ? type : "a frame";
  audit.refused(error, who, action, isChannelName(channel) ? channel : undefined);
}

function suspectOf({ peer, subject, clientId }: Suspect): Suspect {
  return { peer, subject, clientId };
}
