/**
 * The command: `deno run -A jsr:@push/gateway`.
 *
 * @module
 */
import { VARIABLES } from "./plan.ts";
import { runCommand } from "./run.ts";
import { realWorld } from "./world.ts";
import { Gateway } from "../gateway.ts";

/**
 * Runs the command in this process until it is done or told to stop. Where it cannot wait for a
 * clean end, after a second signal or a stop that takes too long, it ends the process itself.
 *
 * @param args what stands behind the command on the command line, as in `Deno.args`
 * @returns the exit code: 0 for done or stopped, 1 for failed, 2 for refused
 */
export function main(args: string[]): Promise<number> {
  return runCommand(args, realWorld(Gateway, VARIABLES));
}
