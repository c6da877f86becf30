import { RangeSet } from "@push/client/protocol";
import { DeliveryCursor } from "../../server/session/cursor.ts";
import type { SeededRandom } from "../../server/testing/mod.ts";

/** Where a message stands, in the plainest words. */
type State =
  | "unsent"
  | "in flight"
  | "settled"
  | "late"
  | "late in flight";

/** A map from number to state, and nothing cleverer. */
export class NaiveCursor {
  readonly states: Map<number, State> = new Map();
  /** How often each number was settled. */
  readonly settled: Map<number, number> = new Map();
  /** Numbers that were handed out at least once, or passed over. */
  readonly seen: Set<number> = new Set();

  /** Gives a number a state. */
  set(seq: number, state: State): void {
    if (state === "settled" && this.states.get(seq) !== "settled") {
      this.settled.set(seq, (this.settled.get(seq) ?? 0) + 1);
    }
    if (state === "in flight") this.seen.add(seq);
    this.states.set(seq, state);
  }

  /** Numbers in one of these states, ascending. */
  in(...wanted: State[]): number[] {
    return [...this.states].filter(([, state]) => wanted.includes(state)).map(([seq]) => seq)
      .sort((a, b) => a - b);
  }

  /** Moves every number of a state to another. */
  all(from: State, to: State, which: (seq: number) => boolean = () => true): number {
    const numbers = this.in(from).filter(which);
    for (const seq of numbers) this.set(seq, to);
    return numbers.length;
  }
}

/** What went wrong in a schedule. */
export class Difference extends Error {}

/** A cursor and its naive twin that live through the same random schedule. */
export class CursorSchedule {
  readonly model: NaiveCursor = new NaiveCursor();
  cursor: DeliveryCursor = DeliveryCursor.at("e", 0);
  readonly #random: SeededRandom;
  readonly #window: number;
  #head = 0;
  #lowestFloor = 0;
  #script: string[] = [];

  /** @param random decides everything */
  constructor(random: SeededRandom) {
    this.#random = random;
    this.#window = 1 + random.below(12);
  }

  /** What was done so far. */
  get script(): string {
    return this.#script.join(" ");
  }

  /** Does one thing, and compares. */
  step(): void {
    const random = this.#random;
    const action = random.pick(
      [
        "publish",
        "publish",
        "send",
        "send",
        "send",
        "ack",
        "ack",
        "ack",
        "ackRange",
        "ackUpTo",
        "nack",
        "nack",
        "resend",
        "resend",
        "giveUp",
        "skip",
        "rewind",
        "reload",
        "adopt",
      ] as const,
    );
    this.#script.push(action);
    this[`${action}`]();
    this.check();
  }

  publish(): void {
    for (let n = this.#random.below(5); n > 0; n--) this.model.set(++this.#head, "unsent");
  }

  /** Sends what the window allows, as a subscription does. */
  send(): void {
    const { cursor, model } = this;
    for (let n = 1 + this.#random.below(6); n > 0 && this.#hasRoom(); n--) {
      let seq = cursor.sent + 1;
      while (cursor.isSettled(seq)) cursor.sentTo(seq++);
      seq = cursor.sent + 1;
      if (seq > this.#head) return;
      cursor.sentTo(seq);
      this.#expect("what is sent was not", model.states.get(seq), "unsent");
      model.set(seq, "in flight");
    }
  }

  ack(): void {
    const seq = this.#anySeq();
    const state = this.model.states.get(seq);
    const owed = state !== undefined && state !== "settled" && state !== "unsent";
    this.#expect(`settle(${seq})`, this.cursor.settle(seq), owed);
    if (owed) this.model.set(seq, "settled");
  }

  ackRange(): void {
    const from = this.#anySeq();
    const to = from + this.#random.below(8);
    const { model } = this;
    const inside = (seq: number) => seq >= from && seq <= to;
    const count = (["in flight", "late", "late in flight"] as const)
      .reduce((sum, state) => sum + model.all(state, "settled", inside), 0);
    this.#expect(`settleRange(${from}, ${to})`, this.cursor.settleRange(from, to), count);
  }

  ackUpTo(): void {
    const to = this.#anySeq();
    const count = this.model.all("in flight", "settled", (seq) => seq <= to);
    this.#expect(`settleUpTo(${to})`, this.cursor.settleUpTo(to), count);
  }

  nack(): void {
    const seq = this.#anySeq();
    const state = this.model.states.get(seq);
    const late = this.cursor.lateAt(seq);
    if (state === "late in flight") this.cursor.setLate(late!, false, 0);
    else if (state !== "late") {
      const deferred = this.cursor.defer(seq, { attempts: 1, due: 0, inFlight: false });
      this.#expect(`defer(${seq})`, deferred, state === "in flight");
    }
    if (state === "in flight" || state === "late in flight") this.model.set(seq, "late");
  }

  resend(): void {
    const [seq] = this.model.in("late");
    if (seq === undefined || this.cursor.outstanding >= this.#window) return;
    this.cursor.setLate(this.cursor.lateAt(seq)!, true, 0);
    this.model.set(seq, "late in flight");
  }

  giveUp(): void {
    const [seq] = this.model.in("late in flight");
    if (seq === undefined) return;
    this.cursor.removeLate(seq);
    this.model.set(seq, "settled");
  }

  /** The next message is the session's own. */
  skip(): void {
    const { cursor, model } = this;
    const seq = cursor.sent + 1;
    if (seq > this.#head || cursor.isSettled(seq)) return;
    cursor.sentTo(seq);
    cursor.settleRange(seq, seq);
    model.seen.add(seq);
    model.set(seq, "settled");
  }

  rewind(): void {
    this.cursor.rewind();
    this.#interrupt();
  }

  reload(): void {
    this.cursor = DeliveryCursor.load(structuredClone(this.cursor.snapshot()));
    this.#interrupt();
  }

  /** A client comes back with a position of its own: some of what was sent reached it. */
  adopt(): void {
    const { cursor, model } = this;
    const claimed = Math.max(cursor.sent - this.#random.below(4), 0);
    const open = new RangeSet();
    for (const seq of model.in("in flight")) {
      if (seq <= claimed && this.#random.below(2) === 0) open.add(seq);
    }
    cursor.adopt(claimed, open, this.#head);
    model.all("in flight", "settled", (seq) => seq <= claimed && !open.has(seq));
    model.all("in flight", "unsent", (seq) => seq > claimed);
  }

  /** Everything is sent and acknowledged. */
  finish(): void {
    for (let round = 0; this.model.in("settled").length < this.#head; round++) {
      if (round > 10 * this.#head) throw new Difference("It never ends.");
      this.send();
      this.resend();
      for (const seq of this.model.in("in flight", "late in flight")) {
        this.#expect("settle", this.cursor.settle(seq), true);
        this.model.set(seq, "settled");
      }
      this.check();
    }
    const { cursor } = this;
    // Numbers settled on an earlier connection are passed when the next message is sent.
    while (cursor.sent < this.#head) cursor.sentTo(cursor.sent + 1);
    this.#expect("the end", [cursor.floor, cursor.isPlain], [this.#head, true]);
    this.#expect("seen", this.model.seen.size, this.#head);
    const twice = [...this.model.settled].filter(([, count]) => count !== 1);
    this.#expect("settled other than once", twice, []);
  }

  /** Compares. */
  check(): void {
    const { cursor, model } = this;
    const flight = model.in("in flight");
    this.#expect("in flight", [...cursor.outstandingUpTo(Infinity)], flight);
    this.#expect("late", cursor.late().map(([seq]) => seq), model.in("late", "late in flight"));
    const outstanding = flight.length + model.in("late in flight").length;
    this.#expect("outstanding", cursor.outstanding, outstanding);
    this.#expect("unsettled", cursor.unsettled, outstanding + model.in("late").length);
    this.#expect("floor <= sent", cursor.floor <= cursor.sent, true);
    this.#expect("sent <= head", cursor.sent <= this.#head, true);
    this.#expect("the floor never goes back", cursor.floor >= this.#lowestFloor, true);
    this.#lowestFloor = cursor.floor;
    const { settled, late } = cursor.snapshot();
    this.#expect("ranges", settled.length / 2 <= this.#window + 1, true);
    this.#expect("late messages", late.length <= 2 * this.#window, true);
    for (const [seq, state] of model.states) {
      if (state !== "settled" || seq <= cursor.floor) continue;
      this.#expect(`settled ${seq}`, cursor.isSettled(seq), true);
    }
  }

  #interrupt(): void {
    this.model.all("in flight", "unsent");
    this.model.all("late in flight", "late");
  }

  #hasRoom(): boolean {
    const { outstanding, unsettled } = this.cursor;
    return outstanding < this.#window && unsettled < 2 * this.#window;
  }

  #anySeq(): number {
    return Math.max(0, this.cursor.floor - 3 + this.#random.below(this.#window + 8));
  }

  #expect(what: string, actual: unknown, expected: unknown): void {
    const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
    if (found !== wanted) throw new Difference(`${what}: ${found} instead of ${wanted}`);
  }
}
