import type { Clock } from "./clock.ts";
import { Consumer, type ConsumerOptions, Entry, type Gate } from "./consumer.ts";
import type { PlacedMessage } from "./incoming.ts";
import { type Loss, Losses } from "./losses.ts";
import { Memory } from "./memory.ts";
import type { Outcome } from "./message.ts";
import { Past } from "./past.ts";
import type { Ack, Era, GapFrame, Json, NackFrame, Position, Ranges } from "./protocol/frames.ts";
import { RangeSet } from "./protocol/ranges.ts";
import type { Terms } from "./terms.ts";

/** What an {@linkcode Inbox} needs around it. */
export interface InboxContext {
  readonly clock: Clock;
  readonly gate: Gate;
  readonly terms: Terms;
  /** One more message waits to be acknowledged. @param data its payload */
  settled(data: Json): void;
  /** A message is refused. @returns whether the gateway could be told */
  refused(frame: NackFrame): boolean;
}

/** What survives a reload of the page: everything up to `floor` is settled, and these above it. */
export interface Snapshot {
  readonly epoch: string;
  readonly floor: number;
  readonly settled: Ranges;
}

/** Most numbers in a list of ranges, two for each (`isRanges`). */
const MAX_RANGES = 2 * 4096;

/**
 * What the client has of one channel. Every number that arrived is in one of three states: received
 * (it waits for its handlers or is at them), refused (a handler failed; it comes again) or settled
 * (it never runs again). The first two are `open`.
 */
export class Inbox {
  readonly #channel: string;
  readonly #context: InboxContext;
  readonly #consumers: Set<Consumer> = new Set();
  readonly #memory: Memory = new Memory();
  readonly #losses: Losses = new Losses();
  #epoch: string | undefined;
  #seq = 0;
  readonly #open: RangeSet = new RangeSet();
  readonly #received: Map<number, Entry> = new Map();
  readonly #refused: Map<number, Entry> = new Map();
  /** Received for no one yet. */
  #held: Entry[] = [];
  #unacknowledged: RangeSet = new RangeSet();
  #past: Past = new Past();

  /** @param channel name of the channel @param context what is around */
  constructor(channel: string, context: InboxContext) {
    this.#channel = channel;
    this.#context = context;
  }

  /** What to tell the gateway; `undefined` while nothing is known. */
  get position(): Position | undefined {
    if (this.#epoch === undefined) return undefined;
    const open = this.#open.toRanges();
    if (open.length > MAX_RANGES) {
      // To call settled messages open costs a repeat, that they are then known for.
      open.length = MAX_RANGES;
      open[MAX_RANGES - 1] = this.#seq;
    }
    return { epoch: this.#epoch, seq: this.#seq, ...open.length > 0 && { open } };
  }

  /** Received, and with no handler at it: these must not time out. */
  get idle(): { epoch: string; ranges: Ranges } | undefined {
    if (this.#epoch === undefined) return undefined;
    const waiting = new RangeSet();
    for (const entry of this.#received.values()) {
      if (entry.running === 0) waiting.add(entry.seq);
    }
    return { epoch: this.#epoch, ranges: waiting.toRanges().slice(0, MAX_RANGES) };
  }

  /** What a reloaded page needs to go on. */
  get snapshot(): Snapshot | undefined {
    if (this.#epoch === undefined) return undefined;
    const floor = Math.min(this.#seq, (this.#open.first ?? Infinity) - 1);
    return { epoch: this.#epoch, floor, settled: this.#memory.above(floor) };
  }

  /** Starts where the gateway says; a position that is known already stays. */
  start(epoch: string, seq: number): void {
    if (this.#epoch !== undefined) return;
    this.#epoch = epoch;
    this.#seq = seq;
  }

  /** Starts where the page was before a reload. */
  restore(snapshot: Snapshot): void {
    if (this.#epoch !== undefined) return;
    this.start(snapshot.epoch, snapshot.floor);
    this.#memory.restore(snapshot.settled);
  }

  /** Forgets the position and everything unsettled: the session is over. */
  reset(): void {
    this.#change(undefined, 0);
    this.#past = new Past();
    this.#held = [];
    for (const consumer of this.#consumers) consumer.clear();
  }

  /**
   * Takes a message in.
   *
   * @returns whether it belongs here: not if it is of an epoch that has ended
   */
  receive(message: PlacedMessage): boolean {
    const { epoch, seq, id } = message;
    if (!this.#enter(epoch, seq - 1)) return false;
    this.#seq = Math.max(this.#seq, seq);
    if (this.#received.has(seq)) return true;
    const refused = this.#refused.get(seq);
    if (refused) {
      this.#refused.delete(seq);
      this.#deliver(refused, message);
    } else if (this.#memory.has(seq)) {
      this.#acknowledge(seq, message.data);
    } else {
      const former = this.#past.take(id);
      if (former) this.#adopt(former, message);
      else if (this.#memory.knew(id)) this.#remember(message, seq);
      else this.#deliver(new Entry(message), message);
    }
    return true;
  }

  /**
   * The log goes on in another epoch: what is known of numbers up to the base stays known.
   *
   * @param earlier epochs that go on in it
   * @returns the base, if there is a gap: messages with higher numbers had arrived
   */
  follow(epoch: string, earlier: readonly Era[]): number | undefined {
    const era = earlier.find((each) => each.epoch === this.#epoch);
    if (!era || epoch === this.#epoch || this.#past.has(epoch)) return undefined;
    const { base } = era;
    const isLoss = this.#seq > base;
    this.#change(epoch, Math.min(this.#seq, base), base);
    if (!isLoss) return undefined;
    this.#losses.expect();
    return base;
  }

  /**
   * Messages are gone. What has arrived is still handled.
   *
   * @returns which are gone; `undefined` if the gap does not belong here
   */
  gap(notice: GapFrame): Loss | undefined {
    const { epoch, seq } = notice;
    const isNew = epoch !== this.#epoch || seq > this.#seq;
    if (!this.#enter(epoch, seq)) return undefined;
    const loss = this.#losses.tell(notice, isNew);
    this.#seq = Math.max(this.#seq, seq);
    if (loss.isOne && this.#refused.delete(seq)) this.#open.delete(seq);
    return loss;
  }

  /** Adds a consumer; what nobody has taken yet is its first. */
  attach(options: ConsumerOptions): Consumer {
    const consumer = new Consumer(this, this.#context.gate, options);
    this.#consumers.add(consumer);
    for (const entry of this.#held.splice(0)) this.#hand(entry);
    return consumer;
  }

  /** Whether an entry may still be handed out: not if the session that it came in is over. */
  has(entry: Entry): boolean {
    return this.#isCurrent(entry) || this.#past.holds(entry);
  }

  /** Removes a consumer; what it has not finished goes to the others, or waits for the next one. */
  detach(consumer: Consumer, unfinished: readonly Entry[]): void {
    this.#consumers.delete(consumer);
    for (const entry of unfinished) {
      if (entry.waiting.delete(consumer) && entry.waiting.size === 0) this.#conclude(entry);
    }
  }

  /** A consumer is done with an entry. */
  finish(entry: Entry, consumer: Consumer, outcome: Outcome): void {
    // Who has given it back may still settle it, until somebody else has taken it.
    if (!entry.waiting.delete(consumer) && !this.#unhold(entry)) return;
    if (outcome === "acked") entry.succeeded.add(consumer);
    else entry.delay = Math.max(entry.delay ?? 0, outcome.delay);
    if (entry.waiting.size === 0) this.#conclude(entry);
  }

  /** Lets the consumers go on. */
  pump(): void {
    for (const consumer of this.#consumers) consumer.pump();
  }

  /** Takes what is to be acknowledged. */
  takeAck(): Ack | undefined {
    if (this.#epoch === undefined || this.#unacknowledged.size === 0) return undefined;
    const ranges = this.#unacknowledged.toRanges();
    this.#unacknowledged = new RangeSet();
    return { channel: this.#channel, epoch: this.#epoch, ranges };
  }

  /** The connection is gone, and with it perhaps what was told last. */
  disconnected(): void {
    for (const entry of this.#refused.values()) {
      if (entry.refusal === "told") entry.refusal = "unsure";
    }
  }

  /**
   * Tells the gateway of refusals that it cannot have heard of and, once their wait is over and they
   * have not come again, of those that it may not have heard of. To tell those sooner could refuse
   * the very delivery that the first word has brought about.
   */
  refuseAgain(): void {
    const now = this.#context.clock.now();
    for (const entry of this.#refused.values()) {
      const { refusal, due } = entry;
      if (refusal === "untold" || (refusal === "unsure" && due < now)) this.#tell(entry);
    }
  }

  /** Makes sure that `epoch` is the one that numbers belong to. */
  #enter(epoch: string, seq: number): boolean {
    if (epoch === this.#epoch) return true;
    if (this.#past.has(epoch)) return false;
    this.#change(epoch, seq);
    return true;
  }

  /** Numbers belong to another epoch; those above `base` mean other messages there. */
  #change(epoch: string | undefined, seq: number, base = -1): void {
    const gone: Entry[] = [];
    for (const entries of [this.#received, this.#refused]) {
      for (const [n, entry] of entries) {
        if (n > base && entries.delete(n)) gone.push(entry);
        else entry.epoch = epoch!;
      }
    }
    if (this.#epoch !== undefined) this.#past.add(this.#epoch, gone);
    this.#memory.changeEpoch(base);
    this.#losses.changeEpoch(base);
    this.#open.dropAbove(base);
    this.#unacknowledged.dropAbove(base);
    this.#epoch = epoch;
    this.#seq = seq;
  }

  #deliver(entry: Entry, message: PlacedMessage): void {
    entry.received = message;
    this.#received.set(message.seq, entry);
    this.#open.add(message.seq);
    this.#hand(entry);
  }

  /** A message of an earlier epoch has its place in this one. */
  #adopt(entry: Entry, message: PlacedMessage): void {
    const underway = entry.waiting.size > 0 || this.#held.includes(entry);
    entry.epoch = message.epoch;
    entry.seq = message.seq;
    if (!underway) return this.#deliver(entry, message);
    this.#received.set(message.seq, entry);
    this.#open.add(message.seq);
  }

  #hand(entry: Entry): void {
    const consumers = [...this.#consumers].filter((consumer) => !entry.succeeded.has(consumer));
    if (consumers.length > 0) {
      for (const consumer of consumers) entry.waiting.add(consumer);
      for (const consumer of consumers) consumer.offer(entry);
    } else if (this.#consumers.size > 0) {
      this.#settle(entry);
    } else {
      this.#held.push(entry);
    }
  }

  #unhold(entry: Entry): boolean {
    const index = this.#held.indexOf(entry);
    if (index >= 0) this.#held.splice(index, 1);
    return index >= 0;
  }

  /** Every consumer is done with the entry, or gone. */
  #conclude(entry: Entry): void {
    if (entry.delay !== undefined && this.#context.terms.delivery) this.#refuse(entry);
    else if (entry.delay !== undefined || entry.succeeded.size > 0) this.#settle(entry);
    else this.#hand(entry);
  }

  #refuse(entry: Entry): void {
    entry.due = this.#context.clock.now() + 1000 * entry.delay!;
    entry.delay = undefined;
    if (!this.#isCurrent(entry)) return;
    const { seq } = entry;
    this.#received.delete(seq);
    this.#refused.set(seq, entry);
    for (const oldest of this.#refused.keys()) {
      // The gateway lets no more than a window come again; the oldest of more are dead letters.
      if (this.#refused.size <= this.#context.terms.window) break;
      this.#refused.delete(oldest);
      this.#open.delete(oldest);
    }
    this.#tell(entry);
  }

  #tell(entry: Entry): void {
    const { epoch, seq, due } = entry;
    const delay = Math.max(0, due - this.#context.clock.now()) / 1000;
    const frame = { type: "nack", channel: this.#channel, epoch, seq } as const;
    const told = this.#context.refused(delay > 0 ? { ...frame, delay } : frame);
    entry.refusal = told ? "told" : "untold";
  }

  #settle(entry: Entry): void {
    const { received, seq } = entry;
    if (this.#isCurrent(entry)) {
      this.#received.delete(seq);
      this.#open.delete(seq);
      this.#remember(received, seq);
    } else if (this.#past.settle(entry)) {
      this.#memory.addFormer(received.id!);
    }
  }

  #remember({ id, data }: PlacedMessage, seq: number): void {
    this.#memory.add(seq, id);
    this.#acknowledge(seq, data);
  }

  #acknowledge(seq: number, data: Json): void {
    if (!this.#context.terms.delivery) return;
    this.#unacknowledged.add(seq);
    this.#context.settled(data);
  }

  #isCurrent(entry: Entry): boolean {
    return this.#received.get(entry.seq) === entry && entry.epoch === this.#epoch;
  }
}
