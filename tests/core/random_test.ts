import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { randomId, systemRandom } from "../../server/clock.ts";

Deno.test("the machine's randomness: as many bytes as asked for, and none is given twice", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const id = randomId(systemRandom);
    assert(/^[0-9a-f]{32}$/.test(id), id);
    seen.add(id);
  }
  assertEquals(seen.size, 2000);
  for (const length of [0, 1, 4096, 5000]) assertEquals(systemRandom(length).length, length);
  // What was given is the caller's own.
  const mine = systemRandom(16);
  const before = mine.toHex();
  for (let i = 0; i < 1000; i++) systemRandom(16).fill(0);
  assertEquals(mine.toHex(), before);
  assertNotEquals(systemRandom(4096).toHex(), "0".repeat(8192));
});

Deno.test("a random id is the hexadecimal text of its bytes", () => {
  assertEquals(randomId((length) => new Uint8Array(length).fill(5)), "05".repeat(16));
});
