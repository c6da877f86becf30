import {
  type ConnectedFrame,
  type ErrorFrame,
  type JsonObject,
  PROTOCOL_VERSION,
  PushError,
  type Start,
  type SubscribedFrame,
} from "@push/client/protocol";
import { randomId } from "../clock.ts";
import {
  channelField,
  clientIdField,
  integerField,
  objectsField,
  requiredString,
  secondsField,
  startFields,
  stringField,
} from "./fields.ts";
import { harmless } from "../harmless.ts";
import { secondsLeft } from "./refresh.ts";
import type { Hub } from "../hub.ts";
import { MAX_TOKEN } from "../access/authenticator.ts";
import type { Identity } from "../access/identity.ts";
import { hashSecret } from "../access/secrets.ts";
import type { Session } from "../session/session.ts";
import type { Connection } from "../transports/connection.ts";

/** What `@push/client` opens a conversation with, checked. */
export interface Opening {
  /** Token, if the frame carries one. */
  readonly token: string | undefined;
  readonly clientId: string | undefined;
  readonly secret: string | undefined;
  readonly instance: string;
  readonly attempt: number;
  /** Seconds. */
  readonly sessionTtl: number | undefined;
  readonly subscriptions: readonly (Start & { readonly channel: string })[];
}

/** A conversation that has been opened. */
export interface Opened {
  readonly session: Session;
  /** The answer. */
  readonly frame: ConnectedFrame;
  /** Lets the first subscriptions flow; called once the answer is on its way. */
  start(): void;
}

const MAX_SECRET = 128;
const MAX_INSTANCE = 64;
/** Most subscriptions in one frame; each above the client's limit of channels is refused by itself. */
const MAX_SUBSCRIPTIONS = 1024;

/** Milliseconds that the session of a named client may outlive its connection, and of another. */
export function sessionTtl(hub: Hub, named: boolean): number {
  const { messageTtl, sessionGrace } = hub.context.settings.delivery;
  return named ? messageTtl : sessionGrace;
}

/**
 * Reads a `connect` frame.
 *
 * @throws {PushError} `unsupported_version`, `bad_request`, `invalid_channel`
 */
export function readOpening(frame: JsonObject): Opening {
  if (frame.version !== PROTOCOL_VERSION) {
    throw new PushError(
      "unsupported_version",
      `The gateway speaks version ${PROTOCOL_VERSION} of the protocol: asked for ` +
        `${JSON.stringify(frame.version)?.slice(0, 40)}.`,
    );
  }
  return {
    token: stringField(frame, "token", MAX_TOKEN),
    clientId: clientIdField(frame),
    secret: stringField(frame, "secret", MAX_SECRET),
    instance: requiredString(frame, "instance", MAX_INSTANCE),
    attempt: integerField(frame, "attempt", 0, Number.MAX_SAFE_INTEGER),
    sessionTtl: secondsField(frame, "session_ttl", Number.MAX_SAFE_INTEGER),
    subscriptions: objectsField(frame, "subscriptions", MAX_SUBSCRIPTIONS).map((each) => ({
      channel: channelField(each),
      ...startFields(each),
    })),
  };
}

/**
 * Attaches the session that a `connect` frame asks for, with its first subscriptions.
 *
 * @throws {PushError} as {@linkcode Hub.attach}
 */
export async function open(
  hub: Hub,
  identity: Identity,
  opening: Opening,
  connection: Connection,
): Promise<Opened> {
  const { random, settings, clock } = hub.context;
  const { clientId, instance, attempt } = opening;
  const named = clientId !== undefined && opening.secret === undefined;
  const secret = named ? undefined : opening.secret ?? randomId(random);
  const mintedId = clientId ?? randomId(random);
  const longest = sessionTtl(hub, named);
  const ttl = Math.min((opening.sessionTtl ?? Infinity) * 1000, longest);
  const { session, resumed } = await hub.attach({
    identity,
    name: named ? clientId : undefined,
    minted: secret === undefined
      ? undefined
      : { clientId: mintedId, secretHash: hashSecret(secret) },
    instance,
    attempt,
    ttl,
    wire: "extended",
  }, connection);
  const first = await Promise.all(
    opening.subscriptions.map((each) => subscribe(hub, session, each, connection)),
  ).catch(async (error) => {
    // Nobody else knows of this session.
    await hub.detach(session, connection, "lost");
    throw error;
  });
  const { delivery, presence, limits } = settings;
  const { owner } = session;
  const left = secondsLeft(identity, clock.now());
  return {
    session,
    frame: {
      type: "connected",
      version: PROTOCOL_VERSION,
      client_id: owner.clientId,
      ...(owner.publicName === owner.clientId ? {} : { known_as: owner.publicName }),
      ...(secret !== undefined && opening.secret === undefined ? { secret } : {}),
      resumed,
      session_ttl: session.ttl / 1000,
      delivery: delivery.enabled,
      ack_timeout: delivery.ackTimeout / 1000,
      retry_backoff: delivery.retryBackoff,
      window: delivery.window,
      window_bytes: delivery.windowBytes,
      heartbeat_interval: presence.enabled ? presence.heartbeatInterval / 1000 : 0,
      max_message_bytes: limits.maxMessageBytes,
      ...(left === undefined ? {} : { token_expires_in: left }),
      subscriptions: first.map(({ frame }) => frame),
    },
    start: () => first.forEach(({ start }) => start?.()),
  };
}

async function subscribe(
  hub: Hub,
  session: Session,
  { channel, ...start }: Start & { channel: string },
  connection: Connection,
): Promise<{ frame: SubscribedFrame | ErrorFrame; start?: () => void }> {
  try {
    const subscribed = await harmless(session.subscribe(channel, start, connection));
    const { ok, epoch, earlier, seq, stored } = subscribed;
    return {
      frame: {
        type: "channel.subscribed",
        channel,
        ok,
        epoch,
        seq,
        ...(stored ? { stored } : {}),
        ...(earlier.length > 0 ? { earlier } : {}),
      },
      start: subscribed.start,
    };
  } catch (error) {
    if (!(error instanceof PushError)) throw error;
    hub.context.audit.refused(error, session.owner, "channel.subscribe", channel);
    return { frame: { type: "error", code: error.code, message: error.message, channel } };
  }
}
