import { Schedule, type Troubles } from "./schedule.ts";

const SCHEDULES = 100;
const STEPS = 250;
const calm: Troubles = { latency: 0, failures: 0, crashes: false };

/** Runs schedules from a seed on; what fails names its seed. */
function schedules(first: number, troubles: Partial<Troubles>): () => Promise<void> {
  return async () => {
    for (let seed = first; seed < first + SCHEDULES; seed++) {
      const schedule = new Schedule(seed, { ...calm, ...troubles });
      try {
        await schedule.run(STEPS);
      } catch (error) {
        const { message } = error as Error;
        throw new Error(`With seed ${seed}, after ${schedule.script}: ${message}`, {
          cause: error,
        });
      }
    }
  };
}

Deno.test(
  "random schedules: everything arrives in order, and what was acknowledged comes no more",
  schedules(10_000, {}),
);

Deno.test("random schedules over a slow store", schedules(20_000, { latency: 300 }));

Deno.test(
  "random schedules over a slow store that fails now and then",
  schedules(30_000, { latency: 100, failures: 0.1 }),
);

Deno.test(
  "random schedules with crashes of the gateway",
  schedules(40_000, { latency: 20, failures: 0.03, crashes: true }),
);

Deno.test(
  "random schedules over channels that lose messages: nothing is lost in silence",
  schedules(50_000, { latency: 5, trims: true }),
);

Deno.test(
  "random schedules with all troubles at once",
  schedules(60_000, { latency: 200, failures: 0.1, crashes: true, trims: true }),
);
