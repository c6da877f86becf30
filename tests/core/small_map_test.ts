import { assertEquals } from "@std/assert";
import { SmallMap } from "../../server/small_map.ts";
import { seededRandom } from "../../server/testing/seeded_random.ts";

function contents(map: SmallMap<string, number>) {
  return { size: map.size, keys: [...map.keys()], values: [...map.values()], entries: [...map] };
}

Deno.test("SmallMap says what a Map says, whatever was put in and taken out", () => {
  const seed = Date.now() % 1_000_000;
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  for (let run = 0; run < 200; run++) {
    const [small, map] = [new SmallMap<string, number>(), new Map<string, number>()];
    for (let step = 0; step < 20; step++) {
      const key = random.pick([..."abcd"]);
      if (random.below(2) === 0) {
        small.set(key, step);
        map.set(key, step);
      } else {
        assertEquals(small.delete(key), map.delete(key));
      }
      assertEquals(contents(small), {
        size: map.size,
        keys: [...map.keys()],
        values: [...map.values()],
        entries: [...map],
      });
      for (const each of "abcd") {
        assertEquals([small.get(each), small.has(each)], [map.get(each), map.has(each)]);
      }
    }
  }
});
