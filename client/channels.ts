import { backoffDelay, type BackoffRange } from "./backoff.ts";
import type { Cancel, Clock, RandomBytes } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import { Inbox, type InboxContext, type Snapshot } from "./inbox.ts";
import { type Incoming, readError, readIncoming, readSubscribed } from "./incoming.ts";
import { PushError } from "./protocol/error.ts";
import type { ConnectFrame, Start } from "./protocol/frames.ts";
import type { Wire } from "./wire.ts";

/** A part of the application that wants a channel. */
export interface Member {
  /** The channel is over for it. @param error why, unless the application wanted it */
  end(error?: PushError): void;
  /** The client is closed, and may be connected again. @param error why, unless the application wanted it */
  pause(error?: PushError): void;
}

/** What {@linkcode Channels} needs around it. */
export interface ChannelsContext extends InboxContext {
  readonly wire: Wire;
  readonly random: RandomBytes;
  readonly retryDelay: BackoffRange;
  /** Milliseconds that a request may take. */
  readonly timeout: number;
  /** A channel has an inbox. */
  opened(inbox: Inbox): void;
  /** A channel that worked is refused by the gateway. */
  lost(channel: string, error: PushError): void;
}

interface Channel {
  readonly name: string;
  readonly inbox: Inbox;
  readonly start: Start;
  readonly members: Set<Member>;
  readonly waiting: Set<Deferred<void>>;
  state: "unasked" | "asked" | "flowing";
  /** Whether the gateway may know of the subscription. */
  told: boolean;
  /** Whether it ever flowed: its refusal then is not the answer to anybody's call. */
  proved: boolean;
  tries: number;
  cancelRetry: Cancel | undefined;
}

/** Most characters of positions in one `connect` frame or poll; the other channels follow. */
const MAX_POSITIONS = 200_000;

/** The channels that the application wants, and how far the gateway has followed. */
export class Channels {
  readonly #context: ChannelsContext;
  readonly #wanted: Map<string, Channel> = new Map();
  /** Channels to be unsubscribed from, until the gateway has said yes. */
  readonly #leaving: Map<string, Deferred<void>> = new Map();
  /** Questions of this connection, by request id. */
  readonly #asked: Map<number, { name: string; leaving?: Deferred<void> }> = new Map();
  #snapshots: Map<string, Snapshot> = new Map();

  /** @param context what is around */
  constructor(context: ChannelsContext) {
    this.#context = context;
  }

  /** The inbox of a wanted channel. */
  inboxOf(name: string): Inbox | undefined {
    return this.#wanted.get(name)?.inbox;
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

  /** Whether a channel is wanted already. */
  has(name: string): boolean {
    return this.#wanted.has(name);
  }

  /** Adds a member; the first one of a channel makes it wanted. */
  join(name: string, member: Member, start: Start): Inbox {
    let channel = this.#wanted.get(name);
    if (!channel) {
      channel = {
        name,
        inbox: new Inbox(name, this.#context),
        start,
        members: new Set(),
        waiting: new Set(),
        state: "unasked",
        told: false,
        proved: false,
        tries: 0,
        cancelRetry: undefined,
      };
      const snapshot = this.#snapshots.get(name);
      if (snapshot) channel.inbox.restore(snapshot);
      this.#wanted.set(name, channel);
      this.#context.opened(channel.inbox);
    }
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
    if (channel.state === "unasked") this.#ask(channel);
    return waiting.promise;
  }

  /**
   * Removes a member; the last one of a channel ends the subscription.
   *
   * @returns a promise that fulfills when the gateway has followed, or is told when it is back
   */
  leave(name: string, member: Member): Promise<void> {
    const channel = this.#wanted.get(name);
    if (!channel?.members.delete(member) || channel.members.size > 0) return Promise.resolve();
    return this.#drop(channel);
  }

  /** Ends the subscription for every member. */
  leaveAll(name: string): Promise<void> {
    const channel = this.#wanted.get(name);
    return channel ? this.#drop(channel) : Promise.resolve();
  }

  /** The first subscriptions of a connection that is about to begin. */
  hello(): NonNullable<ConnectFrame["subscriptions"]> {
    const subscriptions = [];
    let size = 0;
    for (const channel of this.#wanted.values()) {
      if (this.#leaving.has(channel.name)) continue;
      const subscription = { channel: channel.name, ...startOf(channel) };
      size += JSON.stringify(subscription).length;
      if (size > MAX_POSITIONS) break;
      // The position says all that these would have said.
      channel.inbox.takeAck();
      channel.state = "asked";
      channel.told = true;
      subscriptions.push(subscription);
    }
    return subscriptions;
  }

  /** What to state in a poll. */
  positions(): { channel: string; epoch: string; seq: number; open?: number[] }[] {
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
      const name = frame?.channel;
      if (frame && typeof name === "string") this.#answer(name, frame);
    }
    for (const [name, leaving] of this.#leaving) this.#sendLeave(name, leaving);
    for (const channel of this.#wanted.values()) {
      // What was in `connect` and got no answer is asked for by name.
      if (channel.state !== "flowing" && !channel.cancelRetry) this.#ask(channel);
    }
  }

  /** The connection is gone. */
  disconnected(): void {
    for (const { leaving } of this.#asked.values()) leaving?.resolve();
    this.#asked.clear();
    for (const channel of this.#wanted.values()) {
      channel.state = "unasked";
      channel.cancelRetry?.();
      channel.cancelRetry = undefined;
    }
  }

  /** Takes a reply in. @returns whether it answers a question about a channel */
  reply(id: number, reply: Incoming): boolean {
    const question = this.#asked.get(id);
    if (!question) return false;
    this.#asked.delete(id);
    const { name, leaving } = question;
    if (!leaving) this.#answer(name, reply);
    leaving?.resolve();
    if (leaving && this.#leaving.get(name) === leaving) this.#leaving.delete(name);
    return true;
  }

  /** The inbox of a channel that flows on this connection. */
  open(name: string): Inbox | undefined {
    const channel = this.#wanted.get(name);
    return channel?.state === "flowing" ? channel.inbox : undefined;
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
    }
    if (forget) this.#leaving.clear();
    if (forget) this.#snapshots.clear();
  }

  /** Takes over what the page had before a reload. */
  restore(snapshots: Map<string, Snapshot>): void {
    this.#snapshots = snapshots;
    for (const [name, inbox] of this.inboxes()) {
      const snapshot = snapshots.get(name);
      if (snapshot) inbox.restore(snapshot);
    }
  }

  #ask(channel: Channel): void {
    const { wire } = this.#context;
    if (!wire.up) return;
    const request_id = wire.nextId();
    channel.state = "asked";
    channel.told = true;
    channel.inbox.takeAck();
    this.#asked.set(request_id, { name: channel.name });
    wire.send({
      type: "channel.subscribe",
      channel: channel.name,
      ...startOf(channel),
      request_id,
    });
  }

  #answer(name: string, reply: Incoming): void {
    const channel = this.#wanted.get(name);
    if (channel?.state !== "asked") return;
    const foothold = readSubscribed(reply);
    const error = readError(reply);
    if (foothold) {
      channel.state = "flowing";
      channel.proved = true;
      channel.tries = 0;
      channel.inbox.start(foothold.epoch, foothold.seq, foothold.open);
      for (const frame of channel.inbox.refusals()) this.#context.wire.send(frame);
      for (const waiting of [...channel.waiting]) waiting.resolve();
    } else if (error) {
      this.#refused(channel, new PushError(error.code, error.message || undefined));
    }
  }

  #refused(channel: Channel, error: PushError): void {
    channel.state = "unasked";
    if (channel.proved && error.retry) {
      const { clock, retryDelay, random } = this.#context;
      const delay = backoffDelay(channel.tries++, retryDelay, random);
      channel.cancelRetry = clock.schedule(delay, () => {
        channel.cancelRetry = undefined;
        if (this.#wanted.get(channel.name) === channel) this.#ask(channel);
      });
      return;
    }
    channel.told = false;
    void this.#drop(channel, error);
    if (channel.proved) this.#context.lost(channel.name, error);
  }

  #drop(channel: Channel, error?: PushError): Promise<void> {
    const { name, told } = channel;
    this.#wanted.delete(name);
    channel.cancelRetry?.();
    for (const waiting of [...channel.waiting]) {
      waiting.reject(
        error ?? new PushError("disconnected", `The subscription to ${name} was ended.`),
      );
    }
    for (const member of [...channel.members]) member.end(error);
    channel.members.clear();
    channel.inbox.reset();
    this.#snapshots.delete(name);
    if (!told) return Promise.resolve();
    const { clock, timeout, wire } = this.#context;
    const leaving = new Deferred<void>();
    this.#leaving.set(name, leaving);
    if (!wire.up) leaving.resolve();
    else {
      leaving.whenSettled(clock.schedule(timeout, () => leaving.resolve()));
      this.#sendLeave(name, leaving);
    }
    return leaving.promise;
  }

  #sendLeave(name: string, leaving: Deferred<void>): void {
    const { wire } = this.#context;
    const request_id = wire.nextId();
    this.#asked.set(request_id, { name, leaving });
    wire.send({ type: "channel.unsubscribe", channel: name, request_id });
  }
}

/** Where the channel goes on: from its position, or else from where the application wants. */
function startOf(channel: Channel): Start {
  const { position } = channel.inbox;
  return position ? { position } : channel.start;
}
