import { assert, assertEquals } from "@std/assert";
import { isRight, Ledger } from "../../bench/load/ledger.ts";

/** Two subscribers, one publisher; what each got, and how many it should have got. */
function verdictOf(first: readonly number[], second: readonly number[], sent: number) {
  const ledger = new Ledger(2, 1);
  for (const number of first) ledger.take(0, 0, number);
  for (const number of second) ledger.take(1, 0, number);
  return { ...ledger.verdict(() => sent), received: ledger.received };
}

Deno.test("a ledger finds nothing wrong where each message came once and in order", () => {
  const verdict = verdictOf([1, 2, 3], [1, 2, 3], 3);
  assertEquals(verdict, { missing: 0, repeated: 0, early: 0, received: 6 });
  assert(isRight(verdict));
});

Deno.test("a ledger finds what is missing, in the middle and at the end", () => {
  assertEquals(verdictOf([1, 3], [1, 2, 3], 3), { missing: 1, repeated: 0, early: 1, received: 5 });
  assertEquals(verdictOf([1, 2], [1, 2, 3], 3), { missing: 1, repeated: 0, early: 0, received: 5 });
  assertEquals(verdictOf([], [1, 2, 3], 3), { missing: 3, repeated: 0, early: 0, received: 3 });
});

Deno.test("a ledger finds what came twice, at once and later", () => {
  assertEquals(verdictOf([1, 1, 2, 3], [1, 2, 3], 3).repeated, 1);
  assertEquals(verdictOf([1, 2, 3, 1], [1, 2, 3], 3).repeated, 1);
  assertEquals(verdictOf([1, 3, 2, 2], [1, 2, 3], 3).repeated, 1);
  assertEquals(verdictOf([1, 2, 3, 1], [1, 2, 3], 3).received, 6);
});

Deno.test("a ledger finds what came out of order, and does not call it missing", () => {
  assertEquals(verdictOf([1, 3, 2], [1, 2, 3], 3), {
    missing: 0,
    repeated: 0,
    early: 1,
    received: 6,
  });
});

Deno.test("a ledger finds messages that nobody sent", () => {
  assertEquals(verdictOf([1, 2, 3, 4], [1, 2, 3], 3).repeated, 1);
});

Deno.test("a ledger keeps publishers apart, and knows who listens to whom", () => {
  const ledger = new Ledger(2, 2);
  ledger.take(0, 0, 1);
  ledger.take(0, 0, 2);
  ledger.take(1, 1, 1);
  assertEquals(ledger.last(0, 0), 2);
  const due = (subscriber: number, publisher: number) =>
    subscriber !== publisher ? 0 : publisher === 0 ? 2 : 1;
  assert(isRight(ledger.verdict(due)));
  assertEquals(ledger.verdict(() => 1).missing, 2);
});

Deno.test("each kind of mistake makes a verdict wrong", () => {
  const right = { missing: 0, repeated: 0, early: 0 };
  for (const key of ["missing", "repeated", "early"]) assert(!isRight({ ...right, [key]: 1 }));
});
