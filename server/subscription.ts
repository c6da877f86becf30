import type { GapFrame, RangeSet } from "@push/client/protocol";
import type { Channel } from "./channel.ts";
import type { HubContext } from "./context.ts";
import { DeliveryCursor, type Late } from "./cursor.ts";
import { type Batch, Entry, type Wire } from "./entry.ts";
import type { Cursor, DeadLetter, StoredMessage } from "./stores/store.ts";
import type { Connection } from "./transports/connection.ts";
import type { Pumped } from "./turn.ts";
import type { Timed } from "./wheel.ts";

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
  /** Says that a position is to be stored soon. */
  changed(subscription: Subscription): void;
  /** Stores a position and what it gave up, in one step; resolves to whether that worked. */
  giveUp(subscription: Subscription, letters: readonly DeadLetter[]): Promise<boolean>;
  /** Tells the client that messages of a channel are gone. */
  tellGap(gap: Omit<GapFrame, "type">): void;
}

/**
 * One session's subscription to one channel: where it stands, what is in flight over the present
 * connection, and when that is overdue.
 *
 * Time is kept with two marks instead of a clock per message: "all up to here was sent before then".
 * The marks move every half `ackTimeout`, so a delivery counts as failed after 1 to 1.5 of it.
 */
export class Subscription implements Pumped, Timed {
  #channel: Channel;
  /** Slot in the timing wheel. */
  slot = 0;
  readonly #context: HubContext;
  readonly #session: Subscriber;
  #cursor: DeliveryCursor;
  #live = false;
  /** A gap that the client has not acknowledged yet, and the position before it. */
  #untold: { readonly before: Cursor; readonly seq: number } | undefined;

  /** Messages that are given up, of which the store does not know yet. */
  readonly #dying = new Map<number, Late>();
  /** Their letters, until they are being stored. */
  readonly #letters: { readonly letter: DeadLetter; readonly retry: () => void }[] = [];
  #burying = false;
  #bytes = 0;
  #nextMark = 0;
  #olderSeq = 0;
  #olderAt = 0;
  #newerSeq = 0;
  #newerAt = 0;
  #renewed: RangeSet | undefined;
  #renewedAt = 0;

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
  /** The first message that flows next comes after this number. */
  get position(): number {
    return this.#cursor.sent;
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
    if (before.epoch !== present.epoch) return before;
    return { ...before, sent: Math.max(before.sent, present.sent), late: present.late };
  }

  /** Messages that were given up are stored as such. */
  gaveUp(given: ReadonlySet<number>): void {
    for (const seq of given) this.#dying.delete(seq);
  }

  #present(given: ReadonlySet<number> | undefined): Cursor {
    const cursor = this.#cursor.snapshot();
    if (this.#dying.size === 0) return cursor;
    const dying = [...this.#dying].filter(([seq]) => !given?.has(seq))
      .map(([seq, { attempts, redriven }]) => ({ seq, attempts, redriven }));
    return { ...cursor, late: [...cursor.late, ...dying].sort((a, b) => a.seq - b.seq) };
  }

  /** The channel as this node has it now: one that nobody listened to may have been dropped. */
  rebind(channel: Channel): void {
    if (!this.#live) this.#channel = channel;
  }

  /** Lets messages flow over the session's present connection. */
  start(): void {
    if (this.#live) return;
    this.#live = true;
    this.channel.join(this);
    this.#context.turn.pump(this);
  }

  /** Stops the flow: what is in flight is sent again over the next connection. */
  stop(): void {
    if (!this.#live) return;
    this.#live = false;
    this.channel.leave(this);
    this.#context.wheel.cancel(this);
    this.#nextMark = this.#bytes = 0;
    this.#renewed = undefined;
    // How far was sent is stored too, so that what is sent again carries the mark.
    if (this.#cursor.outstanding > 0) this.#moved();
    this.#cursor.rewind();
    this.#untell();
  }

  /** Takes over what the client says that it has (see {@linkcode DeliveryCursor.adopt}). */
  adopt(epoch: string, seq: number, open: RangeSet): void {
    // A client that stands before the gap has not heard of it.
    const again = this.#untold !== undefined &&
      (epoch !== this.#cursor.epoch || seq < this.#untold.seq);
    if (again) this.#untell();
    const adopted = epoch === this.#cursor.epoch && epoch === this.channel.epoch &&
      this.#cursor.adopt(seq, open, this.channel.head);
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
    this.#dying.clear();
    this.#moved();
  }

  /**
   * Settles one message.
   *
   * @returns whether it was outstanding
   */
  ack(seq: number): boolean {
    this.#gapTold(seq - 1);
    const settled = this.#cursor.settle(seq);
    if (settled) this.#acknowledged(1);
    return settled;
  }

  /** Settles what was delivered in order up to `seq`. */
  ackUpTo(seq: number): void {
    this.#gapTold(seq);
    this.#acknowledged(this.#cursor.settleUpTo(seq));
  }

  /** Settles every message of a range that was delivered. */
  ackRange(from: number, to: number): void {
    this.#gapTold(to - 1);
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
    this.#renewed = ranges;
    this.#renewedAt = this.#context.wheel.time;
    for (const [seq, late] of this.#cursor.late()) {
      if (!late.inFlight || late.due === Infinity || !ranges.has(seq)) continue;
      this.#cursor.setLate(late, true, this.#renewedAt + this.#wait(late.attempts));
    }
  }

  /** Puts a message back that was in the dead letters. */
  redrive(message: StoredMessage): void {
    this.#cursor.addLate(message.seq, { attempts: 0, due: 0, inFlight: false, redriven: message });
    this.#moved();
    if (this.#live) this.#context.turn.pump(this);
  }

  /** Sends what the connection, the window and the log allow. */
  pump(): void {
    const connection = this.#session.connection;
    if (!this.#live || connection === undefined) return;
    const { channel } = this;
    if (channel.epoch !== this.#cursor.epoch) {
      this.#passGap(channel.epoch, channel.oldest - 1, "epoch");
    }
    if (this.#cursor.lateCount > 0) this.#pumpLate(connection);
    const { delivery } = this.#context.settings;
    while (true) {
      const room = Math.min(connection.capacity, this.#room);
      const bytes = delivery.windowBytes - this.#bytes;
      if (room <= 0 || (bytes <= 0 && this.#cursor.outstanding > 0)) break;
      const next = channel.next(this.#cursor.sent, room, Math.max(bytes, 0));
      if (next === undefined) break;
      if ("reason" in next) this.#passGap(next.epoch, next.seq, next.reason);
      else if (next.bytes > bytes && this.#cursor.outstanding > 0) break;
      else this.#send(connection, next);
    }
    this.#arm();
  }

  /** Called by the timing wheel. */
  onTime(): void {
    if (!this.#live) return;
    const now = this.#context.wheel.time;
    if (this.#nextMark !== 0 && now >= this.#nextMark) this.#moveMarks(now);
    for (const [seq, late] of this.#cursor.late()) {
      if (!late.inFlight || late.due > now) continue;
      this.#context.metrics.timedOut++;
      this.#fail(seq, late, 0, "timeout");
    }
    this.pump();
  }

  #send(connection: Connection, batch: Batch): void {
    const cursor = this.#cursor;
    const { metrics } = this.#context;
    const first = batch.entries[0].seq;
    if (first > cursor.sent + 1) this.#passOver(first - 1);
    const plain = cursor.isPlain && cursor.resent === cursor.sent &&
      !batch.hasOrigin(this.#session.key);
    if (!plain) {
      for (const entry of batch.entries) this.#sendOne(connection, entry);
    } else {
      const { wire } = this.#session;
      if (wire === "extended") connection.send(batch.text, batch.count);
      else for (const entry of batch.entries) connection.send(entry.text(wire), 1);
      metrics.delivered += batch.count;
      this.#bytes += batch.bytes;
      cursor.sentTo(batch.last);
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
    connection.send(again ? entry.redeliveryText(wire, 0, false) : entry.text(wire), 1);
    if (again) this.#context.metrics.redelivered++;
    else this.#context.metrics.delivered++;
    this.#bytes += message.bytes;
    cursor.sentTo(seq);
  }

  /** Goes past numbers that are not for this session, or have no message. */
  #passOver(to: number): void {
    const from = this.#cursor.sent + 1;
    this.#cursor.sentTo(to);
    this.#cursor.settleRange(from, to);
    this.#moved();
  }

  #pumpLate(connection: Connection): void {
    const now = this.#context.wheel.time;
    const { window } = this.#context.settings.delivery;
    for (const [seq, late] of this.#cursor.late()) {
      if (late.inFlight || late.due > now) continue;
      if (connection.capacity <= 0 || this.#cursor.outstanding >= window) return;
      const entry = late.redriven === undefined
        ? this.channel.entryAt(seq)
        : new Entry(this.channel.name, this.#cursor.epoch, late.redriven);
      if (entry === undefined) continue;
      if (entry === null) {
        this.#lose(seq);
        continue;
      }
      const { wire } = this.#session;
      connection.send(entry.redeliveryText(wire, late.attempts, late.redriven !== undefined), 1);
      this.#context.metrics.redelivered++;
      this.#cursor.setLate(late, true, now + this.#wait(late.attempts));
    }
  }

  #moveMarks(now: number): void {
    const { ackTimeout } = this.#context.settings.delivery;
    const cursor = this.#cursor;
    if (this.#olderAt + ackTimeout <= now) {
      const renewed = this.#renewedAt + ackTimeout > now ? this.#renewed : undefined;
      for (const seq of [...cursor.outstandingUpTo(this.#olderSeq)]) {
        if (renewed?.has(seq)) continue;
        this.#context.metrics.timedOut++;
        this.#fail(seq, undefined, 0, "timeout");
      }
    }
    this.#olderSeq = this.#newerSeq;
    this.#olderAt = this.#newerAt;
    this.#newerSeq = cursor.sent;
    this.#newerAt = now;
    this.#nextMark = cursor.sent > cursor.floor ? now + ackTimeout / 2 : 0;
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
    if (dead) this.#giveUp(seq, attempts, reason);
    this.#moved();
  }

  /** Moves a message to the dead letters, unless it is acknowledged while that is under way. */
  async #giveUp(seq: number, attempts: number, reason: DeadLetter["reason"]): Promise<void> {
    const { epoch } = this.#cursor;
    const late = this.#cursor.lateAt(seq)!;
    const retry = () => this.#giveUpLater(seq, late, epoch);
    try {
      const message = late.redriven ?? await this.channel.find(seq);
      if (this.#cursor.lateAt(seq) !== late) return;
      if (message === undefined) {
        this.#lose(seq);
        if (this.#live) this.#context.turn.pump(this);
        return;
      }
      this.#cursor.removeLate(seq);
      this.#dying.set(seq, late);
      const letter: DeadLetter = {
        session: this.#session.key,
        channel: this.channel.name,
        epoch,
        message,
        attempts,
        reason,
        at: this.#context.clock.now(),
      };
      this.#letters.push({ letter, retry });
      if (this.#letters.length === 1 && !this.#burying) await this.#bury();
    } catch {
      retry();
    }
  }

  /** Stores what is given up: all that gathered in one step, for each step writes the whole position. */
  async #bury(): Promise<void> {
    const { metrics, events } = this.#context;
    this.#burying = true;
    // What is given up in the same burst belongs to the first step.
    await undefined;
    while (this.#letters.length > 0) {
      const batch = this.#letters.splice(0);
      let stored = false;
      try {
        stored = await this.#session.giveUp(this, batch.map(({ letter }) => letter));
      } catch {
        metrics.commitErrors++;
      }
      for (const { letter, retry } of batch) {
        if (!stored) {
          retry();
          continue;
        }
        metrics.deadLettered++;
        events.deadLettered?.(this.#session.owner.clientId, letter);
      }
    }
    this.#burying = false;
    if (this.#live) this.#context.turn.pump(this);
  }

  #giveUpLater(seq: number, late: Late, epoch: string): void {
    const { wheel, settings } = this.#context;
    const wasDying = this.#dying.delete(seq);
    const present = this.#cursor.lateAt(seq);
    // It may be acknowledged, or put back, meanwhile.
    if (epoch !== this.#cursor.epoch || present !== (wasDying ? undefined : late)) return;
    this.#cursor.removeLate(seq);
    late.inFlight = this.#live;
    late.due = this.#live ? wheel.time + settings.delivery.ackTimeout : 0;
    this.#cursor.addLate(seq, late);
    this.#arm();
    this.#moved();
  }

  /** A late message is gone from the log: the client is told, and it is owed no more. */
  #lose(seq: number): void {
    this.#cursor.removeLate(seq);
    this.#tell(this.#cursor.epoch, seq, "retention");
    this.#moved();
  }

  /** Goes on behind messages that are gone, and says so. */
  #passGap(epoch: string, seq: number, reason: GapFrame["reason"]): void {
    this.#untold = { before: this.snapshot(), seq };
    if (epoch !== this.#cursor.epoch) this.#dying.clear();
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

  /** A gap counts as told once it, or a message after it, was acknowledged. */
  #gapTold(acknowledged: number): void {
    if (this.#untold === undefined || acknowledged < this.#untold.seq) return;
    this.#untold = undefined;
    this.#session.changed(this);
  }

  #acknowledged(count: number): void {
    if (count === 0) return;
    this.#context.metrics.acknowledged += count;
    this.#releaseBytes(count);
    this.#moved();
    if (this.#live) this.#context.turn.pump(this);
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
    return Math.min(window - this.#cursor.outstanding, 2 * window - this.#cursor.unsettled);
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
    if (this.#nextMark === 0 && cursor.sent > cursor.floor) {
      this.#newerSeq = cursor.sent;
      this.#newerAt = wheel.time;
      this.#olderSeq = 0;
      this.#nextMark = this.#newerAt + delivery.ackTimeout / 2;
    } else if (this.slot !== 0 && cursor.lateCount === 0) {
      return;
    }
    let at = this.#nextMark === 0 ? Infinity : this.#nextMark;
    if (cursor.lateCount > 0) {
      for (const [, late] of cursor.late()) at = Math.min(at, late.due);
    }
    if (at !== Infinity) wheel.schedule(this, at);
  }
}
