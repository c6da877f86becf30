/**
 * Where a subscription starts.
 *
 * @module
 */
import { type Position, type Ranges, RangeSet, type Start } from "@push/client/protocol";
import type { Channel } from "../channel/channel.ts";
import { DeliveryCursor } from "./cursor.ts";
import type { Subscription } from "./subscription.ts";

/** Whether the client says where to start, whatever is stored. */
export function isExplicit({ since, last, all }: Start): boolean {
  return since !== undefined || last !== undefined || all === true;
}

/** The position that a client asks for. The channel must be open. */
export function explicitCursor(channel: Channel, { since, last, all }: Start): DeliveryCursor {
  const { epoch, head } = channel;
  if (since !== undefined) {
    const base = since.epoch === epoch ? Infinity : channel.baseOf(since.epoch) ?? -1;
    return since.seq <= base && !channel.mayMiss(since.epoch)
      ? DeliveryCursor.at(epoch, Math.min(since.seq, head), head)
      : DeliveryCursor.at(since.epoch, since.seq, head);
  }
  const floor = all === true ? channel.oldest - 1 : channel.floorOfLast(last ?? 0);
  return DeliveryCursor.at(epoch, floor, head);
}

/**
 * Epoch of a position before which nothing may be read, until its gap was told: its number is of
 * whichever epoch the log had then.
 */
export const BARRED = "barred";

/**
 * The position of a subscription of which nothing is stored. The channel must be open.
 *
 * @param readsBack whether what was published before may be read; if not, and there is something, it
 *   begins with a gap
 */
export function freshCursor(
  channel: Channel,
  position: Position | undefined,
  readsBack: boolean,
): DeliveryCursor {
  const { epoch, head } = channel;
  if (position === undefined) return DeliveryCursor.at(epoch, head);
  if (!readsBack) {
    const wanted = freshCursor(channel, position, true);
    const missesNothing = wanted.epoch === epoch && wanted.floor >= head;
    return missesNothing ? wanted : DeliveryCursor.at(BARRED, head);
  }
  const base = position.epoch === epoch ? Infinity : channel.baseOf(position.epoch);
  if (base === undefined) return DeliveryCursor.at(position.epoch, position.seq);
  const lowest = Math.min(position.seq, (position.open?.[0] ?? Infinity) - 1, base);
  // What it has missed is told when it enters the present epoch.
  if (channel.mayMiss(position.epoch)) return DeliveryCursor.at(position.epoch, lowest);
  return DeliveryCursor.at(epoch, Math.min(lowest, head));
}

/**
 * Goes on from where a client says that it is, as far as its numbers mean something here.
 *
 * @param readsBack whether it may read what was published before its subscription began: else it goes
 *   on from no place but the subscription's own
 * @returns whether what it has is of a log that is lost, and that is not told otherwise
 */
export function takePosition(
  subscription: Subscription,
  { epoch, seq, open }: Position,
  readsBack: boolean,
): boolean {
  const { channel } = subscription;
  if (epoch === channel.epoch || epoch === subscription.epoch) {
    if (epoch === channel.epoch || channel.baseOf(epoch) !== undefined) {
      subscription.adopt(epoch, seq, new RangeSet(open));
      return false;
    }
  }
  const base = channel.baseOf(epoch);
  const { isLive } = subscription;
  const isUntold = !isLive && !readsBack && subscription.epoch === channel.epoch;
  if (base === undefined) {
    if (!isLive && readsBack) subscription.seek(DeliveryCursor.at(epoch, seq));
    return isUntold;
  }
  subscription.adopt(channel.epoch, Math.min(seq, base), new RangeSet(clip(open ?? [], base)));
  const isTold = seq <= base && !channel.mayMiss(epoch);
  if (!isTold && !isLive && readsBack) subscription.regress(epoch, seq);
  return !isTold && isUntold;
}

/** Ranges up to a number. */
export function clip(ranges: Ranges, last: number): Ranges {
  if (last === Infinity) return ranges;
  const kept = ranges.filter((n) => n <= last);
  // An odd number of ends: the last range goes beyond.
  if (kept.length % 2 === 1) kept.push(last);
  return kept;
}
