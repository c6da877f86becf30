import { formatEventId, type PresenceEntry, PushError } from "@push/client/protocol";
import type { Identity } from "../access/identity.ts";
import { demand, Permits } from "../access/permits.ts";
import { seenBy } from "../access/seen.ts";
import { channelField, integerField, stringField } from "../dialog/fields.ts";
import type { Hub } from "../hub.ts";
import type { DeadLetter, DeadLetterQuery } from "../stores/store.ts";
import { type Body, json } from "./respond.ts";

/** One route of the API. The caller has shown its token. */
export type ApiRoute = (hub: Hub, url: URL, body: Body, identity: Identity) => Promise<Response>;

const MAX_SESSION_KEY = 1024;
const MAX_LISTED = 1000;
const DEFAULT_LISTED = 100;

/** `GET /api/push/channels` */
export async function channels(
  hub: Hub,
  _url: URL,
  _body: Body,
  identity: Identity,
): Promise<Response> {
  await demandAdmin(hub, identity);
  const listed = await hub.channels();
  return json({
    channels: listed.map(({ name, epoch, head, oldest, createdAt, metadata }) => ({
      name,
      epoch,
      head,
      oldest,
      subscribers: hub.subscribers(name),
      created_at: createdAt / 1000,
      metadata,
    })),
  });
}

/** `GET /api/push/presence?channel=` */
export async function presence(
  hub: Hub,
  url: URL,
  _body: Body,
  identity: Identity,
): Promise<Response> {
  const channel = channelOf(url);
  const entries = await seen(hub, identity, channel);
  return json({ channel, presence: entries, clients: entries });
}

/** `GET /api/push/poll/presence?channel=`: the fixed wire has one key. */
export async function pollPresence(
  hub: Hub,
  url: URL,
  _body: Body,
  identity: Identity,
): Promise<Response> {
  return json({ presence: await seen(hub, identity, channelOf(url)) });
}

/** `GET /api/push/dead-letters?channel=&session=&seq=&limit=` */
export async function deadLetters(
  hub: Hub,
  url: URL,
  _body: Body,
  identity: Identity,
): Promise<Response> {
  await demandAdmin(hub, identity);
  const query = queryOf({
    channel: url.searchParams.get("channel"),
    session: url.searchParams.get("session"),
    seq: numberOf(url.searchParams.get("seq")),
    limit: numberOf(url.searchParams.get("limit")),
  });
  const letters = await hub.deadLetters(query);
  return json({ dead_letters: letters.map(describe) });
}

/** `POST /api/push/dead-letters/redrive` */
export async function redrive(
  hub: Hub,
  _url: URL,
  body: Body,
  identity: Identity,
): Promise<Response> {
  await demandAdmin(hub, identity);
  const letters = await hub.redrive(queryOf(body.frame));
  return json({ redriven: letters.length, dead_letters: letters.map(describe) });
}

/**
 * Lets operators pass.
 *
 * @throws {Forbidden} without the right `admin`
 * @throws {PushError} `unavailable` if that could not be found out
 */
export function demandAdmin(hub: Hub, identity: Identity): Promise<void> {
  return demand(hub.context.authorization, identity, "admin", null);
}

async function seen(
  hub: Hub,
  identity: Identity,
  channel: string | null,
): Promise<PresenceEntry[]> {
  return await seenBy(new Permits(hub.context.authorization, identity), hub.presence, channel);
}

function channelOf(url: URL): string | null {
  const channel = url.searchParams.get("channel");
  return channel === null ? null : channelField({ channel });
}

function queryOf(frame: Body["frame"]): DeadLetterQuery {
  const given = (key: string) => frame[key] !== undefined && frame[key] !== null;
  return {
    channel: given("channel") ? channelField(frame) : undefined,
    session: stringField(frame, "session", MAX_SESSION_KEY),
    seq: given("seq") ? integerField(frame, "seq", 1, Number.MAX_SAFE_INTEGER) : undefined,
    limit: given("limit") ? integerField(frame, "limit", 1, MAX_LISTED) : DEFAULT_LISTED,
  };
}

function numberOf(text: string | null): number | null {
  if (text === null) return null;
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) {
    throw new PushError("bad_request", "A number is expected in the query.");
  }
  return value;
}

function describe({ session, channel, epoch, message, attempts, reason, at }: DeadLetter) {
  return {
    session,
    channel,
    event_id: formatEventId(channel, epoch, message.seq),
    seq: message.seq,
    data: JSON.parse(message.payload),
    source: message.source,
    timestamp: message.at / 1000,
    attempts,
    reason,
    dead_at: at / 1000,
  };
}
