import { assert, assertEquals } from "@std/assert";
import { Pace } from "../../server/pace.ts";
import { ManualClock } from "../../server/testing/mod.ts";

function setUp(interval = 0) {
  const clock = new ManualClock();
  let gone = 0;
  const pace = new Pace(clock, interval, () => gone++);
  const state = () => ({ rests: pace.rests, gone });
  return { clock, pace, state };
}

Deno.test("Pace: a round is full at 48 writes, and large messages count as more of them", () => {
  const { pace } = setUp();
  pace.beginCycle();
  pace.beginRound();
  for (let n = 0; n < 47; n++) pace.sends(1, 0);
  assertEquals(pace.isFull, false);
  pace.sends(1, 0);
  assertEquals(pace.isFull, true);
  pace.beginRound();
  assertEquals(pace.isFull, false);
  for (let n = 0; n < 2; n++) pace.sends(1, 262_144);
  assertEquals(pace.isFull, false);
  pace.sends(1, 262_144);
  assertEquals(pace.isFull, true);
});

Deno.test("Pace: with an interval first messages of cycles are that far apart, and three quarters of it lie behind a cycle", async () => {
  const { clock, pace, state } = setUp(20);
  pace.beginCycle();
  pace.beginRound();
  pace.endCycle();
  assertEquals([state(), clock.pending], [{ rests: false, gone: 0 }, 0], "nothing was sent");
  for (const [takes, rests] of [[0, 20], [4, 16], [5, 15], [100, 15]]) {
    const { gone } = state();
    pace.beginCycle();
    pace.beginRound();
    pace.sends(1, 0);
    await clock.advance(takes);
    // The cycle goes on in another round.
    pace.beginRound();
    pace.sends(1, 0);
    pace.endCycle();
    await clock.advance(rests - 1);
    assertEquals(state().rests, true, `after ${takes} ms`);
    await clock.advance(1);
    assertEquals([state().rests, clock.pending], [false, 0], `after ${takes} ms`);
    assert(state().gone > gone);
  }
});

Deno.test("Pace.stop() lets nothing begin, and leaves no timer", async () => {
  const { clock, pace, state } = setUp(20);
  pace.beginCycle();
  pace.beginRound();
  pace.sends(1, 0);
  pace.endCycle();
  pace.stop();
  assertEquals(clock.pending, 0);
  await clock.advance(1000);
  assertEquals([state(), pace.isStopped], [{ rests: true, gone: 0 }, true]);
});
