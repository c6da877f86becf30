import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../../server/stores/kv/bytes.ts";
import {
  decodeSegment,
  encodeSegment,
  MAX_VALUE,
  pack,
  unpack,
} from "../../../server/stores/kv/segment.ts";
import { messageBytes } from "../../../server/stores/memory/bytes.ts";
import type { StoredMessage } from "../../../server/stores/store.ts";
import { numbers } from "../../../server/testing/store_trial.ts";

/** Texts of every kind: halves of surrogate pairs, around every width of a length. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("a", "ä", "€", "😀", "\ud800", "\udc00", "\0", "\ufeff") }),
  fc.tuple(fc.constantFrom("a", "€", "\ud800"), fc.constantFrom(20, 21, 63, 64, 2730, 5461, 8191))
    .map(([unit, length]) => unit.repeat(length)),
);

const messages = (first: number) =>
  fc.array(
    fc.record({
      id: fc.option(text, { nil: undefined }),
      origin: fc.option(fc.constantFrom("o", "p", ""), { nil: null }),
      source: fc.option(fc.constantFrom("s", "", "\udfff"), { nil: null }),
      payload: text,
      at: fc.constantFrom(1000, 1001, -5, 1_700_000_000_000),
    }),
    { minLength: 1, maxLength: 40 },
  ).map((parts) =>
    parts.map((part, i): StoredMessage => ({
      ...part,
      seq: first + i,
      bytes: messageBytes(part.payload),
    }))
  );

function message(seq: number, payload: string): StoredMessage {
  return {
    id: undefined,
    origin: null,
    source: null,
    payload,
    seq,
    at: 1,
    bytes: messageBytes(payload),
  };
}

const all = (count: number) => numbers(0, count - 1);

Deno.test("numbers and texts come back from bytes as they were", () => {
  const number = fc.oneof(
    fc.nat(),
    fc.maxSafeNat(),
    fc.constantFrom(0, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER),
  );
  fc.assert(fc.property(fc.array(fc.tuple(number, fc.integer(), text)), (rows) => {
    const writer = new ByteWriter(1);
    for (const [a, b, c] of rows) {
      writer.number(a);
      writer.signed(b);
      writer.text(c);
    }
    const reader = new ByteReader(writer.copy());
    for (const row of rows) assertEquals([reader.number(), reader.signed(), reader.text()], row);
    reader.end();
  }));
});

Deno.test("pack() and unpack() give back every message, whichever are asked for", () => {
  fc.assert(fc.property(messages(7), fc.func(fc.boolean()), (stored, asked) => {
    const packed = pack(stored);
    let next = 7;
    for (const { segment, bytes } of packed) {
      assertEquals(segment.first, next);
      next = segment.last + 1;
      const known = decodeSegment(segment.first, encodeSegment(segment));
      assertEquals(known, segment);
      const indexes = all(segment.sizes.length).filter((i) => asked(i));
      const expected = indexes.map((i) => stored[segment.first - 7 + i]);
      assertEquals(unpack(known, bytes, indexes), expected);
    }
    assertEquals(next, 7 + stored.length);
  }));
});

Deno.test("pack() fills a short segment up, and what reads the old one goes on", () => {
  fc.assert(fc.property(messages(1), messages(1), (older, newer) => {
    const tail = pack(older).at(-1)!;
    const behind = newer.map((one) => ({ ...one, seq: one.seq + older.length }));
    const packed = pack(behind, tail);
    const stored = [...older, ...behind];
    for (const { segment, bytes } of packed) {
      const indexes = all(segment.sizes.length);
      assertEquals(
        unpack(segment, bytes, indexes),
        stored.slice(segment.first - 1, segment.last),
      );
    }
    if (packed[0].segment.first !== tail.segment.first) return;
    const indexes = all(tail.segment.sizes.length);
    assertEquals(
      unpack(tail.segment, packed[0].bytes, indexes),
      unpack(tail.segment, tail.bytes, indexes),
    );
  }));
});

Deno.test("pack() keeps segments within one value, but for a message that is larger alone", () => {
  for (const size of [65_000, 65_530, 65_532, 65_533, 65_534, 65_536, 65_537, 200_000]) {
    const packed = pack([message(1, "1"), message(2, "x".repeat(size)), message(3, "3")]);
    for (const { segment, bytes } of packed) {
      assert(bytes.length <= MAX_VALUE || segment.sizes.length === 1);
      assertEquals(segment.chunks, Math.ceil(bytes.length / MAX_VALUE));
    }
  }
});

Deno.test("what is not a segment is not taken for one", () => {
  const [{ segment, bytes }] = pack(numbers(1, 5).map((seq) => message(seq, `${seq}`.repeat(seq))));
  const entry = encodeSegment(segment);
  for (let length = 0; length < entry.length; length++) {
    assertThrows(() => decodeSegment(1, entry.subarray(0, length)));
  }
  for (let length = 0; length < bytes.length; length++) {
    assertThrows(() => unpack(segment, bytes.subarray(0, length), all(5)));
  }
  fc.assert(fc.property(fc.uint8Array(), (garbage) => {
    try {
      const found = decodeSegment(1, garbage);
      assert(found.sizes.length <= garbage.length);
    } catch (error) {
      assert(error instanceof RangeError);
    }
  }));
});
