import type { DeliverNote } from "./history.ts";
import type { Seat, View } from "./view.ts";

/** Limits that some rules need. Times in milliseconds. */
export interface Terms {
  /** Retries before a message is given up. */
  readonly maxRetries: number;
  /** Whether something may be lost: a limit is passed, or Redis loses what it had not written yet. */
  readonly mayLose: boolean;
  /** Within so long after a fault is healed, everything arrives. */
  readonly patience: number;
  /** Bytes of memory and open files that a process may have more after the load than before. */
  readonly growth: { readonly rss: number; readonly fds: number };
}

const name = ({ client, channel }: Seat) => `${client} on ${channel}`;
const where = ({ place }: DeliverNote) => `${place.epoch}:${place.seq}`;

/** First deliveries, one for each message, in the order in which they came. */
function firsts(seat: Seat): (DeliverNote & { readonly at: number })[] {
  const seen = new Set<string>();
  return seat.deliveries.filter(({ id }) => !seen.has(id) && seen.add(id));
}

/** I1: what was answered reaches everyone who was there, is given up, or its loss is told. */
export function noAnsweredLoss(view: View): string[] {
  return view.seats.flatMap((seat) => {
    const got = new Set([...seat.deliveries, ...seat.dead].map(({ id }) => id));
    return view.owed(seat)
      .filter((publish) => !got.has(publish.id) && !view.isTold(seat, publish))
      .map(({ id, place }) => `${name(seat)} never got ${id} (${place?.epoch}:${place?.seq})`);
  });
}

/** I2: what arrives was published, just so, and was not refused. */
export function noInvention(view: View): string[] {
  return view.seats.flatMap((seat) =>
    seat.deliveries.flatMap(({ id, payload, channel }) => {
      const publish = view.publishes.get(id);
      if (publish === undefined) return [`${name(seat)} got ${id}, which nobody published`];
      if (publish.channel !== channel) return [`${name(seat)} got ${id} of ${publish.channel}`];
      if (publish.payload !== payload) return [`${name(seat)} got ${id} with another payload`];
      if (publish.phase === "fail") {
        return [`${name(seat)} got ${id}, which was refused: ${publish.code}`];
      }
      return [];
    })
  );
}

/** I3: nothing arrives where nobody asked for it. */
export function isolation(view: View): string[] {
  return view.seats.flatMap((seat) =>
    seat.deliveries
      .filter(({ at }) => at < seat.asked || at > seat.left)
      .map(({ id }) => `${name(seat)} got ${id} while it was not subscribed`)
  );
}

/**
 * I4: first deliveries come in the order of the log, each number is one message for all, and what one
 * client published one after the other is stored so.
 */
export function order(view: View): string[] {
  const wrong: string[] = [];
  const meanings = new Map<string, string>();
  const means = (channel: string, { epoch, seq }: DeliverNote["place"], id: string) => {
    const key = `${channel} ${epoch}:${seq}`;
    const other = meanings.get(key);
    if (other !== undefined && other !== id) wrong.push(`${key} is both ${other} and ${id}`);
    meanings.set(key, id);
  };
  for (const seat of view.seats) {
    const highest = new Map<string, number>();
    for (const { place, id } of seat.deliveries) means(seat.channel, place, id);
    for (const delivery of firsts(seat)) {
      const { epoch, seq } = delivery.place;
      const before = highest.get(epoch) ?? 0;
      if (seq <= before) wrong.push(`${name(seat)} got ${where(delivery)} after ${before}`);
      else highest.set(epoch, seq);
    }
  }
  const last = new Map<string, { epoch: string; seq: number; id: string; at: number }>();
  const stored = [...view.publishes.values()].filter(({ phase }) => phase === "ok");
  for (const { client, channel, place, id, invoked, at } of stored) {
    if (place === undefined) continue;
    means(channel, place, id);
    const key = `${client} ${channel} ${place.epoch}`;
    const before = last.get(key);
    if (before !== undefined && before.seq >= place.seq && before.at <= invoked) {
      wrong.push(`${client} published ${id} after ${before.id}, and it is stored before`);
    }
    if (before === undefined || before.seq < place.seq) last.set(key, { ...place, id, at });
  }
  return wrong;
}

/** I7: between two numbers that arrived none is missing without a notice. */
export function noSilentGap(view: View): string[] {
  return view.seats.flatMap((seat) => {
    const wrong: string[] = [];
    const ids = new Set([...seat.deliveries, ...seat.dead].map(({ id }) => id));
    const numbers = new Set(seat.deliveries.map(({ place }) => place.seq));
    const isSettled = (seq: number, epochs: readonly string[]) => {
      const id = epochs.map((epoch) => view.meaning(seat.channel, { epoch, seq })).find(Boolean);
      // A log that goes on in a new epoch does not hand out again what came in the one before. What
      // nobody got in the new one is known by its number only.
      if (id === undefined) return numbers.has(seq);
      return ids.has(id) || view.publishes.get(id)?.client === seat.client;
    };
    const isTold = (epoch: string, seq: number) =>
      seat.gaps.some((gap) => gap.epoch === epoch && seq <= gap.seq);
    // Where the client stands: at what came last, or at the end of what is gone.
    let stand: DeliverNote["place"] | undefined;
    for (const entry of [...firsts(seat), ...seat.gaps].sort((a, b) => a.at - b.at)) {
      if (entry.type === "gap") {
        if (stand?.epoch !== entry.epoch || stand.seq < entry.seq) stand = entry;
        continue;
      }
      const { epoch, seq } = entry.place;
      // Numbers go on over epochs, or begin again with the log.
      for (let n = (stand?.seq ?? seq) + 1; n < seq; n++) {
        if (isTold(epoch, n) || isSettled(n, [epoch, stand?.epoch ?? epoch])) continue;
        wrong.push(`${name(seat)} got ${where(entry)} and not ${n}, and no notice`);
      }
      stand = entry.place;
    }
    return wrong;
  });
}

/** I7: where nothing can be lost, no loss is told. */
export function noFalseAlarm(view: View, { mayLose }: Terms): string[] {
  if (mayLose) return [];
  return view.seats.flatMap((seat) =>
    seat.gaps.map(({ epoch, seq }) => `${name(seat)} was told of a loss up to ${epoch}:${seq}`)
  );
}

/** I10: what can arrive does so within the patience, after its publish and after what was broken. */
export function liveness(view: View, { patience }: Terms): string[] {
  return view.seats.flatMap((seat) => {
    const arrivals = new Map(firsts(seat).map(({ id, at }) => [id, at]));
    return view.owed(seat).flatMap(({ id, at }) => {
      const arrival = arrivals.get(id);
      if (arrival === undefined) return [];
      let since = at;
      let broken = 0;
      for (const fault of view.faults.filter((it) => it.at <= arrival)) {
        broken = Math.max(0, broken + (fault.type === "fault" ? 1 : -1));
        since = Math.max(since, fault.at);
      }
      const late = Math.round(arrival - since);
      return broken === 0 && late > patience ? [`${name(seat)} got ${id} ${late} ms late`] : [];
    });
  });
}
