import { assert, assertEquals } from "@std/assert";
import {
  formatEventId,
  isChannelName,
  isClientId,
  isEpoch,
  isSeq,
  MAX_CHANNEL_NAME,
  MAX_CLIENT_ID,
  parseEventId,
} from "@push/client/protocol";
import fc from "fast-check";

const seeded = { seed: 20250102, numRuns: 2000 };

const letters = (alphabet: string, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength });
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const channel = letters(`${LOWER}${LOWER.toUpperCase()}0123456789_:.-`, 255);
const epoch = letters(`${LOWER}0123456789`, 32);

Deno.test("parseEventId() reads what formatEventId() writes, whatever the channel is called", () => {
  const place = fc.record({
    channel,
    epoch,
    seq: fc.oneof(fc.integer({ min: 1 }), fc.maxSafeInteger().filter((n) => n > 0)),
  });
  fc.assert(
    fc.property(place, (place) => {
      const id = formatEventId(place.channel, place.epoch, place.seq);
      assertEquals(parseEventId(id), place);
      assertEquals(JSON.stringify(id), `"${id}"`, "Nothing in it needs an escape");
    }),
    seeded,
  );
});

Deno.test("parseEventId() takes no place for another: each has one way to be written", () => {
  const wrong = [
    ...["", ":", "::", "e", "e:1", "e:1:", ":1:c", "e::c", "e:1:c d", "e:1:é"],
    ...["e:0:c", "e:-1:c", "e:+1:c", "e:01:c", "e:1.0:c", "e:1e3:c", "e:0x1:c", "e: 1:c"],
    ...[
      "e:9007199254740992:c",
      "e:Infinity:c",
      "e:NaN:c",
      "E:1:c",
      "e e:1:c",
      `${"e".repeat(33)}:1:c`,
    ],
    ...[`e:1:${"c".repeat(256)}`, "presence:7", "e:1:c\n", "\u0000:1:c"],
  ];
  for (const each of wrong) assertEquals(parseEventId(each), undefined, each);
  assertEquals(parseEventId("e:1:a:b:"), { channel: "a:b:", epoch: "e", seq: 1 });
});

Deno.test("parseEventId() never throws", () => {
  const anything = fc.oneof(
    fc.anything(),
    fc.string({ unit: "binary" }),
    fc.tuple(fc.string(), fc.string(), fc.string()).map((parts) => parts.join(":")),
  );
  fc.assert(
    fc.property(anything, (value) => {
      const place = parseEventId(value);
      if (place !== undefined) {
        assertEquals(formatEventId(place.channel, place.epoch, place.seq), value);
      }
    }),
    seeded,
  );
  assertEquals(parseEventId("a:".repeat(1_000_000)), undefined);
});

Deno.test("isChannelName() keeps out what a key, a URL or a pattern would read as more", () => {
  for (const right of ["a", "A-Z_0.9:x", "x".repeat(255), ":", "..", "-", "__proto__"]) {
    assert(isChannelName(right), right);
  }
  const wrong = [
    "",
    "x".repeat(256),
    "a b",
    "a/b",
    "{a}",
    "a*",
    "a?",
    "a#b",
    "a%20",
    "ä",
    "а",
    "a\n",
  ];
  for (const each of [...wrong, null, undefined, 1, ["a"], { toString: () => "a" }]) {
    assertEquals(isChannelName(each), false, String(each));
  }
});

Deno.test("isClientId() takes what mail addresses and base64 are made of", () => {
  for (const right of ["a", "ann+tag@example.com", "YWJj/+==", "x".repeat(128), "urn:x:1"]) {
    assert(isClientId(right), right);
  }
  for (
    const wrong of ["", "x".repeat(129), "a b", "a\u0000", "ä", "a,b", '"', "a\n", null, 1, {}]
  ) {
    assertEquals(isClientId(wrong), false, String(wrong));
  }
});

Deno.test("isSeq() and isEpoch() are strict", () => {
  for (const right of [0, 1, 2 ** 53 - 1]) assert(isSeq(right));
  for (const wrong of [-1, 0.5, 2 ** 53, NaN, Infinity, "1", null, 1n]) assert(!isSeq(wrong));
  for (const right of ["a", "0", "k3f9", "z".repeat(32)]) assert(isEpoch(right));
  for (const wrong of ["", "A", "a-b", "z".repeat(33), "a\n", 1, null]) assert(!isEpoch(wrong));
});

Deno.test("the longest names are as long as the limits say", () => {
  assert(isChannelName("x".repeat(MAX_CHANNEL_NAME)) && isClientId("x".repeat(MAX_CLIENT_ID)));
  assert(!isChannelName("x".repeat(MAX_CHANNEL_NAME + 1)));
  assert(!isClientId("x".repeat(MAX_CLIENT_ID + 1)));
});
