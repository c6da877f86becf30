import { assert, assertEquals } from "@std/assert";
import { RangeSet } from "@push/client/protocol";
import { DeliveryCursor } from "../../server/session/cursor.ts";
import { numbers } from "./harness.ts";

const waiting = { attempts: 1, due: 0, inFlight: false };

function sent(to: number, floor = 0): DeliveryCursor {
  const cursor = DeliveryCursor.at("e", floor);
  cursor.sentTo(to);
  return cursor;
}

/** What is not settled, in order or late. */
function owed(cursor: DeliveryCursor): number[] {
  const late = cursor.late().map(([seq]) => seq);
  return [...cursor.outstandingUpTo(Infinity), ...late].sort((a, b) => a - b);
}

Deno.test("DeliveryCursor.settle() ignores a position it never sent", () => {
  const cursor = sent(3, 1);
  assertEquals([cursor.settle(4), cursor.settle(1), cursor.settle(0)], [false, false, false]);
  assertEquals([cursor.settle(2), cursor.settle(2)], [true, false]);
  assertEquals(cursor.outstanding, 1);
});

Deno.test("DeliveryCursor.settle() keeps single settlements above the floor as ranges", () => {
  const cursor = sent(10);
  for (const seq of [2, 3, 5, 9]) assert(cursor.settle(seq));
  assertEquals([cursor.floor, cursor.outstanding], [0, 6]);
  assertEquals(cursor.snapshot().settled, [2, 3, 5, 5, 9, 9]);
  assert(cursor.settle(1));
  assertEquals([cursor.floor, cursor.outstanding], [3, 5]);
  assert(cursor.settle(4));
  assertEquals([cursor.floor, cursor.snapshot().settled], [5, [9, 9]]);
});

Deno.test("DeliveryCursor.settleUpTo() settles in order, and leaves late messages to their names", () => {
  const cursor = sent(5);
  cursor.defer(2, { ...waiting });
  assertEquals(cursor.settleUpTo(4), 3);
  assertEquals(owed(cursor), [2, 5]);
  assertEquals(cursor.settleUpTo(100), 1);
  assertEquals([cursor.floor, cursor.sent], [5, 5]);
  assertEquals(cursor.settle(2), true);
  assert(cursor.isPlain);
});

Deno.test("DeliveryCursor.settleRange() counts what was outstanding, late ones too", () => {
  const cursor = sent(10);
  cursor.settle(4);
  cursor.defer(5, { ...waiting });
  cursor.defer(6, { attempts: 2, due: 9, inFlight: true });
  assertEquals(cursor.settleRange(3, 7), 4);
  assertEquals(cursor.settleRange(3, 7), 0);
  assertEquals(cursor.settleRange(9, 1_000), 2);
  assertEquals(owed(cursor), [1, 2, 8]);
});

Deno.test("DeliveryCursor.defer() lets the floor pass a poison message", () => {
  const cursor = sent(3);
  assert(cursor.defer(1, { ...waiting }));
  assertEquals([cursor.floor, cursor.outstanding, cursor.lateCount], [1, 2, 1]);
  assertEquals(cursor.defer(1, { ...waiting }), false);
  cursor.settleUpTo(3);
  assertEquals([cursor.floor, cursor.isPlain], [3, false]);
  assertEquals(cursor.removeLate(1)?.attempts, 1);
  assert(cursor.isPlain);
});

Deno.test("DeliveryCursor counts a late message as outstanding while it is in flight", () => {
  const cursor = sent(2);
  cursor.defer(1, { ...waiting });
  assertEquals([cursor.outstanding, cursor.unsettled], [1, 2]);
  cursor.setLate(cursor.lateAt(1)!, true, 5);
  assertEquals([cursor.outstanding, cursor.unsettled], [2, 2]);
  cursor.setLate(cursor.lateAt(1)!, true, 9);
  assertEquals(cursor.outstanding, 2);
  cursor.rewind();
  assertEquals([cursor.outstanding, cursor.unsettled, cursor.sent], [0, 1, 1]);
});

Deno.test("DeliveryCursor.rewind() sends again what is unsettled, and nothing that is settled", () => {
  const cursor = sent(5);
  cursor.settle(1);
  cursor.settle(4);
  cursor.rewind();
  assertEquals([cursor.floor, cursor.sent, cursor.resent], [1, 1, 5]);
  const again = numbers(2, 6).filter((seq) => {
    if (cursor.isSettled(seq) || seq <= cursor.sent) return false;
    cursor.sentTo(seq);
    return true;
  });
  assertEquals(again, [2, 3, 5, 6]);
  assertEquals(owed(cursor), [2, 3, 5, 6]);
});

Deno.test("DeliveryCursor.load() makes of a snapshot the same position with nothing in flight", () => {
  const cursor = sent(9, 2);
  cursor.settle(5);
  cursor.defer(3, { attempts: 2, due: 7, inFlight: true });
  cursor.defer(7, { ...waiting });
  const snapshot = cursor.snapshot();
  assertEquals(snapshot, {
    epoch: "e",
    floor: 3,
    sent: 9,
    own: 0,
    settled: [5, 5, 7, 7],
    late: [{ seq: 3, attempts: 2 }, { seq: 7, attempts: 1 }],
  });
  const loaded = DeliveryCursor.load(snapshot);
  assertEquals([loaded.outstanding, loaded.resent, loaded.lateAt(3)?.inFlight], [0, 9, false]);
  assertEquals(loaded.snapshot(), snapshot);
});

Deno.test("DeliveryCursor.load() sends a late message once, though it is not among the settled", () => {
  // As a position before a gap that was told, with what is late by now.
  const cursor = DeliveryCursor.load({
    epoch: "e",
    floor: 1,
    sent: 5,
    own: 0,
    settled: [],
    late: [{ seq: 3, attempts: 1 }],
  });
  assert(cursor.isSettled(3));
  cursor.sentTo(5);
  assertEquals(owed(cursor), [2, 3, 4, 5]);
  assertEquals(cursor.outstanding, 3);
});

Deno.test("DeliveryCursor.adopt() settles what the client has, except what it says is open", () => {
  const cursor = DeliveryCursor.at("e", 2);
  assert(cursor.adopt(7, new RangeSet([4, 5]), 100));
  assertEquals([cursor.floor, cursor.sent, owed(cursor)], [3, 7, [4, 5]]);
});

Deno.test("DeliveryCursor.adopt() never goes below the floor, nor beyond the head", () => {
  const cursor = sent(5);
  cursor.settleUpTo(4);
  assert(cursor.adopt(1, new RangeSet([1, 1]), 100));
  assertEquals([cursor.floor, cursor.sent], [4, 4]);
  assertEquals(cursor.adopt(4, new RangeSet(), 100), false);
  assert(cursor.adopt(1_000, new RangeSet([900, 950]), 6));
  assertEquals([cursor.floor, cursor.sent, owed(cursor)], [6, 6, []]);
});

Deno.test("DeliveryCursor.adopt() leaves late messages late", () => {
  const cursor = sent(5);
  cursor.defer(2, { ...waiting });
  cursor.adopt(5, new RangeSet(), 5);
  assertEquals([cursor.floor, owed(cursor)], [5, [2]]);
});

Deno.test("DeliveryCursor.jump() passes over a gap; what is settled or late behind it stays so", () => {
  const cursor = sent(8);
  for (const seq of [2, 6]) cursor.settle(seq);
  cursor.defer(3, { ...waiting });
  cursor.defer(7, { ...waiting });
  cursor.rewind();
  cursor.jump("e", 4);
  assertEquals([cursor.floor, cursor.sent], [4, 4]);
  assertEquals([cursor.isSettled(6), cursor.isSettled(7), cursor.isSettled(8)], [
    true,
    true,
    false,
  ]);
  assertEquals(cursor.late().map(([seq]) => seq), [3, 7]);
  cursor.jump("e", 5);
  assertEquals([cursor.floor, cursor.sent], [7, 7]);
});

Deno.test("DeliveryCursor.jump() to another epoch forgets everything of the old one", () => {
  const cursor = DeliveryCursor.at("e", 0, 3);
  cursor.sentTo(8);
  cursor.settle(5);
  cursor.defer(2, { attempts: 1, due: 0, inFlight: true });
  cursor.jump("f", 1);
  assertEquals(cursor.snapshot(), {
    epoch: "f",
    floor: 1,
    sent: 1,
    own: 0,
    settled: [],
    late: [],
  });
  assertEquals([cursor.outstanding, cursor.unsettled], [0, 0]);
});
