import {
  type ConnectedFrame,
  type ErrorFrame,
  type JsonObject,
  MAX_FRAME_BYTES,
  MAX_NESTING,
  PROTOCOL_VERSION,
  PushError,
  type Start,
  type SubscribedFrame,
} from "@push/client/protocol";
import { subscribedFrame } from "./answers.ts";
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
  readonly subscriptions: readonly FirstSubscription[];
}

/** A subscription that is asked for with the connection. */
interface FirstSubscription {
  readonly channel: string;
  readonly start: Start;
}

/** A conversation that has been opened. */
export interface Opened {
  readonly session: Session;
  /** The answer. */
  readonly frame: ConnectedFrame;
  /** Lets the first subscriptions flow; called once the answer is on its way. */
  start(): void;
}

interface FirstSubscribed {
  readonly frame: SubscribedFrame | ErrorFrame;
  /** Lets it flow, if it was not refused. */
  readonly start?: () => void;
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
      start: startFields(each),
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
  let first: FirstSubscribed[];
  try {
    first = await subscribeAll(hub, session, opening.subscriptions, connection);
  } catch (error) {
    // Nobody else knows of this session.
    await hub.detach(session, connection, "lost");
    throw error;
  }
  const { delivery, presence, limits } = settings;
  const { owner } = session;
  return {
    session,
    // What is undefined is not written.
    frame: {
      type: "connected",
      version: PROTOCOL_VERSION,
      client_id: owner.clientId,
      known_as: owner.publicName === owner.clientId ? undefined : owner.publicName,
      secret: opening.secret === undefined ? secret : undefined,
      resumed,
      session_ttl: session.ttl / 1000,
      delivery: delivery.enabled,
      ack_timeout: delivery.ackTimeout / 1000,
      retry_backoff: delivery.retryBackoff,
      window: delivery.window,
      window_bytes: delivery.windowBytes,
      heartbeat_interval: presence.enabled ? presence.heartbeatInterval / 1000 : 0,
      max_message_bytes: limits.maxMessageBytes,
      max_frame_bytes: unless(MAX_FRAME_BYTES, limits.maxFrameBytes),
      max_nesting: unless(MAX_NESTING, limits.maxNesting),
      token_expires_in: secondsLeft(identity, clock.now()),
      subscriptions: first.map(({ frame }) => frame),
    },
    start: () => {
      for (const { start } of first) start?.();
    },
  };
}

/** A limit, unless it is the one that clients expect. */
function unless(expected: number, limit: number): number | undefined {
  return limit === expected ? undefined : limit;
}

/** Subscribes to all at once; most ask for one channel. */
async function subscribeAll(
  hub: Hub,
  session: Session,
  wanted: readonly FirstSubscription[],
  connection: Connection,
): Promise<FirstSubscribed[]> {
  if (wanted.length === 1) return [await subscribe(hub, session, wanted[0], connection)];
  return await Promise.all(wanted.map((each) => subscribe(hub, session, each, connection)));
}

async function subscribe(
  hub: Hub,
  session: Session,
  { channel, start }: FirstSubscription,
  connection: Connection,
): Promise<FirstSubscribed> {
  try {
    const subscribed = await harmless(session.subscribe(channel, start, connection));
    return { frame: subscribedFrame(channel, subscribed), start: subscribed.start };
  } catch (error) {
    if (!(error instanceof PushError)) throw error;
    hub.context.audit.refused(error, session.owner, "channel.subscribe", channel);
    return { frame: { type: "error", code: error.code, message: error.message, channel } };
  }
}
