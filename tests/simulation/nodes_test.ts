import { NodesSchedule, type NodesTroubles } from "./nodes_schedule.ts";

const FIRST_SEED = Number(Deno.env.get("PUSH_SEED") ?? 1);
const SEEDS = Number(Deno.env.get("PUSH_NODES_SEEDS") ?? (Deno.env.has("PUSH_SEED") ? 1 : 150));
const STEPS = 120;

/** Runs schedules from a seed on; what fails names its seed. */
function schedules(troubles: NodesTroubles): () => Promise<void> {
  return async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const schedule = new NodesSchedule(seed, troubles);
      try {
        await schedule.run(STEPS);
      } catch (error) {
        console.error(`Seed ${seed} failed after: ${schedule.script}`);
        throw error;
      }
    }
  };
}

Deno.test(
  `in ${SEEDS} histories of three nodes, a client that moves is sent nothing that it acknowledged`,
  schedules({ rumours: false, deaths: false, failures: 0 }),
);

Deno.test(
  `in ${SEEDS} histories of three nodes whose rumours are lost, doubled and late, nothing is lost`,
  schedules({ rumours: true, deaths: false, failures: 0 }),
);

Deno.test(
  `in ${SEEDS} histories of three nodes that are killed and cut off, nothing is lost`,
  schedules({ rumours: true, deaths: true, failures: 0 }),
);

Deno.test(
  `in ${SEEDS} histories of three nodes over a store that fails now and then, nothing is lost`,
  schedules({ rumours: true, deaths: true, failures: 0.05 }),
);
