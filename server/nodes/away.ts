import type { Identity } from "../access/identity.ts";
import type { HubContext } from "../context.ts";
import type { Session } from "../session/session.ts";

/** A session without a connection, as the node knows it that it was attached to last. */
export interface AwaySession {
  readonly subject: string;
  readonly clientId: string;
  /** What its client showed last. */
  readonly identity: Identity;
  /** By a later one this node's is refused: the session is another node's then. */
  readonly generation: number;
  /** Channels that it has positions in. */
  readonly channels: readonly string[];
  /** Unix milliseconds at which it ends. */
  readonly until: number;
}

/** Most sessions that are kept; the one longest away goes first. */
const MAX_KEPT = 50_000;

/**
 * Sessions that have left this node and may come back: what they lose the right to while they are away
 * ends at once, for their right may be back before they are. Kept only where an embedding program
 * decides, as nothing else changes its mind.
 */
export class AwaySessions {
  readonly #context: HubContext;
  readonly #sessions = new Map<string, AwaySession>();

  /** @param context what every part of the hub shares */
  constructor(context: HubContext) {
    this.#context = context;
  }

  /** A session has lost its connection. */
  left({ key, owner: { subject, clientId }, identity, generation, ttl, known }: Session): void {
    if (!this.#context.authorization.asks || known.length === 0) return;
    const until = this.#context.clock.now() + ttl;
    this.#sessions.delete(key);
    this.#sessions.set(key, { subject, clientId, identity, generation, channels: known, until });
    if (this.#sessions.size <= MAX_KEPT) return;
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest);
      return;
    }
  }

  /** A session has a connection again, or has ended. */
  gone(key: string): void {
    this.#sessions.delete(key);
  }

  /** Those that are away, with their keys; those whose time is over are forgotten. */
  *all(): Iterable<readonly [key: string, session: AwaySession]> {
    const now = this.#context.clock.now();
    for (const [key, session] of this.#sessions) {
      if (session.until <= now) this.#sessions.delete(key);
      else yield [key, session];
    }
  }

  /** Ends what a session has no right to any more. Never rejects. */
  async check(key: string, session: AwaySession): Promise<void> {
    if (this.#sessions.get(key) !== session) return;
    await Promise.all(session.channels.map((channel) => this.#check(key, session, channel)));
  }

  async #check(key: string, session: AwaySession, channel: string): Promise<void> {
    const { authorization, store, clock, audit, metrics } = this.#context;
    const { identity, subject, clientId, generation } = session;
    try {
      if (await authorization.allows(identity, "subscribe", channel)) return;
    } catch {
      // It is asked again when the client comes back.
      return;
    }
    audit.actionRefused("forbidden", { subject, clientId }, "subscribe", channel);
    try {
      await store.forget(key, generation, channel, clock.now());
    } catch {
      metrics.commitErrors++;
    }
  }
}
