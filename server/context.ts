import type { Authorization } from "./access/authorization.ts";
import type { Clock, RandomBytes } from "./clock.ts";
import type { Slices } from "./slices.ts";
import type { Audit } from "./logging/audit.ts";
import type { Limits } from "./limits/limits.ts";
import type { Log } from "./logging/log.ts";
import type { Metrics } from "./metrics.ts";
import type { PushSettings } from "./options/settings.ts";
import type { Roster } from "./nodes/roster.ts";
import type { DeadLetter, Store, StoredMessage } from "./stores/store.ts";
import type { Turn } from "./turn.ts";
import type { TimingWheel } from "./wheel.ts";

/** What happens in a hub, for whoever embeds it. Must not throw. */
export interface HubEvents {
  /** A session got a connection. */
  attached?(clientId: string, transport: string): void;
  /** A session lost its connection. */
  detached?(clientId: string, transport: string): void;
  /** A message was stored. */
  published?(channel: string, epoch: string, message: StoredMessage): void;
  /** A subscription gave a message up. */
  deadLettered?(clientId: string, letter: DeadLetter): void;
}

/** What every part of one hub shares. */
export interface HubContext {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly settings: PushSettings;
  readonly store: Store;
  readonly turn: Turn;
  /** Sockets that have sent more than one turn can do. */
  readonly slices: Slices;
  readonly wheel: TimingWheel;
  readonly metrics: Metrics;
  /** What clients may do together, and how fast. */
  readonly limits: Limits;
  /** Who may do what. */
  readonly authorization: Authorization;
  readonly events: HubEvents;
  /** What happens, for whoever runs the gateway. */
  readonly log: Log;
  /** Who was refused what. */
  readonly audit: Audit;
  /** What other nodes say of themselves; absent where there are none. */
  readonly roster?: Roster;
}
