import type { HubContext } from "../context.ts";
import type { Nodes } from "../nodes/nodes.ts";
import type { Session } from "./session.ts";
import type { DeadLetter, DeadLetterQuery } from "../stores/store.ts";

/** What dead letters are put back with. */
export interface RedrivesParts {
  readonly context: HubContext;
  /** The other nodes, if there are any. */
  readonly nodes: Nodes | undefined;
  /** The session of this key, if its positions are in this node's memory. */
  session(key: string): Session | undefined;
}

/** Puts dead letters back, and sees to it that whoever holds the session learns of them. */
export class Redrives {
  readonly #parts: RedrivesParts;
  /** What was put back and could not be loaded, by session: channels. */
  readonly #waiting = new Map<Session, Set<string>>();

  /** @param parts where sessions are found */
  constructor(parts: RedrivesParts) {
    this.#parts = parts;
  }

  /**
   * Puts dead letters back into their subscriptions.
   *
   * @throws {PushError} as the store
   */
  async redrive(query: DeadLetterQuery): Promise<DeadLetter[]> {
    const { context: { store, clock, metrics }, nodes } = this.#parts;
    const letters = await store.redrive(query, clock.now());
    // Whoever has the session holds its positions in memory.
    const touched = new Map<string, { session: string; channel: string; seqs: number[] }>();
    for (const { session, channel, message } of letters) {
      const key = `${session} ${channel}`;
      const known = touched.get(key);
      if (known !== undefined) known.seqs.push(message.seq);
      else touched.set(key, { session, channel, seqs: [message.seq] });
    }
    await Promise.all([...touched.values()].map(({ session, channel, seqs }) => {
      if (this.#parts.session(session) !== undefined) return this.take(session, channel);
      nodes?.tellRedriven(session, channel, seqs);
    }));
    metrics.redriven += letters.length;
    return letters;
  }

  /** Has a session take over what was put back; a failure is tried again. Never rejects. */
  async take(key: string, channel: string): Promise<void> {
    const { context: { metrics }, session: find } = this.#parts;
    const session = find(key);
    if (session === undefined) return;
    try {
      await session.takeRedriven(channel);
      this.#waiting.get(session)?.delete(channel);
    } catch {
      metrics.commitErrors++;
      if (find(key) !== session) return;
      const channels = this.#waiting.get(session) ?? new Set();
      this.#waiting.set(session, channels.add(channel));
    }
  }

  /** A session is not this node's any more: whoever has it loads its position anew. */
  forget(session: Session): void {
    this.#waiting.delete(session);
  }

  /** Tries again what failed. */
  async sweep(): Promise<void> {
    for (const [session, channels] of this.#waiting) {
      const isKnown = this.#parts.session(session.key) === session;
      if (channels.size === 0 || !isKnown) this.#waiting.delete(session);
      else for (const channel of channels) await this.take(session.key, channel);
    }
  }
}
