import { assert, assertEquals } from "@std/assert";
import { isRanges, RangeSet } from "@push/client/protocol";
import fc from "fast-check";

const seeded = { seed: 20250101, numRuns: 2000 };

Deno.test("RangeSet joins numbers that touch, and splits where one is taken out", () => {
  const set = new RangeSet();
  for (const n of [5, 1, 3]) assert(set.add(n));
  assertEquals(set.toRanges(), [1, 1, 3, 3, 5, 5]);
  assertEquals([set.add(2), set.add(2)], [true, false]);
  assertEquals([set.toRanges(), set.size, set.rangeCount], [[1, 3, 5, 5], 4, 2]);
  set.addRange(4, 9);
  assertEquals([set.toRanges(), set.size], [[1, 9], 9]);
  assertEquals([set.delete(4), set.delete(4), set.delete(1), set.delete(9)], [
    true,
    false,
    true,
    true,
  ]);
  assertEquals([set.toRanges(), set.size], [[2, 3, 5, 8], 6]);
});

Deno.test("RangeSet.addRange() swallows what lies inside and joins what touches", () => {
  const set = new RangeSet([1, 2, 4, 4, 6, 7, 10, 12]);
  set.addRange(3, 8);
  assertEquals([set.toRanges(), set.size], [[1, 8, 10, 12], 11]);
  set.addRange(10, 11);
  assertEquals(set.size, 11);
  set.addRange(9, 9);
  assertEquals([set.toRanges(), set.size], [[1, 12], 12]);
});

Deno.test("RangeSet answers about numbers, counts and ends", () => {
  const set = new RangeSet([3, 5, 8, 8]);
  assertEquals([2, 3, 5, 6, 8, 9].map((n) => set.has(n)), [false, true, true, false, true, false]);
  assertEquals([2, 3, 4, 7, 8, 100].map((n) => set.countUpTo(n)), [0, 1, 2, 3, 4, 4]);
  assertEquals([2, 3, 5, 8, 9].map((n) => set.endOfRange(n)), [
    undefined,
    5,
    5,
    8,
    undefined,
  ]);
  assertEquals([set.first, new RangeSet().first], [3, undefined]);
  assertEquals([...set], [3, 4, 5, 8]);
});

Deno.test("RangeSet.dropUpTo() drops from the front, also a part of a range", () => {
  const set = new RangeSet([1, 2, 4, 9]);
  set.dropUpTo(0);
  assertEquals(set.size, 8);
  set.dropUpTo(5);
  assertEquals([set.toRanges(), set.size, set.first], [[6, 9], 4, 6]);
  set.dropUpTo(100);
  assertEquals([set.toRanges(), set.size], [[], 0]);
});

Deno.test("RangeSet.dropAbove() drops from the end, also a part of a range", () => {
  for (
    const [n, ranges, size] of [[-1, [], 0], [2, [1, 2], 2], [3, [1, 2], 2], [
      4,
      [1, 2, 4, 4],
      3,
    ]] as const
  ) {
    const set = new RangeSet([1, 2, 4, 9]);
    set.dropAbove(n);
    assertEquals([set.toRanges(), set.size], [[...ranges], size]);
  }
});

Deno.test("RangeSet.toRanges() is a copy", () => {
  const set = new RangeSet([1, 2]);
  set.toRanges().push(9, 9);
  assertEquals(set.toRanges(), [1, 2]);
});

Deno.test("RangeSet holds ranges of any length at the price of one", () => {
  const set = new RangeSet([1, Number.MAX_SAFE_INTEGER - 1]);
  assert(set.delete(2 ** 40));
  assertEquals([set.size, set.rangeCount], [Number.MAX_SAFE_INTEGER - 2, 2]);
  assertEquals(set.countUpTo(2 ** 40), 2 ** 40 - 1);
});

Deno.test("RangeSet does as a Set of numbers does", () => {
  const n = fc.integer({ min: 1, max: 40 });
  const operation = fc.oneof(
    fc.record({ do: fc.constant("add" as const), n }),
    fc.record({ do: fc.constant("delete" as const), n }),
    fc.record({ do: fc.constant("drop" as const), n }),
    fc.record({ do: fc.constant("range" as const), n, length: fc.integer({ min: 0, max: 12 }) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const set = new RangeSet();
      const model = new Set<number>();
      for (const each of operations) {
        const had = model.has(each.n);
        if (each.do === "add") {
          model.add(each.n);
          assertEquals(set.add(each.n), !had);
        } else if (each.do === "delete") {
          model.delete(each.n);
          assertEquals(set.delete(each.n), had);
        } else if (each.do === "drop") {
          for (const m of model) if (m <= each.n) model.delete(m);
          set.dropUpTo(each.n);
        } else {
          for (let m = each.n; m <= each.n + each.length; m++) model.add(m);
          set.addRange(each.n, each.n + each.length);
        }
        const numbers = [...model].sort((a, b) => a - b);
        const ranges = set.toRanges();
        assertEquals([...set], numbers);
        assertEquals([set.size, set.first], [model.size, numbers[0]]);
        assertEquals(set.has(each.n), model.has(each.n));
        assertEquals(set.countUpTo(20), numbers.filter((m) => m <= 20).length);
        assert(isRanges(ranges));
        assertEquals(new RangeSet(ranges).toRanges(), ranges);
        for (let i = 2; i < ranges.length; i += 2) assert(ranges[i] > ranges[i - 1] + 1);
      }
    }),
    seeded,
  );
});

Deno.test("isRanges() accepts sorted disjoint pairs of whole numbers from 1", () => {
  for (const right of [[], [1, 1], [1, 2, 3, 4], [7, 2 ** 53 - 1]]) assert(isRanges(right));
  const wrong = [
    ...[null, undefined, 1, "1,2", {}, { length: 0 }],
    ...[[1], [1, 2, 3], [2, 1], [1, 3, 3, 4], [3, 4, 1, 2], [0, 1], [-1, 1]],
    ...[[1.5, 2], [1, 2 ** 53], [1, Infinity], [NaN, NaN], ["1", "2"], [1, null], [[1], [2]]],
  ];
  for (const each of wrong) assertEquals(isRanges(each), false, JSON.stringify(each));
});

Deno.test("isRanges() bounds how many there may be", () => {
  const many = (count: number) => Array.from({ length: 2 * count }, (_, i) => i + 1);
  assertEquals([isRanges(many(4096)), isRanges(many(4097))], [true, false]);
  assertEquals([isRanges(many(3), 3), isRanges(many(4), 3)], [true, false]);
});
