import { backoffDelay, type BackoffRange } from "./backoff.ts";
import { Channel, type Member } from "./channel.ts";
import type { RandomBytes } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import { Departures } from "./departures.ts";
import { Inbox, type InboxContext, type Snapshot } from "./inbox.ts";
import { type Incoming, readError, readIncoming, readSubscribed } from "./incoming.ts";
import { PushError } from "./protocol/error.ts";
import type { ConnectFrame, PollBody, Start } from "./protocol/frames.ts";
import type { Wire } from "./wire.ts";

/** What {@linkcode Channels} needs around it. */
export interface ChannelsContext extends InboxContext {
  readonly wire: Wire;
  readonly random: RandomBytes;
  readonly retryDelay: BackoffRange;
  /** Milliseconds that a request may take. */
  readonly timeout: number;
  /** A channel has an inbox. */
  opened(inbox: Inbox): void;
  /** A frame is there for a channel that flows from now on. */
  early(frame: Incoming): void;
  /** A channel that worked is refused by the gateway. */
  lost(channel: string, error: PushError): void;
}

/** Most characters of positions in one `connect` frame or poll; the other channels follow. */
const MAX_POSITIONS = 200_000;
/** Most channels in one `connect` frame that the gateway has not accepted before. */
const MAX_NEW = 64;
/** Most frames kept for a channel that does not flow yet. */
const MAX_EARLY = 1024;

/** The channels that the application wants, and how far the gateway has followed. */
export class Channels {
  readonly #context: ChannelsContext;
  readonly #wanted: Map<string, Channel> = new Map();
  readonly #departures: Departures;
  /** Subscribes of this connection without an answer, by request id. */
  readonly #asked: Map<number, Channel> = new Map();
  #snapshots: ReadonlyMap<string, Snapshot> = new Map();

  /** @param context what is around */
  constructor(context: ChannelsContext) {
    this.#context = context;
    this.#departures = new Departures(context);
  }

  /** Inboxes of all wanted channels. */
  *inboxes(): Iterable<readonly [string, Inbox]> {
    for (const { name, inbox } of this.#wanted.values()) yield [name, inbox];
  }

  /** Inboxes of the channels that flow on this connection. */
  *flowing(): Iterable<readonly [string, Inbox]> {
    for (const { name, inbox, state } of this.#wanted.values()) {
      if (state === "flowing") yield [name, inbox];
    }
  }

  /** The inbox of a channel that flows on this connection. */
  at(name: string): Inbox | undefined {
    const channel = this.#wanted.get(name);
    return channel?.state === "flowing" ? channel.inbox : undefined;
  }

  /** Whether a channel has members already. */
  has(name: string): boolean {
    return (this.#wanted.get(name)?.members.size ?? 0) > 0;
  }

  /** Adds a member; the first one of a channel makes it wanted. */
  join(name: string, member: Member, start: Start): Inbox {
    let channel = this.#wanted.get(name);
    // A start takes the place of the stored position that has kept the channel.
    if (channel?.members.size === 0 && Object.keys(start).length > 0) {
      void this.#drop(channel);
      channel = undefined;
    }
    channel ??= this.#want(name, start);
    channel.members.add(member);
    return channel.inbox;
  }

  /** Waits until the channel flows. Rejects with the gateway's refusal, and with `disconnected` after the timeout. */
  ready(name: string, signal: AbortSignal | undefined): Promise<void> {
    const channel = this.#wanted.get(name);
    const { clock, timeout } = this.#context;
    const waiting = new Deferred<void>().abortedBy(signal);
    if (!channel) waiting.reject(new PushError("disconnected"));
    else if (channel.state === "flowing") waiting.resolve();
    if (!channel || waiting.settled) return waiting.promise;
    channel.waiting.add(waiting);
    waiting.whenSettled(() => channel.waiting.delete(waiting));
    waiting.rejectedAfter(clock, timeout, () => {
      const detail = `The subscription was not answered within ${timeout / 1000} s.`;
      return new PushError("disconnected", detail);
    });
    if (channel.state === "unasked" && !channel.cancelRetry) this.#ask(channel);
    return waiting.promise;
  }

  /**
   * Removes a member; the last one of a channel ends the subscription.
   *
   * @param keep whether a position that the gateway had before goes on: the subscription then stays,
   * and its messages wait for the next member, until the client is closed
   * @returns a promise that fulfills when the gateway has followed, or when it cannot be told now
   */
  leave(name: string, member: Member, keep = false): Promise<void> {
    const channel = this.#wanted.get(name);
    if (!channel?.members.delete(member)) return Promise.resolve();
    if (!keep) channel.stored = false;
    // Before the answer nobody knows whether there was a position.
    const kept = keep && channel.told && (channel.stored || !channel.proved);
    return kept || channel.members.size > 0 ? Promise.resolve() : this.#drop(channel);
  }

  /** Ends the subscription for every member; as {@linkcode Channels.leave}. */
  leaveAll(name: string): Promise<void> {
    const channel = this.#wanted.get(name);
    return channel ? this.#drop(channel) : Promise.resolve();
  }

  /** The first subscriptions of a connection that is about to begin. */
  hello(): NonNullable<ConnectFrame["subscriptions"]> {
    const subscriptions = [];
    let size = 0;
    let fresh = 0;
    for (const channel of this.#wanted.values()) {
      if (this.#departures.has(channel.name)) continue;
      if (!channel.proved && ++fresh > MAX_NEW) continue;
      const subscription = { channel: channel.name, ...channel.start };
      size += JSON.stringify(subscription).length;
      if (size > MAX_POSITIONS) break;
      channel.asking();
      subscriptions.push(subscription);
    }
    return subscriptions;
  }

  /** What to state in a poll. */
  positions(): NonNullable<PollBody["positions"]> {
    const positions = [];
    let size = 0;
    for (const [channel, { position }] of this.flowing()) {
      if (!position) continue;
      size += JSON.stringify(position).length + channel.length;
      if (size > MAX_POSITIONS) break;
      positions.push({ channel, ...position });
    }
    return positions;
  }

  /** A connection has begun. @param answers what it says about the first subscriptions */
  connected(answers: readonly unknown[]): void {
    for (const answer of answers) {
      const frame = readIncoming(answer);
      // A key of any other type finds nothing.
      const channel = this.#wanted.get(frame?.channel as string);
      if (frame && channel) this.#answer(channel, frame);
    }
    this.#departures.connected();
    for (const channel of this.#wanted.values()) {
      // What was in `connect` and got no answer is asked for by name.
      if (channel.state !== "flowing" && !channel.cancelRetry) this.#ask(channel);
    }
  }

  /** The connection is gone. */
  disconnected(): void {
    this.#asked.clear();
    this.#departures.disconnected();
    for (const channel of this.#wanted.values()) {
      channel.disconnected();
    }
  }

  /** Takes a reply in. @returns whether it answers a question about a channel */
  reply(id: number, reply: Incoming): boolean {
    const channel = this.#asked.get(id);
    if (!channel) return this.#departures.reply(id);
    this.#asked.delete(id);
    if (this.#wanted.get(channel.name) === channel) this.#answer(channel, reply);
    return true;
  }

  /** Keeps a frame for a channel that is about to flow; any other is not wanted any more. */
  keep(name: string, frame: Incoming): void {
    const channel = this.#wanted.get(name);
    if (channel?.state === "asked" && channel.early.length < MAX_EARLY) channel.early.push(frame);
  }

  /**
   * The client is closed: whoever waits hears it.
   *
   * @param error why
   * @param wanted whether the application wanted it
   * @param forget whether the session is over too
   */
  close(error: PushError, wanted: boolean, forget: boolean): void {
    for (const channel of [...this.#wanted.values()]) {
      for (const waiting of [...channel.waiting]) waiting.reject(error);
      for (const member of [...channel.members]) member.pause(wanted ? undefined : error);
      if (forget) channel.inbox.reset();
      // What only a stored position has kept here is kept at the gateway.
      if (channel.members.size === 0) this.#wanted.delete(channel.name);
    }
    if (!forget) return;
    this.#departures.clear();
    this.#snapshots = new Map();
  }

  /** Takes over what the page had before a reload. */
  restore(snapshots: ReadonlyMap<string, Snapshot>): void {
    this.#snapshots = snapshots;
    for (const [name, inbox] of this.inboxes()) {
      const snapshot = snapshots.get(name);
      if (snapshot) inbox.restore(snapshot);
    }
  }

  #want(name: string, start: Start): Channel {
    const channel = new Channel(name, new Inbox(name, this.#context), start);
    const snapshot = this.#snapshots.get(name);
    if (snapshot) channel.inbox.restore(snapshot);
    this.#wanted.set(name, channel);
    this.#context.opened(channel.inbox);
    return channel;
  }

  #ask(channel: Channel): void {
    const { wire } = this.#context;
    if (!wire.up) return;
    const request_id = wire.nextId();
    const { name } = channel;
    wire.send({ type: "channel.subscribe", channel: name, ...channel.start, request_id });
    channel.asking();
    this.#asked.set(request_id, channel);
  }

  #answer(channel: Channel, reply: Incoming): void {
    if (channel.state !== "asked") return;
    const foothold = readSubscribed(reply);
    const error = readError(reply);
    if (error) return this.#refused(channel, error);
    if (!foothold) return;
    const { epoch, seq, earlier } = foothold;
    const { inbox, early, waiting } = channel;
    const isNew = inbox.position === undefined;
    channel.state = "flowing";
    if (!channel.proved && foothold.stored === true) channel.stored = true;
    channel.proved = true;
    channel.tries = 0;
    if (channel.members.size === 0 && !channel.stored) return void this.#drop(channel);
    // It says the same as the frame of that name.
    if (earlier) {
      this.#context.early({ type: "channel.epoch", channel: channel.name, epoch, earlier });
    }
    inbox.start(epoch, seq);
    inbox.refuseAgain();
    for (const each of [...waiting]) each.resolve();
    for (const frame of early.splice(0)) {
      // An earlier subscription's message may be on its way still.
      const stale = isNew && frame._redelivered !== true && Number(frame.seq) <= seq;
      if (!stale) this.#context.early(frame);
    }
  }

  #refused(channel: Channel, error: PushError): void {
    const { clock, retryDelay, random, lost } = this.#context;
    channel.state = "unasked";
    if (!channel.proved || !error.retry) {
      channel.told = false;
      void this.#drop(channel, error);
      if (channel.proved) lost(channel.name, error);
      return;
    }
    const delay = backoffDelay(channel.tries++, retryDelay, random);
    channel.cancelRetry = clock.schedule(delay, () => {
      channel.cancelRetry = undefined;
      this.#ask(channel);
    });
  }

  #drop(channel: Channel, error?: PushError): Promise<void> {
    const { name, inbox, members, waiting } = channel;
    this.#wanted.delete(name);
    channel.cancelRetry?.();
    const ended = error ?? new PushError("disconnected", `The subscription to ${name} was ended.`);
    for (const each of [...waiting]) each.reject(ended);
    for (const member of [...members]) member.end(error);
    members.clear();
    inbox.reset();
    return channel.told ? this.#departures.add(name) : Promise.resolve();
  }
}
