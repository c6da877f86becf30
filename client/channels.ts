import { FRAME_PART, MAX_NEW } from "./bounds.ts";
import { type Channel, channelOf, type Member } from "./channel.ts";
import { Deferred } from "./deferred.ts";
import type { Snapshot } from "./inbox.ts";
import { readError } from "./incoming.ts";
import type { Kept } from "./keeper.ts";
import type { ConnectFrame, PollBody, Start } from "./protocol/frames.ts";
import type { Room, Session } from "./session.ts";

/** The channels that the application wants, and those that the gateway is to forget. */
export interface Channels {
  /** Those wanted, by name. */
  readonly channels: Map<unknown, Channel>;
  /** Adds a member; the first one of a channel makes it wanted. */
  join(name: string, member: Member, start: Start): Channel;
  /** Ends a subscription. @returns a promise that fulfills as that of `Channel.leave` */
  unsubscribe(name: string): Promise<void>;
  /** A channel flows: what the page had of it before a reload, and an end not followed, are of no more use. */
  begun(name: string): void;
  /** The first subscriptions of a connection that is about to begin. */
  firsts(): NonNullable<ConnectFrame["subscriptions"]>;
  /** What to state in a poll. */
  positions(): NonNullable<PollBody["positions"]>;
  /** Takes over what the page had before a reload. */
  restore(snapshots: Kept["positions"]): void;
}

/** Makes the channels of a session. */
export function channelsOf(session: Session): Channels & Room {
  const channels: Map<unknown, Channel> = new Map();
  /** Channels to be unsubscribed from, until the gateway has said yes: on this connection or on a later one. */
  const leaving: Map<string, Deferred<void>> = new Map();
  /** What the page had before a reload of channels that have not flowed since. */
  let kept: Map<string, Snapshot> = new Map();

  const resume = ({ name, restore }: Channel): void => restore(kept.get(name));

  const sayLeave = (channel: string, left: Deferred<void>): void =>
    session.askOnce({ type: "channel.unsubscribe", channel }, (reply) => {
      left.resolve();
      // What has come, or is on its way over HTTP, is not of a subscription that was asked for since.
      channels.get(channel)?.early.splice(0);
      session.link?.renew?.();
      // What the gateway cannot do now is asked for again over the next connection.
      if (leaving.get(channel) === left && !readError(reply)?.retry) leaving.delete(channel);
    });

  /** What is said of each channel, as much as may travel at once. */
  const gather = <T>(say: (channel: Channel) => T | false): T[] => {
    let size = 0;
    return [...channels.values()].flatMap((channel) => {
      const said = say(channel);
      size += JSON.stringify(said).length;
      return said && size <= session.terms.maxFrameBytes / FRAME_PART ? [said] : [];
    });
  };

  return {
    channels,
    join(name, member, start) {
      let channel = channels.get(name);
      // A start takes the place of the stored position that has kept the channel.
      if (channel?.members.size === 0 && Object.keys(start)[0]) {
        void channel.drop();
        channel = undefined;
      }
      if (!channel) {
        channel = channelOf(session, name, start);
        resume(channel);
        channels.set(name, channel);
        session.opened(channel);
      }
      channel.members.add(member);
      return channel;
    },
    unsubscribe(name) {
      const left = new Deferred<void>();
      leaving.set(name, left);
      if (session.link) {
        left.whenSettled(session.clock.schedule(session.requestTimeout, left.resolve));
        sayLeave(name, left);
      } else {
        left.resolve();
      }
      return left.promise;
    },
    begun(name) {
      kept.delete(name);
      leaving.delete(name);
    },
    firsts() {
      let fresh = 0;
      return gather(({ name, isProved, asking }) =>
        !leaving.has(name) && (isProved || ++fresh <= MAX_NEW) && asking()
      );
    },
    positions: () =>
      gather(({ name, state, position }) =>
        state === "flowing" && { channel: name, ...position()! }
      ),
    attached({ subscriptions }) {
      for (const value of subscriptions) {
        const frame = Object(value);
        channels.get(frame.channel)?.answer(frame);
      }
      leaving.forEach((left, name) => sayLeave(name, left));
      // What was in `connect` and got no answer is asked for by name.
      for (const channel of channels.values()) channel.ask();
    },
    detached() {
      for (const left of leaving.values()) left.resolve();
      for (const channel of channels.values()) channel.detach();
    },
    over(error, isWanted, forget) {
      for (const channel of channels.values()) {
        channel.close(error, isWanted);
        if (forget) channel.reset();
      }
      if (!forget) return;
      leaving.clear();
      kept.clear();
    },
    restore(positions) {
      kept = new Map(positions);
      channels.forEach(resume);
    },
  };
}
