import type { Terms } from "./rules_delivery.ts";
import type { Seat, View } from "./view.ts";

const name = ({ client, channel }: Seat) => `${client} on ${channel}`;

/**
 * I5: what is acknowledged does not come again. A crash may undo the acknowledgements that it is noted
 * to undo; to a handler, nothing that succeeded comes again at all.
 */
export function ackFinality(view: View): string[] {
  return view.seats.flatMap((seat) => {
    const acked = new Map<string, number>();
    for (const { type, phase, id, at } of seat.settled) {
      if (type === "ack" && phase === "ok" && !acked.has(id)) acked.set(id, at);
    }
    return seat.deliveries.flatMap(({ id, at, redriven }) => {
      const settled = acked.get(id);
      if (settled === undefined || at <= settled || redriven) return [];
      const isForgiven = seat.sees === "frames" &&
        view.faults.some((fault) =>
          fault.type === "fault" && fault.at <= at && settled >= fault.at - (fault.forgets ?? 0)
        );
      return isForgiven ? [] : [`${name(seat)} got ${id} after its acknowledgement`];
    });
  });
}

/**
 * I6: attempts are counted up to the limit, and then there is one dead letter. What is never
 * acknowledged ends there; what is acknowledged does not.
 */
export function boundedAttempts(view: View, { maxRetries }: Terms): string[] {
  return view.seats.flatMap((seat) => {
    const wrong: string[] = [];
    const counts = new Map<string, number>();
    for (const { id, retry, at, redriven = false } of seat.deliveries) {
      if (retry > maxRetries) wrong.push(`${name(seat)} got ${id} as retry ${retry}`);
      const before = counts.get(id) ?? 0;
      const wasForgotten = view.faults.some((it) => it.type === "fault" && it.at <= at);
      if (retry < before && !wasForgotten && !redriven) {
        wrong.push(`${name(seat)} got ${id} as retry ${retry} after ${before}`);
      }
      counts.set(id, retry);
    }
    const letters = new Map<string, number>();
    for (const { id } of seat.dead) letters.set(id, (letters.get(id) ?? 0) + 1);
    for (const [id, count] of letters) {
      if (count > 1) wrong.push(`${name(seat)} has ${count} dead letters of ${id}`);
      const isAcked = seat.settled.some((it) =>
        it.type === "ack" && it.phase === "ok" && it.id === id
      );
      if (isAcked) wrong.push(`${name(seat)} has a dead letter of ${id}, which it acknowledged`);
    }
    if (seat.policy === "ack") return wrong;
    for (const id of counts.keys()) {
      if (!letters.has(id)) wrong.push(`${name(seat)} refused ${id}, and it is no dead letter`);
    }
    return wrong;
  });
}

/** I12: what somebody has no right to does nothing. */
export function refusalsDoNothing(view: View): string[] {
  const wrong: string[] = [];
  for (const { id, client, forbidden, phase } of view.publishes.values()) {
    if (!forbidden) continue;
    if (phase === "ok") wrong.push(`${client} published ${id} without a right`);
    for (const seat of view.seats) {
      if (!seat.deliveries.some((it) => it.id === id)) continue;
      wrong.push(`${name(seat)} got ${id}, which ${client} had no right to publish`);
    }
  }
  for (const seat of view.seats) {
    for (const { type, phase, foreign, id } of seat.settled) {
      if (!foreign || phase !== "ok") continue;
      wrong.push(`${name(seat)} settled ${id} of another client (${type})`);
    }
  }
  return wrong;
}
