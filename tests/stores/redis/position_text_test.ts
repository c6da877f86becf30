import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  lostPosition,
  readMessage,
  readPosition,
  writeEpoch,
  writeExceptions,
  writeMessage,
} from "../../../server/stores/redis/position_text.ts";
import type { Cursor, StoredMessage } from "../../../server/stores/store.ts";

const message: StoredMessage = {
  id: "i",
  seq: 1,
  at: 5,
  bytes: 70,
  origin: null,
  source: "s",
  payload: '"ä\\n😀"',
};

/** A position as a commit writes it. */
function textOf(cursor: Cursor, unseen = "-", loaded = "-"): string {
  const { settled, late } = writeExceptions(cursor);
  const { floor, sent, own, epoch } = cursor;
  return `1 1700000000000000 1 node:7 ${floor} ${sent} ${own} ${unseen} ${loaded} - ${settled} ` +
    `${late} ${writeEpoch(epoch)}`;
}

const numbers = (most: number) =>
  fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 50 }), { maxLength: most })
    .map((list) => list.sort((a, b) => a - b));

Deno.test("a position reads as it was written, whatever its exceptions", () => {
  const cursors = fc.record({
    epoch: fc.string(),
    floor: fc.integer({ min: 0, max: 2 ** 50 }),
    sent: fc.integer({ min: 0, max: 2 ** 50 }),
    own: fc.integer({ min: 0, max: 2 ** 50 }),
    settled: numbers(40),
    late: numbers(20),
    attempts: fc.array(fc.nat(9), { minLength: 20, maxLength: 20 }),
  });
  fc.assert(fc.property(cursors, ({ floor, settled, late, attempts, ...rest }) => {
    const above = settled.map((seq) => seq + floor);
    const cursor = {
      ...rest,
      floor,
      settled: above.slice(0, 2 * Math.floor(above.length / 2)),
      late: late.map((seq, i) => ({ seq, attempts: attempts[i] })),
    };
    const { epoch, sent, own } = cursor;
    const plain = { epoch, floor, sent, own, settled: cursor.settled, late: cursor.late };
    assertEquals(readPosition(textOf(plain), new Map()), plain);
  }));
});

Deno.test("no text makes the reader throw, and what it makes is a position or nothing", () => {
  const good = textOf({
    ...lostPosition(),
    settled: [2, 3, 7, 9],
    late: [{ seq: 1, attempts: 2 }],
  });
  const broken = fc.tuple(fc.nat(good.length), fc.nat(6), fc.string()).map(([at, gone, put]) =>
    good.slice(0, at) + put + good.slice(at + gone)
  );
  fc.assert(fc.property(fc.oneof(broken, fc.string()), (text) => {
    const cursor = readPosition(text, new Map());
    if (cursor === undefined) return;
    assert([cursor.floor, cursor.sent, cursor.own].every((seq) => Number.isSafeInteger(seq)));
    assert(cursor.settled.length % 2 === 0);
    assert(cursor.settled.every((seq, i) => i === 0 || seq >= cursor.settled[i - 1]));
  }));
});

Deno.test("what is settled at or below the floor is not written", () => {
  const cursor = { ...lostPosition(), floor: 10, settled: [3, 5, 9, 12, 14, 14] };
  assertEquals(readPosition(textOf(cursor), new Map())?.settled, [11, 12, 14, 14]);
});

Deno.test("a message that was put back takes the place of the late one of its number", () => {
  const late = [{ seq: 1, attempts: 3 }, { seq: 4, attempts: 1 }];
  const text = textOf({ ...lostPosition(), floor: 9, late }, "1", "2");
  const messages = new Map([[1, writeMessage(message)], [2, "not a message"]]);
  assertEquals(readPosition(text, messages)?.late, [
    { seq: 1, attempts: 0, redriven: message },
    { seq: 2, attempts: 0 },
    { seq: 4, attempts: 1 },
  ]);
});

Deno.test("a message reads as it was written; what is none does not read as one", () => {
  assertEquals(readMessage(writeMessage(message)), message);
  const { id: _, ...plain } = message;
  assertEquals(readMessage(writeMessage(plain)), plain);
  for (
    const text of [
      "",
      "1",
      "null",
      "[]",
      '{"seq":1}',
      '{"seq":"1"}',
      writeMessage(message).slice(1),
    ]
  ) {
    assertEquals(readMessage(text), undefined);
  }
});

Deno.test("a full window of exceptions is a few kilobytes", () => {
  const settled = Array.from({ length: 1024 }, (_, i) => [2_000_000 + 3 * i, 2_000_001 + 3 * i]);
  const late = Array.from(
    { length: 1024 },
    (_, i) => ({ seq: 1_000_000 + 7 * i, attempts: i % 4 }),
  );
  const cursor = { ...lostPosition(), floor: 1_999_000, settled: settled.flat(), late };
  const { length } = textOf(cursor);
  console.log(`1024 ranges and 1024 late messages: ${length} bytes`);
  assert(length < 10_000);
});
