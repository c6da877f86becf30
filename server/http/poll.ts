import { booleanField, secondsField } from "../dialog/fields.ts";
import type { Hub } from "../hub.ts";
import type { Door, Visitor } from "./door.ts";
import { adoptPositions, pollToken, readPositions } from "./poll_fields.ts";
import { named, publish, refreshToken, send } from "./poll_frames.ts";
import { register } from "./poll_register.ts";
import type { Pollers } from "./pollers.ts";
import { type Body, json, jsonText } from "./respond.ts";

/** What the poll routes work with. */
export interface PollContext {
  readonly hub: Hub;
  readonly door: Door;
  readonly pollers: Pollers;
}

/** One route under `/api/push/poll/`. */
export type PollRoute = (context: PollContext, visitor: Visitor, body: Body) => Promise<Response>;

/** Milliseconds that a poll is held even if it does not want to wait… */
const SHORTEST_HOLD = 50;
/** …and at most, where there is something that has to be read first: the next one would find it unread, too. */
const READING_HOLD = 5_000;

/** The routes by name, all `POST`. */
export const POLL_ROUTES: { readonly [name: string]: PollRoute } = {
  register,
  messages,
  send,
  refresh: refreshToken,
  unregister,
  subscribe: named("channel.subscribe", ["channel"], ["ok", "channel"]),
  unsubscribe: named("channel.unsubscribe", ["channel"], ["ok", "channel"]),
  ack: named("message_ack", ["event_id"], ["ok"]),
  nack: named("message_nack", ["event_id", "delay"], ["ok"]),
  heartbeat: named("presence.heartbeat", ["status", "metadata"], ["ok"]),
  create: named("channel.create", ["channel", "metadata"], ["ok", "channel"]),
  publish,
};

function messages(
  { hub, pollers }: PollContext,
  { request }: Visitor,
  { frame, text }: Body,
): Promise<Response> {
  const { longPollTimeout } = hub.context.settings.polling;
  const asked = secondsField(frame, "timeout", 86_400);
  const wanted = Math.min(asked === undefined ? Infinity : asked * 1000, longPollTimeout);
  const positions = readPositions(frame, hub.context.settings.limits.maxChannels);
  return pollers.request(pollToken(frame), async (poller) => {
    const { session, connection } = poller;
    adoptPositions(poller, positions);
    const timeout = Math.max(wanted, SHORTEST_HOLD);
    const reading = {
      patience: Math.min(READING_HOLD, longPollTimeout) - timeout,
      goesOn: () => session.isReading,
    };
    const fill = (atOnce: boolean) => atOnce ? session.pump() : hub.drained(session);
    return jsonText(await connection.poll(timeout, request, fill, reading));
  }, { polls: true, size: text.length });
}

async function unregister(
  { pollers }: PollContext,
  _visitor: Visitor,
  { frame }: Body,
): Promise<Response> {
  await pollers.unregister(pollToken(frame), booleanField(frame, "forget"));
  return json({ ok: true });
}
