import { ACK_PART, MAX_ACK_WAIT, MAX_ACKS } from "./bounds.ts";
import type { Channel } from "./channel.ts";
import type { Cancel } from "./clock.ts";
import type { Json } from "./protocol/frames.ts";
import type { Room, Session } from "./session.ts";

/** Acknowledges what is settled, all channels in one frame, and renews what waits for its handler. */
export interface Acks {
  /** One more message waits to be acknowledged. @param length of its payload, as `sizeOf` says */
  settled(length: number): void;
  /** Acknowledges what is settled. What is settled without a connection waits for the next one. */
  flushAcks(): void;
}

/** Makes the acknowledgements of a session. */
export function acksOf(session: Session): Acks & Room {
  const { terms, clock } = session;
  let count = 0;
  let size = 0;
  let cancelFlush: Cancel | undefined;
  let cancelRenewal: Cancel | undefined;
  /** Channels that the last renewal named. */
  const renewed: Set<string> = new Set();

  const flowing = (): Channel[] =>
    [...session.channels.values()].filter(({ state }) => state === "flowing");
  const clear = (): void => {
    cancelFlush?.();
    cancelFlush = undefined;
    count = size = 0;
  };
  const flushAcks = (): void => {
    clear();
    const acks = session.link ? flowing().flatMap((channel) => channel.takeAck()) : [];
    if (!acks[0]) return;
    session.send({ type: "ack", acks });
    session.save();
  };
  const planRenewal = (): void => {
    cancelRenewal = clock.schedule(terms.ackTimeout / 3, () => {
      planRenewal();
      const renew = flowing().flatMap((each) => {
        const { name: channel } = each;
        each.refuseAgain();
        const idle = each.idle();
        // Each renewal replaces the one before, so an empty one ends it.
        const isNamed = idle.ranges[0] ? renewed.add(channel) : renewed.delete(channel);
        return isNamed ? { channel, ...idle } : [];
      });
      if (renew[0]) session.send({ type: "renew", renew });
    });
  };
  return {
    settled(length) {
      if (!session.link) return;
      count++;
      size += length;
      if (count >= Math.min(terms.window / 2, MAX_ACKS) || size >= terms.windowBytes * ACK_PART) {
        flushAcks();
      } else {
        cancelFlush ??= clock.schedule(Math.min(MAX_ACK_WAIT, terms.ackTimeout / 4), flushAcks);
      }
    },
    flushAcks,
    attached() {
      flushAcks();
      if (terms.delivery) planRenewal();
    },
    detached() {
      // The next connection states positions, which say more than any acknowledgement.
      clear();
      cancelRenewal?.();
      renewed.clear();
    },
  };
}

/**
 * About the length of a value as JSON: to write it would cost more than all else of receiving it, so
 * names are left out. Of what is nested deeply, more than any window.
 *
 * @param data as it came: handlers may tie anything to it, also to itself
 */
export function sizeOf(data: Json, levels = 99): number {
  if (levels === 0) return Infinity;
  if (typeof data === "string") return data.length;
  let size = 16;
  if (typeof data === "object") {
    for (const key in data) size += sizeOf((data as { [key: string]: Json })[key], levels - 1);
  }
  return size;
}
