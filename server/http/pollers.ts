import { type Code, type ConnectedFrame, PushError } from "@push/client/protocol";
import { type Cancel, randomId } from "../clock.ts";
import type { Hub } from "../hub.ts";
import { hashSecret } from "../policy.ts";
import type { Session } from "../session.ts";
import { LongPollConnection } from "../transports/longpoll.ts";

/** One long-poller. */
export interface Poller {
  readonly session: Session;
  readonly connection: LongPollConnection;
}

/** How a session is attached to a poller's connection. */
export type AttachPoller = (connection: LongPollConnection) => Promise<{
  readonly session: Session;
  readonly frame?: ConnectedFrame;
  start?(): void;
}>;

interface Entry extends Poller {
  /** Sweeps that found it without a request. */
  idleSweeps: number;
  /** Requests under way. */
  busy: number;
  /** Why it has ended, if it has: its connection may be taken while it is being attached. */
  readonly fate: { ended: Code | "normal" | undefined };
}

/** How long a poller may go without a request before its connection counts as lost. */
const SHORTEST_LINGER = 60_000;
const SWEEPS_PER_LINGER = 6;

/**
 * The long-pollers of one gateway, by the hash of their tokens: a poll token is 128 random bits, and
 * nothing that is kept lets anyone make it up.
 */
export class Pollers {
  readonly #hub: Hub;
  readonly #entries = new Map<string, Entry>();
  #sweeping: Cancel | undefined;
  #active = 0;

  /** @param hub whose sessions are polled */
  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /** Milliseconds without a request after which a poller's connection counts as lost. */
  get linger(): number {
    return Math.max(2 * this.#hub.context.settings.polling.longPollTimeout, SHORTEST_LINGER);
  }

  /** Pollers that may poll. */
  get size(): number {
    return this.#active;
  }

  /** Begins a poller; returns its token. */
  async register(
    attach: AttachPoller,
  ): Promise<{ token: string; poller: Poller; frame?: ConnectedFrame; start?(): void }> {
    const { clock, turn, settings, random, metrics } = this.#hub.context;
    if (this.size >= settings.limits.maxConnections) {
      throw new PushError("too_many_connections");
    }
    const token = randomId(random);
    const hash = hashSecret(token);
    const terms = { clock, turn, maxBatchSize: settings.polling.maxBatchSize };
    const fate: Entry["fate"] = { ended: undefined };
    const connection = new LongPollConnection(terms, (code) => {
      metrics.count(metrics.closed, code);
      fate.ended = code;
      this.#active--;
    });
    this.#active++;
    const { session, frame, start } = await this.#attach(attach, connection);
    metrics.count(metrics.connections, connection.transport);
    const entry: Entry = { session, connection, idleSweeps: 0, busy: 0, fate };
    this.#entries.set(hash, entry);
    this.#sweeping ??= this.#scheduleSweep();
    return { token, poller: entry, frame, start };
  }

  /** Attaches a session; a connection that gets none is closed. */
  async #attach(attach: AttachPoller, connection: LongPollConnection): ReturnType<AttachPoller> {
    try {
      return await attach(connection);
    } catch (error) {
      connection.close("normal");
      throw error;
    }
  }

  /**
   * Runs a request of a poller.
   *
   * @throws {PushError} `unknown_session` if there is no such token; why it was ended, if it was
   */
  async request<T>(token: string, handle: (poller: Poller) => Promise<T> | T): Promise<T> {
    const entry = this.#find(hashSecret(token));
    const { ended } = entry.fate;
    if (ended !== undefined) throw new PushError(ended === "normal" ? "unknown_session" : ended);
    entry.busy++;
    entry.idleSweeps = 0;
    this.#hub.presence.seen(entry.session);
    try {
      return await handle(entry);
    } finally {
      entry.busy--;
    }
  }

  /**
   * Ends a poller on its client's wish.
   *
   * @throws {PushError} `unknown_session` if there is no such token
   */
  async unregister(token: string, forget: boolean): Promise<void> {
    const hash = hashSecret(token);
    const entry = this.#find(hash);
    this.#entries.delete(hash);
    await this.#hub.detach(entry.session, entry.connection, forget ? "forget" : "left");
    entry.connection.close("normal");
  }

  /** Stops its timer. */
  stop(): void {
    this.#sweeping?.();
    this.#sweeping = undefined;
    this.#entries.clear();
  }

  #find(hash: string): Entry {
    const entry = this.#entries.get(hash);
    if (entry === undefined) throw new PushError("unknown_session", "The poll token is not known.");
    return entry;
  }

  #scheduleSweep(): Cancel {
    return this.#hub.context.clock.schedule(this.linger / SWEEPS_PER_LINGER, () => {
      for (const [hash, entry] of this.#entries) this.#sweep(hash, entry);
      this.#sweeping = this.#entries.size > 0 ? this.#scheduleSweep() : undefined;
    });
  }

  #sweep(hash: string, entry: Entry): void {
    // Whoever waits for an answer lives.
    if (entry.busy > 0) return this.#hub.presence.seen(entry.session);
    if (++entry.idleSweeps <= SWEEPS_PER_LINGER) return;
    this.#entries.delete(hash);
    this.#hub.detach(entry.session, entry.connection, "lost");
    entry.connection.close("idle_timeout");
  }
}
