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

/** Sessions that are kept of one subject, or of all. */
class Kept {
  /** Their keys, the one longest away first. */
  readonly keys = new Set<string>();
  /** Channels of all of them. */
  channels = 0;

  add(key: string, { channels }: AwaySession): void {
    this.keys.add(key);
    this.channels += channels.size;
  }

  delete(key: string, { channels }: AwaySession): void {
    this.keys.delete(key);
    this.channels -= channels.size;
  }

  /** Those that go first, while there are more than there may be; they are to be deleted. */
  *beyond(sessions: number, channels: number): Iterable<string> {
    for (const key of this.keys) {
      if (this.keys.size <= sessions && this.channels <= channels) return;
      yield key;
    }
  }
}

/** Most sessions that are kept, and channels of them; the one longest away goes first… */
const MOST = [200_000, 2_000_000] as const;
/** …and so many of one subject, so that it cannot make those of the others go. */
const MOST_OF_ONE = [50_000, 500_000] as const;

/**
 * Sessions that have left this node and may come back: what they lose the right to while they are away
 * ends at once, for their right may be back before they are. Kept only where an embedding program
 * decides, as nothing else changes its mind.
 */
export class AwaySessions {
  readonly #context: HubContext;
  readonly #sessions = new Map<string, AwaySession>();
  readonly #all = new Kept();
  readonly #subjects = new Map<string, Kept>();

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
    const away = { subject, clientId, identity, generation, channels, unended, until };
    this.#sessions.set(key, away);
    let own = this.#subjects.get(subject);
    if (own === undefined) this.#subjects.set(subject, own = new Kept());
    for (const kept of [this.#all, own]) kept.add(key, away);
    for (const oldest of own.beyond(...MOST_OF_ONE)) this.gone(oldest);
    for (const oldest of this.#all.beyond(...MOST)) this.gone(oldest);
  }

  /** A session has a connection again: tells which of its positions are to end. */
  gone(key: string): Iterable<string> {
    const session = this.#sessions.get(key);
    if (session === undefined) return [];
    this.#sessions.delete(key);
    this.#all.delete(key, session);
    const own = this.#subjects.get(session.subject);
    own?.delete(key, session);
    if (own?.keys.size === 0) this.#subjects.delete(session.subject);
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
    if (!session.channels.delete(channel) || this.#sessions.get(key) !== session) return;
    this.#all.channels--;
    this.#subjects.get(subject)!.channels--;
  }
}
