import { assertEquals, assertThrows } from "@std/assert";
import { MAX_SEGMENTS, Pattern } from "../../server/access/pattern.ts";
import { seededRandom } from "../../server/testing/mod.ts";

function matches(pattern: string, channel: string, subject = "ann"): boolean {
  return new Pattern(pattern).matches(channel.split(":"), subject);
}

/** What a pattern means, tried out in every way. */
function means(pattern: readonly string[], channel: readonly string[], subject: string): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return channel.length === 0;
  if (channel.length === 0) return false;
  if (first === "**") {
    return channel.some((_, end) => means(rest, channel.slice(end + 1), subject));
  }
  const fits = first === "*" || channel[0] === (first === "{subject}" ? subject : first);
  return fits && means(rest, channel.slice(1), subject);
}

const CASES: readonly [pattern: string, channel: string, expected: boolean][] = [
  ["news", "news", true],
  ["news", "News", false],
  ["news", "news:x", false],
  ["*", "news", true],
  ["*", "news:x", false],
  ["**", "news", true],
  ["**", "a:b:c:d", true],
  ["news:*", "news:x", true],
  ["news:*", "news", false],
  ["news:*", "news:x:y", false],
  ["news:*", "newsx:y", false],
  ["news:**", "news:x:y", true],
  ["news:**", "news", false],
  ["**:end", "a:b:end", true],
  ["**:end", "end", false],
  ["a:**:b:**:c", "a:b:b:b:c", true],
  ["a:**:b:**:c", "a:b:b:c", false],
  ["**:**", "a", false],
  ["**:**", "a:b", true],
  ["user:{subject}", "user:ann", true],
  ["user:{subject}", "user:bob", false],
  ["user:{subject}:*", "user:ann:inbox", true],
  ["{subject}", "{subject}", false],
  ["a::b", "a::b", true],
  ["a:*:b", "a::b", true],
  ["a.b", "axb", false],
  ["a-b_c.d", "a-b_c.d", true],
];

for (const [pattern, channel, expected] of CASES) {
  Deno.test(`pattern ${pattern} ${expected ? "names" : "does not name"} ${channel}`, () => {
    assertEquals(matches(pattern, channel), expected);
    assertEquals(means(pattern.split(":"), channel.split(":"), "ann"), expected);
  });
}

Deno.test("a subject is one segment: one with colons or stars names no more than itself", () => {
  for (const subject of ["a:b", "*", "**", "{subject}", "", ":", "a:*"]) {
    for (const channel of ["a:b", "x:a:b", "x:y", "x:", "x", "x:{subject}", "x:a:*"]) {
      const isItself = channel === `x:${subject}` && subject !== "" && !subject.includes(":");
      assertEquals(matches("x:{subject}", channel, subject), isItself, `${subject} ${channel}`);
    }
  }
});

Deno.test("what is no pattern is refused", () => {
  const refused = [
    ...["", "a*", "*a", "***", "a:**b", "a{subject}", "{subject}x", "{Subject}", "{sub}", "a b"],
    ...["ä", "a/b", "a\n", "a:?", "(a+)+", "[ab]", "a".repeat(256), "\0", "a:b\\", "a|b", "~", "+"],
    Array(MAX_SEGMENTS + 1).fill("a").join(":"),
    ":".repeat(MAX_SEGMENTS),
  ];
  for (const text of refused) assertThrows(() => new Pattern(text), RangeError, undefined, text);
  new Pattern("a".repeat(255));
  new Pattern(Array(MAX_SEGMENTS).fill("**").join(":"));
});

const ROUNDS = 30_000;

Deno.test(`a pattern names what it means, for ${ROUNDS} random ones`, () => {
  const seed = 20_261;
  const random = seededRandom(seed);
  const words = ["a", "b", "", "*", "**", "**", "{subject}"];
  const names = ["a", "b", "", "ann"];
  let named = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const pattern = Array.from({ length: 1 + random.below(7) }, () => random.pick(words)).join(":");
    const channel = Array.from({ length: 1 + random.below(9) }, () => random.pick(names));
    if (pattern === "") continue;
    const subject = random.pick(["ann", "a", "c", "a:b"]);
    const expected = means(pattern.split(":"), channel, subject);
    const found = new Pattern(pattern).matches(channel, subject);
    assertEquals(found, expected, `seed ${seed}: ${pattern} and ${channel.join(":")}`);
    if (expected) named++;
  }
  // Else one that never matches would pass.
  assertEquals(named > ROUNDS / 10, true, `${named} matched`);
});

Deno.test("the steps of a match are bounded by the segments of both, whatever they are", () => {
  const channel = Array(255).fill("a");
  let compared = 0;
  // Each look at a segment of the channel counts.
  const counted = new Proxy(channel, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) compared++;
      return Reflect.get(target, key);
    },
  });
  for (
    const pattern of [
      "**:a:a:a:a:a:a:a:a:a:a:a:a:a:a:b",
      "**:a:**:a:**:a:**:a:**:a:**:a:**:b",
      "**:*:**:*:**:*:**:*:**:*:**:*:b",
    ]
  ) {
    compared = 0;
    assertEquals(new Pattern(pattern).matches(counted, "ann"), false);
    assertEquals(compared <= 255 * MAX_SEGMENTS, true, `${compared} looks for ${pattern}`);
  }
});
