import type { EpochFrame, GapFrame, RangeSet } from "@push/client/protocol";
import { Burial } from "./burial.ts";
import type { Channel } from "../channel/channel.ts";
import type { HubContext } from "../context.ts";
import { DeliveryCursor, type Late } from "./cursor.ts";
import type { Flight } from "./flight.ts";
import { type Batch, Entry, type Wire } from "../channel/entry.ts";
import { Marks } from "./marks.ts";
import { BARRED } from "./starts.ts";
import type { Cursor, DeadLetter, Era, StoredMessage } from "../stores/store.ts";
import type { Connection } from "../transports/connection.ts";
import type { Pumped } from "../turn.ts";
import type { Timed } from "../wheel.ts";

/** What a subscription needs of its session. */
export interface Subscriber {
  /** Key of the session. */
  readonly key: string;
  /** Who it belongs to. */
  readonly owner: { readonly clientId: string };
  /** Connection that holds the session, if one does. */
  readonly connection: Connection | undefined;
  /** Frames that the connection understands. */
  readonly wire: Wire;
  /**
   * Whether the connection took nothing more, and not all were pumped since: a channel that always has
   * something new would else come first, and take all, each time.
   */
  isHeld: boolean;
  /** Pumps all its subscriptions soon. */
  goOn(): void;
  /** Says that a position is to be stored soon. */
  changed(subscription: Subscription): void;
  /** Stores a position and what it gave up, in one step; resolves to whether that worked. */
  giveUp(subscription: Subscription, letters: readonly DeadLetter[]): Promise<boolean>;
  /** Tells the client that a channel's numbers go on in another epoch. */
  tellEpoch(change: Omit<EpochFrame, "type">): void;
  /** Tells the client that messages of a channel are gone. */
  tellGap(gap: Omit<GapFrame, "type">): void;
}

/** A late message that is gone from the log. */
interface Lost {
  readonly late: Late;
  /** Highest number sent when that was told: who acknowledges a higher one has heard of it. */
  readonly after: number;
}

/**
 * One session's subscription to one channel: where it stands, what is in flight over the present
 * connection, and when that is overdue.
 */
export class Subscription implements Pumped, Timed {
  #channel: Channel;
  /** Slot in the timing wheel. */
  slot = 0;
  /** Whether the present connection is subscribed: it flows as soon as that one was answered. */
  isBegun = false;
  /** Whether it has ended for want of a right. */
  isBarred = false;
  readonly #context: HubContext;
  readonly #session: Subscriber;
  #cursor: DeliveryCursor;
  #live = false;
  /** A gap that the client has not acknowledged yet, and the position before it. */
  #untold: { readonly before: Cursor; readonly seq: number } | undefined;

  /** Late messages that are gone: told, and not known to be heard. */
  #lost: Map<number, Lost> | undefined;
  #burial: Burial | undefined;
  #bytes = 0;
  readonly #marks = new Marks();
  /** What was in flight when it was stopped, where another node may go on with it. */
  #flight: Flight | undefined;

  /** @param cursor where it stands */
  constructor(context: HubContext, session: Subscriber, channel: Channel, cursor: DeliveryCursor) {
    this.#context = context;
    this.#session = session;
    this.#channel = channel;
    this.#cursor = cursor;
  }

  /** Its channel. */
  get channel(): Channel {
    return this.#channel;
  }
  /** Whether messages flow. */
  get isLive(): boolean {
    return this.#live;
  }
  /** Epoch that its numbers belong to. */
  get epoch(): string {
    return this.#cursor.epoch;
  }
  /** Epochs whose numbers go on in its own; none is known before it has entered the log's. */
  get earlier(): Era[] {
    return this.epoch === this.channel.epoch ? this.channel.earlier : [];
  }
  /** Whether the client may not have heard of a gap. */
  get owesGap(): boolean {
    return this.#untold !== undefined;
  }
  /** The first message that flows next comes after this number. */
  get position(): number {
    return this.#cursor.sent;
  }
  /** Everything up to this number is settled, or late. */
  get floor(): number {
    return this.#cursor.floor;
  }
  /** What was in flight when the flow stopped; kept only where nodes share sessions. */
  get flight(): Flight | undefined {
    return this.#flight;
  }
  /** Whether a message that it may send has to be read from the log first. */
  get isReading(): boolean {
    const { sent, epoch, outstanding } = this.#cursor;
    const { channel } = this;
    if (!this.#live || epoch !== channel.epoch) return false;
    const isBehind = sent < channel.head && this.#room > 0;
    if (isBehind && channel.entryAt(sent + 1) === undefined) return true;
    if (outstanding >= this.#context.settings.delivery.window) return false;
    const now = this.#context.wheel.time;
    for (const [seq, late] of this.#cursor.late()) {
      if (seq > sent) break;
      const isDue = !late.inFlight && late.due <= now && late.redriven === undefined;
      if (isDue && channel.entryAt(seq) === undefined) return true;
    }
    return false;
  }
  /** Messages sent and not settled. */
  get outstanding(): number {
    return this.#cursor.outstanding;
  }

  /**
   * The position to store: the one before a gap, until the client has acknowledged that notice.
   *
   * @param given messages that are given up with this very change
   */
  snapshot(given?: ReadonlySet<number>): Cursor {
    const present = this.#present(given);
    if (this.#untold === undefined) return present;
    const { before } = this.#untold;
    // What is late or sent changes meanwhile, on either side of the gap.
    if (before.epoch !== present.epoch) return this.#withRedriven(before, present.late);
    return { ...before, sent: Math.max(before.sent, present.sent), late: present.late };
  }

  /** Messages that were given up are stored as such. */
  gaveUp(given: ReadonlySet<number>): void {
    this.#burial?.stored(given);
  }

  /** A position before a gap, with what was put back since: the store has that nowhere else. */
  #withRedriven(before: Cursor, late: Cursor["late"]): Cursor {
    const base = this.channel.baseOf(before.epoch) ?? -1;
    const more = late.filter(({ seq, redriven }) =>
      redriven !== undefined && seq <= base && !before.late.some((record) => record.seq === seq)
    );
    if (more.length === 0) return before;
    return { ...before, late: [...before.late, ...more].sort((a, b) => a.seq - b.seq) };
  }

  #present(given: ReadonlySet<number> | undefined): Cursor {
    const cursor = this.#cursor.snapshot();
    if (this.#burial === undefined && this.#lost === undefined) return cursor;
    const more = this.#burial?.pending(given) ?? [];
    for (const [seq, { late: { attempts, redriven } }] of this.#lost ?? []) {
      more.push({ seq, attempts, redriven });
    }
    if (more.length === 0) return cursor;
    return { ...cursor, late: [...cursor.late, ...more].sort((a, b) => a.seq - b.seq) };
  }

  /** The channel as this node has it now: one that nobody listened to may have been dropped. */
  rebind(channel: Channel): void {
    if (!this.#live) this.#channel = channel;
  }

  /** Lets messages flow over the session's present connection. */
  start(): void {
    if (this.#live) return;
    this.#live = true;
    this.#flight = undefined;
    this.channel.join(this);
    if (!this.#isAtRest) this.#context.turn.pump(this);
  }

  /** Stops the flow: what is in flight is sent again over the next connection. */
  stop(): void {
    if (!this.#live) return;
    this.#live = false;
    this.channel.leave(this);
    this.#context.wheel.cancel(this);
    if (this.#context.store.cluster?.sharesSessions) this.#flight = this.#measure();
    this.#forgetMarks();
    // Who did not hear of it is told again over the next connection.
    for (const [seq, { late }] of this.#lost ?? []) this.#putBack(seq, late);
    this.#lost = undefined;
    // How far was sent is stored too, so that what is sent again carries the mark.
    if (this.#cursor.outstanding > 0) this.#moved();
    this.#cursor.rewind();
    this.#untell();
  }

  /**
   * The flow goes on over another connection of the same client: what was sent stays in flight.
   *
   * @param flight since when that is; without it, its time begins anew
   */
  resume(flight?: Flight): void {
    const cursor = this.#cursor;
    // Nothing that is gone was received for sure.
    if (this.#live || cursor.epoch !== this.channel.epoch) return;
    if (cursor.floor + 1 < this.channel.oldest) return;
    const { wheel: { time } } = this.#context;
    cursor.resume((attempts) => time + this.#wait(attempts));
    if (flight?.epoch !== cursor.epoch) return;
    for (const [seq, inFlight, due] of flight.late) {
      const late = cursor.lateAt(seq);
      if (late !== undefined) cursor.setLate(late, inFlight, time + due);
    }
    this.#marks.restore(flight, time);
  }

  /** Goes on in the channel's epoch, if the cursor's goes on there without a loss. */
  settle(): void {
    const { epoch } = this.channel;
    if (epoch === this.#cursor.epoch || this.#live || this.#untold !== undefined) return;
    const base = this.channel.baseOf(this.#cursor.epoch);
    if (base === undefined || this.#cursor.resent > base) return;
    if (this.channel.mayMiss(this.#cursor.epoch)) return;
    this.#cursor.enter(epoch, base);
    this.#moved();
  }

  /** Highest number that one who names `epoch` may speak of; `undefined` if it means nothing here. */
  reach(epoch: string): number | undefined {
    if (epoch === this.#cursor.epoch) return Infinity;
    return this.#cursor.epoch === this.channel.epoch ? this.channel.baseOf(epoch) : undefined;
  }

  /** Tells the client which epochs go on in this one, if there are any. */
  tellEpoch(): void {
    const { channel: { name }, epoch, earlier } = this;
    if (earlier.length > 0) this.#session.tellEpoch({ channel: name, epoch, earlier });
  }

  /** Tells a client that messages are gone which it may have missed, wherever it was before. */
  tellMissed(): void {
    this.#tell(this.#cursor.epoch, this.#cursor.floor, "epoch");
  }

  /** The client has more of an earlier epoch than goes on in this one: a gap, met with the next pump. */
  regress(epoch: string, seq: number): void {
    this.#cursor = DeliveryCursor.load({ ...this.snapshot(), epoch, sent: seq });
    this.#untold = undefined;
    this.#forgetExceptions();
    this.#moved();
  }

  /** Takes over what the client says that it has (see {@linkcode DeliveryCursor.adopt}). */
  adopt(epoch: string, seq: number, open: RangeSet): void {
    for (const [lost, { after }] of this.#lost ?? []) {
      if (seq <= after) this.#tell(this.#cursor.epoch, lost, "retention");
    }
    // A client that stands before the gap has not heard of it.
    const again = this.#untold !== undefined &&
      (epoch !== this.#cursor.epoch || seq < this.#untold.seq);
    if (again) this.#untell();
    const isPresent = epoch === this.channel.epoch;
    const adopted = epoch === this.#cursor.epoch && (isPresent || !this.#live) &&
      this.#cursor.adopt(seq, open, isPresent ? this.channel.head : seq);
    if (!again && !adopted) return;
    // Nobody has more than a window open: what is claimed beyond is sent again in portions.
    if (this.#cursor.outstanding > this.#context.settings.delivery.window) this.#cursor.rewind();
    this.#moved();
    if (this.#live) this.#context.turn.pump(this);
  }

  /** Moves to another place of the log, as a fresh subscription would. */
  seek(cursor: DeliveryCursor): void {
    this.#cursor = cursor;
    this.#untold = undefined;
    this.#forgetExceptions();
    this.#moved();
  }

  /**
   * Settles one message.
   *
   * @param epoch what the client takes for the present one; so with the other two
   * @returns whether it was outstanding
   */
  ack(seq: number, epoch: string): boolean {
    this.#gapTold(seq - 1, epoch);
    this.#lossTold(seq, seq);
    const settled = this.#cursor.settle(seq);
    if (settled) this.#acknowledged(1);
    return settled;
  }

  /** Settles what was delivered in order up to `seq`. */
  ackUpTo(seq: number, epoch: string): void {
    this.#gapTold(seq, epoch);
    this.#lossTold(Infinity, seq);
    this.#acknowledged(this.#cursor.settleUpTo(seq));
  }

  /** Settles every message of a range that was delivered. */
  ackRange(from: number, to: number, epoch: string): void {
    this.#gapTold(to - 1, epoch);
    this.#lossTold(from, to);
    this.#acknowledged(this.#cursor.settleRange(from, to));
  }

  /**
   * Refuses a message: it is sent again after `delay` milliseconds, or given up.
   *
   * @returns whether it was outstanding
   */
  nack(seq: number, delay: number): boolean {
    const late = this.#cursor.lateAt(seq);
    if (late === undefined ? !this.#isOutstanding(seq) : !late.inFlight) return false;
    this.#context.metrics.refused++;
    this.#fail(seq, late, delay, "nack");
    this.#context.turn.pump(this);
    return true;
  }

  /** Starts the time anew of messages that wait in the client for their handler. */
  renew(ranges: RangeSet): void {
    const { wheel: { time } } = this.#context;
    this.#marks.renew(ranges, time);
    for (const [seq, late] of this.#cursor.late()) {
      if (!late.inFlight || late.due === Infinity || !ranges.has(seq)) continue;
      this.#cursor.setLate(late, true, time + this.#wait(late.attempts));
    }
  }

  /** Puts a message back that was in the dead letters. */
  redrive(message: StoredMessage): void {
    this.#lost?.delete(message.seq);
    this.#cursor.addLate(message.seq, { attempts: 0, due: 0, inFlight: false, redriven: message });
    this.#moved();
    if (this.#live) this.#context.turn.pump(this);
  }

  /** Sends what the connection, the window and the log allow. */
  pump(): void {
    const connection = this.#session.connection;
    if (!this.#live || connection === undefined) return;
    const { channel } = this;
    if (channel.epoch !== this.#cursor.epoch) this.#changeEpoch();
    if (this.#cursor.lateCount > 0) this.#pumpLate(connection);
    const { delivery } = this.#context.settings;
    while (true) {
      // Looked at also behind the last message: only so is a reader found out that has stopped with it.
      const room = Math.min(this.#takenBy(connection), this.#room);
      if (this.#cursor.sent >= channel.head) break;
      const bytes = delivery.windowBytes - this.#bytes;
      if (room <= 0 || (bytes <= 0 && this.#cursor.outstanding > 0)) break;
      const next = channel.next(this.#cursor.sent, room, Math.max(bytes, 0));
      if (next === undefined) break;
      if ("reason" in next) this.#passGap(next.epoch, next.seq, next.reason);
      else if (next.bytes > bytes && this.#cursor.outstanding > 0) break;
      else this.#send(connection, next);
      // What it was sent may have closed the connection.
      if (!this.#live) return;
    }
    if (this.#cursor.lateCount > 0) {
      // This connection may have come past some of them only now.
      this.#cursor.pass();
      this.#pumpLate(connection);
    }
    this.#arm();
  }

  /** Called by the timing wheel. */
  onTime(): void {
    if (!this.#live) return;
    const now = this.#context.wheel.time;
    if (this.#marks.next !== 0 && now >= this.#marks.next) this.#moveMarks(now);
    for (const [seq, late] of this.#cursor.late()) {
      if (!late.inFlight || late.due > now) continue;
      this.#context.metrics.timedOut++;
      this.#fail(seq, late, 0, "timeout");
    }
    this.pump();
  }

  /** Counts first: the connection may be closed by what it is sent, and the cursor goes back then. */
  #send(connection: Connection, batch: Batch): void {
    const cursor = this.#cursor;
    const { metrics } = this.#context;
    const first = batch.entries[0].seq;
    if (first > cursor.sent + 1) this.#passOver(first - 1);
    const plain = cursor.isPlain && cursor.resent === cursor.sent &&
      !batch.hasOrigin(this.#session.key);
    if (!plain) {
      for (const entry of batch.entries) {
        if (!this.#live) return;
        this.#sendOne(connection, entry);
      }
    } else {
      metrics.delivered += batch.count;
      this.#bytes += batch.bytes;
      cursor.sentTo(batch.last);
      const { wire } = this.#session;
      if (wire === "extended") connection.send(batch.text, batch.count);
      else for (const entry of batch.entries) connection.send(entry.text(wire), 1);
    }
    if (!this.#context.settings.delivery.enabled) this.#settleAll();
  }

  #sendOne(connection: Connection, entry: Entry): void {
    const cursor = this.#cursor;
    const { wire, key } = this.#session;
    const { seq, message } = entry;
    // The cursor may have passed it, over numbers that were settled on an earlier connection.
    if (seq <= cursor.sent || cursor.isSettled(seq)) {
      if (seq > cursor.sent) cursor.sentTo(seq);
      return;
    }
    if (message.origin === key && seq > cursor.own) {
      this.#passOver(seq);
      return;
    }
    const again = seq <= cursor.resent;
    if (again) this.#context.metrics.redelivered++;
    else this.#context.metrics.delivered++;
    this.#bytes += message.bytes;
    cursor.sentTo(seq);
    connection.send(again ? entry.redeliveryText(wire, 0, false) : entry.text(wire), 1);
  }

  /** Goes past numbers that are not for this session, or have no message. */
  #passOver(to: number): void {
    const from = this.#cursor.sent + 1;
    this.#cursor.sentTo(to);
    this.#cursor.settleRange(from, to);
    this.#moved();
  }

  /** How many messages the connection takes now from this channel. */
  #takenBy({ capacity }: Connection): number {
    if (capacity <= 0) this.#session.isHeld = true;
    else if (this.#session.isHeld) {
      this.#session.goOn();
      return 0;
    }
    return capacity;
  }

  #pumpLate(connection: Connection): void {
    const now = this.#context.wheel.time;
    const { window } = this.#context.settings.delivery;
    for (const [seq, late] of this.#cursor.late()) {
      // Who has it, and nothing before it, would count what is before it as settled.
      if (seq > this.#cursor.sent) return;
      if (late.inFlight || late.due > now) continue;
      if (this.#takenBy(connection) <= 0 || this.#cursor.outstanding >= window) return;
      const entry = late.redriven === undefined
        ? this.channel.entryAt(seq)
        : new Entry(this.channel.name, this.#cursor.epoch, late.redriven);
      if (entry === undefined) continue;
      if (entry === null) {
        this.#lose(seq);
        continue;
      }
      const { wire } = this.#session;
      this.#context.metrics.redelivered++;
      this.#cursor.setLate(late, true, now + this.#wait(late.attempts));
      connection.send(entry.redeliveryText(wire, late.attempts, late.redriven !== undefined), 1);
    }
  }

  #moveMarks(now: number): void {
    const { metrics, settings: { delivery: { ackTimeout } } } = this.#context;
    for (const seq of this.#marks.overdue(this.#cursor, now, ackTimeout)) {
      metrics.timedOut++;
      this.#fail(seq, undefined, 0, "timeout");
    }
    this.#marks.advance(this.#cursor, now, ackTimeout);
  }

  /** One delivery failed: the message is sent again later, or given up. */
  #fail(seq: number, late: Late | undefined, delay: number, reason: DeadLetter["reason"]): void {
    const { wheel, settings: { delivery } } = this.#context;
    const attempts = (late?.attempts ?? 0) + 1;
    const due = wheel.time + delay;
    const dead = attempts > delivery.maxRetries;
    // Until it is given up, a last attempt that failed is one that may be made again.
    const made = dead ? attempts - 1 : attempts;
    if (late === undefined) {
      this.#cursor.defer(seq, { attempts: made, due: dead ? Infinity : due, inFlight: dead });
      this.#releaseBytes(1);
    } else {
      late.attempts = made;
      this.#cursor.setLate(late, dead, dead ? Infinity : due);
    }
    if (dead) {
      (this.#burial ??= new Burial(this.#context, this.#bereaved())).add(seq, attempts, reason);
    }
    this.#moved();
  }

  #bereaved(): ConstructorParameters<typeof Burial>[1] {
    const { metrics, events } = this.#context;
    const session = this.#session;
    const cursor = () => this.#cursor;
    const channel = () => this.#channel;
    return {
      key: session.key,
      channelName: this.#channel.name,
      get epoch() {
        return cursor().epoch;
      },
      lateAt: (seq) => this.#cursor.lateAt(seq),
      takeLate: (seq) => void this.#cursor.removeLate(seq),
      putBack: (seq, late) => {
        this.#putBack(seq, late);
        this.#arm();
        this.#moved();
      },
      find: (seq) => channel().find(seq),
      lost: (seq) => this.#lose(seq),
      store: (letters) => session.giveUp(this, letters),
      buried: (letter) => {
        metrics.deadLettered++;
        events.deadLettered?.(session.owner.clientId, letter);
      },
      ended: () => {
        if (this.#live) this.#context.turn.pump(this);
      },
    };
  }

  #putBack(seq: number, late: Late): void {
    const { wheel, settings } = this.#context;
    late.inFlight = this.#live;
    late.due = this.#live ? wheel.time + settings.delivery.ackTimeout : 0;
    this.#cursor.addLate(seq, late);
  }

  /** A late message is gone from the log: the client is told until it has heard of that. */
  #lose(seq: number): void {
    const late = this.#cursor.removeLate(seq)!;
    (this.#lost ??= new Map()).set(seq, { late, after: this.#cursor.sent });
    this.#tell(this.#cursor.epoch, seq, "retention");
    this.#moved();
    // Its place in the window is free.
    if (this.#live) this.#context.turn.pump(this);
  }

  /** A loss counts as told once its number, or a message sent after it, was acknowledged. */
  #lossTold(from: number, to: number): void {
    if (this.#lost === undefined) return;
    for (const [seq, { after }] of this.#lost) {
      const isNamed = seq >= from && seq <= to;
      if (!isNamed && Math.min(to, this.#cursor.sent) <= after) continue;
      this.#lost.delete(seq);
      this.#moved();
    }
  }

  /** The log has another epoch than the cursor. */
  #changeEpoch(): void {
    const { channel } = this;
    const cursor = this.#cursor;
    const base = channel.baseOf(cursor.epoch);
    this.#forgetMarks();
    if (cursor.epoch === BARRED) {
      const begin = Math.min(Math.max(cursor.floor, channel.oldest - 1), channel.head);
      return this.#passGap(channel.epoch, begin, "retention");
    }
    if (base === undefined) return this.#passGap(channel.epoch, channel.oldest - 1, "epoch");
    const before = this.snapshot();
    const isLoss = cursor.resent > base || channel.mayMiss(cursor.epoch);
    cursor.enter(channel.epoch, base);
    this.#moved();
    this.tellEpoch();
    if (!isLoss) return;
    this.#burial?.cut(base);
    for (const seq of this.#lost?.keys() ?? []) if (seq > base) this.#lost!.delete(seq);
    // What is kept and unsettled comes again: only what is settled counts as behind the gap.
    this.#untold = { before, seq: cursor.floor };
    this.#tell(channel.epoch, cursor.floor, "epoch");
  }

  /** Goes on behind messages that are gone, and says so. */
  #passGap(epoch: string, seq: number, reason: GapFrame["reason"]): void {
    this.#untold = { before: this.snapshot(), seq };
    if (epoch !== this.#cursor.epoch) {
      this.#forgetExceptions();
    }
    this.#cursor.jump(epoch, seq);
    this.#tell(epoch, seq, reason);
    this.#moved();
  }

  #tell(epoch: string, seq: number, reason: GapFrame["reason"]): void {
    this.#context.metrics.gaps++;
    this.#session.tellGap({ channel: this.channel.name, epoch, seq, reason });
  }

  /** Goes back to before a gap that may not have been told: it is met, and told, again. */
  #untell(): void {
    if (this.#untold === undefined) return;
    const { before } = this.#untold;
    const { epoch, sent, late } = this.#cursor.snapshot();
    const marked = epoch === before.epoch ? Math.max(before.sent, sent) : before.sent;
    this.#cursor = DeliveryCursor.load({ ...before, sent: marked, late });
    this.#untold = undefined;
    this.#bytes = 0;
  }

  /**
   * A gap counts as told once it, or a message after it, was acknowledged: not by who still names an
   * earlier epoch, for that may have left before the notice came.
   */
  #gapTold(acknowledged: number, epoch: string): void {
    if (this.#untold === undefined || acknowledged < this.#untold.seq) return;
    if (epoch !== this.#cursor.epoch) return;
    this.#untold = undefined;
    this.#session.changed(this);
  }

  #acknowledged(count: number): void {
    if (count === 0) return;
    this.#context.metrics.acknowledged += count;
    this.#releaseBytes(count);
    this.#moved();
    if (this.#live && this.#isBehind) this.#context.turn.pump(this);
  }

  /** Whether a pump would find nothing to do; what is appended pumps by itself. */
  get #isAtRest(): boolean {
    const cursor = this.#cursor;
    return cursor.epoch === this.#channel.epoch && cursor.sent === this.#channel.head &&
      cursor.sent === cursor.floor && cursor.isPlain;
  }

  /** Whether room in the window lets something flow; what is appended pumps by itself. */
  get #isBehind(): boolean {
    const cursor = this.#cursor;
    return cursor.sent < this.#channel.head || cursor.lateCount > 0;
  }

  #forgetExceptions(): void {
    this.#burial?.clear();
    this.#lost = undefined;
  }

  #measure(): Flight | undefined {
    const { wheel: { time } } = this.#context;
    const late = [...this.#cursor.late()].filter(([, { due }]) => due !== Infinity)
      .map(([seq, { inFlight, due }]) => [seq, inFlight, due - time] as const);
    if (this.#marks.next === 0 && late.length === 0) return undefined;
    return { epoch: this.#cursor.epoch, ...this.#marks.measure(time), late };
  }

  /** What is in flight is sent anew: its times mean nothing any more. */
  #forgetMarks(): void {
    this.#marks.forget();
    this.#bytes = 0;
  }

  #settleAll(): void {
    this.#cursor.settleUpTo(this.#cursor.sent);
    this.#bytes = 0;
  }

  /** The position changed: it is stored soon. */
  #moved(): void {
    this.#session.changed(this);
  }

  /** Bytes in flight are known in sum only: what leaves takes its share. Exact when all has left. */
  #releaseBytes(count: number): void {
    const { outstanding } = this.#cursor;
    this.#bytes = outstanding === 0 ? 0 : this.#bytes * outstanding / (outstanding + count);
  }

  /** Messages that may be sent in order: what a client keeps refusing gathers in bounds, too. */
  get #room(): number {
    const { window } = this.#context.settings.delivery;
    const cursor = this.#cursor;
    const room = Math.min(window - cursor.outstanding, 2 * window - cursor.unsettled);
    // What is late behind one that was not sent yet waits for it, however many they are.
    const isAwaited = room <= 0 && cursor.outstanding < window && cursor.sent === cursor.floor &&
      cursor.isLateAbove(cursor.sent);
    return isAwaited ? 1 : room;
  }

  #isOutstanding(seq: number): boolean {
    const cursor = this.#cursor;
    return seq > cursor.floor && seq <= cursor.sent && !cursor.isSettled(seq);
  }

  /** Milliseconds that a delivery has, which `attempts` failed before. */
  #wait(attempts: number): number {
    const { ackTimeout, retryBackoff } = this.#context.settings.delivery;
    return ackTimeout * retryBackoff ** attempts;
  }

  /** Takes a place in the timing wheel if something is in flight or waits. */
  #arm(): void {
    const cursor = this.#cursor;
    const { wheel, settings: { delivery } } = this.#context;
    if (!this.#live || !delivery.enabled) return;
    const marks = this.#marks;
    if (marks.next === 0 && cursor.sent > cursor.floor) {
      marks.begin(cursor.sent, wheel.time, delivery.ackTimeout);
    } else if (this.slot !== 0 && cursor.lateCount === 0) {
      return;
    }
    let at = marks.next === 0 ? Infinity : marks.next;
    if (cursor.lateCount > 0) {
      for (const [, late] of cursor.late()) at = Math.min(at, late.due);
    }
    if (at !== Infinity) wheel.schedule(this, at);
  }
}
