import { type Code, type Json, PushError } from "@push/client/protocol";
import { Authorization } from "./access/authorization.ts";
import { Guard } from "./access/guard.ts";
import { Slices } from "./slices.ts";
import { ANONYMOUS, type Identity } from "./access/identity.ts";
import type { Channel, Published } from "./channel/channel.ts";
import { Channels } from "./channel/channels.ts";
import { Claims, type Granted } from "./nodes/claims.ts";
import { type Cancel, type Clock, type RandomBytes, randomId } from "./clock.ts";
import type { HubContext, HubEvents } from "./context.ts";
import { harmless, mayBeDoneAgain } from "./harmless.ts";
import { Audit } from "./logging/audit.ts";
import { type Log, silentLog } from "./logging/log.ts";
import type { Wire } from "./channel/entry.ts";
import { Heads } from "./channel/heads.ts";
import { Leases } from "./nodes/leases.ts";
import { Limits } from "./limits/limits.ts";
import { Metrics } from "./metrics.ts";
import { Handover } from "./nodes/handover.ts";
import { Nodes } from "./nodes/nodes.ts";
import { Reauthorizing, type Whom } from "./nodes/reauthorizing.ts";
import { Presence } from "./presence/presence.ts";
import type { Publish, PublishResult } from "./session/publisher.ts";
import { Redrives } from "./session/redrives.ts";
import { Revocations } from "./nodes/revocations.ts";
import { Roster } from "./nodes/roster.ts";
import { type FlowState, Session, type SessionHost, type SessionOwner } from "./session/session.ts";
import type { PushSettings } from "./options/settings.ts";
import type { Stop } from "./stores/cluster.ts";
import { sessionKey } from "./stores/session_key.ts";
import type {
  ChannelRecord,
  Claim,
  DeadLetter,
  DeadLetterQuery,
  Store,
  StoreStats,
} from "./stores/store.ts";
import type { Connection } from "./transports/connection.ts";
import { Turn } from "./turn.ts";
import { TimingWheel } from "./wheel.ts";
import { WriteBehind } from "./session/write_behind.ts";

/** Who attaches, and on what terms. */
export interface AttachRequest {
  /** Who asks. */
  readonly identity: Identity;
  /** Client id that the application gave. */
  readonly name?: string;
  /** Client id that the gateway minted earlier, and the hash of its secret. */
  readonly minted?: { readonly clientId: string; readonly secretHash: string };
  /** Client object that asks; a random one if it has none. */
  readonly instance?: string;
  /** Which of the instance's attempts this is. */
  readonly attempt?: number;
  /** When the client asked for it, in Unix milliseconds. Default now. */
  readonly since?: number;
  /** Milliseconds that the session outlives its connection. */
  readonly ttl: number;
  /** Frames that the connection understands. */
  readonly wire: Wire;
  /**
   * Holder of an earlier claim that this connection goes on for (see {@linkcode Session.holder}), or
   * for another one of the same instance and attempt.
   */
  readonly from?: string;
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
  /** Where it tells what happens; nowhere by default. */
  readonly log?: Log;
  /** Who may do what. By default there is no rule. */
  readonly authorization?: Authorization;
}

const SWEEP_INTERVAL = 2_000;
/** Milliseconds between two comparisons of the heads of followed channels with the store. */
const COMPARE_INTERVAL = 3_000;
/** Milliseconds between two renewals of attached sessions, where a lease lasts long enough. */
const RENEW_INTERVAL = 5_000;
const DRAIN_WAVE = 1000;
const DRAIN_PAUSE = 50;
/** Milliseconds that a stop waits, in all, for a store that does not answer… */
const DRAIN_PATIENCE = 10_000;
/** …and for an embedding program that does not say what those may do who are attaching. */
const DECISION_PATIENCE = 2_000;

/**
 * The middle of a gateway: channels, sessions and the connections that hold them, and the one path
 * that a message takes from a publisher through the log to its subscribers.
 */
export class Hub implements SessionHost {
  /** What its parts share. */
  readonly context: HubContext;
  /** Who is present. */
  readonly presence: Presence;
  /** Which tokens, subjects and clients are void. */
  readonly revocations: Revocations;
  readonly #channels: Channels;
  /** Sessions that have a connection. */
  readonly #sessions = new Map<string, Session>();
  readonly #writes: WriteBehind;
  /** Attaching and detaching of one session take turns. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #claims: Claims;
  /** Keys of sessions that are being claimed. */
  readonly #claiming = new Set<string>();
  readonly #leases: Leases;
  readonly #nodes: Nodes | undefined;
  readonly #redrives: Redrives;
  readonly #heads: Heads;
  readonly #reauthorizing: Reauthorizing;
  readonly #guard: Guard;
  readonly #handover: Handover;
  #stopListening: Stop | undefined;
  readonly #timers = new Set<Cancel>();
  #stopped = false;
  /** Whether the store failed when it was last looked at. */
  #degraded = false;

  /** @param parts what it is made of; the store must be open */
  constructor(parts: HubParts) {
    const { settings, store, clock, random, log = silentLog(parts.clock) } = parts;
    const step = Math.min(Math.max(settings.delivery.ackTimeout / 16, 5), 250);
    const { cluster } = store;
    const metrics = new Metrics();
    const failed = () => void metrics.clusterErrors++;
    this.context = {
      settings,
      store,
      clock,
      random,
      turn: new Turn(clock, settings.flushInterval),
      slices: new Slices(clock),
      wheel: new TimingWheel(clock, step),
      metrics,
      limits: new Limits({
        settings: settings.limits,
        clock,
        store,
        isInUse: (channel) => this.#channels.has(channel),
      }),
      events: parts.events ?? {},
      authorization: parts.authorization ?? new Authorization({ clock, log }),
      log,
      audit: new Audit(log),
      ...(cluster === undefined ? {} : { roster: new Roster({ cluster, clock, failed }) }),
    };
    this.#channels = new Channels(this.context);
    this.#writes = new WriteBehind({
      context: this.context,
      attached: (key) => this.#sessions.get(key),
    });
    this.#leases = new Leases({
      context: this.context,
      attached: () => this.#sessions.values(),
      fenced: (session) => this.#fenced(session),
      lost: (session) => void this.#inTurn(session.key, () => this.#restore(session)),
      redriven: (session, channel) => void this.#redrives.take(session.key, channel),
    });
    this.#handover = this.#makeHandover();
    this.#nodes = cluster && new Nodes({ cluster, clock, random }, this.#handover);
    this.#claims = new Claims(this.context, this.#nodes);
    this.#redrives = new Redrives({
      context: this.context,
      nodes: this.#nodes,
      session: (key) => this.#writes.known(key),
    });
    this.#heads = new Heads(this.context, () => this.#channels.all());
    this.presence = new Presence(this.context);
    this.#reauthorizing = new Reauthorizing({
      context: this.context,
      attached: () => this.#sessions.values(),
      leave: (session, connection) => this.#leave(session, connection, "unavailable"),
      unsaved: (key) => this.#writes.unsaved(key),
      inTurn: (key, task) => this.#inTurn(key, task),
    });
    this.revocations = new Revocations({ store, clock, failed });
    this.#guard = new Guard({
      context: this.context,
      revocations: this.revocations,
      attached: () => this.#sessions.values(),
      dismiss: (session, why, how) => this.#dismiss(session, why, how),
    });
    this.#every(SWEEP_INTERVAL, () => this.#sweep());
  }

  /**
   * Learns what is revoked, and begins to listen to the other nodes, if there are any.
   *
   * @throws {PushError} as the store
   */
  async start(): Promise<void> {
    const { store: { cluster }, roster } = this.context;
    if (cluster === undefined) return await this.revocations.start();
    this.#stopListening = await cluster.listen({
      rows: (node, version, changes) => roster?.rows(node, version, changes),
      note: (from, note) => {
        if (this.revocations.hear(note) || this.#reauthorizing.hear(note)) return;
        this.#nodes?.hear(from, note);
      },
      lapse: () => {
        this.revocations.look();
        this.#reauthorizing.lapse();
        roster?.lapse();
        this.#heads.compare();
        this.#leases.renew();
      },
    });
    // What is revoked while this is read, a note tells.
    await this.revocations.start();
    await roster?.start();
    if (this.#stopped) return this.#stopListening();
    this.#every(COMPARE_INTERVAL, () => this.#heads.compare());
    this.#every(Math.min(RENEW_INTERVAL, cluster.lease / 3), () => this.#leases.renew());
  }

  /** Sessions that have a connection. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** The channel of this name on this node. */
  channel(name: string): Channel {
    return this.#channels.get(name);
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
    const clientId = request.name ?? request.minted?.clientId ?? randomId(random);
    const owner = ownerOf(request.identity.subject, clientId, request.name !== undefined);
    return this.#inTurn(owner.key, () => this.#attach(owner, request, connection));
  }

  /**
   * Ends the session of a client that the application named, and its positions, whichever node has it.
   *
   * @throws {PushError} as the store
   */
  async forget(subject: string, clientId: string): Promise<void> {
    const owner = ownerOf(subject, clientId, true);
    await harmless(this.#inTurn(owner.key, () => this.#forget(owner)));
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

  /**
   * Whether a session is still this node's, as the store says; its connection is closed if not.
   *
   * @throws {PushError} as the store
   */
  async holds(session: Session): Promise<boolean> {
    if (await this.#leases.holds(session)) return true;
    if (this.#sessions.get(session.key) !== session) return false;
    // The store has lost it, and it is being begun anew.
    await this.#inTurn(session.key, () => Promise.resolve());
    return this.#sessions.get(session.key) === session;
  }

  /**
   * The client of a session has shown other rights than before: what it may not do any more ends. Its
   * connection is closed where that cannot be found out. Never rejects.
   */
  async identify(session: Session, identity: Identity): Promise<void> {
    session.identity = identity;
    this.#guard.watch(session);
    // It may have been revoked before it was this session's.
    this.#guard.look(session);
    await this.#reauthorizing.check(session);
  }

  /**
   * Rights may have changed: those of attached sessions are asked for anew, on all nodes. Resolves
   * once that is done on this one.
   *
   * @throws {PushError} as the store, if the other nodes could not be told
   */
  reauthorize(whom: Whom): Promise<void> {
    return this.#reauthorizing.reauthorize(whom);
  }

  /** Closes the connection of a session at once whose identity counts no more. */
  look(session: Session): void {
    this.#guard.look(session);
  }

  /** A connection takes messages again. */
  drained(session: Session): void {
    this.context.turn.pump(session);
  }

  /** A connection takes messages again of which it had more than left at once. */
  goesOn(session: Session): void {
    this.context.turn.goOn(session);
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
    const { id, subject } = options;
    const { outcomes, delivered } = await this.publishAll(name, [{ payload, id }], subject);
    const [published] = outcomes;
    if (published instanceof PushError) throw published;
    return { ...published, delivered };
  }

  /**
   * Publishes several messages in a channel in the same way, in this order; each has its own outcome.
   *
   * @param subject whose publish ids they have
   * @throws {PushError} if none could be stored
   */
  async publishAll(
    name: string,
    publishes: readonly Publish[],
    subject = "",
  ): Promise<PublishResult> {
    const admitted = this.context.limits.channels.admit(name);
    if (admitted !== undefined) await admitted;
    const drafts = publishes.map(({ payload, id }) => ({
      id,
      subject,
      origin: null,
      source: null,
      payload,
    }));
    const outcomes = await this.channel(name).publish(drafts);
    return { outcomes, delivered: this.subscribers(name) };
  }

  /** Creates a channel; resolves to whether it is new. */
  async create(name: string, metadata: { readonly [key: string]: Json }): Promise<boolean> {
    await this.context.limits.channels.admit(name);
    return await this.context.store.create(name, metadata, this.context.clock.now());
  }

  /** All channels. */
  channels(): Promise<ChannelRecord[]> {
    return this.context.store.channels(this.context.clock.now());
  }

  /** Connections of all nodes that a channel's messages flow to. */
  subscribers(name: string): number {
    return this.#channels.subscribers(name);
  }

  /** Dead letters, oldest first. */
  deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.context.store.deadLetters(query, this.context.clock.now());
  }

  /** Puts dead letters back into their subscriptions. */
  redrive(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.#redrives.redrive(query);
  }

  /** What the store holds. */
  stats(): Promise<StoreStats> {
    return this.context.store.stats(this.context.clock.now());
  }

  /** See {@linkcode SessionHost.changed}. */
  changed(session: Session): void {
    this.#writes.changed(session);
  }

  /** See {@linkcode SessionHost.fenced}. */
  fenced(session: Session): void {
    this.#leases.doubt(session);
  }

  /** See {@linkcode SessionHost.unsure}. */
  unsure(session: Session): void {
    this.#drop(session, "unavailable");
    this.#leases.end(session, "release");
  }

  /** See {@linkcode SessionHost.refusal}. */
  refusal({ owner, askedAt }: Session, identity: Identity): PushError | undefined {
    return this.#guard.refusal(identity, owner, askedAt);
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
    this.#writes.drain();
    const sessions = [...this.#sessions.values()];
    const late = new Promise<void>((resolve) => this.#after(DRAIN_PATIENCE, resolve));
    this.#after(DECISION_PATIENCE, () => this.context.authorization.stop());
    for (let wave = 0; wave < sessions.length; wave += DRAIN_WAVE) {
      if (wave > 0) await new Promise<void>((resolve) => this.#after(DRAIN_PAUSE, resolve));
      const away = sessions.slice(wave, wave + DRAIN_WAVE).map((each) => this.#sendAway(each));
      await Promise.race([Promise.all(away), late]);
    }
    // Who was attaching is sent away, and who left has left, before the store is closed.
    await Promise.race([Promise.all(this.#turns.values()), late]);
    await Promise.race([this.#writes.flush(), late]);
    await this.context.roster?.leave();
  }

  /** Stops every timer. Nothing may be called after it. */
  stop(): void {
    this.#stopped = true;
    this.#stopListening?.();
    this.#nodes?.stop();
    this.#handover.stop();
    this.#heads.stop();
    this.context.roster?.stop();
    this.presence.stop();
    this.revocations.stop();
    this.#guard.stop();
    this.context.authorization.stop();
    this.context.wheel.stop();
    this.context.turn.stop();
    this.context.slices.stop();
    this.#channels.stop();
    this.#writes.stop();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  async #sendAway(session: Session): Promise<void> {
    const { connection } = session;
    if (connection !== undefined) await this.#leave(session, connection, "going_away");
  }

  /** Ends the connection of a session whose client may not go on with it. */
  #dismiss(session: Session, why: PushError, how: "lost" | "forget"): void {
    const { connection } = session;
    if (connection === undefined) return;
    const { owner: { subject, clientId } } = session;
    this.context.audit.identityRefused(why.code, { subject, clientId });
    // Nothing more is sent from here on, and what was acknowledged up to now is stored.
    this.detach(session, connection, how).catch(() => {});
    connection.close(why.code, why.message);
  }

  /** Closes a connection of this node; its client comes back. */
  async #leave(session: Session, connection: Connection, code: Code): Promise<void> {
    connection.close(code);
    await this.detach(session, connection, "lost");
  }

  async #attach(
    owner: SessionOwner,
    request: AttachRequest,
    connection: Connection,
  ): Promise<Attached> {
    if (this.#stopped) throw new PushError("going_away");
    const { clock, random, settings } = this.context;
    const holder = randomId(random);
    const claim = {
      key: owner.key,
      holder,
      // Who has none is never there twice.
      instance: request.instance ?? holder,
      attempt: request.attempt ?? 0,
      ttl: settings.delivery.enabled ? request.ttl : 0,
      secretHash: request.minted?.secretHash,
      most: this.#mostOf(owner),
      from: request.from,
    };
    const askedAt = request.since ?? clock.now();
    const { identity } = request;
    // Who may not have it takes it from nobody.
    const refusal = this.#guard.refusal(identity, owner, askedAt);
    if (refusal !== undefined) throw refusal;
    const held = this.#sessions.get(owner.key);
    const terms = held?.claim;
    // Whoever guesses a secret takes nothing, and must not use up what its holder may do.
    const isTakeover = terms !== undefined && terms.instance !== claim.instance &&
      terms.secretHash === claim.secretHash;
    if (isTakeover) this.context.limits.checkTakeover(owner.key);
    this.#claiming.add(owner.key);
    try {
      const claimed = await this.#claims.claim(claim, askedAt);
      const attached = this.#hold(owner, claim, claimed, request, connection);
      attached.session.askedAt = askedAt;
      const { session } = attached;
      // It may have been revoked meanwhile; from here on the guard sees it.
      const revoked = this.#guard.refusal(identity, owner, askedAt);
      if (revoked !== undefined) {
        await this.#detach(session, connection, "lost");
        throw revoked;
      }
      this.#guard.watch(session);
      if (!session.permits.isFree) {
        await session.weed(connection).catch(async (error) => {
          await this.#detach(session, connection, "lost");
          throw error;
        });
      }
      if (!this.#stopped) return attached;
      // The drain did not see it.
      await this.#detach(attached.session, connection, "lost");
      throw new PushError("going_away");
    } catch (error) {
      mayBeDoneAgain(error);
    } finally {
      this.#claiming.delete(owner.key);
    }
  }

  async #forget(owner: SessionOwner): Promise<void> {
    const { key } = owner;
    const { clock, random, store: { cluster } } = this.context;
    const [holder, instance] = [randomId(random), randomId(random)];
    this.#claiming.add(key);
    try {
      // One that is begun for this would take the place of another's; but where each node has sessions
      // of its own, the others hear of it by that.
      const existing = cluster?.sharesSessions !== false;
      const most = this.#mostOf(owner);
      const claim = { key, holder, instance, attempt: 0, ttl: 0, existing, most };
      const claimed = await this.#claims.claim(claim, clock.now()).catch((error: unknown) => {
        if (error instanceof PushError && error.code === "unknown_session") return undefined;
        throw error;
      });
      if (claimed === undefined) return;
      const session = this.#sessionOf(owner, claimed);
      session.generation = claimed.generation;
      await this.#leases.end(session, "end");
    } finally {
      this.#claiming.delete(key);
    }
  }

  /** Most sessions of a subject. Whoever has no subject of its own shares one with all the others. */
  #mostOf({ subject }: SessionOwner): number | undefined {
    const { maxSessionsPerSubject } = this.context.settings.limits;
    return subject === ANONYMOUS ? undefined : maxSessionsPerSubject;
  }

  /** Gives a connection the session that was claimed for it. */
  #hold(
    owner: SessionOwner,
    claim: Claim,
    claimed: Granted,
    { wire, identity }: AttachRequest,
    connection: Connection,
  ): Attached {
    const { events } = this.context;
    this.#leases.claimed(owner.key);
    const unended = this.#reauthorizing.away.gone(owner.key);
    const session = this.#sessionOf(owner, claimed);
    session.owes(unended);
    const older = session.connection;
    session.generation = claimed.generation;
    session.holder = claim.holder;
    session.ttl = claim.ttl;
    session.identity = identity;
    session.claim = claim.from === undefined ? claim : { ...claim, from: undefined };
    session.attach(connection, wire, claimed.channels);
    this.#sessions.set(owner.key, session);
    if (session.isUnsaved) this.#writes.changed(session);
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
    this.context.events.detached?.(session.owner.clientId, connection.transport);
    const ends = how === "forget" || session.ttl === 0 || (how === "left" && !session.owner.named);
    if (ends) return await this.#leases.end(session, "end");
    this.#reauthorizing.away.left(session);
    await this.#writes.store(session);
    await this.#leases.end(session, "release");
  }

  /** The session of a claim: the one in memory only if nobody had it since. */
  #sessionOf(owner: SessionOwner, { previous }: Granted): Session {
    const known = this.#writes.known(owner.key);
    this.#writes.claimed(owner.key);
    if (known?.generation === previous) return known;
    if (known !== undefined) this.#drop(known, "replaced");
    return new Session(this, owner);
  }

  /** Another node or connection holds a session now. */
  #fenced(session: Session): void {
    // The newer claim may be this node's own, whose answer is under way.
    if (this.#claiming.has(session.key)) return;
    this.#drop(session, "replaced");
  }

  /**
   * The store has lost a session: it begins anew, under the same connection. Never rejects. Where that
   * fails for now the next renewal finds it lost again; where the outcome is not known, or another has
   * had it meanwhile, the client has to come back, as what it holds may be another's.
   */
  async #restore(session: Session): Promise<void> {
    const { key } = session;
    const { claim } = session;
    if (this.#sessions.get(key) !== session || claim === undefined) {
      if (this.#writes.known(key) === session) this.#drop(session, "unavailable");
      return;
    }
    this.#claiming.add(key);
    try {
      // The store may have gone back to a claim that this connection went on for.
      const again = { ...claim, from: claim.holder };
      const { generation, previous, channels } = await this.#claims.claim(claim, session.askedAt)
        .catch((error: unknown) => {
          if (!(error instanceof PushError && error.code === "replaced")) throw error;
          return this.#claims.claim(again, session.askedAt);
        });
      // What an older claim of this connection's client had left is none of another's.
      const isOthers = previous > session.generation;
      session.generation = generation;
      if (isOthers) return this.unsure(session);
      await session.restore(channels);
    } catch (error) {
      this.context.metrics.clusterErrors++;
      const code = error instanceof PushError ? error.code : undefined;
      if (code === "replaced") this.#drop(session, "replaced");
      else if (code !== "unavailable") this.unsure(session);
    } finally {
      this.#claiming.delete(key);
    }
  }

  /** Lets go of a session that is not this node's any more. */
  #drop(session: Session, code: "replaced" | "unavailable"): void {
    const { connection, key } = session;
    const held = this.#sessions.get(key) === session;
    if (held) this.#sessions.delete(key);
    session.suspend();
    if (code === "unavailable") this.#reauthorizing.away.left(session);
    this.#writes.forget(session);
    this.#redrives.forget(session);
    if (connection === undefined) return;
    if (held) this.presence.detach(session, false);
    this.context.events.detached?.(session.owner.clientId, connection.transport);
    connection.close(code);
  }

  /** What other nodes may ask for. */
  #makeHandover(): Handover {
    return new Handover({
      context: this.context,
      writes: this.#writes,
      leases: this.#leases,
      attached: (key) => this.#sessions.get(key),
      fenced: (session) => this.#fenced(session),
      drop: (session) => this.#drop(session, "replaced"),
      redriven: (key, channel) => void this.#redrives.take(key, channel),
      inTurn: (key, task) => this.#inTurn(key, task),
    });
  }

  /** Runs what concerns one session one after the other. */
  #inTurn<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key);
    const result = before === undefined ? task() : before.then(task, task);
    const end = () => {
      if (this.#turns.get(key) === done) this.#turns.delete(key);
    };
    const done = result.then(end, end);
    this.#turns.set(key, done);
    return result;
  }

  async #sweep(): Promise<void> {
    const { store, clock, metrics } = this.context;
    this.#channels.sweep();
    this.context.limits.sweep();
    await this.#leases.sweep();
    await this.#redrives.sweep();
    let failure: unknown;
    try {
      await store.sweep(clock.now());
    } catch (error) {
      failure = error;
      metrics.commitErrors++;
    }
    this.#look(failure);
  }

  /** Tells when the store begins to fail, and when it is well again. */
  #look(failure: unknown): void {
    const { store: { name, trouble }, log } = this.context;
    const isDegraded = trouble !== undefined || failure !== undefined;
    if (isDegraded === this.#degraded) return;
    this.#degraded = isDegraded;
    if (!isDegraded) log.write("store.back", { store: name });
    else if (trouble !== undefined) log.write("store.degraded", { store: name, detail: trouble });
    else log.failure("store.degraded", failure, { store: name });
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

function ownerOf(subject: string, clientId: string, named: boolean): SessionOwner {
  const key = sessionKey({ named, clientId, subject });
  // No client id has a number sign: the last one is where the subject ends.
  const publicName = subject === ANONYMOUS ? clientId : `${subject}#${clientId}`;
  return { key, subject, clientId, publicName, named };
}
