import { assert, assertEquals } from "@std/assert";
import { backoffDelay } from "../../client/backoff.ts";
import { randomFraction, randomId } from "../../client/clock.ts";
import { seededRandom } from "../../server/testing/mod.ts";

const RANGE = { min: 500, max: 20_000 };
const always = (byte: number) => (length: number) => new Uint8Array(length).fill(byte);

Deno.test("backoffDelay() doubles its ceiling up to the cap", () => {
  const delays = [0, 1, 2, 5, 6, 1000].map((tries) => backoffDelay(tries, RANGE, always(128)));
  const half = randomFraction(always(128));
  assertEquals(delays, [500, 1000, 2000, 16_000, 20_000, 20_000].map((delay) => delay * half));
});

Deno.test("backoffDelay() spreads the first retry, and the capped ones, over the whole range", () => {
  const { bytes } = seededRandom(1);
  for (const tries of [0, 30]) {
    const ceiling = tries === 0 ? 500 : 20_000;
    const delays = Array.from({ length: 1000 }, () => backoffDelay(tries, RANGE, bytes));
    assert(delays.every((delay) => delay >= 0 && delay < ceiling));
    for (const tenth of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      const inTenth = delays.filter((delay) => Math.floor(10 * delay / ceiling) === tenth);
      assert(inTenth.length > 60, `only ${inTenth.length} of 1000 in part ${tenth}`);
    }
  }
});

Deno.test("randomFraction() stays below 1, and randomId() has 128 bits", () => {
  assertEquals(randomFraction(always(0)), 0);
  assert(randomFraction(always(255)) < 1);
  assertEquals(randomId(always(10)), "0a".repeat(16));
});
