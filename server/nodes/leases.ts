import type { HubContext } from "../context.ts";
import type { Session } from "../session/session.ts";
import type { Renewed } from "../stores/store.ts";

/** Whose sessions are kept. */
export interface LeasesHost {
  readonly context: HubContext;
  /** Sessions that have a connection. */
  attached(): Iterable<Session>;
  /** A session is not this node's any more. */
  fenced(session: Session): void;
  /** Nobody has a session: it is over in the store, or the store has lost it. */
  lost(session: Session): void;
  /** Something was put back into a session's position that it has not loaded. */
  redriven(session: Session, channel: string): void;
}

interface Ending {
  readonly generation: number;
  readonly how: "release" | "end";
}

/** Sessions of one renewal. */
const SLICE = 500;

/** Keeps sessions that have a connection, and lets go of those that have none. */
export class Leases {
  readonly #host: LeasesHost;
  /** What the store has not answered yet. */
  readonly #endings = new Map<string, Ending>();
  readonly #doubted = new Set<Session>();

  /** @param host whose sessions */
  constructor(host: LeasesHost) {
    this.#host = host;
  }

  /** Tells the store of every session that has a connection, and learns which are lost. */
  async renew(): Promise<void> {
    const { store, clock, metrics } = this.#host.context;
    const sessions = [...this.#host.attached()];
    for (let at = 0; at < sessions.length; at += SLICE) {
      const slice = new Map<string, { readonly session: Session; readonly generation: number }>();
      for (const session of sessions.slice(at, at + SLICE)) {
        const { key, generation } = session;
        slice.set(key, { session, generation });
      }
      const asked = Array.from(slice, ([key, { generation }]) => ({ key, generation }));
      try {
        const renewed = await store.renew(asked, clock.now());
        for (const each of renewed) this.#heed(each, slice.get(each.key));
      } catch {
        metrics.clusterErrors++;
      }
    }
  }

  /** The store has refused something that a session asked for: finds out who has it now. */
  async doubt(session: Session): Promise<void> {
    if (this.#doubted.has(session)) return;
    this.#doubted.add(session);
    try {
      await this.holds(session);
    } catch {
      // The next renewal tells.
      this.#host.context.metrics.clusterErrors++;
    } finally {
      this.#doubted.delete(session);
    }
  }

  /**
   * Whether a session that has a connection is this node's, as the store says.
   *
   * @throws {PushError} as the store
   */
  async holds(session: Session): Promise<boolean> {
    const { store, clock } = this.#host.context;
    const { key, generation } = session;
    const renewed = await store.renew([{ key, generation }], clock.now());
    for (const each of renewed) this.#heed(each, { session, generation });
    return renewed.every(({ held }) => held);
  }

  /** Releases or ends a session; what fails is tried again with each sweep. */
  async end(session: Session, how: "release" | "end"): Promise<void> {
    const { key, generation } = session;
    const ending = { generation, how };
    this.#endings.set(key, ending);
    await this.#ask(key, ending);
  }

  /** The session has been claimed anew: what was to be done with it is void. */
  claimed(key: string): void {
    this.#endings.delete(key);
  }

  /** Asks again for what was not answered. */
  async sweep(): Promise<void> {
    const endings = [...this.#endings];
    for (let at = 0; at < endings.length; at += SLICE) {
      const slice = endings.slice(at, at + SLICE);
      const answered = await Promise.all(slice.map(([key, ending]) => this.#ask(key, ending)));
      // The store is away: the others would fail, too.
      if (!answered.includes(true)) return;
    }
  }

  async #ask(key: string, ending: Ending): Promise<boolean> {
    if (this.#endings.get(key) !== ending) return true;
    const { store, clock, metrics } = this.#host.context;
    try {
      await store[ending.how](key, ending.generation, clock.now());
    } catch {
      metrics.commitErrors++;
      return false;
    }
    if (this.#endings.get(key) === ending) this.#endings.delete(key);
    return true;
  }

  #heed(
    { held, lost, redriven }: Renewed,
    asked: { readonly session: Session; readonly generation: number } | undefined,
  ): void {
    // It may have been claimed anew here meanwhile.
    if (asked === undefined || asked.session.generation !== asked.generation) return;
    if (lost) return this.#host.lost(asked.session);
    if (!held) return this.#host.fenced(asked.session);
    for (const channel of redriven) this.#host.redriven(asked.session, channel);
  }
}
