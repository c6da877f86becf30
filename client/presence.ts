import { isRecord } from "./check.ts";
import type { Emitter, PresenceChange, PresenceMember } from "./events.ts";
import { type Incoming, stringsOf } from "./incoming.ts";
import type { Json } from "./protocol/frames.ts";

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
  if (typeof channel !== "string") return false;
  const told = [
    ["presence_join", frame.joins],
    ["presence_update", frame.updates],
    ["presence_leave", frame.leaves],
  ] as const;
  for (const [event, states] of told) {
    for (const state of type === event ? [data] : listOf(states)) {
      const change = changeOf(channel, state);
      if (change && change.clientId !== self) emitter.emit(event, change);
    }
  }
  return true;
}

/** Reads the entries of a `presence.list`. */
export function readPresence(frame: Incoming): PresenceMember[] | undefined {
  if (frame.type !== "presence.list" || !Array.isArray(frame.clients)) return undefined;
  return frame.clients.map(memberOf).filter((member) => member !== undefined);
}

function memberOf(entry: unknown): PresenceMember | undefined {
  if (!isRecord(entry)) return undefined;
  const { client_id: clientId, status, last_seen: lastSeen, metadata, channels } = entry;
  return typeof clientId === "string" && typeof status === "string" && typeof lastSeen === "number"
    ? {
      clientId,
      status,
      lastSeen,
      metadata: metadataOf(metadata) ?? {},
      channels: stringsOf(channels),
    }
    : undefined;
}

function changeOf(channel: string, state: unknown): PresenceChange | undefined {
  if (!isRecord(state)) return undefined;
  const { client_id: clientId, status, metadata } = state;
  if (typeof clientId !== "string" || typeof status !== "string") return undefined;
  return { channel, clientId, status, metadata: metadataOf(metadata) };
}

function metadataOf(value: unknown): { [key: string]: Json } | undefined {
  return isRecord(value) ? value as { [key: string]: Json } : undefined;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
