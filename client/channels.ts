import { backoffDelay } from "./backoff.ts";
import type { Channel, Member } from "./channel.ts";
import { Deferred } from "./deferred.ts";
import { type Inbox, inboxOf, type Snapshot } from "./inbox.ts";
import { type Incoming, isSubscribed, readError } from "./incoming.ts";
import type { Kept } from "./keeper.ts";
import { PushError } from "./protocol/error.ts";
import { isSeq } from "./protocol/event_id.ts";
import type { ConnectFrame, PollBody, Start } from "./protocol/frames.ts";
import { route } from "./router.ts";
import type { Session } from "./session.ts";

/** The channels that the application wants, and how far the gateway has followed. */
export interface Channels {
  /** All of them, by name. */
  readonly wanted: ReadonlyMap<unknown, Channel>;
  /**
   * The inbox of a channel that flows on this connection.
   *
   * @param frame is kept if the channel is about to flow; of any other it is not wanted any more
   */
  at(frame: Incoming): Inbox | undefined;
  /** The right to a channel is lost. @param frame says so @returns whether the channel flowed */
  barred(frame: Incoming): boolean;
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
  restore(snapshots: Kept["positions"]): void;
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
  const { clock, random, reconnectDelay, requestTimeout } = settings;
  const wanted: Map<unknown, Channel> = new Map();
  /** Channels to be unsubscribed from, until the gateway has said yes: on this connection or on a later one. */
  const leaving: Map<string, Deferred<void>> = new Map();
  /** What the page had before a reload of channels that have not flowed since. */
  let kept: Map<string, Snapshot> = new Map();

  const want = (name: string, start: Start): Channel => {
    const channel = {
      name,
      start,
      members: new Set(),
      waiting: new Set(),
      early: [],
      state: "unasked",
      tries: 0,
    } as unknown as { -readonly [K in keyof Channel]: Channel[K] };
    const inbox = channel.inbox = inboxOf(channel, session);
    inbox.restore(kept.get(name));
    wanted.set(name, channel);
    session.listeners.opened(inbox);
    return channel;
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
    if (!wire.link || channel.state === "flowing" || channel.cancelRetry) return;
    requests.askOnce(
      { type: "channel.subscribe", ...asking(channel) },
      (reply) => answer(channel, reply),
    );
  };

  const answer = (channel: Channel, reply: Incoming): void => {
    const { name, inbox, proved } = channel;
    const error = readError(reply);
    if (channel.state !== "asked") return;
    if (isSubscribed(reply)) {
      const { epoch, seq, earlier, stored } = reply;
      const isNew = !inbox.position;
      channel.state = "flowing";
      if (!proved && stored === true) channel.stored = true;
      channel.proved = true;
      channel.tries = 0;
      kept.delete(name);
      if (!channel.members.size && !channel.stored) return void drop(channel);
      // It says the same as the frame of that name.
      if (earlier) route(session, { type: "channel.epoch", channel: name, epoch, earlier });
      inbox.restore({ epoch, floor: seq, settled: [] });
      inbox.refuseAgain();
      for (const each of channel.waiting) each.resolve();
      for (const frame of channel.early.splice(0)) {
        // An earlier subscription's message may be on its way still.
        const isStale = isNew && frame._redelivered !== true && isSeq(frame.seq) &&
          frame.seq <= seq;
        if (!isStale) route(session, frame);
      }
    } else if (error) {
      channel.state = "unasked";
      if (proved && error.retry) {
        const delay = backoffDelay(channel.tries++, reconnectDelay, random);
        channel.cancelRetry = clock.schedule(delay, () => {
          channel.cancelRetry = undefined;
          ask(channel);
        });
      } else {
        channel.told = false;
        void drop(channel, error);
        if (proved) emitter.report(error, "gateway", { channel: name });
      }
    }
  };

  const drop = (
    channel: Channel,
    error?: PushError,
  ): Promise<void> => {
    const { name, inbox, members, waiting, cancelRetry, told } = channel;
    const left = new Deferred<void>();
    wanted.delete(name);
    channel.state = "unasked";
    cancelRetry?.();
    for (const each of waiting) each.reject(error ?? ended(name));
    for (const member of members) member.end(error);
    members.clear();
    inbox.reset();
    if (told) leaving.set(name, left);
    if (told && wire.link) {
      left.whenSettled(clock.schedule(requestTimeout, left.resolve));
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

  /** What is said of each channel, as much as may travel at once. */
  const gather = <T>(say: (channel: Channel) => T | undefined): T[] => {
    let size = 0;
    return [...wanted.values()].flatMap((channel) => {
      const said = say(channel);
      size += JSON.stringify(said ?? 0).length;
      return said && size <= MAX_POSITIONS ? [said] : [];
    });
  };

  return {
    wanted,
    at(frame) {
      const channel = wanted.get(frame.channel);
      if (channel?.state === "flowing") return channel.inbox;
      if (channel?.state === "asked") {
        // To leave one out would tell the gateway, with the next position, that it is settled.
        const isTooMuch = channel.early.push(frame) > MAX_EARLY + 2 * terms.window;
        if (isTooMuch) session.connector.abandon("Too much came before an answer.");
      }
      return undefined;
    },
    barred(frame) {
      const channel = wanted.get(frame.channel);
      if (channel?.state !== "flowing") return false;
      channel.state = "asked";
      answer(channel, frame);
      return true;
    },
    join(name, member, start) {
      let channel = wanted.get(name);
      // A start takes the place of the stored position that has kept the channel.
      if (channel?.members.size === 0 && Object.keys(start)[0]) {
        void drop(channel);
        channel = undefined;
      }
      channel ??= want(name, start);
      channel.members.add(member);
      return channel.inbox;
    },
    ready(name, signal) {
      const channel = wanted.get(name);
      const ready = new Deferred<void>(signal, channel?.waiting).rejectedAfter(
        clock,
        requestTimeout,
        "disconnected",
      );
      if (!channel) ready.reject(ended(name));
      else if (channel.state === "flowing") ready.resolve();
      else if (channel.state === "unasked" && !ready.settled) ask(channel);
      return ready.promise;
    },
    async leave(name, member, keep) {
      const channel = wanted.get(name);
      if (!channel?.members.delete(member)) return;
      if (!keep) channel.stored = false;
      // Before the answer nobody knows whether there was a position.
      const isKept = keep && channel.told && (channel.stored || !channel.proved);
      if (!isKept && !channel.members.size) await drop(channel);
    },
    async leaveAll(name) {
      const channel = wanted.get(name);
      if (channel) await drop(channel);
    },
    hello() {
      let fresh = 0;
      return gather((channel) =>
        leaving.has(channel.name) || !channel.proved && ++fresh > MAX_NEW
          ? undefined
          : asking(channel)
      );
    },
    positions: () =>
      gather(({ name, state, inbox }) =>
        state === "flowing" ? { channel: name, ...inbox.position! } : undefined
      ),
    connected(answers) {
      for (const value of answers) {
        const frame = Object(value);
        const channel = wanted.get(frame.channel);
        if (channel) answer(channel, frame);
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
        if (!members.size) wanted.delete(name);
      }
      if (!forget) return;
      leaving.clear();
      kept.clear();
    },
    restore(positions) {
      kept = new Map(positions);
      for (const { name, inbox } of wanted.values()) inbox.restore(kept.get(name));
    },
  };
}

/** What those hear who wait for a channel that is left. */
export function ended(channel: string): PushError {
  return new PushError("disconnected", `${channel} was left.`);
}
