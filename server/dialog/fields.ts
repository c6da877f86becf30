/**
 * Reading fields of hostile input: each function returns a value of the asked type, or throws a
 * {@linkcode PushError} that names the field.
 *
 * @module
 */
import {
  excerpt,
  isChannelName,
  isClientId,
  isEpoch,
  isRanges,
  isSeq,
  type Json,
  type JsonObject,
  MAX_PUBLISH_ID,
  PushError,
  type Ranges,
  type Start,
} from "@push/client/protocol";

/** Refuses a field: what was expected, and what was found. */
export function refuse(field: string, expected: string, found: unknown): never {
  const shown = found === undefined
    ? "nothing"
    : typeof found === "string"
    ? excerpt(found)
    : short(JSON.stringify(found) ?? "nothing");
  throw new PushError("bad_request", `Field '${field}' must be ${expected}: found ${shown}.`);
}

/** A channel name. */
export function channelField(frame: JsonObject, field = "channel"): string {
  const value = frame[field];
  if (isChannelName(value)) return value;
  if (typeof value !== "string") refuse(field, "a channel name", value);
  throw new PushError(
    "invalid_channel",
    `Field '${field}' must be 1 to 255 of A-Z a-z 0-9 _ : . -: found ${excerpt(value)}.`,
  );
}

/** A string of 1 to `max` characters, or `undefined` if the field is absent or null. */
export function stringField(frame: JsonObject, field: string, max: number): string | undefined {
  const value = frame[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" && value.length > 0 && value.length <= max) return value;
  refuse(field, `a string of 1 to ${max} characters`, value);
}

/** A string of 1 to `max` characters. */
export function requiredString(frame: JsonObject, field: string, max: number): string {
  return stringField(frame, field, max) ??
    refuse(field, `a string of 1 to ${max} characters`, frame[field]);
}

/** A client id, or `undefined` if the field is absent or null. */
export function clientIdField(frame: JsonObject): string | undefined {
  const value = frame.client_id;
  if (value === undefined || value === null) return undefined;
  return isClientId(value)
    ? value
    : refuse("client_id", "1 to 128 of A-Z a-z 0-9 _ : . - + @ = /", value);
}

/** A publish id, or `undefined`. */
export function publishIdField(frame: JsonObject): string | undefined {
  return stringField(frame, "id", MAX_PUBLISH_ID);
}

/** A boolean; false if the field is absent. */
export function booleanField(frame: JsonObject, field: string): boolean {
  const value = frame[field];
  if (value === undefined || value === null) return false;
  return typeof value === "boolean" ? value : refuse(field, "true or false", value);
}

/** A number of seconds from 0 to `max`, or `undefined`. */
export function secondsField(frame: JsonObject, field: string, max: number): number | undefined {
  const value = frame[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && value >= 0 && value <= max) return value;
  refuse(field, `a number of seconds from 0 to ${max}`, value);
}

/** An integer from `min` to `max`. */
export function integerField(frame: JsonObject, field: string, min: number, max: number): number {
  const value = frame[field];
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  refuse(field, `an integer from ${min} to ${max}`, value);
}

/** A message number, from 0. */
export function seqField(frame: JsonObject, field = "seq"): number {
  const value = frame[field];
  return isSeq(value) ? value : refuse(field, "a message number", value);
}

/** An epoch. */
export function epochField(frame: JsonObject): string {
  const value = frame.epoch;
  return isEpoch(value) ? value : refuse("epoch", "an epoch", value);
}

/** Ranges of message numbers; none if the field is absent. */
export function rangesField(frame: JsonObject, field: string): Ranges {
  const value = frame[field];
  if (value === undefined || value === null) return [];
  return isRanges(value) ? value : refuse(field, "sorted pairs of message numbers", value);
}

/** A JSON object, or `undefined`; at most `maxBytes` as text. */
export function metadataField(
  frame: JsonObject,
  field: string,
  maxBytes: number,
): JsonObject | undefined {
  const value = frame[field];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) refuse(field, "an object", value);
  if (byteLength(JSON.stringify(value)) > maxBytes) {
    throw new PushError(
      "metadata_too_large",
      `Field '${field}' is larger than ${maxBytes} bytes (maxMetadataBytes).`,
    );
  }
  return value;
}

/** An array of at most `max` objects; none if the field is absent. */
export function objectsField(frame: JsonObject, field: string, max: number): JsonObject[] {
  const value = frame[field];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > max || !value.every(isObject)) {
    refuse(field, `an array of at most ${max} objects`, value);
  }
  return value as JsonObject[];
}

/** Where a subscription starts. */
export function startFields(frame: JsonObject): Start {
  const start: Start = {};
  const { position, since, last } = frame;
  if (position !== undefined && position !== null) {
    if (!isObject(position)) refuse("position", "an object with epoch and seq", position);
    start.position = {
      epoch: epochField(position),
      seq: seqField(position),
      open: rangesField(position, "open"),
    };
  }
  if (since !== undefined && since !== null) {
    if (!isObject(since)) refuse("since", "an object with epoch and seq", since);
    start.since = { epoch: epochField(since), seq: seqField(since) };
  }
  if (last !== undefined && last !== null) start.last = integerField(frame, "last", 0, 1_000_000);
  if (booleanField(frame, "all")) start.all = true;
  if ([start.since, start.last, start.all].filter((way) => way !== undefined).length > 1) {
    throw new PushError("bad_request", "Only one of 'since', 'last' and 'all' may be given.");
  }
  return start;
}

/** Length of a text in UTF-8. */
export function byteLength(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x80) continue;
    if (c < 0x800) bytes += 1;
    // A pair of surrogates is two units here and four bytes there: one more for each.
    else bytes += c >= 0xd800 && c <= 0xdfff ? 1 : 2;
  }
  return bytes;
}

/** Whether a JSON value is an object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Beginning of JSON text, safe to show. */
function short(json: string): string {
  const text = json.length > 40 ? `${json.slice(0, 40)}...` : json;
  return text.replace(/[^\x20-\x7e]/g, "?");
}
