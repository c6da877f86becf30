import { type Acks, acksOf } from "./acks.ts";
import { type Channels, channelsOf } from "./channels.ts";
import { type Connector, connectorOf } from "./connector.ts";
import { type Emitter, emitterOf } from "./events.ts";
import { type Heartbeat, heartbeatOf } from "./heartbeat.ts";
import { type Identity, identityOf } from "./identity.ts";
import { type Life, lifeOf } from "./life.ts";
import { listenersOf, type MessageListeners } from "./listeners.ts";
import type { ClientSettings } from "./options.ts";
import { type Outbox, outboxOf } from "./outbox.ts";
import type { PushError } from "./protocol/error.ts";
import type { ConnectedFrame } from "./protocol/frames.ts";
import { refreshOf } from "./refresh.ts";
import { type Requests, requestsOf } from "./requests.ts";
import { type Terms, termsOf } from "./terms.ts";
import { type Wire, wireOf } from "./wire.ts";

/** What a room hears of connections; the session's own tell all rooms. */
export interface Room {
  /** The gateway has accepted the client. */
  attached?(frame: ConnectedFrame): void;
  /** The connection is gone. */
  detached?(): void;
  /**
   * The client is closed.
   *
   * @param error why
   * @param isWanted whether the application wanted it
   * @param forget whether the session ends too
   */
  over?(error: PushError, isWanted: boolean, forget: boolean): void;
}

/**
 * The client's half of a session, whatever connection there is: one record of the settings, of what
 * is now, and of what each room of the client does with them. Rooms find each other here.
 */
export interface Session
  extends
    Omit<ClientSettings, "clientId">,
    Acks,
    Channels,
    Connector,
    Emitter,
    Heartbeat,
    Identity,
    Life,
    MessageListeners,
    Outbox,
    Requests,
    Required<Room>,
    Wire {
  /** Whether the application gave the client its name. */
  readonly isNamed: boolean;
  /** What the gateway said last; one object for all who look at it. */
  readonly terms: Terms;
}

// Who the client is, and which channels it asks for, comes first on a connection; a new status comes
// before the requests, because it may be among them.
const ROOMS: readonly ((session: Session) => Partial<Session>)[] = [
  identityOf,
  channelsOf,
  heartbeatOf,
  refreshOf,
  requestsOf,
  acksOf,
  lifeOf,
  emitterOf,
  wireOf,
  outboxOf,
  listenersOf,
  connectorOf,
];

/** Makes a session, not connected. @param settings of the client */
export function sessionOf(settings: ClientSettings): Session {
  const session = { ...settings, isNamed: !!settings.clientId, terms: termsOf({}) } as Session;
  const rooms = ROOMS.map((roomOf) => {
    const room = roomOf(session);
    Object.assign(session, room);
    return room;
  });
  return Object.assign(session, {
    attached(frame: ConnectedFrame) {
      // A room may tell the application something, and that may close the client.
      for (const room of rooms) if (session.link) room.attached?.(frame);
    },
    detached() {
      for (const room of rooms) room.detached?.();
    },
    over(...why: Parameters<Session["over"]>) {
      for (const room of rooms) room.over?.(...why);
    },
  });
}
