import type { Cancel } from "../clock.ts";
import type { HubContext } from "../context.ts";
import type { Session } from "./session.ts";

/** What positions are written behind with. */
export interface WriteBehindParts {
  readonly context: HubContext;
  /** The session of this key that has a connection of this node. */
  attached(key: string): Session | undefined;
}

/** Milliseconds in which changes gather. */
const DELAY = 500;

/**
 * Stores positions soon after they changed, those of many sessions at once, and keeps a session
 * without a connection until the store knows everything of it.
 */
export class WriteBehind {
  readonly #parts: WriteBehindParts;
  readonly #changed = new Set<Session>();
  /** Sessions without a connection, of which the store does not know everything yet. */
  readonly #unsaved = new Map<string, Session>();
  #timer: Cancel | undefined;
  #flushing = false;
  #stopped = false;

  /** @param parts whose positions */
  constructor(parts: WriteBehindParts) {
    this.#parts = parts;
  }

  /** The session of this key that has no connection, if the store does not know everything of it. */
  unsaved(key: string): Session | undefined {
    return this.#unsaved.get(key);
  }

  /** The session of this key, if its positions are in this node's memory. */
  known(key: string): Session | undefined {
    return this.#parts.attached(key) ?? this.#unsaved.get(key);
  }

  /** Positions of a session are to be stored soon. */
  changed(session: Session): void {
    if (this.known(session.key) !== session) return;
    this.#changed.add(session);
    if (this.#flushing || this.#stopped) return;
    this.#flushing = true;
    this.#timer = this.#parts.context.clock.schedule(DELAY, async () => {
      await this.flush();
      this.#flushing = false;
      // What could not be stored is tried again.
      for (const waiting of this.#changed) this.changed(waiting);
    });
  }

  /** Stores the positions of a session without a connection; keeps it until that has worked. */
  async store(session: Session): Promise<void> {
    const { key } = session;
    // From here on: where it stays in memory, it must hear of what is put back meanwhile.
    if (this.#parts.attached(key) === undefined) this.#unsaved.set(key, session);
    await session.flush();
    if (this.#unsaved.get(key) !== session) return;
    if (session.isUnsaved) this.changed(session);
    else this.#unsaved.delete(key);
  }

  /** Stores everything that changed. Never rejects. */
  async flush(): Promise<void> {
    const changed = [...this.#changed];
    this.#changed.clear();
    await Promise.all(changed.map((session) => session.flush()));
    for (const [key, session] of this.#unsaved) {
      if (!session.isUnsaved) this.#unsaved.delete(key);
    }
  }

  /** A session is claimed for another connection. */
  claimed(key: string): void {
    this.#unsaved.delete(key);
  }

  /** A session is not this node's any more. */
  forget(session: Session): void {
    if (this.#unsaved.get(session.key) === session) this.#unsaved.delete(session.key);
    this.#changed.delete(session);
  }

  /** Begins no write by itself any more. */
  drain(): void {
    this.#stopped = true;
  }

  /** Stops its timer. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.();
  }
}
