import type { Json, PresenceEntry } from "@push/client/protocol";

/** What the application says of a client. */
export type Metadata = { [key: string]: Json };

/** A client that is present, wherever it is connected. */
export interface Present {
  /** Key of its session. */
  readonly key: string;
  readonly clientId: string;
  readonly status: string;
  readonly metadata: Metadata;
  /** Unix milliseconds of its last sign of life. */
  readonly lastSeen: number;
  /** Whether it gave signs of life within the timeout. */
  readonly online: boolean;
  readonly channels: ReadonlySet<string>;
  /** Of two that are the same client, the one with the higher generation is newer. */
  readonly generation: number;
}

/** No channel. */
export const NOWHERE: ReadonlySet<string> = new Set();

/** A present client, as clients are told of it. */
export function presenceEntry(
  { clientId, status, lastSeen, metadata, channels }: Present,
): PresenceEntry {
  return {
    client_id: clientId,
    status,
    last_seen: lastSeen / 1000,
    metadata,
    channels: [...channels].sort(),
  };
}

/** A present client, as other nodes are told of it. */
export function memberRow(member: Present): Json {
  return {
    client_id: member.clientId,
    status: member.status,
    metadata: member.metadata,
    channels: [...member.channels],
    last_seen: member.lastSeen,
    online: member.online,
    generation: member.generation,
  };
}

/**
 * A client that is gone, as other nodes are told of it where what they have of it is older: that is
 * over, too.
 */
export function goneRow(member: Present): Json {
  return memberRow({
    ...member,
    status: "offline",
    metadata: {},
    online: false,
    channels: NOWHERE,
  });
}

/** Whether a client is gone, as {@linkcode goneRow} says it. */
export function isGone({ online, channels }: Present): boolean {
  return !online && channels.size === 0;
}

/** What {@linkcode memberRow} has made; `undefined` for anything else. */
export function readMember(key: string, row: Json): Present | undefined {
  if (!isObject(row)) return undefined;
  const { client_id, status, metadata, channels, last_seen, online, generation } = row;
  const isWellFormed = typeof client_id === "string" && typeof status === "string" &&
    isObject(metadata) && typeof last_seen === "number" && typeof online === "boolean" &&
    typeof generation === "number" && Array.isArray(channels) &&
    channels.every((channel) => typeof channel === "string");
  if (!isWellFormed) return undefined;
  return {
    key,
    clientId: client_id,
    status,
    metadata,
    lastSeen: last_seen,
    online,
    channels: new Set(channels as string[]),
    generation,
  };
}

/** Whether a client looks the same, apart from its channels and its last sign of life. */
export function looksSame(one: Present, two: Present): boolean {
  return one.status === two.status && isSameMetadata(one.metadata, two.metadata);
}

/** Whether two say the same. */
export function isSameMetadata(one: Metadata, two: Metadata): boolean {
  return one === two || JSON.stringify(one) === JSON.stringify(two);
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
