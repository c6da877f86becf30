import { isRecord } from "./check.ts";
import type { Emitter, PresenceMember } from "./events.ts";
import { type Incoming, isText, reader, stringsOf } from "./incoming.ts";
import type { Json, PresenceEntry, PresenceState } from "./protocol/frames.ts";

const readState = reader<PresenceState>((state) => isText(state.client_id) && isText(state.status));
const readMember = reader<PresenceEntry>((state) =>
  readState(state) !== undefined && Number.isFinite(state.last_seen)
);

/** Events about others, and where a diff has them. */
const EVENTS = [
  ["presence_join", "joins"],
  ["presence_update", "updates"],
  ["presence_leave", "leaves"],
] as const;

/**
 * Turns a diff, or an event of the fixed wire, into events about others.
 *
 * @param self name of the client, which a diff may mention
 * @returns whether the frame made sense
 */
export function emitPresence(
  frame: Incoming,
  emitter: Emitter,
  self: string | undefined,
): boolean {
  const { type, channel, data } = frame;
  if (!isText(channel)) return false;
  for (const [event, key] of EVENTS) {
    for (const state of statesIn(type === event ? [data] : frame[key], readState)) {
      const { client_id: clientId, status, metadata } = state;
      if (clientId === self) continue;
      emitter.emit(event, { channel, clientId, status, metadata: metadataOf(metadata) });
    }
  }
  return true;
}

/** Reads the entries of a `presence.list`. */
export function readPresence({ clients }: Incoming): PresenceMember[] | undefined {
  if (!Array.isArray(clients)) return undefined;
  return statesIn(clients, readMember).map((entry) => ({
    clientId: entry.client_id,
    status: entry.status,
    lastSeen: entry.last_seen,
    metadata: metadataOf(entry.metadata) ?? {},
    channels: stringsOf(entry.channels),
  }));
}

function statesIn<T>(list: unknown, read: (value: unknown) => T | undefined): T[] {
  return Array.isArray(list) ? list.map(read).filter((state) => state !== undefined) : [];
}

function metadataOf(value: unknown): { [key: string]: Json } | undefined {
  return isRecord(value) ? value as { [key: string]: Json } : undefined;
}
