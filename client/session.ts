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
import { type Refresh, refreshOf } from "./refresh.ts";
import { type Requests, requestsOf } from "./requests.ts";
import { type Terms, termsOf } from "./terms.ts";
import { type Wire, wireOf } from "./wire.ts";

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
    Refresh,
    Requests,
    Wire {
  /** Whether the application gave the client its name. */
  readonly isNamed: boolean;
  /** What the gateway said last; one object for all who look at it. */
  readonly terms: Terms;
}

const ROOMS = [
  emitterOf,
  wireOf,
  identityOf,
  acksOf,
  requestsOf,
  channelsOf,
  heartbeatOf,
  outboxOf,
  refreshOf,
  listenersOf,
  connectorOf,
  lifeOf,
];

/** Makes a session, not connected. @param settings of the client */
export function sessionOf(settings: ClientSettings): Session {
  const session = { ...settings, isNamed: !!settings.clientId, terms: termsOf({}) } as Session;
  for (const room of ROOMS) Object.assign(session, room(session));
  return session;
}
