import { check, type Finding, type Terms } from "./checker.ts";
import type { Entry } from "./history.ts";
import type { TopologyName, TopologyOptions } from "./topology.ts";
import { World } from "./world.ts";

/** One way to break things. */
export interface Scenario {
  /** What `--scenario` names. */
  readonly name: string;
  /** What is done, and what must hold all the same. */
  readonly says: string;
  /** What it runs on. */
  readonly topology: TopologyName;
  /** More arguments of every gateway. */
  readonly args?: readonly string[];
  /** How Redis is started. */
  readonly redis?: TopologyOptions["redis"];
  /** What its history is held against, where that is not the usual. */
  readonly terms?: Partial<Terms>;
  /**
   * Does it: begins the load, breaks things, and leaves everything whole.
   *
   * @throws {Error} if something did not happen that has to, and that no invariant speaks of
   */
  run(world: World): Promise<void>;
}

/** How a scenario is run. */
export interface RunOptions {
  /** Seed of everything that is left to chance. */
  readonly seed: number;
  /** Milliseconds of load. */
  readonly duration: number;
  /** Hears what happens, a line each. */
  readonly log?: (line: string) => void;
}

/** What became of it. */
export interface Outcome {
  /** One finding for each invariant. */
  readonly findings: readonly Finding[];
  /** Everything that was noted. */
  readonly entries: readonly Entry[];
  /** Why the scenario could not be carried out. */
  readonly failure: string | undefined;
}

/** Runs a scenario over real processes and holds its history against the invariants. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const { topology, args, redis, terms } = scenario;
  const entries: Entry[] = [];
  let failure: string | undefined;
  try {
    await using world = await World.start({ topology, args, redis, ...options });
    try {
      await scenario.run(world);
      await world.quiet();
    } finally {
      entries.push(...world.history.entries);
    }
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  return { findings: check(entries, terms), entries, failure };
}
