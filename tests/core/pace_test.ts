import { assertEquals } from "@std/assert";
import { Pace } from "../../server/pace.ts";
import { ManualClock } from "../../server/testing/mod.ts";

/** A clock whose sockets are asked when the test says so. */
class IoClock extends ManualClock {
  readonly #waiting: (() => void)[] = [];

  afterIo(task: () => void): void {
    this.#waiting.push(task);
  }

  io(): void {
    for (const task of this.#waiting.splice(0)) task();
  }
}

function setUp(interval = 0, clock: ManualClock = new IoClock()) {
  let gone = 0;
  const pace = new Pace(clock, interval, () => gone++);
  const state = () => ({ pauses: pace.pauses, rests: pace.rests, gone });
  return { clock: clock as IoClock, pace, state };
}

const FREE = { pauses: false, rests: false };

Deno.test("Pace: a few writes hold up nothing", () => {
  const { clock, pace, state } = setUp();
  pace.beginCycle();
  pace.beginRound();
  for (let n = 0; n < 60; n++) pace.sends(1, 200);
  assertEquals([state(), clock.pending], [{ ...FREE, gone: 0 }, 0]);
});

Deno.test("Pace: many are done by the runtime, which also reads, before there are more", () => {
  const { clock, pace, state } = setUp();
  pace.beginCycle();
  pace.beginRound();
  for (let n = 0; n < 250; n++) pace.sends(1, 200);
  assertEquals(state(), { ...FREE, pauses: true, gone: 0 });
  clock.io();
  assertEquals(state(), { ...FREE, gone: 1 }, "one pause for a round");
  clock.io();
  assertEquals(state(), { ...FREE, gone: 1 });
});

Deno.test("Pace: under a clock that knows nothing of sockets there is no pause", () => {
  const { pace, state } = setUp(0, new ManualClock());
  pace.beginCycle();
  pace.beginRound();
  for (let n = 0; n < 250; n++) pace.sends(1, 200);
  assertEquals(state(), { ...FREE, gone: 0 });
});

Deno.test("Pace: a round is full at 256 writes, and large messages count as more of them", () => {
  const { pace } = setUp();
  pace.beginCycle();
  pace.beginRound();
  for (let n = 0; n < 255; n++) pace.sends(1, 0);
  assertEquals(pace.isFull, false);
  pace.sends(1, 0);
  assertEquals(pace.isFull, true);
  pace.beginRound();
  assertEquals(pace.isFull, false);
  for (let n = 0; n < 3; n++) pace.sends(1, 1_048_576);
  assertEquals(pace.isFull, false);
  pace.sends(1, 1_048_576);
  assertEquals(pace.isFull, true);
});

Deno.test("Pace: with an interval first messages of cycles are that far apart, and no timer runs without need", async () => {
  const { clock, pace, state } = setUp(20);
  pace.beginCycle();
  pace.beginRound();
  assertEquals(state(), { ...FREE, gone: 0 }, "nothing was sent");
  pace.sends(1, 0);
  await clock.advance(5);
  // The cycle goes on in another round.
  pace.beginRound();
  pace.sends(1, 0);
  assertEquals(state(), { ...FREE, rests: true, gone: 0 });
  await clock.advance(14);
  assertEquals(state(), { ...FREE, rests: true, gone: 0 });
  await clock.advance(1);
  assertEquals([state(), clock.pending], [{ ...FREE, gone: 1 }, 0]);
});

Deno.test("Pace.stop() lets nothing begin, and leaves no timer", async () => {
  const { clock, pace, state } = setUp(20);
  pace.beginCycle();
  pace.beginRound();
  pace.sends(1, 0);
  pace.stop();
  assertEquals(clock.pending, 0);
  await clock.advance(1000);
  assertEquals(state(), { pauses: true, rests: true, gone: 0 });
});
