/**
 * What a gateway tells the program that embeds it of its channels, its clients and its dead letters.
 *
 * @module
 */
import { formatEventId, type Json, type PresenceEntry } from "@push/client/protocol";
import type { ChannelRecord, DeadLetter } from "./stores/store.ts";

/** A channel, as `Gateway.channels` tells of it. */
export interface ChannelInfo {
  /** Its name. */
  readonly name: string;
  /** Epoch of its log: numbers of another epoch mean nothing here. */
  readonly epoch: string;
  /** Number of the newest message; 0 if there never was one. */
  readonly head: number;
  /** Number of the oldest message that is kept; `head + 1` if none is. */
  readonly oldest: number;
  /** Subscribers connected now, to any node. */
  readonly subscribers: number;
  /** When it was created, in Unix seconds. */
  readonly createdAt: number;
  /** What it was created with. */
  readonly metadata: { readonly [key: string]: Json };
}

/** A client that is present, as `Gateway.presence` tells of it. */
export interface PresenceInfo {
  /** Its client id. */
  readonly clientId: string;
  /** The status that it gave last. */
  readonly status: string;
  /** Its last sign of life, in Unix seconds. */
  readonly lastSeen: number;
  /** The metadata that it gave last. */
  readonly metadata: { readonly [key: string]: Json };
  /** Names of the channels that it is subscribed to, sorted. */
  readonly channels: readonly string[];
}

/** A message that a subscription gave up, as `Gateway.deadLetters` tells of it. */
export interface DeadLetterInfo {
  /** Channel that it was published on. */
  readonly channel: string;
  /** Client that did not take it. */
  readonly clientId: string;
  /** Session of that client, as {@linkcode DeadLetterQuery.session} takes it. */
  readonly session: string;
  /** Names the message. */
  readonly eventId: string;
  /** Number in the channel's log. */
  readonly seq: number;
  /** What was published. */
  readonly data: Json;
  /** Client id of the publisher; `null` if it was no client. */
  readonly source: string | null;
  /** When it was stored, in Unix seconds. */
  readonly timestamp: number;
  /** Deliveries that failed. */
  readonly attempts: number;
  /** Why the last one failed. */
  readonly reason: "timeout" | "nack";
  /** When it was given up, in Unix seconds. */
  readonly deadAt: number;
}

/** Which dead letters `Gateway.deadLetters` and `Gateway.redrive` are about. Default: all. */
export interface DeadLetterQuery {
  /** Only those of this channel. */
  readonly channel?: string;
  /** Only those of this session. */
  readonly session?: string;
  /** Only those of the message with this number, from 1. */
  readonly seq?: number;
  /** At most so many, the oldest: 1 to 1000. Default 100. */
  readonly limit?: number;
}

/** A channel for the embedding program. */
export function channelInfo(record: ChannelRecord, subscribers: number): ChannelInfo {
  const { name, epoch, head, oldest, createdAt, metadata } = record;
  return { name, epoch, head, oldest, subscribers, createdAt: createdAt / 1000, metadata };
}

/** A present client for the embedding program. */
export function presenceInfo(entry: PresenceEntry): PresenceInfo {
  const { client_id, status, last_seen, metadata, channels } = entry;
  return { clientId: client_id, status, lastSeen: last_seen, metadata, channels };
}

/** A dead letter for the embedding program. */
export function deadLetterInfo(letter: DeadLetter): DeadLetterInfo {
  const { session, channel, epoch, message, attempts, reason, at } = letter;
  const { seq, payload, source } = message;
  return {
    channel,
    clientId: clientIdOf(session),
    session,
    eventId: formatEventId(channel, epoch, seq),
    seq,
    data: JSON.parse(payload),
    source,
    timestamp: message.at / 1000,
    attempts,
    reason,
    deadAt: at / 1000,
  };
}

/**
 * The client id in a session's key, which is `n` or `m`, the client id with `%` for each colon, and the
 * subject.
 */
function clientIdOf(session: string): string {
  return session.split(":", 2)[1]?.replaceAll("%", ":") ?? "";
}
