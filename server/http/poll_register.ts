import { hashSecret } from "../access/secrets.ts";
import { MAX_TOKEN } from "../access/authenticator.ts";
import { randomId } from "../clock.ts";
import { clientIdField, isObject, refuse, stringField } from "../dialog/fields.ts";
import { open, type Opened, type Opening, readOpening, sessionTtl } from "../dialog/handshake.ts";
import type { Visitor } from "./door.ts";
import type { PollContext } from "./poll.ts";
import type { PollTerms } from "./poll_records.ts";
import type { Pollers } from "./pollers.ts";
import { type Body, json } from "./respond.ts";

const MAX_TICKET = 64;

/** `register`: begins a poller, for a client of either wire. */
export async function register(
  { hub, door, pollers }: PollContext,
  visitor: Visitor,
  { frame }: Body,
): Promise<Response> {
  const { connect } = frame;
  const token = stringField(frame, "auth_token", MAX_TOKEN);
  const ticket = stringField(frame, "ticket", MAX_TICKET);
  if (connect !== undefined) {
    if (!isObject(connect)) refuse("connect", "a connect frame", connect);
    const opening = readOpening(connect);
    const identity = await door.identify(visitor, { token: opening.token ?? token, ticket });
    const registered = await pollers.register(async (connection) => {
      const opened = await open(hub, identity, opening, connection);
      return { ...opened, terms: termsOf(opening, opened) };
    }, visitor.peer.address);
    return json({
      client_id: registered.poller.session.owner.clientId,
      poll_token: registered.token,
      connected: registered.frame,
    });
  }
  // A mistake costs no ticket.
  const name = clientIdField(frame);
  const identity = await door.identify(visitor, { token, ticket });
  const { token: poll_token, poller } = await pollers.register(async (connection, token) => {
    const { random, clock } = hub.context;
    const who = name === undefined && pollers.isShared
      // The token stands for a secret: another node goes on with the session, and nobody else.
      ? { minted: { clientId: randomId(random), secretHash: hashSecret(token) } }
      : { name };
    const since = clock.now();
    const terms = { ...who, instance: randomId(random), attempt: 0, since };
    const { session } = await hub.attach({
      ...terms,
      identity,
      ttl: name === undefined ? unnamedTtl(pollers) : sessionTtl(hub, true),
      wire: "fixed",
    }, connection);
    return { session, terms };
  }, visitor.peer.address);
  return json({ client_id: poller.session.owner.clientId, poll_token });
}

/**
 * An unnamed session ends with its connection, and that lingers after the last request. If the node
 * dies that has it, it lingers for another one.
 */
function unnamedTtl(pollers: Pollers): number {
  return pollers.isShared ? pollers.linger : 0;
}

/** What another node needs to go on with what `open` has opened. */
function termsOf(
  { instance, attempt, secret }: Opening,
  { session: { owner, askedAt: since }, frame }: Opened,
): PollTerms {
  const { clientId } = owner;
  if (owner.named) return { name: clientId, instance, attempt, since };
  const known = frame.secret ?? secret ?? "";
  return { minted: { clientId, secretHash: hashSecret(known) }, instance, attempt, since };
}
