import type { MemoryChannels } from "./memory_channels.ts";
import { Heap, HeapEntry } from "./memory_heap.ts";
import type { Position } from "./memory_position.ts";
import type { Tally } from "./memory_tally.ts";
import type { Claim, Claimed } from "./store.ts";

/** A session: who holds it, until when it lives, and where it stands. */
export class MemorySession {
  /** Key of the session. */
  readonly key: string;
  /** Hash of the secret of a minted client id. */
  readonly secretHash: string | undefined;
  /** Positions by channel. */
  readonly positions: Map<string, Position> = new Map();
  /** Number of the newest claim. */
  generation = 0;
  /** Client object that holds or last held it, and with which attempt. */
  instance = "";
  attempt = 0;
  /** Milliseconds that it outlives its connection. */
  ttl = 0;
  /** Place among the detached sessions by the time of their end. */
  readonly byEnd: HeapEntry<MemorySession> = new HeapEntry<MemorySession>(this);
  /** Place among the detached sessions by the time since when they are. */
  readonly byAbsence: HeapEntry<MemorySession> = new HeapEntry<MemorySession>(this);

  /** @param secretHash hash of its secret, if it has one */
  constructor(key: string, secretHash: string | undefined) {
    this.key = key;
    this.secretHash = secretHash;
  }

  /** Whether no connection holds it. */
  get isDetached(): boolean {
    return this.byEnd.index >= 0;
  }
}

/** Every session of one memory store. */
export class MemorySessions {
  readonly #channels: MemoryChannels;
  readonly #tally: Tally;
  readonly #sessions = new Map<string, MemorySession>();
  readonly #byEnd = new Heap<MemorySession>();
  readonly #byAbsence = new Heap<MemorySession>();
  // One for all sessions, so that a session that ended and began anew does not repeat a number.
  #generation = 0;

  /** @param channels where positions are taken out when a session ends */
  constructor(channels: MemoryChannels, tally: Tally) {
    this.#channels = channels;
    this.#tally = tally;
  }

  /** How many there are. */
  get size(): number {
    return this.#sessions.size;
  }

  /** A living session. */
  find(key: string, now: number): MemorySession | undefined {
    const session = this.#sessions.get(key);
    if (session === undefined || !session.isDetached || session.byEnd.key > now) return session;
    this.end(session, now);
  }

  /** A living session, if `generation` is its newest. */
  held(key: string, generation: number, now: number): MemorySession | undefined {
    const session = this.find(key, now);
    return session?.generation === generation ? session : undefined;
  }

  /** Gives a session to who asks for it, or says why not. */
  claim(claim: Claim, maxSessions: number, now: number): Claimed {
    const found = this.find(claim.key, now);
    if (found === undefined) {
      if (claim.existing) return { ok: false, reason: "unknown" };
      if (!this.#makeRoom(maxSessions, now)) return { ok: false, reason: "full" };
    } else {
      if (found.secretHash !== claim.secretHash) return { ok: false, reason: "bad_secret" };
      if (found.instance === claim.instance && claim.attempt <= found.attempt) {
        return { ok: false, reason: "replaced" };
      }
    }
    const session = found ?? new MemorySession(claim.key, claim.secretHash);
    this.#sessions.set(claim.key, session);
    this.#byEnd.remove(session.byEnd);
    this.#byAbsence.remove(session.byAbsence);
    session.generation = ++this.#generation;
    session.instance = claim.instance;
    session.attempt = claim.attempt;
    session.ttl = claim.ttl;
    return {
      ok: true,
      generation: session.generation,
      resumed: found !== undefined,
      channels: [...session.positions.keys()],
    };
  }

  /** The session has no connection since now. */
  release(session: MemorySession, now: number): void {
    if (session.ttl <= 0) return this.end(session, now);
    if (session.isDetached) return;
    this.#byEnd.set(session.byEnd, now + session.ttl);
    this.#byAbsence.set(session.byAbsence, now);
  }

  /** Ends a session and its positions. */
  end(session: MemorySession, now: number): void {
    this.#sessions.delete(session.key);
    this.#byEnd.remove(session.byEnd);
    this.#byAbsence.remove(session.byAbsence);
    for (const channel of session.positions.keys()) this.forget(session, channel, now);
  }

  /** Forgets one position of a session. */
  forget(session: MemorySession, channel: string, now: number): void {
    const position = session.positions.get(channel);
    if (position === undefined) return;
    session.positions.delete(channel);
    position.log.remove(position);
    this.#channels.settle(position.log, now);
  }

  /** Ends the sessions whose time is over. */
  sweep(now: number): void {
    while (this.#byEnd.size > 0 && this.#byEnd.first!.key <= now) {
      this.end(this.#byEnd.first!.item, now);
    }
  }

  #makeRoom(maxSessions: number, now: number): boolean {
    this.sweep(now);
    while (this.size >= maxSessions) {
      const absent = this.#byAbsence.first?.item;
      if (absent === undefined) return false;
      this.end(absent, now);
      this.#tally.sessionsForgotten++;
    }
    return true;
  }
}
