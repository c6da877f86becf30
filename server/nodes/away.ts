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
  /** Channels that it has positions in, as far as they have not ended. */
  readonly channels: Set<string>;
  /** Those of them that are to end whatever its client may do now. */
  readonly unended: Set<string>;
  /** Unix milliseconds at which it ends. */
  readonly until: number;
}

/** Most sessions that are kept, and channels of them all; the one longest away goes first. */
const MAX_KEPT = 50_000;
const MAX_CHANNELS = 500_000;

/**
 * Sessions that have left this node and may come back: what they lose the right to while they are away
 * ends at once, for their right may be back before they are. Kept only where an embedding program
 * decides, as nothing else changes its mind.
 */
export class AwaySessions {
  readonly #context: HubContext;
  readonly #sessions = new Map<string, AwaySession>();
  #channels = 0;

  /** @param context what every part of the hub shares */
  constructor(context: HubContext) {
    this.#context = context;
  }

  /** A session has lost its connection. */
  left(session: Session): void {
    const { key, owner: { subject, clientId }, identity, generation, ttl, known } = session;
    if (!this.#context.authorization.asks || known.length === 0) return;
    const until = this.#context.clock.now() + ttl;
    this.gone(key);
    const channels = new Set(known);
    const unended = new Set(session.unended);
    this.#sessions.set(key, { subject, clientId, identity, generation, channels, unended, until });
    this.#channels += channels.size;
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= MAX_KEPT && this.#channels <= MAX_CHANNELS) return;
      this.gone(oldest);
    }
  }

  /** A session has a connection again: tells which of its positions are to end. */
  gone(key: string): Iterable<string> {
    const session = this.#sessions.get(key);
    if (session === undefined) return [];
    this.#channels -= session.channels.size;
    this.#sessions.delete(key);
    return session.unended;
  }

  /** Those that are away, with their keys; those whose time is over are forgotten. */
  *all(): Iterable<readonly [key: string, session: AwaySession]> {
    const now = this.#context.clock.now();
    for (const [key, session] of this.#sessions) {
      if (session.until <= now) this.gone(key);
      else yield [key, session];
    }
  }

  /** Ends what a session has no right to any more. Never rejects. */
  async check(key: string, session: AwaySession): Promise<void> {
    if (this.#sessions.get(key) !== session) return;
    await Promise.all(Array.from(session.channels, (each) => this.#check(key, session, each)));
  }

  async #check(key: string, session: AwaySession, channel: string): Promise<void> {
    const { authorization, store, clock, audit, metrics } = this.#context;
    const { identity, subject, clientId, generation } = session;
    try {
      const isOwed = session.unended.has(channel);
      if (!isOwed && await authorization.allows(identity, "subscribe", channel)) return;
    } catch {
      // It is asked again when the client comes back.
      return;
    }
    audit.actionRefused("forbidden", { subject, clientId }, "subscribe", channel);
    try {
      await store.forget(key, generation, channel, clock.now());
    } catch {
      // With the next question, or when its client comes back, it is tried again.
      session.unended.add(channel);
      metrics.commitErrors++;
      return;
    }
    if (session.channels.delete(channel) && this.#sessions.get(key) === session) this.#channels--;
  }
}
