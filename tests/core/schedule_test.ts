import { Schedule, type Troubles } from "./schedule.ts";

const STEPS = 250;

/** Runs schedules from a seed on; what fails names its seed. */
function schedules(first: number, count: number, troubles: Troubles): () => Promise<void> {
  return async () => {
    for (let seed = first; seed < first + count; seed++) {
      const schedule = new Schedule(seed, troubles);
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
  schedules(1, 60, { latency: 0, failures: 0, crashes: false }),
);

Deno.test(
  "random schedules over a slow store",
  schedules(1_000, 60, { latency: 300, failures: 0, crashes: false }),
);

Deno.test(
  "random schedules over a slow store that fails now and then",
  schedules(2_000, 60, { latency: 100, failures: 0.1, crashes: false }),
);

Deno.test(
  "random schedules with crashes of the gateway",
  schedules(3_000, 60, { latency: 20, failures: 0.03, crashes: true }),
);
