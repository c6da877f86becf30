import type { PlacedMessage } from "../incoming.ts";
import type {
  Ack,
  ClientFrame,
  EpochFrame,
  Era,
  GapFrame,
  GatewayFrame,
  Position,
  Ranges,
  Start,
  SubscribedFrame,
} from "../protocol/frames.ts";
import { isRanges, RangeSet } from "../protocol/ranges.ts";
import type { Tab } from "./tab.ts";

/** What a {@linkcode Stream} needs around it. */
export interface StreamContext {
  /** Says something to the gateway. */
  send(frame: ClientFrame): void;
  /** Asks the gateway to subscribe; `answered` of the stream is told. */
  subscribe(stream: Stream, start: Start): void;
  /** Whether tabs may be missing that are about to come back, so that nothing counts as settled by all. */
  isHeld(): boolean;
  /** Whether what comes from the gateway comes in the order in which it was said. */
  isOrdered(): boolean;
  /** Connects anew, with this subscription, as answers and messages come by different ways. */
  restart(channel: string, start: Start): void;
  /** Tells tabs; `text` is a frame. */
  tell(tabs: Iterable<Tab>, text: string): void;
  /** Something is to be acknowledged, at the end of this turn. */
  settled(): void;
}

/** What the gateway says about a subscription. */
export interface Foothold {
  readonly epoch: string;
  readonly seq: number;
  readonly stored: boolean;
  readonly earlier: readonly Era[] | undefined;
}

/** A tab's question for the channel. */
interface Ask {
  readonly tab: Tab;
  readonly id: unknown;
  readonly start: Start;
  /** Where its messages begin, once the gateway has gone back for it. */
  from: number | undefined;
}

/** What may come before the gateway's answer. */
type EarlyFrame = PlacedMessage | GapFrame | EpochFrame;

/** Most frames kept for a channel before the gateway has answered. */
const MAX_EARLY = 4096;

/** What a tab has of the channel. */
interface View {
  /** What is not to be sent to it (again). */
  readonly done: RangeSet;
  /** What it had not settled when it came: it may come late. */
  readonly open: RangeSet;
  /** Up to here it gets what was sent to the session before: it is the first to come. */
  readonly owed: number;
}

/** A message that not every tab has settled. */
interface Entry {
  readonly text: string;
  /** Names the publish. */
  readonly key: string | undefined;
  readonly waiting: Set<Tab>;
}

/**
 * One channel of the shared session. The gateway sends each message once; it goes to every tab that
 * has not settled it, and is acknowledged when none is left that has to.
 *
 * Numbers are the gateway's, so that a tab knows what it has whichever tab leads. A tab whose place
 * lies before what the gateway still owes the session makes the stream go back in the log.
 */
export class Stream {
  readonly channel: string;
  readonly #context: StreamContext;
  readonly #views: Map<Tab, View> = new Map();
  readonly #asks: Ask[] = [];
  readonly #flight: Map<number, Entry> = new Map();
  #state: "out" | "asked" | "flowing" = "out";
  /** The question that the gateway goes back for. */
  #asking: Ask | undefined;
  /** What came before the answer: over HTTP the one may overtake the other. */
  #early: { readonly frame: EarlyFrame; readonly key: string | undefined }[] = [];
  /** Whether everything that the log has is here or comes. */
  #isWhole = false;
  #epoch: string | undefined;
  #earlier: readonly Era[] | undefined;
  #stored = false;
  /** Highest number received since the last foothold, and at all. */
  #seq = 0;
  #top = 0;
  /** Highest number that is settled, so that it is not here any more. */
  #gone = 0;
  /** Number of the last gap that was not of a single message. */
  #gap: number | undefined;
  /** A gap that came while there was no tab to be told. */
  #untold: GapFrame | undefined;
  #settled: RangeSet = new RangeSet();

  /** @param channel name of the channel @param context what is around */
  constructor(channel: string, context: StreamContext) {
    this.channel = channel;
    this.#context = context;
  }

  /** Tabs that the channel flows to. */
  get tabs(): Iterable<Tab> {
    return this.#views.keys();
  }

  /** Whether no tab wants the channel. */
  get deserted(): boolean {
    return this.#views.size === 0 && this.#asks.length === 0;
  }

  /** How many tabs the channel flows to. */
  get size(): number {
    return this.#views.size;
  }

  /** What to state in a poll. */
  get position(): Position | undefined {
    if (this.#state !== "flowing") return undefined;
    const open = new RangeSet();
    for (const seq of this.#flight.keys()) if (seq <= this.#seq) open.add(seq);
    return { epoch: this.#epoch!, seq: this.#seq, open: open.toRanges() };
  }

  /** Numbers in flight among these. */
  inFlight(epoch: string, ranges: Ranges): RangeSet {
    const found = new RangeSet();
    if (epoch !== this.#epoch) return found;
    const wanted = new RangeSet(ranges);
    for (const seq of this.#flight.keys()) if (wanted.has(seq)) found.add(seq);
    return found;
  }

  /** Epoch of the numbers. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** A tab subscribes. @param id of its request */
  ask(tab: Tab, id: unknown, start: Start): void {
    this.#asks.push({ tab, id, start, from: undefined });
    this.#next();
  }

  /** The gateway was asked with the connection. */
  asked(start: Start): void {
    this.#state = "asked";
    this.#isWhole = start.all === true;
  }

  /** The gateway has answered. */
  answered({ epoch, seq, stored, earlier }: Foothold): void {
    const isBack = this.#epoch !== undefined;
    this.#state = "flowing";
    if (epoch !== this.#epoch) this.#continue(epoch, seq, earlier);
    // What has not come is above all that has.
    const low = isBack ? this.#low() : seq;
    // All that is not settled by the position comes again.
    if (isBack) this.#settled = new RangeSet();
    this.#stored = stored;
    this.#earlier = earlier;
    this.#seq = this.#gone = seq;
    this.#top = Math.max(this.#top, seq);
    const asking = this.#asking;
    this.#asking = undefined;
    if (!isBack && asking && this.#context.isOrdered() && this.#asks.some(isForNothing)) {
      // These begin where the log ends, which only an answer to nothing says.
      this.#context.send({ type: "channel.unsubscribe", channel: this.channel });
      return this.#subscribe({}, undefined);
    }
    const isFirst = asking !== undefined && asking.from === undefined;
    if (isFirst) asking.from = seq;
    const early = this.#early.splice(0);
    // Going back must not pass over what other tabs have not settled.
    if (isFirst && low < seq) return this.#rewind({ since: { epoch, seq: low } }, asking);
    this.#next();
    // What came before the gateway had gone back comes again.
    if (isBack) return;
    for (const { frame, key } of early) {
      if (frame.type === "channel.epoch") this.follow(frame);
      else if (frame.type === "channel.gap") this.gap(frame);
      else this.receive(frame, key);
    }
  }

  /** What came before the answer was of a subscription that has ended by now. */
  ended(): void {
    this.#early = [];
  }

  /** The gateway has refused. @returns the questions that this concerns */
  refused(): { tab: Tab; id: unknown }[] {
    this.#state = "out";
    this.#asking = undefined;
    return this.#asks.splice(0);
  }

  /**
   * A tab does not want the channel any more, or is gone.
   *
   * @returns whether it was subscribed
   */
  leave(tab: Tab): boolean {
    for (let i = this.#asks.length - 1; i >= 0; i--) {
      // The answer to the first one is on its way, and finds somebody else.
      if (this.#asks[i].tab === tab) this.#asks.splice(i, 1);
    }
    if (!this.#views.delete(tab)) return false;
    for (const [seq, entry] of this.#flight) {
      // Where nobody is left nobody has handled it, and the next one may.
      if (entry.waiting.delete(tab) && this.#views.size > 0) this.#conclude(seq, entry);
    }
    return true;
  }

  /** A message has come. @param key names the publish, as tabs name their own */
  receive(frame: PlacedMessage, key: string | undefined): void {
    const { epoch, seq } = frame;
    if (this.#state !== "flowing") return this.#keep(frame, key);
    if (epoch !== this.#epoch) this.#continue(epoch, seq - 1, undefined);
    this.#seq = Math.max(this.#seq, seq);
    this.#top = Math.max(this.#top, seq);
    const entry: Entry = { text: JSON.stringify(frame), key, waiting: new Set() };
    this.#flight.delete(seq);
    this.#flight.set(seq, entry);
    for (const [tab, { done, owed }] of this.#views) {
      if (key !== undefined && tab.own.has(key)) done.add(seq);
      const isOwed = frame._redriven === true || (frame._redelivered === true && seq <= owed);
      if (!done.has(seq) || isOwed) entry.waiting.add(tab);
    }
    if (this.#views.size > 0) this.#conclude(seq, entry);
    this.#context.tell(entry.waiting, entry.text);
  }

  /** Forgets the oldest of more than so many messages: these are dead letters by now. */
  limit(count: number): void {
    for (const seq of this.#flight.keys()) {
      if (this.#flight.size <= count) break;
      this.#flight.delete(seq);
    }
  }

  /** A tab has settled messages. What it says of `upto` are gaps, which were acknowledged already. */
  ack(tab: Tab, { epoch, ranges = [] }: Ack): void {
    const view = this.#views.get(tab);
    if (!view || epoch !== this.#epoch || !isRanges(ranges, 2 * 4096)) return;
    for (let i = 0; i < ranges.length; i += 2) view.done.addRange(ranges[i], ranges[i + 1]);
    const { done, open } = view;
    const low = this.#low();
    for (const [seq, entry] of this.#flight) {
      if (done.has(seq) && entry.waiting.delete(tab)) this.#conclude(seq, entry);
    }
    for (const seq of [...open]) if (done.has(seq)) open.delete(seq);
    // Numbers that never come would keep the ranges apart.
    const to = Math.min(low, (open.first ?? Infinity) - 1);
    if (to > 0) done.addRange(1, to);
  }

  /** Nothing is held any more. */
  release(): void {
    if (this.#views.size === 0) return;
    for (const [seq, entry] of this.#flight) this.#conclude(seq, entry);
  }

  /** Whether a tab may refuse a message. */
  owes(tab: Tab, epoch: string, seq: number): boolean {
    return epoch === this.#epoch && this.#flight.get(seq)?.waiting.has(tab) === true;
  }

  /** The log goes on in another epoch. */
  follow(frame: EpochFrame): void {
    if (this.#epoch === undefined) return this.#keep(frame);
    if (frame.epoch === this.#epoch) return;
    this.#continue(frame.epoch, 0, frame.earlier);
    this.#earlier = frame.earlier;
    this.#tell(this.#views.keys(), frame);
  }

  /** Messages are gone. */
  gap(frame: GapFrame): void {
    const { epoch, seq, reason } = frame;
    if (this.#epoch === undefined) return this.#keep(frame);
    if (epoch !== this.#epoch) this.#continue(epoch, 0, undefined);
    if (this.#views.size === 0) {
      this.#untold = frame;
      return;
    }
    const isOne = reason === "retention" && seq <= this.#seq && seq !== this.#gap;
    const behind = [...this.#views].filter(([, { done }]) => !done.has(seq));
    for (const [, { done }] of behind) done.add(seq);
    this.#tell(behind.map(([tab]) => tab), frame);
    if (isOne) this.#flight.delete(seq);
    else this.#gap = seq;
    this.#seq = Math.max(this.#seq, seq);
    this.#top = Math.max(this.#top, seq);
    const { channel } = this;
    const ack = isOne ? { channel, epoch, ranges: [seq, seq] } : { channel, epoch, upto: seq };
    this.#context.send({ type: "ack", acks: [ack] });
  }

  /** Takes what is to be acknowledged. */
  takeAck(): Ack | undefined {
    // Where the gateway goes back, who asked for it has not settled what comes again.
    if (this.#settled.size === 0 || this.#epoch === undefined || this.#state !== "flowing") return;
    const ranges = this.#settled.toRanges();
    this.#settled = new RangeSet();
    return { channel: this.channel, epoch: this.#epoch, ranges };
  }

  /** Keeps what came before the answer. */
  #keep(frame: EarlyFrame, key?: string): void {
    if (this.#early.length < MAX_EARLY) this.#early.push({ frame, key });
    // Where nothing comes again, the next position would say that what is left out is settled.
    else if (this.#epoch === undefined) this.#context.restart(this.channel, {});
  }

  /** Answers the questions in their order, as far as that needs no answer of the gateway. */
  #next(): void {
    if (this.#state === "asked") return;
    while (this.#asks.length > 0) {
      const [ask] = this.#asks;
      if (this.#state === "out") {
        // A position of one tab would settle for all of them.
        const { position: _, ...start } = ask.start;
        return this.#subscribe(start, Object.keys(start).length > 0 ? ask : undefined);
      }
      const back = ask.from === undefined ? this.#back(ask.start) : undefined;
      if (back) return this.#rewind(back, ask);
      this.#asks.shift();
      this.#serve(ask);
    }
  }

  /** Where the gateway must go back to for `start`; `undefined` if it need not. */
  #back(start: Start): Start | undefined {
    const { position, ...asked } = start;
    const history = this.#isLost(start) ? { all: true } : asked;
    if (Object.keys(history).length > 0) {
      return this.#hereFrom(history) === undefined ? history : undefined;
    }
    if (!position) return undefined;
    const { epoch, seq, open = [] } = position;
    const known = this.#known(position);
    // What it has not settled may be refused, and waited for.
    const missing = [...new RangeSet(open)]
      .find((n) => n <= Math.min(known ?? 0, this.#gone) && !this.#flight.has(n));
    if (known !== undefined && known >= this.#gone && missing === undefined) return undefined;
    return { since: { epoch, seq: Math.min(seq, (missing ?? Infinity) - 1) } };
  }

  /** Where a history begins that need not be fetched. */
  #hereFrom({ since, last, all }: Start): number | undefined {
    if (all) return this.#isWhole ? this.#gone : undefined;
    // Numbers may jump: it may be fewer.
    const isNear = last !== undefined && !this.#context.isOrdered();
    const from = isNear ? Math.max(0, this.#top - last) : since?.seq;
    const isHere = from !== undefined && from >= this.#gone &&
      (isNear || since?.epoch === this.#epoch);
    return isHere ? from : undefined;
  }

  /**
   * Whether a place means nothing here, and is lost. That is not for the gateway to say: it would take
   * the other tabs along to that place, and tell them of the gap.
   */
  #isLost({ position, since, last, all }: Start): boolean {
    if (last !== undefined || all) return false;
    // To go back to an earlier epoch gives another one: a tab that asks anew would ask for it again.
    if (since && !this.#context.isOrdered()) return since.epoch !== this.#epoch;
    const place = since ?? position;
    return place !== undefined && this.#known(place) === undefined;
  }

  /** The number that a position means in the present epoch, if it means anything there. */
  #known({ epoch, seq }: Position): number | undefined {
    if (epoch === this.#epoch) return seq;
    const era = this.#earlier?.find((each) => each.epoch === epoch);
    return era && Math.min(seq, era.base);
  }

  #serve({ tab, id, start, from }: Ask): void {
    const { position, ...history } = start;
    const isHistory = Object.keys(history).length > 0;
    const isFirst = this.#views.size === 0;
    const known = position && !isHistory ? this.#known(position) : undefined;
    const isLost = (from === undefined || this.#context.isOrdered()) && this.#isLost(start);
    const done = new RangeSet();
    let seq = known ?? from ?? (isLost ? this.#gone : this.#hereFrom(history)) ?? this.#top;
    if (isHistory) { for (const key of tab.own) if (isOf(this.channel, key)) tab.own.delete(key); }
    const isHeir = isFirst && !position && !isHistory;
    if (isHeir) seq = this.#low();
    if (seq > 0) done.addRange(1, seq);
    const open = new RangeSet(known === undefined ? [] : position!.open);
    open.dropAbove(seq);
    for (const n of open) done.delete(n);
    this.#views.set(tab, { done, open, owed: isHeir ? seq : 0 });
    const { channel } = this;
    const epoch = this.#epoch!;
    const answer: SubscribedFrame = {
      type: "channel.subscribed",
      channel,
      ok: true,
      epoch,
      seq,
      ...isFirst && this.#stored && !isHistory && { stored: true },
      ...this.#earlier && { earlier: [...this.#earlier] },
      ...typeof id === "number" && { request_id: id },
    };
    this.#tell([tab], answer);
    this.#stored = true;
    if (isLost) this.#tell([tab], { type: "channel.gap", channel, epoch, seq, reason: "epoch" });
    const untold = this.#untold;
    this.#untold = undefined;
    if (untold) this.gap(untold);
    // What came again stands behind newer ones.
    for (const [n, entry] of [...this.#flight].sort(([a], [b]) => a - b)) {
      if (entry.key !== undefined && tab.own.has(entry.key)) done.add(n);
      // Where the gateway went back everything behind comes again, and in order.
      if (!done.has(n) && from === undefined) {
        entry.waiting.add(tab);
        if (n <= this.#seq) this.#context.tell([tab], entry.text);
      } else if (isFirst && done.has(n)) this.#conclude(n, entry);
    }
  }

  #tell(tabs: Iterable<Tab>, frame: GatewayFrame): void {
    this.#context.tell(tabs, JSON.stringify(frame));
  }

  /** @param asking the question that this goes back for */
  #subscribe(start: Start, asking: Ask | undefined): void {
    this.asked(start);
    this.#asking = asking;
    this.#context.subscribe(this, start);
  }

  #rewind(start: Start, asking: Ask): void {
    const low = this.#low();
    const isOrdered = this.#context.isOrdered();
    const { last } = start;
    const since = last !== undefined && !isOrdered
      ? { epoch: this.#epoch!, seq: Math.max(0, this.#top - last) }
      : start.since;
    const back = since?.epoch === this.#epoch
      ? { since: { ...since!, seq: Math.min(since!.seq, low) } }
      : start;
    if (!isOrdered) return this.#context.restart(this.channel, back);
    // On one connection a second subscription alone would change nothing.
    this.#context.send({ type: "channel.unsubscribe", channel: this.channel });
    this.#subscribe(back, asking);
  }

  /** Everything up to here has come and is settled. */
  #low(): number {
    let low = this.#seq;
    for (const seq of this.#flight.keys()) low = Math.min(low, seq - 1);
    return low;
  }

  #conclude(seq: number, { waiting }: Entry): void {
    if (waiting.size > 0 || this.#context.isHeld()) return;
    this.#flight.delete(seq);
    this.#isWhole = false;
    this.#gone = Math.max(this.#gone, seq);
    this.#settled.add(seq);
    this.#context.settled();
  }

  /** Numbers belong to another epoch; what is in flight comes again. */
  #continue(epoch: string, seq: number, earlier: readonly Era[] | undefined): void {
    const era = earlier?.find((each) => each.epoch === this.#epoch);
    const base = era?.base ?? 0;
    this.#flight.clear();
    this.#settled.dropAbove(base);
    for (const { done, open } of this.#views.values()) {
      done.dropAbove(base);
      open.dropAbove(base);
    }
    this.#epoch = epoch;
    this.#gap = undefined;
    this.#seq = era ? Math.min(this.#seq, base) : seq;
    this.#top = era ? Math.min(this.#top, base) : seq;
    this.#gone = era ? Math.min(this.#gone, base) : seq;
  }
}

/** Names a publish. */
export function keyOf(channel: string, id: string): string {
  return `${channel} ${id}`;
}

function isForNothing({ start }: Ask): boolean {
  return Object.keys(start).length === 0;
}

function isOf(channel: string, key: string): boolean {
  return key.startsWith(`${channel} `);
}
