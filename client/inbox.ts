import { sizeOf } from "./acks.ts";
import { MAX_EPOCHS, MAX_IDS, MAX_RANGES } from "./bounds.ts";
import { type Consumer, consumerOf, type Entry, remove, type Taking } from "./consumer.ts";
import type { PlacedMessage } from "./incoming.ts";
import { addNumber, dropAbove, hasNumber, type Numbers, numbersOf, rangesOf } from "./numbers.ts";
import type { Ack, EpochFrame, GapFrame, Position, Ranges } from "./protocol/frames.ts";
import type { Session } from "./session.ts";

/** What survives a reload of the page: everything up to `floor` is settled, and these above it. */
export interface Snapshot {
  readonly epoch: string;
  readonly floor: number;
  readonly settled: Numbers;
}

/**
 * What the client has of one channel. Every number that arrived is in one of three states: received
 * (it waits for its handlers or is at them), refused (a handler failed; it comes again) or settled
 * (it never runs again). The first two are `open`.
 */
export interface Inbox {
  /** What to tell the gateway; `undefined` while nothing is known. */
  position(): Position | undefined;
  /** Received, and with no handler at it: these must not time out. */
  idle(): { epoch: string; ranges: Ranges };
  /** What a reloaded page needs to go on. */
  snapshot(): Snapshot | undefined;
  /** Starts there; a position that is known already stays. */
  restore(snapshot: Snapshot | undefined): void;
  /** Forgets the position and everything unsettled: the session is over. */
  reset(): void;
  /** Takes a message in. @returns whether it belongs here: not if it is of an epoch that has ended */
  receive(message: PlacedMessage): boolean;
  /** The log goes on in another epoch: what is known of numbers up to the base stays known. */
  follow(change: Pick<EpochFrame, "epoch" | "earlier">): void;
  /** Messages are gone. What has arrived is still handled. @returns whether it belongs here */
  gap(notice: GapFrame): boolean;
  /** Adds a consumer, as `consumerOf` makes it; what nobody has taken yet is its first. */
  attach(...taking: Taking): Consumer;
  /** Lets the consumers go on. */
  pump(): void;
  /** Takes what is to be acknowledged. */
  takeAck(): Ack[];
  /**
   * Tells the gateway of refusals that it cannot have heard of and, once their wait is over and they
   * have not come again, of those that it may not have heard of. To tell those sooner could refuse
   * the very delivery that the first word has brought about.
   */
  refuseAgain(): void;
}

const isRefused = (entry: Entry): boolean => entry.due !== undefined;

/**
 * Makes the inbox of a channel.
 *
 * @param channel its name, and whether it flows on this connection
 * @param session what is around
 */
export function inboxOf(
  channel: { readonly name: string; readonly state: string },
  session: Session,
): Inbox {
  const { name } = channel;
  const { clock, terms } = session;
  const consumers: Consumer[] = [];
  let epoch: string | undefined;
  /** Highest number that has arrived. */
  let last = 0;
  /** Received and refused. */
  const open: Map<number, Entry> = new Map();
  /** Received for no one yet, in the order in which they came. */
  const held: Set<Entry> = new Set();
  /** Own messages, which are never delivered, split the ranges; the lowest are forgotten. */
  let settled: Numbers = [];
  let unacknowledged: Numbers = [];
  /** Settled messages with the ids that they were published with, the newest last. */
  let ids: { readonly id: string; readonly seq: number }[] = [];
  let endedEpochs: (string | undefined)[] = [];
  /** By its id, what may come again in this epoch: messages of earlier ones, `null` if settled. */
  const former: Map<string | undefined, Entry | null> = new Map();
  /** Number of the last gap behind all that had arrived. */
  let lastGap: number | undefined;
  /** Number of the gap on entering the epoch; -1 if its notice has not come yet. */
  let entryGap: number | undefined;
  /** Numbers of single messages that were told as lost. */
  let lost: Numbers = [];

  /** Remembers the id of a settled message: the newest ones, for some time twice as many. */
  const remember = (id: string | undefined): void => {
    former.delete(id);
    former.set(id, null);
    if (former.size < 2 * MAX_IDS) return;
    // Many at a time: to find the oldest among what was deleted takes long.
    for (const [oldest, entry] of former) {
      if (former.size <= MAX_IDS) break;
      if (!entry) former.delete(oldest);
    }
  };

  /** Makes sure that `wanted` is the epoch that numbers belong to. */
  const enter = (wanted: string, seq: number): boolean => {
    if (wanted === epoch) return true;
    const isNew = !endedEpochs.includes(wanted);
    if (isNew) change(wanted, seq);
    return isNew;
  };

  /** Numbers belong to another epoch; those above `base` mean other messages there. */
  const change = (next: string | undefined, seq: number, base = -1): void => {
    endedEpochs = [epoch, ...endedEpochs.slice(0, MAX_EPOCHS - 1)];
    ids = ids.slice(-MAX_IDS).filter(({ id, seq }) => seq <= base || remember(id));
    for (const [at, entry] of open) {
      if (at <= base) continue;
      const { id } = entry.received;
      open.delete(at);
      if (id !== undefined) former.set(id, entry);
    }
    for (const numbers of [settled, unacknowledged, lost]) dropAbove(numbers, base);
    entryGap = undefined;
    if (lastGap! > base) lastGap = undefined;
    epoch = next;
    last = seq;
  };

  const isCurrent = (entry: Entry): boolean => open.get(entry.seq) === entry;

  const isAlive = (entry: Entry): boolean =>
    isCurrent(entry) || former.get(entry.received.id) === entry;

  /** Without a consumer it waits for the first one. */
  const hand = (entry: Entry): void => {
    const takers = consumers.filter((consumer) => !entry.succeeded.includes(consumer));
    entry.due = undefined;
    entry.waiting = takers;
    for (const consumer of takers) consumer.offer(entry);
    if (!consumers[0]) held.add(entry);
    else if (!takers[0]) settle(entry);
  };

  /** A consumer is done with the entry, or gone. */
  const conclude = (entry: Entry): void => {
    const { delay } = entry;
    if (entry.waiting[0]) return;
    if (delay !== undefined && terms.delivery) refuse(entry, delay);
    else if (delay !== undefined || entry.succeeded[0]) settle(entry);
    else hand(entry);
  };

  const refuse = (entry: Entry, delay: number): void => {
    entry.due = clock.now() + 1000 * delay;
    entry.delay = entry.toldOn = undefined;
    if (!isCurrent(entry)) return;
    const refused = [...open.values()].filter(isRefused);
    // The gateway lets no more than a window come again; the oldest of more are dead letters.
    if (refused.length > terms.window) open.delete(refused[0].seq);
    tell(entry);
  };

  const tell = (entry: Entry): void => {
    if (channel.state !== "flowing") return;
    const delay = Math.max(0, entry.due! - clock.now()) / 1000 || undefined;
    session.send({ type: "nack", channel: name, epoch: epoch!, seq: entry.seq, delay });
    entry.toldOn = session.link;
  };

  const settle = (entry: Entry): void => {
    const { received, seq } = entry;
    if (isCurrent(entry)) {
      open.delete(seq);
      acknowledge(received, seq, entry.size);
    } else if (former.get(received.id) === entry) {
      remember(received.id);
    }
  };

  const acknowledge = ({ id }: PlacedMessage, seq: number, size: number): void => {
    addNumber(settled, seq);
    if (settled.length > MAX_RANGES) settled = settled.slice(MAX_RANGES / 2);
    if (id !== undefined && ids.push({ id, seq }) >= 2 * MAX_IDS) ids = ids.slice(-MAX_IDS);
    if (!terms.delivery) return;
    addNumber(unacknowledged, seq);
    session.settled(size);
  };

  const context = {
    isClosed: () => session.state === "closed",
    isAlive,
    finish(entry: Entry, consumer: Consumer, delay?: number): void {
      // Who has given it back may still settle it, until somebody else has taken it.
      if (!remove(entry.waiting, consumer) && !held.delete(entry)) return;
      if (delay === undefined) entry.succeeded = [...entry.succeeded, consumer];
      else entry.delay = Math.max(entry.delay ?? 0, delay);
      conclude(entry);
    },
    left(consumer: Consumer, unfinished: readonly Entry[]): void {
      remove(consumers, consumer);
      for (const entry of unfinished) {
        if (remove(entry.waiting, consumer)) conclude(entry);
      }
    },
  };

  return {
    position() {
      if (!epoch) return undefined;
      const ranges = rangesOf(numbersOf(open.keys()));
      if (ranges.length > MAX_RANGES) {
        // To call settled messages open costs a repeat, that they are then known for.
        ranges.length = MAX_RANGES;
        ranges[MAX_RANGES - 1] = last;
      }
      return { epoch, seq: last, open: ranges.length > 0 ? ranges : undefined };
    },
    idle() {
      const idle: Numbers = [];
      for (const [seq, entry] of open) {
        if (!entry.running && !isRefused(entry)) addNumber(idle, seq);
      }
      return { epoch: epoch!, ranges: rangesOf(idle).slice(0, MAX_RANGES) };
    },
    snapshot() {
      if (!epoch) return undefined;
      const [first = Infinity] = numbersOf(open.keys());
      const floor = Math.min(last, first - 1);
      // Right above the floor nothing is settled: an edge there ends what is below it.
      return { epoch, floor, settled: settled.filter((edge) => edge > floor + 1) };
    },
    restore(snapshot) {
      if (snapshot && !epoch) ({ epoch, floor: last, settled } = snapshot);
    },
    reset() {
      change(undefined, 0);
      endedEpochs = [];
      for (const [id, entry] of former) if (entry) former.delete(id);
      held.clear();
      for (const consumer of consumers) consumer.clear();
    },
    receive(message) {
      const { seq, id } = message;
      if (!enter(message.epoch, seq - 1)) return false;
      if (seq > last) last = seq;
      const size = sizeOf(message.data);
      let entry = open.get(seq);
      if (!entry) {
        // Mostly empty: then no id needs to be hashed.
        const before = former.size > 0 ? former.get(id) : undefined;
        if (hasNumber(settled, seq) || before === null) {
          acknowledge(message, seq, size);
          return true;
        }
        entry = before ??
          { received: message, size, seq, waiting: [], succeeded: [], running: 0, due: 0 };
        if (before) former.delete(id);
        entry.seq = seq;
        open.set(seq, entry);
      }
      // What has been received, in this epoch or in an earlier one, is left alone.
      if (isRefused(entry)) {
        entry.received = message;
        hand(entry);
      }
      return true;
    },
    follow({ epoch: next, earlier }) {
      const base = earlier.find((era) => era.epoch === epoch)?.base;
      if (base === undefined || next === epoch || endedEpochs.includes(next)) return;
      const isLoss = last > base;
      change(next, Math.min(last, base), base);
      if (!isLoss) return;
      entryGap = -1;
      session.emit("gap", { channel: name, epoch: next, seq: base, reason: "epoch" });
    },
    gap({ epoch: at, seq, reason }) {
      const isNew = at !== epoch || seq > last;
      if (!enter(at, seq)) return false;
      const isEntry = reason === "epoch";
      // A poll states the position again before the notice that was on its way has come.
      const isOne = !isNew && !isEntry && seq !== lastGap;
      const isKnown = isEntry
        ? entryGap === -1 || entryGap === seq
        : !isOne || hasNumber(lost, seq);
      if (isEntry) entryGap = seq;
      else if (isNew) lastGap = seq;
      if (isOne) {
        if (lost.length > MAX_RANGES) lost = [];
        addNumber(lost, seq);
        if (open.has(seq) && isRefused(open.get(seq)!)) open.delete(seq);
      }
      last = Math.max(last, seq);
      if (isNew || !isKnown) session.emit("gap", { channel: name, epoch: at, seq, reason });
      // A notice of one message leaves those before it as they are.
      const part = isOne ? { ranges: [seq, seq] } : { upto: seq };
      session.send({ type: "ack", acks: [{ channel: name, epoch: at, ...part }] });
      return true;
    },
    attach(...taking) {
      const consumer = consumerOf(context, ...taking);
      consumers.push(consumer);
      for (const entry of held) if (held.delete(entry)) hand(entry);
      return consumer;
    },
    pump() {
      for (const consumer of consumers) consumer.pump();
    },
    takeAck() {
      const ranges = rangesOf(unacknowledged);
      unacknowledged = [];
      return ranges[0] ? [{ channel: name, epoch: epoch!, ranges }] : [];
    },
    refuseAgain() {
      for (const entry of [...open.values()].filter(isRefused)) {
        const { toldOn, due } = entry;
        if (!toldOn || (toldOn !== session.link && due! < clock.now())) tell(entry);
      }
    },
  };
}
