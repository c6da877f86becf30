import { assert, assertEquals } from "@std/assert";
import { check, type Terms, violationsOf } from "../../dev/chaos/checker.ts";
import { type Load, World, type WorldOptions } from "../../dev/chaos/world.ts";

/** A run over real processes, and what it is held against. */
export interface Trial extends Omit<WorldOptions, "seed" | "duration"> {
  /** Who takes part. */
  readonly load?: Load;
  /** What is broken, while publishers publish. */
  readonly faults: (world: World) => Promise<void>;
  /** What the history is held against, where that is not the usual. */
  readonly terms?: Partial<Terms>;
}

/** Publishes with an answer below which a run shows nothing. */
const FEWEST = 100;

/**
 * Puts load on real gateways, breaks what is to be broken, waits until everything has arrived, and
 * asserts that no promise was broken.
 */
export async function trial({ load, faults, terms, ...options }: Trial): Promise<World["history"]> {
  const seed = Number(Deno.env.get("PUSH_SEED") ?? Math.floor(Math.random() * 2 ** 31));
  const said: string[] = [];
  await using world = await World.start({
    ...options,
    seed,
    duration: 0,
    log: (line) => said.push(line),
  });
  await world.load(load);
  await faults(world);
  await world.quiet();
  // A few of each invariant say more than many of one.
  const findings = check(world.history.entries, terms);
  const broken = violationsOf(
    findings.map((it) => ({ ...it, violations: it.violations.slice(0, 5) })),
  );
  if (broken.length > 0) {
    console.error(`Seed ${seed} failed: run it alone with PUSH_SEED=${seed}.\n${said.join("\n")}`);
  }
  assertEquals(broken, []);
  assert(world.history.count("publish", "ok") >= FEWEST, "too little was published");
  const subscribers = world.history.count("client");
  assert(world.history.count("deliver") >= FEWEST * subscribers / 2, "too little arrived");
  return world.history;
}
