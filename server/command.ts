/**
 * The command: `deno run -A jsr:@push/gateway`.
 *
 * @module
 */
import { VARIABLES } from "./command_plan.ts";
import { runCommand } from "./command_run.ts";
import { realWorld } from "./command_world.ts";
import { Gateway } from "./gateway.ts";

/**
 * Runs the command in this process until it is done or told to stop. The caller ends the process
 * with the code that it returns, as a stop that took too long may have left something running.
 *
 * @param args what stands behind the command on the command line, as in `Deno.args`
 * @returns the exit code: 0 for done or stopped, 1 for failed, 2 for refused
 */
export function main(args: string[]): Promise<number> {
  return runCommand(args, realWorld(Gateway, VARIABLES));
}
