import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { ManualClock, seededRandom } from "../../server/testing/mod.ts";
import { type Timed, TimingWheel } from "../../server/wheel.ts";

const STEP = 100;
const HOUR = 3_600_000;

/** Something that remembers when it was called. */
class Probe implements Timed {
  slot = 0;
  readonly calls: number[] = [];
  /** @param then done when it is called */
  constructor(readonly clock: ManualClock, readonly then: () => void = () => {}) {}

  onTime(): void {
    this.calls.push(this.clock.now());
    this.then();
  }
}

function setUp() {
  const clock = new ManualClock(1_000_000);
  return { clock, wheel: new TimingWheel(clock, STEP), start: clock.now() };
}

Deno.test("TimingWheel calls what is due in the order of its times, each within two steps", async () => {
  const { clock, wheel, start } = setUp();
  const random = seededRandom(7);
  const order: number[] = [];
  const probes = Array.from({ length: 500 }, () => {
    const at = random.below(50_000);
    const probe = new Probe(clock, () => order.push(at));
    wheel.schedule(probe, at);
    return { probe, at };
  });
  assertEquals(wheel.size, 500);
  await clock.advance(60_000);
  for (const { probe, at } of probes) {
    assertEquals(probe.calls.length, 1);
    assertGreaterOrEqual(probe.calls[0] - start, at);
    assertLessOrEqual(probe.calls[0] - start, at + 2 * STEP);
  }
  const slots = order.map((at) => Math.ceil(at / STEP));
  assertEquals(slots, slots.toSorted((a, b) => a - b));
  assertEquals([wheel.size, clock.pending], [0, 0]);
});

Deno.test("TimingWheel costs one timer while something waits, and none while nothing does", async () => {
  const { clock, wheel } = setUp();
  assertEquals(clock.pending, 0);
  const probes = Array.from({ length: 1000 }, () => new Probe(clock));
  probes.forEach((probe, i) => wheel.schedule(probe, i));
  assertEquals(clock.pending, 1);
  for (const probe of probes) wheel.cancel(probe);
  await clock.advance(STEP);
  assertEquals([clock.pending, wheel.size], [0, 0]);
  assertEquals(probes.flatMap(({ calls }) => calls), []);
});

Deno.test("TimingWheel calls nothing twice, nothing that was cancelled, and the newer of two times", async () => {
  const { clock, wheel, start } = setUp();
  const [later, sooner, cancelled] = [new Probe(clock), new Probe(clock), new Probe(clock)];
  wheel.schedule(later, 500);
  wheel.schedule(later, 2_000);
  wheel.schedule(sooner, 2_000);
  wheel.schedule(sooner, 500);
  wheel.schedule(cancelled, 500);
  wheel.cancel(cancelled);
  wheel.cancel(cancelled);
  assertEquals(wheel.size, 2);
  await clock.advance(10_000);
  assertEquals([sooner.calls, later.calls, cancelled.calls], [[start + 500], [start + 2_000], []]);
});

Deno.test("TimingWheel does what is asked for during a turn: cancel, move, and call again", async () => {
  const { clock, wheel, start } = setUp();
  const victim = new Probe(clock);
  const moved = new Probe(clock);
  const again: Probe = new Probe(clock, () => {
    wheel.cancel(victim);
    wheel.schedule(moved, wheel.time + 300);
    if (again.calls.length < 3) wheel.schedule(again, wheel.time);
  });
  for (const probe of [again, victim, moved]) wheel.schedule(probe, 200);
  await clock.advance(5_000);
  assertEquals(victim.calls, []);
  assertEquals(again.calls.map((at) => at - start), [200, 300, 400]);
  assertEquals(moved.calls.map((at) => at - start), [700]);
  assertEquals(wheel.size, 0);
});

Deno.test("TimingWheel calls what is asked for in the past with its next step", async () => {
  const { clock, wheel, start } = setUp();
  const probe = new Probe(clock);
  wheel.schedule(new Probe(clock), 10_000);
  await clock.advance(5_000);
  wheel.schedule(probe, 1);
  await clock.advance(STEP);
  assertEquals(probe.calls.map((at) => at - start), [5_000 + STEP]);
  wheel.stop();
});

for (const jump of [HOUR, -HOUR]) {
  Deno.test(`TimingWheel: a jump of the clock by ${jump / HOUR} h makes nothing due and stops nothing`, async () => {
    const { clock, wheel } = setUp();
    const probe = new Probe(clock);
    wheel.schedule(probe, 10_000);
    await clock.advance(3_000);
    clock.jump(jump);
    // A jump forward may have been a pause of the process: four steps.
    await clock.advance(10_000 - 3_000 - 4 * STEP - 1);
    assertEquals(probe.calls, []);
    await clock.advance(5 * STEP + 1);
    assertEquals(probe.calls.length, 1);
    assertEquals(clock.pending, 0);
  });

  Deno.test(`TimingWheel: a jump by ${jump / HOUR} h while it is empty changes nothing`, async () => {
    const { clock, wheel } = setUp();
    const before = wheel.time;
    clock.jump(jump);
    await clock.advance(50_000);
    assertLessOrEqual(wheel.time - before, 4 * STEP);
    const probe = new Probe(clock);
    wheel.schedule(probe, wheel.time + 1_000);
    await clock.advance(999 - STEP);
    assertEquals(probe.calls, []);
    await clock.advance(2 * STEP + 1);
    assertEquals(probe.calls.length, 1);
  });
}

Deno.test("TimingWheel counts a long pause as four steps: no burst after it", async () => {
  const { clock, wheel } = setUp();
  const probes = Array.from({ length: 100 }, () => new Probe(clock));
  probes.forEach((probe, i) => wheel.schedule(probe, (i + 1) * STEP));
  await clock.advance(10 * STEP);
  assertEquals(probes.filter(({ calls }) => calls.length > 0).length, 10);
  // No timer ran for a minute; then one does.
  clock.jump(60_000);
  await clock.advance(STEP);
  assertEquals(probes.filter(({ calls }) => calls.length > 0).length, 14);
  await clock.advance(86 * STEP);
  assertEquals(probes.filter(({ calls }) => calls.length > 0).length, 100);
});

Deno.test("TimingWheel.time never goes back, and goes on evenly", async () => {
  const { clock, wheel } = setUp();
  const probe = new Probe(clock);
  wheel.schedule(probe, 1e9);
  const random = seededRandom(3);
  let last = wheel.time;
  for (let i = 0; i < 500; i++) {
    const ms = random.below(3 * STEP);
    await clock.advance(ms);
    const now = wheel.time;
    assert(now >= last && now - last <= ms + STEP, `${now - last} in ${ms}`);
    last = now;
  }
  wheel.stop();
});

Deno.test("TimingWheel.stop() forgets everything, for good", async () => {
  const { clock, wheel } = setUp();
  const probe = new Probe(clock);
  wheel.schedule(probe, 500);
  wheel.stop();
  assertEquals([clock.pending, probe.slot, wheel.size], [0, 0, 0]);
  wheel.schedule(probe, 500);
  await clock.advance(10_000);
  assertEquals([probe.calls, clock.pending], [[], 0]);
});
