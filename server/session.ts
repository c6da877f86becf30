import {
  type GapFrame,
  parseEventId,
  PushError,
  type Ranges,
  RangeSet,
  type Start,
} from "@push/client/protocol";
import type { Channel, Published } from "./channel.ts";
import type { HubContext } from "./context.ts";
import { DeliveryCursor } from "./cursor.ts";
import type { Wire } from "./entry.ts";
import type { Commit, DeadLetter } from "./stores/store.ts";
import { type Subscriber, Subscription } from "./subscription.ts";
import type { Connection } from "./transports/connection.ts";
import type { Pumped } from "./turn.ts";

/** Who a session belongs to. */
export interface SessionOwner {
  /** Key in the store; tells (subject, client id) pairs apart. */
  readonly key: string;
  /** Subject of the token. */
  readonly subject: string;
  /** Client id, as others see it. */
  readonly clientId: string;
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
  /** Says that positions are to be stored soon. */
  changed(session: Session): void;
  /** Another node or connection holds the session now. */
  fenced(session: Session): void;
  /** Messages of a channel flow to the session, pause until it has a connection, or have ended. */
  flowing(session: Session, channel: string, state: FlowState): void;
}

/** Answer to a subscribe. */
export interface Subscribed {
  /** Whether this connection was not subscribed before. */
  readonly ok: boolean;
  readonly epoch: string;
  /** The first delivery comes after this number. */
  readonly seq: number;
  /** Whether a stored position goes on. */
  readonly stored: boolean;
  /** Lets messages flow; called once the answer is on its way. */
  start(): void;
}

/** Answer to a publish. */
export interface PublishResult extends Published {
  /** Other subscribers connected now. */
  readonly delivered: number;
}

/** One client's subscriptions and positions, and the connection that holds them at present. */
export class Session implements Subscriber, Pumped {
  /** Who it belongs to. */
  readonly owner: SessionOwner;
  /** Milliseconds that it outlives its connection. */
  ttl = 0;
  /** Grows with each takeover; stale writes are refused. */
  generation = 0;
  /** Frames that the present connection understands. */
  wire: Wire = "fixed";
  readonly #host: SessionHost;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #changed = new Set<Subscription>();
  #stored = new Set<string>();
  #connection: Connection | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  readonly #turns = new Map<string, Promise<void>>();

  /** @param host its hub */
  constructor(host: SessionHost, owner: SessionOwner) {
    this.#host = host;
    this.owner = owner;
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

  /** Gives the session to a connection; no channel flows until it has subscribed. */
  attach(connection: Connection, wire: Wire, stored: readonly string[]): void {
    this.suspend();
    this.#connection = connection;
    this.wire = wire;
    this.#stored = new Set(stored.filter((name) => !this.#subscriptions.has(name)));
  }

  /** Takes the session from its connection: everything stops, positions stay. */
  suspend(): void {
    this.#connection = undefined;
    for (const [name, subscription] of this.#subscriptions) {
      if (!subscription.isLive) continue;
      subscription.stop();
      this.#host.flowing(this, name, "paused");
    }
  }

  /**
   * Subscribes the connection to a channel.
   *
   * @throws {PushError} `too_many_channels`; `replaced` if another connection holds the session
   *   meanwhile; as the store
   */
  subscribe(name: string, start: Start, connection: Connection): Promise<Subscribed> {
    return this.#inTurn(name, () => this.#subscribe(name, start, connection));
  }

  /** Ends a subscription and its position; resolves to whether there was one. */
  unsubscribe(name: string, connection: Connection): Promise<boolean> {
    return this.#inTurn(name, () => this.#unsubscribe(name, connection));
  }

  async #subscribe(name: string, start: Start, connection: Connection): Promise<Subscribed> {
    const channel = this.#host.channel(name);
    await channel.open();
    if (start.last !== undefined || start.all === true) await channel.refresh();
    this.#hold(connection);
    let subscription = this.#subscriptions.get(name);
    const wasLive = subscription?.isLive ?? false;
    const wasKnown = subscription !== undefined || this.#stored.has(name);
    const explicit = start.since !== undefined || start.last !== undefined || start.all === true;
    if (subscription === undefined) {
      const cursor = await this.#firstCursor(channel, start, explicit);
      this.#hold(connection);
      subscription = this.#add(name, channel, cursor);
    } else {
      subscription.rebind(channel);
      if (explicit && !wasLive) subscription.seek(explicitCursor(channel, start));
    }
    const { position } = start;
    if (position !== undefined && !explicit) {
      const open = new RangeSet(position.open);
      if (position.epoch === channel.epoch) subscription.adopt(position.epoch, position.seq, open);
      else if (!wasLive) subscription.seek(DeliveryCursor.at(position.epoch, position.seq));
    }
    // A position never goes backwards: one that starts earlier is another one.
    if (explicit && !wasLive && wasKnown) await this.#forget(name);
    const subscribed = subscription;
    await this.#write(() => [{ channel: name, cursor: subscribed.snapshot() }]);
    this.#hold(connection);
    return {
      ok: !wasLive,
      epoch: subscription.epoch,
      seq: subscription.position,
      stored: wasKnown && !wasLive && !explicit,
      start: () => this.#start(name, subscribed, connection),
    };
  }

  async #unsubscribe(name: string, connection: Connection): Promise<boolean> {
    this.#hold(connection);
    const subscription = this.#subscriptions.get(name);
    const known = subscription !== undefined || this.#stored.has(name);
    if (!known) return false;
    const wasLive = subscription?.isLive ?? false;
    subscription?.stop();
    if (wasLive) this.#host.flowing(this, name, "ended");
    this.#subscriptions.delete(name);
    this.#stored.delete(name);
    if (subscription !== undefined) this.#changed.delete(subscription);
    try {
      await this.#forget(name);
    } catch (error) {
      // It is still stored, so that asking again ends it.
      this.#stored.add(name);
      throw error;
    }
    return wasLive;
  }

  /** Publishes as this client. */
  async publish(
    name: string,
    payload: string,
    options: { id?: string; echo?: boolean },
  ): Promise<PublishResult> {
    const channel = this.#host.channel(name);
    const published = await channel.publish({
      id: options.id,
      subject: this.owner.subject,
      origin: options.echo === true ? null : this.key,
      source: this.owner.clientId,
      payload,
    });
    const self = this.#subscriptions.get(name)?.isLive ? 1 : 0;
    return { ...published, delivered: channel.liveCount - self };
  }

  /** Settles one message by its event id; false if it was not outstanding. */
  ackEvent(eventId: string, connection: Connection): boolean {
    const place = parseEventId(eventId);
    if (place === undefined) return false;
    return this.#flowing(place.channel, place.epoch, connection)?.ack(place.seq) ?? false;
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
    const subscription = this.#flowing(channel, epoch, connection);
    if (subscription === undefined) return;
    if (upto !== undefined) subscription.ackUpTo(upto);
    for (let i = 0; i < ranges.length; i += 2) subscription.ackRange(ranges[i], ranges[i + 1]);
  }

  /** Refuses one message by its place; false if it was not outstanding. */
  nack(
    channel: string,
    epoch: string,
    seq: number,
    delay: number,
    connection: Connection,
  ): boolean {
    return this.#flowing(channel, epoch, connection)?.nack(seq, delay) ?? false;
  }

  /** Starts the time anew of messages that wait in the client. */
  renew(channel: string, epoch: string, ranges: Ranges, connection: Connection): void {
    this.#flowing(channel, epoch, connection)?.renew(new RangeSet(ranges));
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
    if (subscription?.isLive) subscription.adopt(epoch, seq, new RangeSet(open));
  }

  /** Takes over what was put back into the stored position of a channel from its dead letters. */
  async takeRedriven(channel: string, seqs: ReadonlySet<number>): Promise<void> {
    const { store, clock } = this.#host.context;
    const [stored] = await this.#serially(() => store.load(this.key, [channel], clock.now()));
    const subscription = this.#subscriptions.get(channel);
    if (stored === undefined || subscription?.epoch !== stored.epoch) return;
    for (const { seq, redriven } of stored.late) {
      // What was put back earlier is here already, and may be settled by now.
      if (redriven !== undefined && seqs.has(seq)) subscription.redrive(redriven);
    }
  }

  /** Sends what can be sent, after the connection has drained. */
  pump(): void {
    for (const subscription of this.#subscriptions.values()) subscription.pump();
  }

  /** See {@linkcode Subscriber.changed}. */
  changed(subscription: Subscription): void {
    if (!this.#host.context.settings.delivery.enabled) return;
    // One that has ended must not get a position again.
    if (this.#subscriptions.get(subscription.channel.name) !== subscription) return;
    this.#changed.add(subscription);
    this.#host.changed(this);
  }

  /** Whether positions have changed that are not stored. */
  get isUnsaved(): boolean {
    return this.#changed.size > 0;
  }

  /** Stores the positions that changed; keeps those for later that could not be stored. */
  async flush(): Promise<void> {
    const changed = [...this.#changed];
    this.#changed.clear();
    const { generation } = this;
    try {
      const stored = await this.#write(() =>
        changed.map((subscription) => ({
          channel: subscription.channel.name,
          cursor: subscription.snapshot(),
        }))
      );
      // A newer claim of this very session may have overtaken the write.
      if (stored || generation === this.generation) return;
    } catch {
      this.#host.context.metrics.commitErrors++;
    }
    for (const subscription of changed) this.changed(subscription);
  }

  /** See {@linkcode Subscriber.giveUp}. */
  async giveUp(subscription: Subscription, letters: readonly DeadLetter[]): Promise<boolean> {
    const { name } = subscription.channel;
    if (this.#subscriptions.get(name) !== subscription) return false;
    const given = new Set(letters.map(({ message }) => message.seq));
    return await this.#write(
      () => [{ channel: name, cursor: subscription.snapshot(given), deadLetters: letters }],
      () => subscription.gaveUp(given),
    );
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
    const others = this.#subscriptions.size + this.#stored.size - (this.#stored.has(name) ? 1 : 0);
    if (others >= limits.maxChannels) {
      throw new PushError(
        "too_many_channels",
        `A client may subscribe to ${limits.maxChannels} channels, and this one has as many.`,
      );
    }
    const subscription = new Subscription(this.#host.context, this, channel, cursor);
    this.#subscriptions.set(name, subscription);
    this.#stored.delete(name);
    return subscription;
  }

  #start(name: string, subscription: Subscription, connection: Connection): void {
    if (this.#connection !== connection || this.#subscriptions.get(name) !== subscription) return;
    if (subscription.isLive) return;
    if (subscription.channel !== this.#host.channel(name)) {
      // The channel was dropped while a slow store was asked: what nobody listens to is not kept.
      this.subscribe(name, {}, connection).then(
        ({ start }) => start(),
        () => connection.close("unavailable"),
      );
      return;
    }
    subscription.start();
    this.#host.flowing(this, name, "flows");
  }

  async #firstCursor(channel: Channel, start: Start, explicit: boolean): Promise<DeliveryCursor> {
    if (explicit) return explicitCursor(channel, start);
    if (this.#stored.has(channel.name)) {
      const { store, clock } = this.#host.context;
      const [stored] = await store.load(this.key, [channel.name], clock.now());
      if (stored !== undefined) return DeliveryCursor.load(stored);
    }
    const { position } = start;
    if (position === undefined) return DeliveryCursor.at(channel.epoch, channel.head);
    if (position.epoch !== channel.epoch) return DeliveryCursor.at(position.epoch, position.seq);
    const lowest = Math.min(position.seq, (position.open?.[0] ?? Infinity) - 1);
    return DeliveryCursor.at(channel.epoch, Math.min(lowest, channel.head));
  }

  /** The live subscription that a frame of this connection speaks of. */
  #flowing(channel: string, epoch: string, connection: Connection): Subscription | undefined {
    if (this.#connection !== connection) return undefined;
    const subscription = this.#subscriptions.get(channel);
    return subscription?.isLive && subscription.epoch === epoch ? subscription : undefined;
  }

  #hold(connection: Connection): void {
    if (this.#connection !== connection) throw new PushError("replaced");
  }

  #forget(name: string): Promise<boolean> {
    const { store, clock } = this.#host.context;
    return this.#serially(() => store.forget(this.key, this.generation, name, clock.now()));
  }

  /**
   * Stores positions; resolves to whether the session is still this holder's.
   *
   * @param commits what to store, asked for when the writes before have ended
   * @param done called when it is stored, before the next write is made up
   */
  async #write(commits: () => readonly Commit[], done?: () => void): Promise<boolean> {
    const { store, clock, settings } = this.#host.context;
    if (!settings.delivery.enabled) return true;
    const { generation } = this;
    const stored = await this.#serially(async () => {
      const wanted = commits();
      if (wanted.length === 0) return true;
      const stored = await store.commit(this.key, generation, wanted, clock.now());
      if (stored) done?.();
      return stored;
    });
    if (!stored && generation === this.generation) this.#host.fenced(this);
    return stored;
  }

  /** What concerns one channel is done in the order in which it was asked for. */
  #inTurn<T>(name: string, task: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name);
    const result = before === undefined ? task() : before.then(task, task);
    const done = result.then(() => {}, () => {}).then(() => {
      if (this.#turns.get(name) === done) this.#turns.delete(name);
    });
    this.#turns.set(name, done);
    return result;
  }

  /** One write at a time, so that an older position never follows a newer one. */
  #serially<T>(write: () => Promise<T>): Promise<T> {
    const result = this.#writing.then(write, write);
    this.#writing = result.catch(() => {});
    return result;
  }
}

function explicitCursor(channel: Channel, { since, last, all }: Start): DeliveryCursor {
  if (since !== undefined) {
    const seq = since.epoch === channel.epoch ? Math.min(since.seq, channel.head) : since.seq;
    return DeliveryCursor.at(since.epoch, seq, channel.head);
  }
  const floor = all === true ? channel.oldest - 1 : channel.floorOfLast(last ?? 0);
  return DeliveryCursor.at(channel.epoch, floor, channel.head);
}
