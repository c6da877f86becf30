import type { Emitter, PresenceChange, PresenceMember } from "./events.ts";
import { type Incoming, readDiff } from "./incoming.ts";
import { isRecord } from "./check.ts";
import type { Json, PresenceEntry, PresenceState } from "./protocol/frames.ts";

/** Turns a diff, or an event of the fixed wire, into events. @returns whether the frame made sense */
export function emitPresence(frame: Incoming, emitter: Emitter): boolean {
  if (frame.type !== "presence_diff") return emitSingle(frame, emitter);
  const diff = readDiff(frame);
  if (!diff) return false;
  const change = ({ client_id, status, metadata }: PresenceState): PresenceChange => ({
    channel: diff.channel,
    clientId: client_id,
    status,
    metadata,
  });
  for (const state of diff.joins) emitter.emit("presence_join", change(state));
  for (const state of diff.updates) emitter.emit("presence_update", change(state));
  for (const state of diff.leaves) emitter.emit("presence_leave", change(state));
  return true;
}

/** An entry of the wire, as the application sees it. */
export function memberOf(entry: PresenceEntry): PresenceMember {
  return {
    clientId: entry.client_id,
    status: entry.status,
    lastSeen: entry.last_seen,
    metadata: entry.metadata,
    channels: entry.channels,
  };
}

function emitSingle({ type, channel, data }: Incoming, emitter: Emitter): boolean {
  if (typeof channel !== "string" || !isRecord(data)) return false;
  const { client_id: clientId, status } = data;
  if (typeof clientId !== "string" || typeof status !== "string") return false;
  const metadata = isRecord(data.metadata) ? data.metadata as { [key: string]: Json } : undefined;
  const change = { channel, clientId, status, metadata };
  if (type === "presence_join") emitter.emit(type, change);
  else if (type === "presence_leave") emitter.emit(type, change);
  else if (type === "presence_update") emitter.emit(type, change);
  else return false;
  return true;
}
