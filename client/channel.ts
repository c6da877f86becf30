import { backoffDelay } from "./backoff.ts";
import { MAX_EARLY } from "./bounds.ts";
import type { Cancel } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import { type Inbox, inboxOf } from "./inbox.ts";
import { type Incoming, isSubscribed, readError } from "./incoming.ts";
import { PushError } from "./protocol/error.ts";
import type { Start } from "./protocol/frames.ts";
import { route } from "./router.ts";
import type { Session } from "./session.ts";

/** A part of the application that wants a channel. */
export interface Member {
  /** The channel is over for it. @param error why, unless the application wanted it */
  end(error?: PushError): void;
  /** The client is closed, and may be connected again. @param error why, unless the application wanted it */
  pause(error?: PushError): void;
}

/** A channel that the application wants: what has come of it, and how far the gateway has followed. */
export interface Channel extends Inbox {
  readonly name: string;
  /** Who wants it. */
  readonly members: Set<Member>;
  /** How far the gateway has followed on this connection. */
  state: "unasked" | "asked" | "flowing";
  /** Whether it ever flowed: its refusal then is not the answer to anybody's call. */
  isProved?: boolean;
  /** The gateway is asked for it now. @returns what to say */
  asking(): { channel: string } & Start;
  /** Asks for it, where that makes sense. */
  ask(): void;
  /** What came before the answer: over HTTP the one may overtake the other. */
  early: Incoming[];
  /** Takes what the gateway says to that. */
  answer(reply: Incoming): void;
  /** Itself if it flows; a frame that comes before that is kept until then. */
  at(frame: Incoming): Inbox | undefined;
  /** The right to it is lost. @param frame says so @returns whether it flowed */
  barred(frame: Incoming): boolean;
  /** Waits until it flows. Rejects with the gateway's refusal, and with `disconnected` after the timeout. */
  ready(signal: AbortSignal | undefined): Promise<void>;
  /**
   * Removes a member; the last one ends the subscription.
   *
   * @param keep whether a position that the gateway had before goes on: the subscription then stays,
   * and its messages wait for the next member, until the client is closed
   * @returns a promise that fulfills when the gateway has followed, or when it cannot be told now
   */
  leave(member: Member, keep?: boolean): Promise<void>;
  /** Ends the subscription for every member; as `leave`. @param error why, unless the application wanted it */
  drop(error?: PushError): Promise<void>;
  /** The connection is gone. */
  detach(): void;
  /** The client is closed: whoever waits hears it. @param isWanted whether by the application */
  close(error: PushError, isWanted: boolean): void;
}

/**
 * Makes a channel.
 *
 * @param name its name
 * @param start where the application wants to start
 */
export function channelOf(session: Session, name: string, start: Start): Channel {
  /** Who waits for it to flow. */
  const waiting: Set<Deferred<void>> = new Set();
  const members: Set<Member> = new Set();
  /** Whether the gateway may know of the subscription. */
  let isTold = false;
  /** Whether the gateway had a position of it before this object asked, which nobody has given up. */
  let isStored = false;
  /** Refusals in a row. */
  let tries = 0;
  /** Ends the wait before it is asked for again. */
  let cancelRetry: Cancel | undefined;

  const begin = (frame: Incoming & { epoch: string; seq: number }): void => {
    const { epoch, seq, earlier } = frame;
    channel.state = "flowing";
    isStored ||= !channel.isProved && frame.stored === true;
    channel.isProved = true;
    tries = 0;
    session.begun(name);
    if (!members.size && !isStored) return void channel.drop();
    // It says the same as the frame of that name.
    if (earlier) route(session, { type: "channel.epoch", channel: name, epoch, earlier });
    channel.restore({ epoch, floor: seq, settled: [] });
    channel.refuseAgain();
    for (const each of waiting) each.resolve();
    for (const frame of channel.early.splice(0)) route(session, frame);
  };

  const flow: Omit<Channel, keyof Inbox> = {
    name,
    members,
    early: [],
    state: "unasked",
    asking() {
      channel.state = "asked";
      isTold = true;
      // The position says all that these would have said.
      channel.takeAck();
      const position = channel.position();
      // It goes on from its position, or else from where the application wants.
      return { channel: name, ...position ? { position } : start };
    },
    ask() {
      if (!session.link || channel.state === "flowing" || cancelRetry) return;
      session.askOnce({ type: "channel.subscribe", ...channel.asking() }, channel.answer);
    },
    answer(reply) {
      const { isProved } = channel;
      const error = readError(reply);
      if (channel.state !== "asked") return;
      if (isSubscribed(reply)) return begin(reply);
      if (!error) return;
      channel.state = "unasked";
      if (isProved && error.retry) {
        const delay = backoffDelay(tries++, session.reconnectDelay, session.random);
        cancelRetry = session.clock.schedule(delay, () => {
          cancelRetry = undefined;
          channel.ask();
        });
      } else {
        isTold = false;
        void channel.drop(error);
        if (isProved) session.report(error, "gateway", { channel: name });
      }
    },
    at(frame) {
      if (channel.state === "flowing") return channel;
      if (channel.state === "asked") {
        // To leave one out would tell the gateway, with the next position, that it is settled.
        const isTooMuch = channel.early.push(frame) > MAX_EARLY + 2 * session.terms.window;
        if (isTooMuch) session.abandon("Too much came before an answer.");
      }
      return undefined;
    },
    barred(frame) {
      if (channel.state !== "flowing") return false;
      channel.state = "asked";
      channel.answer(frame);
      return true;
    },
    ready(signal) {
      const ready = new Deferred<void>(signal, waiting).rejectedAfter(session);
      if (channel.state === "flowing") ready.resolve();
      else if (channel.state === "unasked" && !ready.settled) channel.ask();
      return ready.promise;
    },
    async leave(member, keep) {
      if (!members.delete(member)) return;
      if (!keep) isStored = false;
      // Before the answer nobody knows whether there was a position.
      const isKept = keep && isTold && (isStored || !channel.isProved);
      if (!isKept && !members.size) await channel.drop();
    },
    drop(error) {
      channel.detach();
      session.channels.delete(name);
      for (const each of waiting) each.reject(error ?? ended(name));
      // Whoever hears it may leave.
      const left = [...members];
      members.clear();
      for (const member of left) member.end(error);
      channel.reset();
      return isTold ? session.unsubscribe(name) : Promise.resolve();
    },
    detach() {
      channel.state = "unasked";
      cancelRetry?.();
      cancelRetry = undefined;
      channel.early = [];
    },
    close(error, isWanted) {
      for (const each of waiting) each.reject(error);
      for (const member of members) member.pause(isWanted ? undefined : error);
      // What only a stored position has kept here is kept at the gateway.
      if (!members.size) session.channels.delete(name);
    },
  };
  const channel: Channel = Object.assign(flow, inboxOf(flow, session));
  return channel;
}

/** What those hear who wait for a channel that is left. */
export function ended(channel: string): PushError {
  return new PushError("disconnected", `${channel} was left.`);
}
