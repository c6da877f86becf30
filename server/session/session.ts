import {
  type EpochFrame,
  type GapFrame,
  parseEventId,
  PushError,
  type Ranges,
  RangeSet,
  type Start,
} from "@push/client/protocol";
import type { Identity } from "../access/identity.ts";
import { Forbidden, Permits } from "../access/permits.ts";
import type { Channel } from "../channel/channel.ts";
import type { HubContext } from "../context.ts";
import { DeliveryCursor } from "./cursor.ts";
import type { Wire } from "../channel/entry.ts";
import type { Flight, Flights } from "./flight.ts";
import type { PublishGate } from "../limits/publishes.ts";
import { Positions, type PositionsHolder } from "./positions.ts";
import { type Publish, Publisher, type PublisherHolder, type PublishResult } from "./publisher.ts";
import { Returned, type ReturnedHolder } from "./returned.ts";
import { Rights, type RightsHolder } from "./rights.ts";
import { clip, explicitCursor, freshCursor, isExplicit, takePosition } from "./starts.ts";
import type { Claim, Cursor, DeadLetter, Era } from "../stores/store.ts";
import { type Subscriber, Subscription } from "./subscription.ts";
import type { Connection } from "../transports/connection.ts";
import type { Pumped } from "../turn.ts";
import { SmallMap } from "../small_map.ts";
import { Turns } from "./turns.ts";

/** Who a session belongs to. */
export interface SessionOwner {
  /** Key in the store; tells (subject, client id) pairs apart. */
  readonly key: string;
  /** Subject of the token. */
  readonly subject: string;
  /** Client id, as its own subject says it. */
  readonly clientId: string;
  /** What others see it as: no subject can take a name that another one has. */
  readonly publicName: string;
  /** Whether the application named the client. */
  readonly named: boolean;
}

/** What a subscription does for presence. */
export type FlowState = "flows" | "paused" | "ended";

/** What a session needs of its hub. */
export interface SessionHost {
  readonly context: HubContext;
  /** The channel of this name on this node. */
  channel(name: string): Channel;
  /** Connections of all nodes that a channel's messages flow to. */
  subscribers(name: string): number;
  /** Says that positions are to be stored soon. */
  changed(session: Session): void;
  /** The store refuses what the session asks for: somebody else holds it now, or nobody does. */
  fenced(session: Session): void;
  /** What the store has of the session is not known: it goes on from there with a new connection. */
  unsure(session: Session): void;
  /** Why what a session's client asked for may not be done any more; `undefined` if it may. */
  refusal(session: Session, identity: Identity): PushError | undefined;
  /** Messages of a channel flow to the session, pause until it has a connection, or have ended. */
  flowing(session: Session, channel: string, state: FlowState): void;
}

/** Answer to a subscribe. */
export interface Subscribed {
  /** Whether this connection was not subscribed before. */
  readonly ok: boolean;
  readonly epoch: string;
  /** Epochs whose numbers go on in this one. */
  readonly earlier: Era[];
  /** The first delivery comes after this number. */
  readonly seq: number;
  /** Whether a stored position goes on. */
  readonly stored: boolean;
  /** Lets messages flow; called once the answer is on its way. */
  start(): void;
}

/** A position of which nothing is known but that there was one. */
const LOST: Cursor = { epoch: "lost", floor: 0, sent: 0, own: 0, settled: [], late: [] };

/** One client's subscriptions and positions, and the connection that holds them at present. */
export class Session
  implements Subscriber, PositionsHolder, RightsHolder, PublisherHolder, ReturnedHolder, Pumped {
  /** Who it belongs to. */
  readonly owner: SessionOwner;
  /** What its client may do. */
  readonly permits: Permits;
  /** Milliseconds that it outlives its connection. */
  ttl = 0;
  /** Grows with each takeover; stale writes are refused. */
  generation = 0;
  /** Unix milliseconds at which its connection began to ask for it. */
  askedAt = 0;
  /** Random id of the claim that it is held by. */
  holder = "";
  /** What it was claimed with. */
  claim: Claim | undefined;
  /** Frames that the present connection understands. */
  wire: Wire = "fixed";
  /** See {@linkcode Subscriber.isHeld}. */
  isHeld = false;
  readonly #host: SessionHost;
  readonly #subscriptions = new SmallMap<string, Subscription>();
  /** Which subscription is pumped first: the one behind that which was sent something last. */
  #first = 0;
  #changed: Set<Subscription> | undefined;
  /** Channels of which only the store has the position. */
  #stored: Set<string> | undefined;
  /** Channels whose positions the store has lost, and does not know that it had any. */
  #lost: Set<string> | undefined;
  #connection: Connection | undefined;
  readonly #positions: Positions;
  /** Writes of changed positions under way. */
  #flushes = 0;
  /** See {@linkcode RightsHolder.turns}. */
  readonly turns = new Turns();
  // What not every session needs is made when it is first used.
  #ownRights: Rights | undefined;
  #ownPublisher: Publisher | undefined;
  #returned: Returned | undefined;

  /** @param host its hub */
  constructor(host: SessionHost, owner: SessionOwner) {
    this.#host = host;
    this.owner = owner;
    this.permits = new Permits(host.context.authorization, { subject: owner.subject });
    this.#positions = new Positions(this);
  }

  /** See {@linkcode PositionsHolder.context}. */
  get context(): HubContext {
    return this.#host.context;
  }
  /** Who its connection speaks for, and what its token says. */
  get identity(): Identity {
    return this.permits.identity;
  }
  /** What was decided for the one before does not count for this one. */
  set identity(identity: Identity) {
    this.permits.identity = identity;
  }
  /** What its client may publish. */
  get publishes(): PublishGate {
    return this.#publisher.gate;
  }
  get #rights(): Rights {
    return this.#ownRights ??= new Rights(this);
  }
  get #publisher(): Publisher {
    return this.#ownPublisher ??= new Publisher(this);
  }
  /** Key in the store. */
  get key(): string {
    return this.owner.key;
  }
  /** Connection that holds it. */
  get connection(): Connection | undefined {
    return this.#connection;
  }
  /** Names of the channels that flow over the present connection. */
  get channels(): string[] {
    return [...this.#subscriptions].filter(([, { isLive }]) => isLive).map(([name]) => name);
  }

  /** Names of the channels that it has positions in. */
  get known(): string[] {
    return [...this.#subscriptions.keys(), ...this.#stored ?? []];
  }

  /** Whether a channel flows over the present connection. */
  flowsTo(name: string): boolean {
    return this.#subscriptions.get(name)?.isLive ?? false;
  }

  /** Whether something for its client is being read. */
  get isReading(): boolean {
    for (const { isReading } of this.#subscriptions.values()) if (isReading) return true;
    return false;
  }

  /** Whether its client has something to acknowledge. */
  get isAwaited(): boolean {
    for (const { isLive, outstanding } of this.#subscriptions.values()) {
      if (isLive && outstanding > 0) return true;
    }
    return false;
  }

  /** Gives the session to a connection; no channel flows until it has subscribed. */
  attach(connection: Connection, wire: Wire, stored: readonly string[]): void {
    this.suspend();
    this.#connection = connection;
    this.wire = wire;
    const names = [...stored, ...this.#lost ?? []]
      .filter((name) => !this.#subscriptions.has(name));
    this.#stored = names.length > 0 ? new Set(names) : undefined;
  }

  /**
   * The store had lost the session, and it has begun anew: everything that is known here is stored
   * again. A position that only the store had is lost, and its channel's next subscribe meets a gap.
   * Never rejects: what fails is tried again as every position is.
   *
   * @param kept channels whose positions the store has all the same
   */
  async restore(kept: readonly string[]): Promise<void> {
    for (const subscription of this.#subscriptions.values()) this.changed(subscription);
    const had = new Set(kept);
    for (const channel of this.#stored ?? []) {
      if (!had.has(channel)) (this.#lost ??= new Set()).add(channel);
    }
    await this.flush();
    if (this.#lost !== undefined) this.#host.changed(this);
  }

  /** Channels whose right was lost, and whose positions could not be ended: they end before it flows. */
  get unended(): readonly string[] {
    return this.#ownRights?.unended ?? [];
  }

  /** Whatever its client may do now, positions in these channels are to end. */
  owes(channels: Iterable<string>): void {
    for (const name of channels) this.#rights.owes(name);
  }

  /**
   * Ends what its client may not subscribe to any more, with its positions, before anything flows.
   * Where that cannot be found out now, it is when the client subscribes.
   *
   * @param connection that holds it; `undefined` if none does
   * @throws {PushError} `replaced` if another connection holds the session meanwhile; as the store
   */
  async weed(connection: Connection | undefined): Promise<void> {
    this.permits.forget();
    if (this.permits.isFree) return;
    await this.#rights.weed(connection);
  }

  /**
   * The rights of its client may have changed: a channel that it may not subscribe to any more ends,
   * with its position, and the client is told.
   *
   * @throws {PushError} `unavailable` if that could not be found out; as the store
   */
  async reauthorize(): Promise<void> {
    this.permits.forget();
    const connection = this.#connection;
    // Whoever attaches next is asked anew.
    if (connection !== undefined) await this.#rights.recheck(connection);
  }

  /** Takes the session from its connection: everything stops, positions stay. */
  suspend(): void {
    this.#connection = undefined;
    this.isHeld = false;
    this.#ownRights?.suspended();
    for (const [name, subscription] of this.#subscriptions) {
      subscription.isBegun = false;
      if (!subscription.isLive) continue;
      subscription.stop();
      this.#host.flowing(this, name, "paused");
    }
  }

  /**
   * Subscribes the connection to a channel.
   *
   * @throws {Forbidden} without the right to subscribe, or to read what was published before
   * @throws {PushError} `too_many_channels`; `replaced` if another connection holds the session
   *   meanwhile; `unavailable` if its rights could not be found out; as the store
   */
  subscribe(name: string, start: Start, connection: Connection): Promise<Subscribed> {
    return this.turns.take(name, () => this.#subscribe(name, start, connection));
  }

  /**
   * Goes on with these channels over another connection of the same client: what was sent stays in
   * flight, and only what was never sent, or is overdue, flows. For a long-poller that comes to
   * another node.
   *
   * @param flights since when that is, if it is known; its time begins anew otherwise
   * @throws {PushError} as {@linkcode Session.subscribe}
   */
  async resume(
    channels: readonly string[],
    connection: Connection,
    flights: Flights = new Map(),
  ): Promise<void> {
    const resumed = await Promise.all(channels.map(async (name) => {
      const resume = { flight: flights.get(name) };
      try {
        return await this.turns.take(name, () => this.#subscribe(name, {}, connection, resume));
      } catch (error) {
        if (!(error instanceof Forbidden)) throw error;
        // The client takes it for subscribed.
        this.#rights.tellBarred(name, connection);
        return undefined;
      }
    }));
    for (const subscribed of resumed) subscribed?.start();
  }

  /** Lets something end here before another node gets the session, if that does not take long. */
  during<T>(work: Promise<T>): Promise<T> {
    return this.turns.during(work);
  }

  /** What changes its subscriptions at present; resolves once that has ended. */
  get changes(): Promise<unknown> | undefined {
    return this.turns.changes;
  }

  /** What was in flight when the flow stopped, by channel; known only where nodes share sessions. */
  get flights(): Flights {
    const flights = new Map<string, Flight>();
    for (const [name, { flight }] of this.#subscriptions) {
      if (flight !== undefined) flights.set(name, flight);
    }
    return flights;
  }

  /** Ends a subscription and its position; resolves to whether there was one. */
  unsubscribe(name: string, connection: Connection): Promise<boolean> {
    return this.turns.take(name, () => this.#unsubscribe(name, connection));
  }

  async #subscribe(
    name: string,
    start: Start,
    connection: Connection,
    resume?: { readonly flight: Flight | undefined },
  ): Promise<Subscribed> {
    // Whether the channel exists must not show in the answer.
    const readsBack = this.permits.isFree || await this.#rights.admit(name, start, connection);
    const admitted = this.context.limits.channels.admit(name);
    if (admitted !== undefined) await admitted;
    const channel = this.#host.channel(name);
    const opening = channel.open();
    if (opening !== undefined) await opening;
    if (start.last !== undefined || start.all === true) await channel.refresh();
    this.hold(connection);
    let subscription = this.#subscriptions.get(name);
    const wasBegun = subscription?.isBegun ?? false;
    const wasKnown = this.knows(name);
    const explicit = isExplicit(start);
    if (subscription === undefined) {
      // The claim has named what is stored.
      const cursor = explicit
        ? explicitCursor(channel, start)
        : this.#stored?.has(name)
        ? await this.#loadCursor(name)
        : freshCursor(channel, start.position, readsBack);
      this.hold(connection);
      subscription = this.#add(name, channel, cursor);
    } else {
      subscription.rebind(channel);
      if (explicit && !wasBegun) subscription.seek(explicitCursor(channel, start));
    }
    const { epoch } = subscription;
    subscription.settle();
    // Nobody is answered.
    if (resume !== undefined && subscription.epoch !== epoch) subscription.tellEpoch();
    // Who goes on takes it for subscribed; where it ended meanwhile, what came since is missed.
    const ended = resume !== undefined && !wasKnown && this.context.settings.delivery.enabled;
    const misses = ended || start.position !== undefined && !explicit &&
        takePosition(subscription, start.position, readsBack);
    if (resume !== undefined) subscription.resume(resume.flight);
    // A position never goes backwards: one that starts earlier is another one.
    if (explicit && !wasBegun && wasKnown) await this.#positions.forget(name);
    const subscribed = subscription;
    await this.#positions.write(() => [{ channel: name, cursor: subscribed.snapshot() }]);
    this.hold(connection);
    subscribed.isBegun = true;
    return {
      ok: !wasBegun,
      epoch: subscription.epoch,
      earlier: subscription.earlier,
      // Who asks again without a position has lost the answer, and perhaps what came after it.
      seq: wasBegun && start.position === undefined ? subscription.floor : subscription.position,
      stored: wasKnown && !wasBegun && !explicit,
      start: () => {
        if (misses) subscribed.tellMissed();
        this.#start(name, subscribed, connection);
      },
    };
  }

  async #unsubscribe(name: string, connection: Connection): Promise<boolean> {
    this.hold(connection);
    return await this.end(name);
  }

  /** See {@linkcode RightsHolder.knows}. */
  knows(name: string): boolean {
    return this.#subscriptions.has(name) || (this.#stored?.has(name) ?? false);
  }

  /** See {@linkcode RightsHolder.hold}. */
  hold(connection: Connection | undefined): void {
    if (this.#connection !== connection) throw new PushError("replaced");
  }

  /** See {@linkcode RightsHolder.halt}. */
  halt(name: string): boolean {
    const subscription = this.#subscriptions.get(name);
    if (!subscription?.isLive) return false;
    subscription.stop();
    this.#host.flowing(this, name, "ended");
    return true;
  }

  /** See {@linkcode RightsHolder.end}. */
  async end(name: string, isBarred = false): Promise<boolean> {
    if (!this.knows(name)) return false;
    const subscription = this.#subscriptions.get(name);
    if (subscription !== undefined && isBarred) subscription.isBarred = true;
    const wasBegun = subscription?.isBegun ?? false;
    this.halt(name);
    this.#subscriptions.delete(name);
    this.#dropStored(name);
    this.#dropLost(name);
    if (subscription !== undefined) this.#changed?.delete(subscription);
    try {
      await this.#positions.forget(name);
    } catch (error) {
      // It is still stored, so that asking again ends it.
      (this.#stored ??= new Set()).add(name);
      throw error;
    }
    return wasBegun;
  }

  /** See {@linkcode RightsHolder.presentAnew}. */
  presentAnew(name: string): void {
    if (this.flowsTo(name)) this.#host.flowing(this, name, "flows");
  }

  /**
   * Publishes in a channel as this client, in this order.
   *
   * @throws {Forbidden} without the right; nothing is stored then
   * @throws {PushError} `unavailable` if its rights could not be found out; as the store
   */
  publish(name: string, publishes: readonly Publish[]): Promise<PublishResult> {
    return this.#publisher.publish(name, publishes);
  }

  /** See {@linkcode PublisherHolder.channel}. */
  channel(name: string): Channel {
    return this.#host.channel(name);
  }

  /** See {@linkcode PublisherHolder.others}. */
  others(name: string): number {
    return this.#host.subscribers(name) - (this.flowsTo(name) ? 1 : 0);
  }

  /** See {@linkcode PublisherHolder.refusal}. */
  refusal(identity: Identity): PushError | undefined {
    return this.#host.refusal(this, identity);
  }

  /** Settles one message by its event id; false if it was not outstanding. */
  ackEvent(eventId: string, connection: Connection): boolean {
    const place = parseEventId(eventId);
    if (place === undefined) return false;
    const { channel, epoch, seq } = place;
    return this.#flowing(channel, epoch, seq, connection)?.ack(seq, epoch) ?? false;
  }

  /** Refuses one message by its event id; false if it was not outstanding. */
  nackEvent(eventId: string, delay: number, connection: Connection): boolean {
    const place = parseEventId(eventId);
    if (place === undefined) return false;
    return this.nack(place.channel, place.epoch, place.seq, delay, connection);
  }

  /** Settles by position: in order up to `upto`, and by name what is in `ranges`. */
  ack(
    channel: string,
    epoch: string,
    upto: number | undefined,
    ranges: Ranges,
    connection: Connection,
  ): void {
    const subscription = this.#flowing(channel, epoch, 0, connection);
    const reach = subscription?.reach(epoch);
    if (subscription === undefined || reach === undefined) return;
    if (upto !== undefined) subscription.ackUpTo(Math.min(upto, reach), epoch);
    const reached = clip(ranges, reach);
    for (let i = 0; i < reached.length; i += 2) {
      subscription.ackRange(reached[i], reached[i + 1], epoch);
    }
  }

  /** Refuses one message by its place; false if it was not outstanding. */
  nack(
    channel: string,
    epoch: string,
    seq: number,
    delay: number,
    connection: Connection,
  ): boolean {
    return this.#flowing(channel, epoch, seq, connection)?.nack(seq, delay) ?? false;
  }

  /** Starts the time anew of messages that wait in the client. */
  renew(channel: string, epoch: string, ranges: Ranges, connection: Connection): void {
    this.#flowing(channel, epoch, 0, connection)?.renew(new RangeSet(ranges));
  }

  /** Goes on from where a poller says that it is. */
  adopt(
    channel: string,
    epoch: string,
    seq: number,
    open: Ranges,
    connection: Connection,
  ): void {
    if (this.#connection !== connection) return;
    const subscription = this.#subscriptions.get(channel);
    if (!subscription?.isLive) return this.#ownRights?.tellAgain(channel, connection);
    // Who has more of an earlier epoch than goes on in this one has not heard of the gap; nor has who
    // names it while one is owed.
    const reach = subscription.reach(epoch) ?? -1;
    const at = seq <= reach && !subscription.owesGap ? subscription.epoch : epoch;
    subscription.adopt(at, seq, new RangeSet(open));
    // What told of the present epoch was lost with an answer.
    if (reach >= 0 && subscription.epoch !== epoch) subscription.tellEpoch();
  }

  /**
   * Takes over what was put back into the stored position of a channel from its dead letters. What
   * has no place in the channel any more, because the log has lost its number, goes back to them.
   *
   * @throws {PushError} `replaced` if a newer claim, perhaps of this very session, has overtaken it; as
   *   the store
   */
  takeRedriven(name: string): Promise<void> {
    // A position that is on its way here may not have it yet.
    return this.turns.take(name, () => this.#takeRedriven(name));
  }

  async #takeRedriven(name: string): Promise<void> {
    const subscription = this.#subscriptions.get(name);
    if (subscription === undefined || !this.#host.context.settings.delivery.enabled) return;
    await (this.#returned ??= new Returned(this, this.#positions)).take(name, subscription);
  }

  /** See {@linkcode Subscriber.goOn}. */
  goOn(): void {
    this.context.turn.goOn(this);
  }

  /** Sends what can be sent, after the connection has drained: the first may take all that it takes. */
  pump(): void {
    this.isHeld = false;
    const all = [...this.#subscriptions.values()];
    const first = this.#first;
    for (let i = 0; i < all.length; i++) {
      const at = (first + i) % all.length;
      const { position, outstanding } = all[at];
      all[at].pump();
      // Where the connection still has what it took before, nobody has had a turn.
      if (all[at].position !== position || all[at].outstanding !== outstanding) {
        this.#first = at + 1;
      }
    }
  }

  /** See {@linkcode Subscriber.changed}. */
  changed(subscription: Subscription): void {
    if (!this.#host.context.settings.delivery.enabled) return;
    // One that has ended must not get a position again.
    if (this.#subscriptions.get(subscription.channel.name) !== subscription) return;
    (this.#changed ??= new Set()).add(subscription);
    this.#host.changed(this);
  }

  /** Whether positions have changed that are not stored. */
  get isUnsaved(): boolean {
    return (this.#changed?.size ?? 0) > 0 || this.#lost !== undefined || this.#flushes > 0;
  }

  /** Stores the positions that changed; keeps those for later that could not be stored. */
  async flush(): Promise<void> {
    const changed = [...this.#changed ?? []];
    const lost = [...this.#lost ?? []];
    this.#changed = undefined;
    this.#flushes++;
    try {
      const stored = await this.#positions.write(() => [
        ...changed.map((subscription) => ({
          channel: subscription.channel.name,
          cursor: subscription.snapshot(),
        })),
        // The others were subscribed to meanwhile, or unsubscribed from.
        ...lost.filter((name) => this.#stored?.has(name))
          .map((channel) => ({ channel, cursor: LOST })),
      ]);
      if (stored) { for (const name of lost) this.#dropLost(name); }
      // A newer claim of this very session may have overtaken the write.
      if (stored) return;
    } catch {
      this.#host.context.metrics.commitErrors++;
    } finally {
      this.#flushes--;
    }
    for (const subscription of changed) this.changed(subscription);
    if (lost.length > 0) this.#host.changed(this);
  }

  /** See {@linkcode PositionsHolder.fenced}. */
  fenced(): void {
    this.#host.fenced(this);
  }

  /** See {@linkcode PositionsHolder.unsure}. */
  unsure(): void {
    this.#host.unsure(this);
  }

  /** See {@linkcode Subscriber.giveUp}. */
  async giveUp(subscription: Subscription, letters: readonly DeadLetter[]): Promise<boolean> {
    const { name } = subscription.channel;
    if (this.#subscriptions.get(name) !== subscription) return false;
    const given = new Set(letters.map(({ message }) => message.seq));
    return await this.#positions.write(
      () => [{ channel: name, cursor: subscription.snapshot(given), deadLetters: letters }],
      () => subscription.gaveUp(given),
    );
  }

  /** See {@linkcode Subscriber.tellEpoch}. */
  tellEpoch(change: Omit<EpochFrame, "type">): void {
    if (this.wire === "fixed") return;
    this.#connection?.send(JSON.stringify({ type: "channel.epoch", ...change }), 0);
  }

  /** See {@linkcode Subscriber.tellGap}. */
  tellGap(gap: Omit<GapFrame, "type">): void {
    const frame = this.wire === "extended" ? { type: "channel.gap", ...gap } : {
      type: "error",
      code: "gap",
      message: `Messages of channel ${gap.channel} are gone: delivery goes on after number ` +
        `${gap.seq} of epoch ${gap.epoch}.`,
      channel: gap.channel,
    };
    this.#connection?.send(JSON.stringify(frame), 0);
  }

  #add(name: string, channel: Channel, cursor: DeliveryCursor): Subscription {
    const { limits } = this.#host.context.settings;
    const others = this.#subscriptions.size + (this.#stored?.size ?? 0) -
      (this.#stored?.has(name) ? 1 : 0);
    if (others >= limits.maxChannels) {
      throw new PushError(
        "too_many_channels",
        `A client may subscribe to ${limits.maxChannels} channels (maxChannels), and has as many.`,
      );
    }
    const subscription = new Subscription(this.#host.context, this, channel, cursor);
    this.#subscriptions.set(name, subscription);
    this.#dropStored(name);
    if (this.#dropLost(name)) this.changed(subscription);
    return subscription;
  }

  #start(name: string, subscription: Subscription, connection: Connection): void {
    if (this.#connection !== connection) return;
    if (this.#subscriptions.get(name) !== subscription) {
      // The right was lost before the answer to the subscribe had left.
      if (subscription.isBarred) this.#rights.tellBarred(name, connection);
      return;
    }
    if (subscription.isLive) return;
    if (subscription.channel !== this.#host.channel(name)) {
      // The channel was dropped while a slow store was asked: what nobody listens to is not kept.
      const { epoch } = subscription;
      this.subscribe(name, {}, connection).then(
        (subscribed) => {
          if (subscribed.epoch !== epoch) subscription.tellEpoch();
          subscribed.start();
        },
        () => connection.close("unavailable"),
      );
      return;
    }
    subscription.start();
    this.#host.flowing(this, name, "flows");
  }

  /** The position of which only the store knows; it has gone if the store has lost it since. */
  async #loadCursor(name: string): Promise<DeliveryCursor> {
    return DeliveryCursor.load(await this.#positions.load(name) ?? LOST);
  }

  /** The live subscription that a frame of this connection speaks of, where its number counts. */
  #flowing(
    channel: string,
    epoch: string,
    seq: number,
    connection: Connection,
  ): Subscription | undefined {
    if (this.#connection !== connection) return undefined;
    const subscription = this.#subscriptions.get(channel);
    if (!subscription?.isLive) return undefined;
    const reach = subscription.reach(epoch);
    return reach !== undefined && seq <= reach ? subscription : undefined;
  }

  #dropStored(name: string): void {
    this.#stored?.delete(name);
    if (this.#stored?.size === 0) this.#stored = undefined;
  }

  #dropLost(name: string): boolean {
    const was = this.#lost?.delete(name) ?? false;
    if (this.#lost?.size === 0) this.#lost = undefined;
    return was;
  }
}
