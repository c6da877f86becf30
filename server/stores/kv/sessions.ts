import type { Recorded } from "./committer.ts";
import { keyOf, TABLES } from "./keys.ts";
import { encodeSession } from "./records.ts";
import { deleteRecord, setRecord, type Unit } from "./unit.ts";
import type { MemoryChannels } from "../memory/channels.ts";
import { type MemorySession, MemorySessions } from "../memory/sessions.ts";
import type { Tally } from "../memory/tally.ts";
import type { Claim, Claimed } from "../store.ts";
import type { MemoryLog } from "../memory/log.ts";

/** What is told of sessions that change. */
export interface SessionHost {
  /** Number that nothing was called by. */
  nextId(): number;
  /** A session has begun, changed or ended. */
  sessionChanged(session: MemorySession): void;
  /** A position of a session has ended. */
  moved(session: MemorySession, log: MemoryLog): void;
}

/** Who holds a session. */
type Holder = Pick<
  MemorySession,
  "generation" | "previous" | "holder" | "instance" | "attempt" | "ttl"
>;

/** Who held a session before claims that the file does not have yet. */
interface Before {
  /** `undefined` where there was no session. */
  readonly holder: Holder | undefined;
  readonly isDetached: boolean;
}

/** A session that was taken over in memory. */
export interface Taken {
  /** The file has it. */
  done(): void;
  /** It could not be written: whoever held the session before does so again. */
  undo(now: number): void;
}

/** Every session of one KV store: what the memory store does with them, written down. */
export class KvSessions extends MemorySessions {
  readonly #host: SessionHost;
  readonly #before = new Map<MemorySession, Before>();

  /** @param host what is told of sessions */
  constructor(channels: MemoryChannels, tally: Tally, host: SessionHost) {
    super(channels, tally);
    this.#host = host;
  }

  /** Gives a session to who asks for it, or says why not. */
  override claim(claim: Claim, maxSessions: number, now: number): Claimed {
    const found = this.find(claim.key, now);
    const before = { holder: found && holderOf(found), isDetached: found?.isDetached ?? false };
    const claimed = super.claim(claim, maxSessions, now);
    if (claimed.ok) {
      const session = this.get(claim.key)!;
      if (session.id === 0) session.id = this.#host.nextId();
      if (!this.#before.has(session)) this.#before.set(session, before);
      this.#host.sessionChanged(session);
    }
    return claimed;
  }

  /** A claim that was just made, until the file has it. */
  taken(key: string): Taken | undefined {
    const session = this.get(key);
    if (session === undefined) return undefined;
    const holder = holderOf(session);
    const isNewest = () =>
      this.get(key) === session && session.generation === holder.generation &&
      this.#before.has(session);
    return {
      done: () => {
        if (isNewest()) this.#before.delete(session);
        else if (this.#before.has(session)) {
          this.#before.set(session, { holder, isDetached: false });
        }
      },
      undo: (now) => {
        if (isNewest()) this.#giveBack(session, now);
      },
    };
  }

  #giveBack(session: MemorySession, now: number): void {
    const { holder, isDetached } = this.#before.get(session)!;
    this.#before.delete(session);
    if (holder === undefined) return this.end(session, now);
    Object.assign(session, holder);
    if (isDetached) this.release(session, now);
    else this.#host.sessionChanged(session);
  }

  /** The session has no connection since now. */
  override release(session: MemorySession, now: number): void {
    super.release(session, now);
    this.#host.sessionChanged(session);
  }

  /** Ends a session and its positions. */
  override end(session: MemorySession, now: number): void {
    // Before its positions: without it they count for nothing.
    this.#host.sessionChanged(session);
    this.#before.delete(session);
    super.end(session, now);
  }

  /** Forgets one position of a session. */
  override forget(session: MemorySession, channel: string, now: number): void {
    const log = session.positions.get(channel)?.log;
    super.forget(session, channel, now);
    if (log !== undefined) this.#host.moved(session, log);
  }
}

/** A session as it is in the file. */
export class KvSessionRecord implements Recorded {
  readonly #session: MemorySession;
  readonly #isAlive: () => boolean;
  readonly #onWritten: (chunks: number) => void;
  #chunks: number;

  /**
   * @param chunks values that it has in the file
   * @param isAlive whether the session has not ended
   * @param onWritten hears in how many values it is
   */
  constructor(
    session: MemorySession,
    chunks: number,
    isAlive: () => boolean,
    onWritten: (chunks: number) => void,
  ) {
    this.#session = session;
    this.#chunks = chunks;
    this.#isAlive = isAlive;
    this.#onWritten = onWritten;
  }

  /** Writes it, or deletes it once it has ended. */
  write(unit: Unit): boolean {
    const { id, key, generation, instance, attempt, ttl, secretHash } = this.#session;
    const place = keyOf(TABLES.session, id);
    let chunks = 0;
    if (this.#isAlive()) {
      const { isDetached } = this.#session;
      // Of one that is attached these would be made for it.
      const detached = isDetached
        ? { since: this.#session.byAbsence.key, endsAt: this.#session.byEnd.key }
        : undefined;
      const line = { key, generation, instance, attempt, ttl, secretHash, detached };
      chunks = setRecord(unit, place, encodeSession(line), { chunks: this.#chunks });
    } else {
      deleteRecord(unit, place, Math.max(this.#chunks, 1));
    }
    unit.onDone(() => {
      this.#chunks = chunks;
      this.#onWritten(chunks);
    });
    return false;
  }
}

function holderOf(session: MemorySession): Holder {
  const { generation, previous, holder, instance, attempt, ttl } = session;
  return { generation, previous, holder, instance, attempt, ttl };
}
