import type { MemoryChannels } from "./channels.ts";
import { Heap, HeapEntry } from "./heap.ts";
import type { Position } from "./position.ts";
import { type Subject, Subjects } from "./subjects.ts";
import type { Tally } from "./tally.ts";
import { SmallMap } from "../../small_map.ts";
import type { Claim, Claimed } from "../store.ts";

/** What a node that shares sessions with others holds them by. */
export interface NodeLease {
  /** The node. */
  readonly node: string;
  /** Milliseconds that it holds a session after each claim and renewal. */
  readonly lease: number;
}

/** A session: who holds it, until when it lives, and where it stands. */
export class MemorySession {
  /** Key of the session. */
  readonly key: string;
  /** Hash of the secret of a minted client id. */
  readonly secretHash: string | undefined;
  /** Number under which a store that writes sessions down has it; 0 if it has none. */
  id = 0;
  /** Positions by channel. */
  readonly positions: SmallMap<string, Position> = new SmallMap<string, Position>();
  /** Number of the newest claim, and of the one before it; 0 for none. */
  generation = 0;
  previous = 0;
  /** Connection that holds or last held it. */
  holder = "";
  /** Node of this connection, until it releases the session; empty where there are no nodes. */
  node = "";
  /** Client object that holds or last held it, and with which attempt. */
  instance = "";
  attempt = 0;
  /** Milliseconds that it outlives its connection. */
  ttl = 0;
  /** Whose it is, while it is one of the store's. */
  subject: Subject | undefined;
  // One that has a connection and no lease is in neither heap.
  #byEnd: HeapEntry<MemorySession> | undefined;
  #byAbsence: HeapEntry<MemorySession> | undefined;
  /** Place by the time when a lease ends, or the life of a detached session. */
  get byEnd(): HeapEntry<MemorySession> {
    return this.#byEnd ??= new HeapEntry<MemorySession>(this);
  }
  /** Place among the detached sessions of its subject by the time since when they are. */
  get byAbsence(): HeapEntry<MemorySession> {
    return this.#byAbsence ??= new HeapEntry<MemorySession>(this);
  }

  /** @param secretHash hash of its secret, if it has one */
  constructor(key: string, secretHash: string | undefined) {
    this.key = key;
    this.secretHash = secretHash;
  }

  /** Whether no connection holds it. */
  get isDetached(): boolean {
    return this.#byAbsence !== undefined && this.#byAbsence.index >= 0;
  }

  /** Whether its lease or its life has an end. */
  get hasEnd(): boolean {
    return this.#byEnd !== undefined && this.#byEnd.index >= 0;
  }
}

/** Every session of one memory store. */
export class MemorySessions {
  readonly #channels: MemoryChannels;
  readonly #tally: Tally;
  readonly #sessions = new Map<string, MemorySession>();
  readonly #byEnd = new Heap<MemorySession>();
  readonly #subjects = new Subjects();
  /** Sessions that may have redriven messages which their holders have not loaded. */
  readonly #withNews = new Set<MemorySession>();
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

  /** How many subjects have any. */
  get subjects(): number {
    return this.#subjects.size;
  }

  /** Highest number of a claim. */
  get generation(): number {
    return this.#generation;
  }

  /** A session that has not been ended, though its time may be over. */
  get(key: string): MemorySession | undefined {
    return this.#sessions.get(key);
  }

  /**
   * Takes in a session that was written down; later claims have higher numbers.
   *
   * @param detached since when it has no connection, and when it ends; left out if it is attached
   */
  restore(session: MemorySession, detached?: { since: number; endsAt: number }): void {
    const subject = this.#enter(session);
    this.skipTo(session.generation);
    if (detached === undefined) return;
    this.#byEnd.set(session.byEnd, detached.endsAt);
    subject.away.set(session.byAbsence, detached.since);
  }

  /** Gives no later claim a number at or below `generation`. */
  skipTo(generation: number): void {
    this.#generation = Math.max(this.#generation, generation);
  }

  /** Every session. */
  all(): IterableIterator<MemorySession> {
    return this.#sessions.values();
  }

  /** A living session. */
  find(key: string, now: number): MemorySession | undefined {
    const session = this.#sessions.get(key);
    if (session === undefined || !session.hasEnd || session.byEnd.key > now) return session;
    this.#age(session, now);
    return this.#sessions.get(key);
  }

  /** A living session, if `generation` is its newest. */
  held(key: string, generation: number, now: number): MemorySession | undefined {
    const session = this.find(key, now);
    return session?.generation === generation ? session : undefined;
  }

  /**
   * Gives a session to who asks for it, or says why not.
   *
   * @param by the node that asks, where nodes share sessions
   */
  claim(claim: Claim, maxSessions: number, now: number, by?: NodeLease): Claimed {
    const found = this.find(claim.key, now);
    if (found === undefined) {
      if (claim.existing || claim.from !== undefined) return { ok: false, reason: "unknown" };
      const refused = this.#makeRoom(claim, maxSessions, now);
      if (refused !== undefined) return { ok: false, reason: refused };
    } else {
      if (found.secretHash !== claim.secretHash) return { ok: false, reason: "bad_secret" };
      if (found.holder === claim.holder) {
        this.renew(found, now, by);
        return answer(found);
      }
      if (isStale(claim, found)) return { ok: false, reason: "replaced" };
      const { node, isDetached } = found;
      const isElsewhere = !isDetached && node !== "" && node !== by?.node;
      if (isElsewhere && !claim.force) return { ok: false, reason: "held", node };
    }
    const session = found ?? new MemorySession(claim.key, claim.secretHash);
    if (found === undefined) this.#enter(session);
    session.previous = session.generation;
    session.generation = ++this.#generation;
    session.holder = claim.holder;
    session.instance = claim.instance;
    session.attempt = claim.attempt;
    session.ttl = claim.ttl;
    session.node = by?.node ?? "";
    this.#attach(session, now, by);
    return answer(session);
  }

  /** Keeps the lease of a node that holds a session; one that is over goes on. */
  renew(session: MemorySession, now: number, by: NodeLease | undefined): void {
    if (by !== undefined && session.node === by.node) this.#attach(session, now, by);
  }

  /** Something was put back that the session's holder has not loaded. */
  addNews(session: MemorySession): void {
    this.#withNews.add(session);
  }

  /** Channels with redriven messages that the session's holder has not loaded. */
  newsOf(session: MemorySession): string[] {
    if (!this.#withNews.has(session)) return [];
    const news = [...session.positions].filter(([, { unseen }]) => unseen.length > 0);
    if (news.length === 0) this.#withNews.delete(session);
    return news.map(([channel]) => channel);
  }

  /** The session has no connection since now. */
  release(session: MemorySession, now: number): void {
    session.node = "";
    if (session.ttl <= 0) return this.end(session, now);
    if (session.isDetached) return;
    this.#byEnd.set(session.byEnd, now + session.ttl);
    session.subject?.away.set(session.byAbsence, now);
  }

  /** Ends a session and its positions. */
  end(session: MemorySession, now: number): void {
    this.#sessions.delete(session.key);
    this.#withNews.delete(session);
    if (session.hasEnd) this.#byEnd.remove(session.byEnd);
    const { subject } = session;
    if (subject !== undefined) {
      if (session.isDetached) subject.away.remove(session.byAbsence);
      session.subject = undefined;
      this.#subjects.leave(subject);
    }
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

  /** Releases the sessions whose lease is over, and ends those whose time is. */
  sweep(now: number): void {
    while (this.#byEnd.size > 0 && this.#byEnd.first!.key <= now) {
      this.#age(this.#byEnd.first!.item, now);
    }
  }

  /** A connection has it, for as long as its node's lease lasts. */
  #attach(session: MemorySession, now: number, by: NodeLease | undefined): void {
    if (session.isDetached) session.subject?.away.remove(session.byAbsence);
    if (by !== undefined) this.#byEnd.set(session.byEnd, now + by.lease);
    else if (session.hasEnd) this.#byEnd.remove(session.byEnd);
  }

  /** Makes of a session whose time is over what it has been since. */
  #age(session: MemorySession, now: number): void {
    if (!session.isDetached) {
      const { node, byEnd } = session;
      this.release(session, byEnd.key);
      // Unlike after a release, the node may go on with it.
      session.node = node;
    }
    if (session.isDetached && session.byEnd.key <= now) this.end(session, now);
  }

  #enter(session: MemorySession): Subject {
    this.#sessions.set(session.key, session);
    return session.subject = this.#subjects.enter(session.key);
  }

  /** Finds room for a new session among those of its subject alone; says why there is none. */
  #makeRoom(
    { key, most = Infinity }: Claim,
    maxSessions: number,
    now: number,
  ): "full" | "subject_full" | undefined {
    this.sweep(now);
    const subject = this.#subjects.find(key);
    const overOwn = (subject?.size ?? 0) - most + 1;
    const over = Math.max(overOwn, this.size - maxSessions + 1);
    // Nothing goes where that would not be enough.
    if (over > 0 && over > (subject?.awaySize ?? 0)) return overOwn > 0 ? "subject_full" : "full";
    for (let i = 0; i < over; i++) {
      this.end(subject!.away.first!.item, now);
      this.#tally.sessionsForgotten++;
    }
  }
}

/** Whether a claim comes too late, by what it says of who held the session before. */
function isStale({ from, instance, attempt }: Claim, session: MemorySession): boolean {
  const isSame = session.instance === instance && session.attempt === attempt;
  if (from !== undefined) return from !== session.holder && !isSame;
  return instance === session.instance && attempt <= session.attempt;
}

function answer({ generation, previous, positions }: MemorySession): Claimed {
  return {
    ok: true,
    generation,
    previous,
    resumed: previous > 0,
    channels: [...positions.keys()],
  };
}
