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

/** The position of a subscription of which nothing is stored. The channel must be open. */
export function freshCursor(channel: Channel, position: Position | undefined): DeliveryCursor {
  const { epoch, head } = channel;
  if (position === undefined) return DeliveryCursor.at(epoch, head);
  const base = position.epoch === epoch ? Infinity : channel.baseOf(position.epoch);
  if (base === undefined) return DeliveryCursor.at(position.epoch, position.seq);
  const lowest = Math.min(position.seq, (position.open?.[0] ?? Infinity) - 1, base);
  // What it has missed is told when it enters the present epoch.
  if (channel.mayMiss(position.epoch)) return DeliveryCursor.at(position.epoch, lowest);
  return DeliveryCursor.at(epoch, Math.min(lowest, head));
}

/** Goes on from where a client says that it is, as far as its numbers mean something here. */
export function takePosition(
  subscription: Subscription,
  { epoch, seq, open }: Position,
): void {
  const { channel } = subscription;
  if (epoch === channel.epoch || epoch === subscription.epoch) {
    if (epoch === channel.epoch || channel.baseOf(epoch) !== undefined) {
      return subscription.adopt(epoch, seq, new RangeSet(open));
    }
  }
  const base = channel.baseOf(epoch);
  if (base === undefined) {
    if (!subscription.isLive) subscription.seek(DeliveryCursor.at(epoch, seq));
    return;
  }
  subscription.adopt(channel.epoch, Math.min(seq, base), new RangeSet(clip(open ?? [], base)));
  const isTold = seq <= base && !channel.mayMiss(epoch);
  if (!isTold && !subscription.isLive) subscription.regress(epoch, seq);
}

/** Ranges up to a number. */
export function clip(ranges: Ranges, last: number): Ranges {
  if (last === Infinity) return ranges;
  const kept = ranges.filter((n) => n <= last);
  // An odd number of ends: the last range goes beyond.
  if (kept.length % 2 === 1) kept.push(last);
  return kept;
}
