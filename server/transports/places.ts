/**
 * Places in logs as a reader of plain event streams carries them: in the `id` of an event, and back
 * in the header `Last-Event-ID`.
 *
 * @module
 */
import { isChannelName, isEpoch, isSeq, parseEventId } from "@push/client/protocol";

/** Where a reader stands in a log: everything up to the number has been written to it. */
export interface LogPlace {
  readonly epoch: string;
  /** Number of the last message, from 0. */
  readonly seq: number;
}

const EVENT_ID = '"event_id":"';
const GAP = '{"type":"error","code":"gap",';
const GAP_PLACE = /number (\d+) of epoch ([a-z0-9]+)\.$/;
/** Characters of an id: servers take no longer header. */
const LONGEST = 65_536;
/** Most characters of a place beside the name: an epoch, a number, and what separates them. */
const LONGEST_REST = 32 + 16 + 3;

/** Places of channels as one text: `epoch:seq:channel`, separated by commas. */
export function writePlaces(places: ReadonlyMap<string, LogPlace>): string {
  let text = "";
  for (const [channel, { epoch, seq }] of places) {
    text += `${text === "" ? "" : ","}${epoch}:${seq}:${channel}`;
  }
  return text;
}

/** Whether places of these channels may be more than {@linkcode readPlaces} reads. */
export function isTooLong(channels: readonly string[]): boolean {
  return channels.reduce((length, name) => length + name.length + LONGEST_REST, 0) > LONGEST;
}

/** Reads what {@linkcode writePlaces} has written; `undefined` if it is anything else. Never throws. */
export function readPlaces(text: string): Map<string, LogPlace> | undefined {
  if (text.length > LONGEST) return undefined;
  const places = new Map<string, LogPlace>();
  for (const part of text.split(",")) {
    const [, epoch, digits, channel] = /^([^:]*):(\d{1,16}):(.*)$/s.exec(part) ?? [];
    const seq = Number(digits);
    if (!isEpoch(epoch) || !isSeq(seq) || !isChannelName(channel)) return undefined;
    if (places.has(channel)) return undefined;
    places.set(channel, { epoch, seq });
  }
  return places;
}

/**
 * Where a frame of the fixed wire, as the session wrote it, leaves the reader of its channel;
 * `undefined` if it is neither a message nor a gap.
 */
export function placeOf(
  text: string,
  isMessage: boolean,
): (LogPlace & { readonly channel: string }) | undefined {
  if (isMessage) {
    // Behind the payload there is but one: within a text each quote follows a backslash.
    const from = text.lastIndexOf(EVENT_ID) + EVENT_ID.length;
    return parseEventId(text.slice(from, text.indexOf('"', from)));
  }
  if (!text.startsWith(GAP)) return undefined;
  const { channel, message } = JSON.parse(text);
  const [, seq, epoch] = GAP_PLACE.exec(message) ?? [];
  return epoch === undefined ? undefined : { channel, epoch, seq: Number(seq) };
}
