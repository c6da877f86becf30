import { type Json, PushError } from "@push/client/protocol";
import { Channel, type Published } from "./channel.ts";
import { type Cancel, type Clock, type RandomBytes, randomId } from "./clock.ts";
import type { HubContext, HubEvents } from "./context.ts";
import type { Wire } from "./entry.ts";
import { Metrics } from "./metrics.ts";
import { Presence } from "./presence.ts";
import { type FlowState, Session, type SessionHost, type SessionOwner } from "./session.ts";
import type { PushSettings } from "./options/settings.ts";
import type {
  ChannelRecord,
  Claimed,
  DeadLetter,
  DeadLetterQuery,
  Store,
  StoreStats,
} from "./stores/store.ts";
import type { Connection } from "./transports/connection.ts";
import { Turn } from "./turn.ts";
import { TimingWheel } from "./wheel.ts";

/** Who attaches, and on what terms. */
export interface AttachRequest {
  /** Subject of the token. */
  readonly subject: string;
  /** Client id that the application gave. */
  readonly name?: string;
  /** Client id that the gateway minted earlier, and the hash of its secret. */
  readonly minted?: { readonly clientId: string; readonly secretHash: string };
  /** Client object that asks; a random one if it has none. */
  readonly instance?: string;
  /** Which of the instance's attempts this is. */
  readonly attempt?: number;
  /** Milliseconds that the session outlives its connection. */
  readonly ttl: number;
  /** Frames that the connection understands. */
  readonly wire: Wire;
}

/** A session attached to a connection. */
export interface Attached {
  readonly session: Session;
  /** Whether a stored session goes on. */
  readonly resumed: boolean;
}

/** Parts that a hub is made of. */
export interface HubParts {
  readonly settings: PushSettings;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly events?: HubEvents;
}

const FLUSH_DELAY = 500;
const SWEEP_INTERVAL = 2_000;
const IDLE_CHANNEL = 5_000;
const DRAIN_WAVE = 1000;
const DRAIN_PAUSE = 50;

/**
 * The middle of a gateway: channels, sessions and the connections that hold them, and the one path
 * that a message takes from a publisher through the log to its subscribers.
 */
export class Hub implements SessionHost {
  /** What its parts share. */
  readonly context: HubContext;
  /** Who is present. */
  readonly presence: Presence;
  readonly #channels = new Map<string, Channel>();
  readonly #sessions = new Map<string, Session>();
  /** Sessions without a connection, of which the store does not know everything yet. */
  readonly #unsaved = new Map<string, Session>();
  /** Attaching and detaching of one session take turns. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #changed = new Set<Session>();
  readonly #timers = new Set<Cancel>();
  #flushing = false;
  #stopped = false;

  /** @param parts what it is made of; the store must be open */
  constructor(parts: HubParts) {
    const { settings, store, clock, random } = parts;
    const step = Math.min(Math.max(settings.delivery.ackTimeout / 16, 5), 250);
    this.context = {
      settings,
      store,
      clock,
      random,
      turn: new Turn(clock),
      wheel: new TimingWheel(clock, step),
      metrics: new Metrics(),
      events: parts.events ?? {},
    };
    this.presence = new Presence(this.context);
    this.#every(SWEEP_INTERVAL, () => this.#sweep());
  }

  /** Sessions that have a connection. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** The channel of this name on this node. */
  channel(name: string): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new Channel(name, this.context);
      this.#channels.set(name, channel);
    }
    return channel;
  }

  /**
   * Gives a connection its session: a new one, or the one that its client had before.
   *
   * @throws {PushError} `replaced` if a newer attempt of the same instance holds it, `bad_secret`,
   *   `unknown_session` for a minted id that has ended, `too_many_sessions`, `going_away`; as the
   *   store
   */
  attach(request: AttachRequest, connection: Connection): Promise<Attached> {
    const { random } = this.context;
    const named = request.name !== undefined;
    const clientId = request.name ?? request.minted?.clientId ?? randomId(random);
    const key = `${named ? "n" : "m"}:${clientId}:${request.subject}`;
    const owner = { key, subject: request.subject, clientId, named };
    return this.#inTurn(key, () => this.#attach(owner, request, connection));
  }

  /**
   * Takes a session from its connection. Does nothing if another connection holds it by now.
   *
   * @param how `lost` if the connection broke; `left` if the client went on purpose: an unnamed
   *   session ends then; `forget` ends a named one too
   */
  detach(
    session: Session,
    connection: Connection,
    how: "lost" | "left" | "forget",
  ): Promise<void> {
    return this.#inTurn(session.key, () => this.#detach(session, connection, how));
  }

  /** A connection takes messages again. */
  drained(session: Session): void {
    this.context.turn.pump(session);
  }

  /**
   * Publishes as the embedding program, or for it over HTTP: nobody is left out.
   *
   * @param payload JSON text
   * @throws {PushError} as the store
   */
  async publish(
    name: string,
    payload: string,
    options: { id?: string; subject?: string },
  ): Promise<Published & { delivered: number }> {
    const channel = this.channel(name);
    const published = await channel.publish({
      id: options.id,
      subject: options.subject ?? "",
      origin: null,
      source: null,
      payload,
    });
    return { ...published, delivered: channel.liveCount };
  }

  /** Creates a channel; resolves to whether it is new. */
  create(name: string, metadata: { readonly [key: string]: Json }): Promise<boolean> {
    return this.context.store.create(name, metadata, this.context.clock.now());
  }

  /** All channels. */
  channels(): Promise<ChannelRecord[]> {
    return this.context.store.channels(this.context.clock.now());
  }

  /** Connections that a channel's messages flow to on this node. */
  subscribers(name: string): number {
    return this.#channels.get(name)?.liveCount ?? 0;
  }

  /** Dead letters, oldest first. */
  deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.context.store.deadLetters(query, this.context.clock.now());
  }

  /** Puts dead letters back into their subscriptions. */
  async redrive(query: DeadLetterQuery): Promise<DeadLetter[]> {
    const letters = await this.context.store.redrive(query, this.context.clock.now());
    // A session that is attached here holds its positions in memory.
    const touched = new Map<string, { session: string; channel: string; seqs: Set<number> }>();
    for (const { session, channel, message } of letters) {
      const key = `${session} ${channel}`;
      const known = touched.get(key);
      if (known !== undefined) known.seqs.add(message.seq);
      else touched.set(key, { session, channel, seqs: new Set([message.seq]) });
    }
    await Promise.all(
      [...touched.values()].map(({ session, channel, seqs }) =>
        (this.#sessions.get(session) ?? this.#unsaved.get(session))?.takeRedriven(channel, seqs)
      ),
    );
    this.context.metrics.redriven += letters.length;
    return letters;
  }

  /** What the store holds. */
  stats(): Promise<StoreStats> {
    return this.context.store.stats(this.context.clock.now());
  }

  /** See {@linkcode SessionHost.changed}. */
  changed(session: Session): void {
    this.#changed.add(session);
    if (this.#flushing || this.#stopped) return;
    this.#flushing = true;
    this.#after(FLUSH_DELAY, async () => {
      await this.#flush();
      this.#flushing = false;
      // What could not be stored is tried again.
      for (const waiting of this.#changed) this.changed(waiting);
    });
  }

  /** See {@linkcode SessionHost.fenced}. */
  fenced(session: Session): void {
    const { connection } = session;
    const held = this.#sessions.get(session.key) === session;
    if (held) this.#sessions.delete(session.key);
    if (this.#unsaved.get(session.key) === session) this.#unsaved.delete(session.key);
    session.suspend();
    if (held) this.presence.detach(session, false);
    connection?.close("replaced");
  }

  /** See {@linkcode SessionHost.flowing}. */
  flowing(session: Session, channel: string, state: FlowState): void {
    this.presence.flowing(session, channel, state);
  }

  /**
   * Closes every connection with `going_away`, a wave at a time so that they do not all come back in
   * the same moment, and stores every position.
   */
  async drain(): Promise<void> {
    this.#stopped = true;
    const sessions = [...this.#sessions.values()];
    for (let wave = 0; wave < sessions.length; wave += DRAIN_WAVE) {
      if (wave > 0) await new Promise<void>((resolve) => this.#after(DRAIN_PAUSE, resolve));
      await Promise.all(
        sessions.slice(wave, wave + DRAIN_WAVE).map((session) => this.#sendAway(session)),
      );
    }
    await this.#flush();
  }

  /** Stops every timer. Nothing may be called after it. */
  stop(): void {
    this.#stopped = true;
    this.presence.stop();
    this.context.wheel.stop();
    for (const channel of this.#channels.values()) channel.stop();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  async #sendAway(session: Session): Promise<void> {
    const { connection } = session;
    if (connection === undefined) return;
    connection.close("going_away");
    await this.detach(session, connection, "lost");
  }

  async #attach(
    owner: SessionOwner,
    request: AttachRequest,
    connection: Connection,
  ): Promise<Attached> {
    if (this.#stopped) throw new PushError("going_away");
    const { store, clock, random, settings, events } = this.context;
    const ttl = settings.delivery.enabled ? request.ttl : 0;
    const claimed = await store.claim({
      key: owner.key,
      instance: request.instance ?? randomId(random),
      attempt: request.attempt ?? 0,
      ttl,
      secretHash: request.minted?.secretHash,
    }, clock.now());
    if (!claimed.ok) throw refusal(claimed);
    const unsaved = claimed.resumed ? this.#unsaved.get(owner.key) : undefined;
    this.#unsaved.delete(owner.key);
    const present = this.#sessions.get(owner.key) ?? unsaved;
    const session = present ?? new Session(this, owner);
    const older = session.connection;
    session.generation = claimed.generation;
    session.ttl = ttl;
    session.attach(connection, request.wire, claimed.channels);
    this.#sessions.set(owner.key, session);
    if (older !== undefined) {
      events.detached?.(owner.clientId, older.transport);
      older.close("replaced");
    }
    this.presence.attach(session);
    events.attached?.(owner.clientId, connection.transport);
    return { session, resumed: claimed.resumed };
  }

  async #detach(
    session: Session,
    connection: Connection,
    how: "lost" | "left" | "forget",
  ): Promise<void> {
    if (session.connection !== connection) return;
    session.suspend();
    this.#sessions.delete(session.key);
    this.presence.detach(session, how !== "lost");
    const { store, clock, metrics, events } = this.context;
    events.detached?.(session.owner.clientId, connection.transport);
    const ends = how === "forget" || session.ttl === 0 || (how === "left" && !session.owner.named);
    try {
      if (ends) {
        await store.end(session.key, session.generation, clock.now());
      } else {
        await session.flush();
        if (session.isUnsaved) this.#unsaved.set(session.key, session);
        await store.release(session.key, session.generation, clock.now());
      }
    } catch {
      // The store ends a session that nobody renews.
      metrics.commitErrors++;
    }
  }

  /** Runs what concerns one session one after the other. */
  #inTurn<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key);
    const result = before === undefined ? task() : before.then(task, task);
    const done = result.then(() => {}, () => {}).then(() => {
      if (this.#turns.get(key) === done) this.#turns.delete(key);
    });
    this.#turns.set(key, done);
    return result;
  }

  async #flush(): Promise<void> {
    const changed = [...this.#changed];
    this.#changed.clear();
    await Promise.all(changed.map((session) => session.flush()));
    for (const [key, session] of this.#unsaved) {
      if (!session.isUnsaved) this.#unsaved.delete(key);
    }
  }

  async #sweep(): Promise<void> {
    const { store, clock, metrics } = this.context;
    const now = clock.now();
    for (const [name, channel] of this.#channels) {
      channel.sweep();
      if (channel.isIdle(now, IDLE_CHANNEL)) this.#channels.delete(name);
    }
    try {
      await store.sweep(now);
    } catch {
      metrics.commitErrors++;
    }
  }

  #after(delay: number, task: () => void | Promise<void>): void {
    const cancel = this.context.clock.schedule(delay, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
  }

  #every(interval: number, task: () => Promise<void>): void {
    this.#after(interval, async () => {
      await task();
      if (!this.#stopped) this.#every(interval, task);
    });
  }
}

function refusal(claimed: Claimed & { ok: false }): PushError {
  switch (claimed.reason) {
    case "replaced":
      return new PushError("replaced");
    case "bad_secret":
      return new PushError("bad_secret");
    case "unknown":
      return new PushError("unknown_session");
    case "full":
      return new PushError("too_many_sessions");
  }
}
