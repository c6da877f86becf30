import { backoffDelay } from "./backoff.ts";
import type { Channel, Member } from "./channel.ts";
import { Deferred } from "./deferred.ts";
import { type Inbox, inboxOf, type Snapshot } from "./inbox.ts";
import { type Incoming, readError, readIncoming, readSubscribed } from "./incoming.ts";
import { PushError } from "./protocol/error.ts";
import { isSeq } from "./protocol/event_id.ts";
import type { ConnectFrame, PollBody, Start } from "./protocol/frames.ts";
import { route } from "./router.ts";
import type { Session } from "./session.ts";

/** The channels that the application wants, and how far the gateway has followed. */
export interface Channels {
  /** Inboxes of all wanted channels. */
  inboxes(): Iterable<readonly [string, Inbox]>;
  /** Inboxes of the channels that flow on this connection. */
  flowing(): Iterable<readonly [string, Inbox]>;
  /**
   * The inbox of a channel that flows on this connection.
   *
   * @param frame is kept if the channel is about to flow; of any other it is not wanted any more
   */
  at(name: string, frame?: Incoming): Inbox | undefined;
  /** Whether a channel has members already. */
  has(name: string): boolean;
  /** Adds a member; the first one of a channel makes it wanted. */
  join(name: string, member: Member, start: Start): Inbox;
  /** Waits until the channel flows. Rejects with the gateway's refusal, and with `disconnected` after the timeout. */
  ready(name: string, signal: AbortSignal | undefined): Promise<void>;
  /**
   * Removes a member; the last one of a channel ends the subscription.
   *
   * @param keep whether a position that the gateway had before goes on: the subscription then stays,
   * and its messages wait for the next member, until the client is closed
   * @returns a promise that fulfills when the gateway has followed, or when it cannot be told now
   */
  leave(name: string, member: Member, keep?: boolean): Promise<void>;
  /** Ends the subscription for every member; as {@linkcode Channels.leave}. */
  leaveAll(name: string): Promise<void>;
  /** The first subscriptions of a connection that is about to begin. */
  hello(): NonNullable<ConnectFrame["subscriptions"]>;
  /** What to state in a poll. */
  positions(): NonNullable<PollBody["positions"]>;
  /** A connection has begun. @param answers what it says about the first subscriptions */
  connected(answers: readonly unknown[]): void;
  /** The connection is gone. */
  disconnected(): void;
  /**
   * The client is closed: whoever waits hears it.
   *
   * @param error why
   * @param wanted whether the application wanted it
   * @param forget whether the session is over too
   */
  close(error: PushError, wanted: boolean, forget: boolean): void;
  /** Takes over what the page had before a reload. */
  restore(snapshots: ReadonlyMap<string, Snapshot>): void;
}

/** Most characters of positions in one `connect` frame or poll; the other channels follow. */
const MAX_POSITIONS = 200_000;
/** Most channels in one `connect` frame that the gateway has not accepted before. */
const MAX_NEW = 64;
/** Most frames that wait for a channel to flow, beside two windows: of this subscription and the last. */
const MAX_EARLY = 1024;

/** Makes the channels of a session. */
export function channelsOf(session: Session): Channels {
  const { settings, wire, terms, emitter, requests } = session;
  const { clock, random, reconnectDelay, requestTimeout: timeout } = settings;
  const wanted: Map<string, Channel> = new Map();
  /** Channels to be unsubscribed from, until the gateway has said yes: on this connection or on a later one. */
  const leaving: Map<string, Deferred<void>> = new Map();
  /** What the page had before a reload of channels that have not flowed since. */
  let snapshots: Map<string, Snapshot> = new Map();

  const want = (name: string, start: Start): Channel => {
    const channel: Omit<Channel, "inbox"> = {
      name,
      start,
      members: new Set(),
      waiting: new Set(),
      early: [],
      state: "unasked",
      tries: 0,
    };
    const inbox = inboxOf(channel, session);
    const snapshot = snapshots.get(name);
    if (snapshot) inbox.restore(snapshot);
    const whole = Object.assign(channel, { inbox });
    wanted.set(name, whole);
    session.listeners.opened(inbox);
    return whole;
  };

  /** The gateway is asked for it now. @returns what to say */
  const asking = (channel: Channel): { channel: string } & Start => {
    const { name, inbox, start } = channel;
    channel.state = "asked";
    channel.told = true;
    // The position says all that these would have said.
    inbox.takeAck();
    const { position } = inbox;
    // It goes on from its position, or else from where the application wants.
    return { channel: name, ...position ? { position } : start };
  };

  const ask = (channel: Channel): void => {
    if (!wire.up || channel.state === "flowing" || channel.cancelRetry) return;
    requests.askOnce({ type: "channel.subscribe", ...asking(channel) }, (reply) => {
      answer(channel, reply);
    });
  };

  const answer = (channel: Channel, reply: Incoming): void => {
    const { name, inbox, members, waiting } = channel;
    const foothold = readSubscribed(reply);
    const error = readError(reply);
    if (channel.state !== "asked") return;
    if (error) return refused(channel, error);
    if (!foothold) return;
    const { epoch, seq, earlier, stored } = foothold;
    const isNew = inbox.position === undefined;
    channel.state = "flowing";
    if (!channel.proved && stored === true) channel.stored = true;
    channel.proved = true;
    channel.tries = 0;
    snapshots.delete(name);
    if (members.size === 0 && !channel.stored) return void drop(channel);
    // It says the same as the frame of that name.
    if (earlier) route(session, { type: "channel.epoch", channel: name, epoch, earlier });
    inbox.start(epoch, seq);
    inbox.refuseAgain();
    for (const each of waiting) each.resolve();
    for (const frame of channel.early.splice(0)) {
      // An earlier subscription's message may be on its way still.
      const isStale = isNew && frame._redelivered !== true && isSeq(frame.seq) && frame.seq <= seq;
      if (!isStale) route(session, frame);
    }
  };

  const refused = (channel: Channel, error: PushError): void => {
    channel.state = "unasked";
    if (channel.proved && error.retry) {
      const delay = backoffDelay(channel.tries++, reconnectDelay, random);
      channel.cancelRetry = clock.schedule(delay, () => {
        channel.cancelRetry = undefined;
        ask(channel);
      });
      return;
    }
    channel.told = false;
    void drop(channel, error);
    if (channel.proved) emitter.report(error, "gateway", { channel: channel.name });
  };

  const drop = (channel: Channel, error?: PushError): Promise<void> => {
    const { name, inbox, members, waiting, cancelRetry, told } = channel;
    wanted.delete(name);
    channel.state = "unasked";
    cancelRetry?.();
    const ended = error ?? new PushError("disconnected", `The subscription to ${name} was ended.`);
    for (const each of waiting) each.reject(ended);
    for (const member of members) member.end(error);
    members.clear();
    inbox.reset();
    const left = new Deferred<void>();
    if (told) leaving.set(name, left);
    if (told && wire.up) {
      left.whenSettled(clock.schedule(timeout, left.resolve));
      unsubscribe(name, left);
    } else {
      left.resolve();
    }
    return left.promise;
  };

  const unsubscribe = (channel: string, left: Deferred<void>): void => {
    requests.askOnce({ type: "channel.unsubscribe", channel }, (reply) => {
      left.resolve();
      // What the gateway cannot do now is asked for again over the next connection.
      if (leaving.get(channel) === left && !readError(reply)?.retry) leaving.delete(channel);
    });
  };

  return {
    *inboxes() {
      for (const { name, inbox } of wanted.values()) yield [name, inbox];
    },
    *flowing() {
      for (const { name, inbox, state } of wanted.values()) {
        if (state === "flowing") yield [name, inbox];
      }
    },
    at(name, frame) {
      const channel = wanted.get(name);
      if (channel?.state === "flowing") return channel.inbox;
      if (frame && channel?.state === "asked") {
        // To leave one out would tell the gateway, with the next position, that it is settled.
        const isTooMuch = channel.early.push(frame) > MAX_EARLY + 2 * terms.window;
        if (isTooMuch) session.connector.abandon("Too much came before an answer.");
      }
      return undefined;
    },
    has: (name) => (wanted.get(name)?.members.size ?? 0) > 0,
    join(name, member, start) {
      let channel = wanted.get(name);
      // A start takes the place of the stored position that has kept the channel.
      if (channel?.members.size === 0 && Object.keys(start).length > 0) {
        void drop(channel);
        channel = undefined;
      }
      channel ??= want(name, start);
      channel.members.add(member);
      return channel.inbox;
    },
    ready(name, signal) {
      const channel = wanted.get(name);
      const ready = new Deferred<void>(channel?.waiting).abortedBy(signal);
      if (!channel) ready.reject(new PushError("disconnected"));
      else if (channel.state === "flowing") ready.resolve();
      ready.rejectedAfter(clock, timeout, () => {
        const detail = `The subscription was not answered within ${timeout / 1000} s.`;
        return new PushError("disconnected", detail);
      });
      if (channel?.state === "unasked" && !ready.settled) ask(channel);
      return ready.promise;
    },
    async leave(name, member, keep = false) {
      const channel = wanted.get(name);
      if (!channel?.members.delete(member)) return;
      if (!keep) channel.stored = false;
      // Before the answer nobody knows whether there was a position.
      const isKept = keep && channel.told && (channel.stored || !channel.proved);
      if (!isKept && channel.members.size === 0) await drop(channel);
    },
    async leaveAll(name) {
      const channel = wanted.get(name);
      if (channel) await drop(channel);
    },
    hello() {
      const subscriptions = [];
      let size = 0;
      let fresh = 0;
      for (const channel of wanted.values()) {
        if (leaving.has(channel.name)) continue;
        if (!channel.proved && ++fresh > MAX_NEW) continue;
        const subscription = asking(channel);
        size += JSON.stringify(subscription).length;
        if (size > MAX_POSITIONS) break;
        subscriptions.push(subscription);
      }
      return subscriptions;
    },
    positions() {
      const positions = [];
      let size = 0;
      for (const [channel, inbox] of this.flowing()) {
        const position = { channel, ...inbox.position! };
        size += JSON.stringify(position).length;
        if (size > MAX_POSITIONS) break;
        positions.push(position);
      }
      return positions;
    },
    connected(answers) {
      for (const value of answers) {
        const frame = readIncoming(value);
        // A key of any other type finds nothing.
        const channel = wanted.get(frame?.channel as string);
        if (frame && channel) answer(channel, frame);
      }
      for (const [name, left] of leaving) unsubscribe(name, left);
      // What was in `connect` and got no answer is asked for by name.
      for (const channel of wanted.values()) ask(channel);
    },
    disconnected() {
      for (const left of leaving.values()) left.resolve();
      for (const channel of wanted.values()) {
        channel.state = "unasked";
        channel.cancelRetry?.();
        channel.cancelRetry = undefined;
        channel.early = [];
      }
    },
    close(error, isWanted, forget) {
      for (const { name, inbox, members, waiting } of wanted.values()) {
        for (const each of waiting) each.reject(error);
        for (const member of members) member.pause(isWanted ? undefined : error);
        if (forget) inbox.reset();
        // What only a stored position has kept here is kept at the gateway.
        if (members.size === 0) wanted.delete(name);
      }
      if (!forget) return;
      leaving.clear();
      snapshots = new Map();
    },
    restore(kept) {
      snapshots = new Map(kept);
      for (const [name, inbox] of this.inboxes()) {
        const snapshot = snapshots.get(name);
        if (snapshot) inbox.restore(snapshot);
      }
    },
  };
}
