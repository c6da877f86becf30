import { type Code, type ConnectedFrame, PushError } from "@push/client/protocol";
import { type Cancel, randomId } from "../clock.ts";
import { harmless } from "../harmless.ts";
import type { Hub } from "../hub.ts";
import { hashSecret } from "../access/secrets.ts";
import type { Session } from "../session/session.ts";
import {
  LongPollConnection,
  type PollTerms as LongPollTerms,
  pollTerms,
} from "../transports/longpoll.ts";
import { PollEntry, type PollEntryParts, type Poller, type PollFate } from "./poll_entry.ts";
import {
  attachOrClose,
  isReplaced,
  MAX_TRIES,
  PollMoves,
  unknownToken,
  wantedElsewhere,
} from "./poll_moves.ts";
import { PollRecords, type PollTerms } from "./poll_records.ts";
import { PollTelling } from "./poll_telling.ts";

export type { Poller } from "./poll_entry.ts";

/** A session attached to a poller's connection. */
export interface PollAttached {
  readonly session: Session;
  /** What it was attached with. */
  readonly terms: PollTerms;
  readonly frame?: ConnectedFrame;
  start?(): void;
}

/** How a session is attached to a poller's connection. */
export type AttachPoller = (
  connection: LongPollConnection,
  token: string,
) => Promise<PollAttached>;

/** How a request is handled. */
export interface PollOptions {
  /** Whether it may change which channels the poller is subscribed to. */
  readonly subscribes?: boolean;
  /** False for a part of a request: whether the poller is here, and may ask, was seen to. */
  readonly verifies?: boolean;
  /** Whether it asks for messages. */
  readonly polls?: boolean;
  /** Characters of what was sent. */
  readonly size?: number;
}

/** How long a poller may go without a request before its connection counts as lost. */
const SHORTEST_LINGER = 60_000;
const SWEEPS_PER_LINGER = 6;
/** Other nodes remember a poller for so many lingers: longer than it may be without a request. */
const RECORD_LINGERS = 2;

/**
 * The long-pollers of one gateway, by the hash of their tokens: a poll token is 128 random bits, and
 * nothing that is kept lets anyone make it up.
 *
 * Where nodes share sessions, a request may reach any of them: what is needed to go on with a poller
 * is kept for all, and the node that a request reaches takes the session from the one that had it.
 */
export class Pollers {
  readonly #hub: Hub;
  readonly #terms: LongPollTerms;
  readonly #entries = new Map<string, PollEntry>();
  readonly #records: PollRecords | undefined;
  readonly #telling: PollTelling | undefined;
  readonly #moves: PollMoves | undefined;
  #sweeping: Cancel | undefined;
  #active = 0;

  /** @param hub whose sessions are polled */
  constructor(hub: Hub) {
    this.#hub = hub;
    const { clock, turn, settings: { polling, limits }, store: { cluster } } = hub.context;
    this.#terms = pollTerms({ ...limits, clock, turn, maxBatchSize: polling.maxBatchSize });
    if (cluster?.sharesSessions) {
      this.#records = new PollRecords(cluster, RECORD_LINGERS * this.linger);
      this.#telling = new PollTelling(this.#records);
      this.#moves = new PollMoves(hub, this.#records, {
        present: (hash) => this.#entries.get(hash),
        connect: () => this.#connect(undefined),
        add: (hash, parts) => this.#add(hash, parts),
      });
    }
  }

  /** Milliseconds without a request after which a poller's connection counts as lost. */
  get linger(): number {
    return Math.max(2 * this.#hub.context.settings.polling.longPollTimeout, SHORTEST_LINGER);
  }

  /** Whether any node can go on with a poller. */
  get isShared(): boolean {
    return this.#records !== undefined;
  }

  /** Pollers that may poll. */
  get size(): number {
    return this.#active;
  }

  /**
   * Begins a poller; returns its token.
   *
   * @param address where it comes from
   */
  async register(
    attach: AttachPoller,
    address: string | undefined,
  ): Promise<{ token: string; poller: Poller; frame?: ConnectedFrame }> {
    const token = randomId(this.#hub.context.random);
    this.#hub.context.limits.connections.check(address);
    const [connection, fate] = this.#connect(address);
    const attached = await attachOrClose(connection, () => harmless(attach(connection, token)));
    const { metrics } = this.#hub.context;
    metrics.count(metrics.connections, connection.transport);
    const { session, frame, terms } = attached;
    // What was refused for that is told as what it is, not of the channels one by one.
    if (fate.ended !== undefined) throw endOf(fate.ended);
    const entry = this.#add(hashSecret(token), { session, connection, terms, fate });
    // Nothing leaves before the first poll, and other nodes are to know of the subscriptions.
    attached.start?.();
    try {
      await this.#telling?.tell(entry);
    } catch (error) {
      this.#entries.delete(entry.hash);
      await this.#hub.detach(session, connection, "lost");
      connection.close("normal");
      throw error;
    }
    return { token, poller: entry, frame };
  }

  /**
   * Runs a request of a poller; again, if another node takes the poller meanwhile and the request
   * cannot be answered for that.
   *
   * @throws {PushError} `unknown_session` if there is no such token; why it was ended, if it was
   */
  async request<T>(
    token: string,
    handle: (poller: Poller) => Promise<T> | T,
    { subscribes = false, verifies = true, polls = false, size = 0 }: PollOptions = {},
  ): Promise<T> {
    const { limits } = this.#hub.context;
    const hash = hashSecret(token);
    for (let tries = 1;; tries++) {
      // Without waiting where nobody else can have it: requests are begun in the order they came.
      let entry = this.#entries.get(hash) ?? await this.#come(hash);
      if (verifies && tries === 1) limits.checkRequest(entry.frames, entry.polls, polls, size);
      if (verifies && this.#moves !== undefined) entry = await this.#moves.verified(entry);
      if (entry.fate.ended === undefined) this.#hub.look(entry.session);
      const { ended } = entry.fate;
      const mayRetry = tries < MAX_TRIES;
      // Another node has taken it since: only the store can say that somebody else has its session.
      if (ended === "replaced" && this.isShared) {
        if (mayRetry) continue;
        throw wantedElsewhere();
      }
      if (ended !== undefined) throw endOf(ended);
      if (verifies && entry.told === undefined) this.#telling?.tell(entry).catch(() => {});
      entry.busy++;
      entry.idleSweeps = 0;
      this.#hub.presence.seen(entry.session);
      try {
        if (!subscribes) return await handle(entry);
        const changed = await entry.session.during(this.#change(entry, handle));
        if (changed !== undefined) return changed.result;
      } catch (error) {
        if (!isReplaced(error)) throw error;
        if (!this.#hasMoved(entry)) throw endOf(entry.fate.ended ?? "replaced");
      } finally {
        entry.busy--;
      }
      if (!mayRetry) throw wantedElsewhere();
    }
  }

  /**
   * Ends a poller on its client's wish.
   *
   * @throws {PushError} `unknown_session` if there is no such token
   */
  async unregister(token: string, forget: boolean): Promise<void> {
    const hash = hashSecret(token);
    const known = this.#entries.get(hash) ?? await this.#come(hash);
    const entry = await this.#moves?.verified(known) ?? known;
    const { session, connection } = entry;
    // A node that is taking it meanwhile hears so, and ends the session.
    await this.#records?.end(hash, { forgets: forget });
    this.#entries.delete(hash);
    await this.#hub.detach(session, connection, forget ? "forget" : "left");
    connection.close("normal");
  }

  /** A poller's client has another token: other nodes are to know. What fails is tried again. */
  async changed(poller: Poller): Promise<void> {
    if (poller instanceof PollEntry) await this.#telling?.tell(poller).catch(() => {});
  }

  /** Stops its timers. */
  stop(): void {
    this.#sweeping?.();
    this.#sweeping = undefined;
    this.#entries.clear();
    this.#moves?.stop();
  }

  /** A connection without a session. */
  #connect(address: string | undefined): [connection: LongPollConnection, fate: PollFate] {
    const { metrics, limits: { connections } } = this.#hub.context;
    const place = connections.enter(address);
    const fate: PollFate = { ended: undefined, onEnd: undefined, onBarred: undefined, place };
    const connection = new LongPollConnection(this.#terms, (code) => {
      metrics.count(metrics.closed, code);
      fate.ended = code;
      this.#active--;
      connections.leave(place);
      fate.onEnd?.();
    }, () => fate.onBarred?.());
    this.#active++;
    return [connection, fate];
  }

  #add(hash: string, parts: PollEntryParts): PollEntry {
    const entry = new PollEntry(hash, parts, this.#hub.context.limits);
    this.#entries.set(hash, entry);
    this.#sweeping ??= this.#scheduleSweep();
    if (this.isShared) {
      const end = () => this.#ended(entry);
      if (entry.fate.ended === undefined) entry.fate.onEnd = end;
      else end();
      // A node that takes it later must not take up the channel again.
      entry.fate.onBarred = () => void this.#telling?.tell(entry).catch(() => {});
    }
    return entry;
  }

  /** A connection was closed; where nodes share sessions, the next request may take it up again. */
  #ended({ hash, holder, session, connection, fate: { ended } }: PollEntry): void {
    if (ended === "normal" || ended === "idle_timeout") return;
    // Whoever was revoked goes on at no node.
    if (ended === "token_invalid" || ended === "unknown_session") {
      this.#entries.delete(hash);
      this.#records?.end(hash, { forgets: ended === "unknown_session" }).catch(() => {});
      return;
    }
    const { flights } = session;
    if (flights.size > 0) this.#records?.keepFlights(holder, flights).catch(() => {});
    // Requests of one that drains are sent away.
    if (ended === "going_away" || this.#entries.get(hash)?.connection !== connection) return;
    this.#entries.delete(hash);
  }

  /** The poller of a token that this node does not have. */
  #come(hash: string): Promise<PollEntry> {
    return this.#moves?.come(hash) ?? Promise.reject(unknownToken());
  }

  /**
   * Runs what changes subscriptions, and tells other nodes of them.
   *
   * @returns nothing if another node has the poller by now, which then may not know of the change
   */
  async #change<T>(
    entry: PollEntry,
    handle: (poller: Poller) => Promise<T> | T,
  ): Promise<{ readonly result: T } | undefined> {
    const result = await handle(entry);
    if (this.#hasMoved(entry)) return undefined;
    if (this.#telling === undefined) return { result };
    const isKnown = await this.#telling.tellChanges(entry);
    return isKnown && await this.#isHere(entry) ? { result } : undefined;
  }

  /** Whether the poller is this node's still, as the store says. */
  async #isHere(entry: PollEntry): Promise<boolean> {
    if (this.#hasMoved(entry)) return false;
    return entry.fate.ended !== undefined || await harmless(this.#hub.holds(entry.session));
  }

  /** Whether the poller goes on elsewhere, or with another connection. */
  #hasMoved(entry: PollEntry): boolean {
    return this.isShared && entry.fate.ended !== undefined &&
      this.#entries.get(entry.hash) !== entry;
  }

  #scheduleSweep(): Cancel {
    return this.#hub.context.clock.schedule(this.linger / SWEEPS_PER_LINGER, () => {
      for (const entry of this.#entries.values()) this.#sweep(entry);
      this.#sweeping = this.#entries.size > 0 ? this.#scheduleSweep() : undefined;
    });
  }

  #sweep(entry: PollEntry): void {
    const { session, connection, hash, holder } = entry;
    this.#telling?.sweep(entry);
    // Whoever waits for an answer lives.
    if (entry.busy > 0) return this.#hub.presence.seen(session);
    if (connection.isStreaming) {
      this.#hub.presence.seen(session);
      // So does, as far as anybody can tell, whoever has a stream open and nothing to say…
      if (!session.isAwaited) entry.idleSweeps = 0;
      // …while one that leaves messages unanswered shows it by opening another: to a client that
      // has gone without a word nothing is to be sent in vain until it is given up.
      else if (++entry.idleSweeps > SWEEPS_PER_LINGER) {
        entry.idleSweeps = 0;
        connection.endStream();
      }
      return;
    }
    if (++entry.idleSweeps <= SWEEPS_PER_LINGER) return;
    this.#entries.delete(hash);
    this.#hub.detach(session, connection, this.#isOver(entry) ? "left" : "lost");
    connection.close("idle_timeout");
    this.#records?.drop(hash, holder).catch(() => {});
  }

  /**
   * Whether a session ends with its poller. Where nodes share sessions, such a one has a time to
   * live, too, but only for another node to take it from one that died.
   */
  #isOver({ session }: PollEntry): boolean {
    return this.isShared && session.wire === "fixed" && !session.owner.named;
  }
}

/** What the client of an ended connection is told. */
function endOf(ended: Code | "normal"): PushError {
  return new PushError(ended === "normal" ? "unknown_session" : ended);
}
