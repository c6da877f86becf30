import { RangeSet } from "@push/client/protocol";
import type { Cursor, StoredMessage } from "../stores/store.ts";

/** A message out of order: it was refused or not acknowledged in time, and is sent again by name. */
export interface Late {
  /** Deliveries that failed. */
  attempts: number;
  /** In flight: when it counts as failed again. Waiting: when it is to be sent. Unix milliseconds. */
  due: number;
  /** Whether it was sent over the present connection and awaits its acknowledgement. */
  inFlight: boolean;
  /** Only for a redriven message: the message itself. */
  redriven?: StoredMessage;
}

/**
 * Position of one subscription: a cursor with exceptions.
 *
 * `floor <= sent`; everything at or below the floor is settled or late. What is settled above it is
 * kept as ranges, what is late by name. So a message costs nothing per subscriber, and one poison
 * message does not hold the floor back. Pure: no clock, no store, no connection.
 */
export class DeliveryCursor {
  #epoch: string;
  #floor: number;
  #sent: number;
  #own: number;
  #resent: number;
  #settled: RangeSet | undefined;
  #late: Map<number, Late> | undefined;
  #lateInFlight = 0;

  private constructor(epoch: string, floor: number, own: number) {
    this.#epoch = epoch;
    this.#floor = this.#sent = this.#resent = floor;
    this.#own = own;
  }

  /**
   * A position before the message `floor + 1`.
   *
   * @param own the session's own messages up to this number are delivered too
   */
  static at(epoch: string, floor: number, own = 0): DeliveryCursor {
    return new DeliveryCursor(epoch, floor, own);
  }

  /** A stored position, ready for a new connection: nothing is in flight. */
  static load(stored: Cursor): DeliveryCursor {
    const cursor = new DeliveryCursor(stored.epoch, stored.floor, stored.own);
    cursor.#resent = Math.max(stored.sent, stored.floor);
    if (stored.settled.length > 0) cursor.#settled = new RangeSet(stored.settled);
    for (const { seq, attempts, redriven } of stored.late) {
      cursor.addLate(seq, { attempts, due: 0, inFlight: false, redriven });
      // What is late comes by its name, and not in order too.
      if (seq > stored.floor) (cursor.#settled ??= new RangeSet()).add(seq);
    }
    return cursor;
  }

  /** Epoch that the numbers belong to. */
  get epoch(): string {
    return this.#epoch;
  }
  /** Everything at or below is settled or late. */
  get floor(): number {
    return this.#floor;
  }
  /** Highest number sent over the present connection, or passed over. */
  get sent(): number {
    return this.#sent;
  }
  /** The session's own messages up to this number are delivered too. */
  get own(): number {
    return this.#own;
  }
  /** Highest number sent over any connection: up to here a message is marked as redelivered. */
  get resent(): number {
    return this.#resent;
  }
  /** Messages sent and not settled. */
  get outstanding(): number {
    return this.#sent - this.#floor - (this.#settled?.countUpTo(this.#sent) ?? 0) +
      this.#lateInFlight;
  }
  /** Messages sent and not settled, and those that wait to be sent again. */
  get unsettled(): number {
    return this.outstanding - this.#lateInFlight + this.lateCount;
  }
  /** Whether nothing was settled out of order and nothing is late: the cursor is three numbers. */
  get isPlain(): boolean {
    return this.#settled === undefined && this.#late === undefined;
  }
  /** Number of late messages. */
  get lateCount(): number {
    return this.#late?.size ?? 0;
  }
  /** Late messages in ascending order of their numbers. */
  late(): [number, Late][] {
    return this.#late === undefined ? [] : [...this.#late].sort(([a], [b]) => a - b);
  }
  /** The late message of this number. */
  lateAt(seq: number): Late | undefined {
    return this.#late?.get(seq);
  }
  /** Whether a message above `seq` is late. */
  isLateAbove(seq: number): boolean {
    for (const late of this.#late?.keys() ?? []) if (late > seq) return true;
    return false;
  }
  /** Whether `seq` was settled above the floor. */
  isSettled(seq: number): boolean {
    return this.#settled?.has(seq) ?? false;
  }

  /** Says that everything up to `seq` was sent now, or passed over. */
  sentTo(seq: number): void {
    this.#sent = seq;
    if (seq > this.#resent) this.#resent = seq;
    // A stored cursor may have settled what comes next.
    if (this.#settled !== undefined) this.#absorb();
  }

  /** Goes past what is settled or late right behind what was sent: none of it is sent in order. */
  pass(): void {
    const end = this.#settled?.endOfRange(this.#sent + 1);
    if (end !== undefined) this.sentTo(end);
  }

  /**
   * Settles one message.
   *
   * @returns whether it was outstanding, or late
   */
  settle(seq: number): boolean {
    if (this.removeLate(seq) !== undefined) return true;
    if (seq <= this.#floor || seq > this.#sent) return false;
    if (seq === this.#floor + 1) {
      this.#floor = seq;
      if (this.#settled !== undefined) this.#absorb();
      return true;
    }
    return (this.#settled ??= new RangeSet()).add(seq);
  }

  /**
   * Settles a range of what was sent, in order and late alike.
   *
   * @returns how many were outstanding
   */
  settleRange(from: number, to: number): number {
    let count = 0;
    if (this.#late !== undefined) {
      // Whichever is fewer: the numbers of the range, or the late ones.
      const numbers = to - from < this.#late.size
        ? Array.from({ length: to - from + 1 }, (_, i) => from + i)
        : [...this.#late.keys()].filter((seq) => seq >= from && seq <= to);
      for (const seq of numbers) if (this.removeLate(seq) !== undefined) count++;
    }
    const last = Math.min(to, this.#sent);
    const before = this.outstanding;
    if (from <= this.#floor + 1) {
      if (last > this.#floor) this.#raiseFloor(last);
    } else if (last >= from) {
      (this.#settled ??= new RangeSet()).addRange(from, last);
    }
    return count + before - this.outstanding;
  }

  /** Settles what was sent in order up to `seq`; late messages are settled by name only. */
  settleUpTo(seq: number): number {
    const before = this.outstanding;
    const last = Math.min(seq, this.#sent);
    if (last > this.#floor) this.#raiseFloor(last);
    return before - this.outstanding;
  }

  /** Makes an outstanding message late; returns false if it was not outstanding in order. */
  defer(seq: number, late: Late): boolean {
    if (seq <= this.#floor || seq > this.#sent || this.isSettled(seq)) return false;
    this.addLate(seq, late);
    if (seq === this.#floor + 1) this.#raiseFloor(seq);
    else (this.#settled ??= new RangeSet()).add(seq);
    return true;
  }

  /** Adds a late message by name. */
  addLate(seq: number, late: Late): void {
    this.removeLate(seq);
    (this.#late ??= new Map()).set(seq, late);
    if (late.inFlight) this.#lateInFlight++;
  }

  /** Takes a late message out; returns it. */
  removeLate(seq: number): Late | undefined {
    const late = this.#late?.get(seq);
    if (late === undefined) return undefined;
    this.#late!.delete(seq);
    if (late.inFlight) this.#lateInFlight--;
    if (this.#late!.size === 0) this.#late = undefined;
    return late;
  }

  /** Changes whether a late message is in flight, and when it is due. */
  setLate(late: Late, inFlight: boolean, due: number): void {
    if (late.inFlight !== inFlight) this.#lateInFlight += inFlight ? 1 : -1;
    late.inFlight = inFlight;
    late.due = due;
  }

  /** Numbers outstanding in order, ascending, up to `limit`. */
  *outstandingUpTo(limit: number): IterableIterator<number> {
    const last = Math.min(limit, this.#sent);
    for (let seq = this.#floor + 1; seq <= last; seq++) {
      const end = this.#settled?.endOfRange(seq);
      if (end === undefined) yield seq;
      else seq = end;
    }
  }

  /** Forgets what is in flight, for a new connection: all that is unsettled is sent again. */
  rewind(): void {
    this.#sent = this.#floor;
    for (const late of this.#late?.values() ?? []) {
      if (late.inFlight) this.setLate(late, false, 0);
    }
  }

  /**
   * Takes over what a client says that it has: everything up to `seq` was received, and is settled
   * unless it is in `open`. Never goes below the floor; late messages stay late.
   *
   * @param head highest number of the log; a client cannot have received more
   * @returns whether anything changed
   */
  adopt(seq: number, open: RangeSet, head: number): boolean {
    const { floor, sent, outstanding } = this;
    const received = Math.max(Math.min(seq, head), floor);
    if (received > floor) this.#adoptAbove(received, open);
    else this.#sent = floor;
    return floor !== this.#floor || sent !== this.#sent || outstanding !== this.outstanding;
  }

  #adoptAbove(received: number, open: RangeSet): void {
    const settled = this.#settled ?? new RangeSet();
    let from = this.#floor + 1;
    const pairs = open.toRanges();
    for (let i = 0; i < pairs.length && pairs[i] <= received; i += 2) {
      if (pairs[i] > from) settled.addRange(from, pairs[i] - 1);
      from = Math.max(from, pairs[i + 1] + 1);
    }
    if (from <= received) settled.addRange(from, received);
    this.#settled = settled;
    this.sentTo(received);
  }

  /**
   * Moves to a place in the log from which delivery goes on, after a gap. What is settled or late
   * behind it stays so; in another epoch nothing is.
   */
  jump(epoch: string, floor: number): void {
    if (epoch === this.#epoch) {
      this.#resent = Math.max(this.#resent, floor);
      this.#raiseFloor(floor);
      this.#sent = this.#floor;
      return;
    }
    this.#epoch = epoch;
    this.#floor = this.#sent = this.#resent = floor;
    this.#own = 0;
    this.#settled = this.#late = undefined;
    this.#lateInFlight = 0;
  }

  /**
   * Goes on in the epoch that follows, where numbers up to `base` mean the same messages: what is
   * above it is forgotten, and what is unsettled below is sent again.
   */
  enter(epoch: string, base: number): void {
    this.#epoch = epoch;
    this.#floor = Math.min(this.#floor, base);
    this.#resent = Math.min(this.#resent, base);
    if (this.#settled !== undefined) {
      const kept = this.#settled.toRanges().filter((n) => n <= base);
      // An odd number of ends: the last range goes beyond the base.
      if (kept.length % 2 === 1) kept.push(base);
      this.#settled = kept.length === 0 ? undefined : new RangeSet(kept);
    }
    for (const [seq] of this.late()) if (seq > base) this.removeLate(seq);
    this.rewind();
  }

  /**
   * Goes on over another connection of the same client: what was sent stays sent.
   *
   * @param dueAt when a late message that failed so many times counts as failed again
   */
  resume(dueAt: (attempts: number) => number): void {
    for (const late of this.#late?.values() ?? []) this.setLate(late, true, dueAt(late.attempts));
    if (this.#resent > this.#sent) this.sentTo(this.#resent);
  }

  /** The position to store. */
  snapshot(): Cursor {
    return {
      epoch: this.#epoch,
      floor: this.#floor,
      sent: this.#resent,
      own: this.#own > this.#floor ? this.#own : 0,
      settled: this.#settled?.toRanges() ?? [],
      late: this.late().map(([seq, { attempts, redriven }]) =>
        redriven === undefined ? { seq, attempts } : { seq, attempts, redriven }
      ),
    };
  }

  #raiseFloor(to: number): void {
    this.#floor = to;
    if (this.#settled === undefined) return;
    this.#settled.dropUpTo(to);
    this.#absorb();
  }

  /** Lets the floor pass what is settled right above it. */
  #absorb(): void {
    const settled = this.#settled!;
    const end = settled.endOfRange(this.#floor + 1);
    if (end !== undefined) {
      this.#floor = end;
      if (this.#sent < end) this.#sent = end;
      settled.dropUpTo(end);
    }
    if (settled.size === 0) this.#settled = undefined;
  }
}
