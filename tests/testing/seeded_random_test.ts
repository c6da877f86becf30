import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { seededRandom } from "../../server/testing/mod.ts";

Deno.test("seededRandom() gives the same for the same seed, and something else for another", () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return [random.next(), random.below(1000), random.pick([..."abcdefgh"]), ...random.bytes(20)];
  };
  assertEquals(draw(1), draw(1));
  const seeds = [0, 1, 2, 3, -1, 2 ** 31, 2 ** 32, 2 ** 40, 12_345_678_901];
  const draws = seeds.map((seed) => JSON.stringify(draw(seed)));
  assertEquals(new Set(draws).size, seeds.length);
  assertNotEquals(draw(1), draw(2));
});

Deno.test("seededRandom() spreads its numbers evenly", () => {
  const random = seededRandom(42);
  const buckets = new Array(16).fill(0);
  for (let i = 0; i < 160_000; i++) buckets[random.below(16)]++;
  for (const count of buckets) assert(count > 9500 && count < 10_500, `${buckets}`);
  const bytes = random.bytes(256_000);
  const mean = bytes.reduce((sum, byte) => sum + byte, 0) / bytes.length;
  assert(mean > 126.5 && mean < 128.5);
  for (let i = 0; i < 10_000; i++) {
    const next = random.next();
    assert(next >= 0 && next < 1);
  }
});

Deno.test("seededRandom().bytes can be passed on alone", () => {
  const { bytes } = seededRandom(3);
  assertEquals(bytes(0).length, 0);
  assertEquals(bytes(33).length, 33);
});
