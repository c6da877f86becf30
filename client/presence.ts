import { isRecord, isText } from "./check.ts";
import type { PresenceChange, PresenceMember } from "./events.ts";
import { type Incoming, stringsOf } from "./incoming.ts";
import type { Session } from "./session.ts";

/**
 * Turns a diff, which may mention the client itself, or an event of the fixed wire into events about
 * others.
 *
 * @returns whether the frame made sense
 */
export function emitPresence(frame: Incoming, session: Session): boolean {
  const { type, channel, data } = frame;
  if (!isText(channel)) return false;
  for (const change of ["join", "update", "leave"] as const) {
    const event = `presence_${change}` as const;
    for (
      const { clientId, status, metadata } of read(type === event ? [data] : frame[`${change}s`])
    ) {
      if (clientId !== session.knownAs) {
        session.emit(event, { channel, clientId, status, metadata });
      }
    }
  }
  return true;
}

/** Reads the entries of a `presence.list`. */
export function readPresence({ clients }: Incoming): PresenceMember[] | undefined {
  if (!Array.isArray(clients)) return undefined;
  return read(clients)
    .filter(({ lastSeen }) => Number.isFinite(lastSeen))
    .map((member) => ({ ...member, metadata: member.metadata ?? {} }));
}

/** Those in a list that have a name and a status. */
function read(
  list: unknown,
): (Omit<PresenceMember, "metadata"> & Pick<PresenceChange, "metadata">)[] {
  return (Array.isArray(list) ? list : []).flatMap((entry) => {
    const { client_id: clientId, status, metadata, last_seen: lastSeen, channels } = Object(entry);
    return isText(clientId) && isText(status)
      ? {
        clientId,
        status,
        lastSeen,
        metadata: isRecord(metadata) ? metadata as PresenceMember["metadata"] : undefined,
        channels: stringsOf(channels),
      }
      : [];
  });
}
