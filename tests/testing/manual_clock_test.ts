import { assertEquals, assertRejects } from "@std/assert";
import { ManualClock } from "../../server/testing/mod.ts";

function recorded(clock: ManualClock): { log: string[]; note: (name: string) => () => void } {
  const start = clock.now();
  const log: string[] = [];
  return { log, note: (name) => () => log.push(`${name}@${clock.now() - start}`) };
}

Deno.test("ManualClock.now() stands still until time is let pass", async () => {
  const clock = new ManualClock(5000);
  assertEquals(clock.now(), 5000);
  await clock.advance(250);
  assertEquals(clock.now(), 5250);
});

Deno.test("ManualClock.advance() runs tasks in the order of their times, each at its time", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  clock.schedule(300, note("c"));
  clock.schedule(100, note("a"));
  clock.schedule(200, note("b"));
  clock.schedule(100, note("a2"));
  clock.schedule(301, note("d"));
  await clock.advance(300);
  assertEquals(log, ["a@100", "a2@100", "b@200", "c@300"]);
  assertEquals([clock.pending, clock.untilNext], [1, 1]);
});

Deno.test("ManualClock.advance() runs what its tasks schedule, if it falls due", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  clock.schedule(100, () => {
    note("first")();
    clock.schedule(0, note("at once"));
    clock.schedule(50, note("later"));
    clock.schedule(51, note("too late"));
  });
  await clock.advance(150);
  assertEquals(log, ["first@100", "at once@100", "later@150"]);
});

Deno.test("ManualClock lets promises settle between two tasks, however many there are", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  clock.schedule(100, async () => {
    for (let i = 0; i < 1000; i++) await undefined;
    note("deep")();
    clock.schedule(10, note("scheduled"));
  });
  clock.schedule(105, note("next"));
  await clock.advance(110);
  assertEquals(log, ["deep@100", "next@105", "scheduled@110"]);
});

Deno.test("ManualClock.advance() first lets settle what was begun before it", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  void (async () => {
    for (let i = 0; i < 100; i++) await undefined;
    clock.schedule(10, note("begun"));
  })();
  await clock.advance(10);
  assertEquals(log, ["begun@10"]);
});

Deno.test("ManualClock: a task without delay waits for the next step", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  clock.schedule(0, note("a"));
  clock.schedule(-5, note("b"));
  clock.schedule(NaN, note("c"));
  assertEquals(log, []);
  await clock.advance(0);
  assertEquals(log, ["a@0", "b@0", "c@0"]);
});

Deno.test("ManualClock.turn() leaves what its tasks schedule to the next turn", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  clock.schedule(0, () => {
    note("a")();
    clock.schedule(0, note("c"));
  });
  clock.schedule(0, note("b"));
  await clock.turn();
  assertEquals(log, ["a@0", "b@0"]);
  await clock.turn();
  assertEquals(log, ["a@0", "b@0", "c@0"]);
  assertEquals(clock.pending, 0);
});

Deno.test("ManualClock.schedule() gives a way to cancel, which does nothing afterwards", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  const cancelled = clock.schedule(10, note("cancelled"));
  const run = clock.schedule(10, note("run"));
  cancelled();
  cancelled();
  await clock.advance(10);
  run();
  clock.schedule(10, note("other"));
  run();
  await clock.advance(10);
  assertEquals(log, ["run@10", "other@20"]);
});

Deno.test("ManualClock.jump() moves now() and brings no task nearer", async () => {
  const clock = new ManualClock(1_000_000);
  let ran = 0;
  clock.schedule(1000, () => ran++);
  clock.jump(3_600_000);
  assertEquals([clock.now(), ran], [4_600_000, 0]);
  await clock.advance(999);
  clock.jump(-7_200_000);
  assertEquals(ran, 0);
  await clock.advance(1);
  assertEquals([clock.now(), ran], [1_000_000 + 1000 - 3_600_000, 1]);
});

Deno.test("ManualClock.runAll() runs until nothing waits, and gives up on what never ends", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  clock.schedule(5000, () => clock.schedule(5000, note("end")));
  await clock.runAll();
  assertEquals(log, ["end@10000"]);
  const tick = () => clock.schedule(1000, tick);
  tick();
  await assertRejects(() => clock.runAll(60_000), Error, "1 wait");
});

Deno.test("ManualClock.advance() passes on what a task throws, and can go on after it", async () => {
  const clock = new ManualClock();
  const { log, note } = recorded(clock);
  clock.schedule(10, () => {
    throw new Error("of the task");
  });
  clock.schedule(20, note("next"));
  await assertRejects(() => clock.advance(100), Error, "of the task");
  await clock.advance(10);
  assertEquals(log, ["next@20"]);
});

Deno.test("ManualClock.turn() leaves nothing behind when a task throws", async () => {
  const clock = new ManualClock();
  clock.schedule(0, () => {
    throw new Error("of the task");
  });
  await assertRejects(() => clock.turn(), Error, "of the task");
  assertEquals(clock.pending, 0);
});

Deno.test("ManualClock.advance() does not go back", async () => {
  await assertRejects(() => new ManualClock().advance(-1), RangeError, "-1");
  await assertRejects(() => new ManualClock().advance(NaN), RangeError, "NaN");
});

Deno.test("ManualClock runs ten thousand tasks in their order", async () => {
  const clock = new ManualClock();
  const times: number[] = [];
  const start = clock.now();
  for (let i = 0; i < 10_000; i++) {
    clock.schedule((i * 7919) % 1000, () => times.push(clock.now() - start));
  }
  await clock.advance(1000);
  assertEquals(times.length, 10_000);
  assertEquals(times, times.toSorted((a, b) => a - b));
});
