/**
 * Runs the command in a world: reads what to do, does it, and stops when it is told to.
 *
 * @module
 */
import manifest from "../../deno.json" with { type: "json" };
import { banner, hostInUrl } from "./banner.ts";
import { reasonOf } from "./error.ts";
import { helpText } from "./help.ts";
import { type Plan, readPlan } from "./plan.ts";
import type { CommandGateway, StopSignal, World } from "./world.ts";
import {
  checkExposure,
  checkSharedPort,
  checkTls,
  type GatewayOptions,
  resolveOptions,
} from "../options/options.ts";

/** Milliseconds within which a gateway has to stop before the command gives up on it. */
export const STOP_DEADLINE = 9_000;

const OK = 0;
const FAILED = 1;
const REFUSED = 2;
const STOPPED_AT_ONCE: Readonly<Record<StopSignal, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
  SIGBREAK: 149,
};

/**
 * Runs the command.
 *
 * @param args what stands behind the command on the command line
 * @param world the world to run in
 * @returns the exit code: 0 for done or stopped, 1 for failed, 2 for refused, 128 + n for stopped
 * at once by signal n
 */
export async function runCommand(args: string[], world: World): Promise<number> {
  let plan: Plan;
  let gateway: CommandGateway;
  try {
    plan = await readPlan(args, world);
    if (plan.task !== "serve") {
      world.print(answer(plan));
      return OK;
    }
    gateway = open(plan.options, world);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    world.complain(error.message);
    return REFUSED;
  }
  return await serve(gateway, world);
}

function answer(plan: Exclude<Plan, { task: "serve" }>): string {
  switch (plan.task) {
    case "help":
      return helpText();
    case "version":
      return `push-gateway ${manifest.version}`;
    case "print-config":
      return plan.json;
  }
}

function open(options: GatewayOptions, world: World): CommandGateway {
  const settings = resolveOptions(options);
  checkExposure(settings);
  checkTls(settings);
  checkSharedPort(settings);
  return new world.Gateway(options);
}

async function serve(gateway: CommandGateway, world: World): Promise<number> {
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  let stopping = false;

  function onSignal(signal: StopSignal): void {
    if (stopping) {
      world.exit(STOPPED_AT_ONCE[signal]);
      end(STOPPED_AT_ONCE[signal]);
      return;
    }
    stopping = true;
    world.print(`Stopping after ${signal}; the next one stops at once.`);
    stop(gateway, world).then(end);
  }

  // From here on a signal stops the gateway, also one that is still starting.
  const unlisten = world.stopSignals.map((signal) =>
    world.onSignal(signal, () => onSignal(signal))
  );
  try {
    gateway.start().then(() => {
      if (!stopping) world.print(banner(gateway, manifest.version));
    }).catch((error) => {
      if (stopping) return;
      world.complain(whyNotStarted(error, gateway));
      // What no start can ever do was refused, not failed.
      end(error instanceof TypeError || error instanceof RangeError ? REFUSED : FAILED);
    });
    return await ended;
  } finally {
    for (const off of unlisten) off();
  }
}

async function stop(gateway: CommandGateway, world: World): Promise<number> {
  const { promise: late, resolve: giveUp } = Promise.withResolvers<number>();
  const cancel = world.clock.schedule(STOP_DEADLINE, () => {
    world.complain(`Cannot stop cleanly: it took more than ${STOP_DEADLINE / 1000} seconds`);
    world.exit(FAILED);
    giveUp(FAILED);
  });
  const stopped = async (): Promise<number> => {
    try {
      await gateway.stop();
      world.print("Stopped.");
      return OK;
    } catch (error) {
      world.complain(`Cannot stop cleanly: ${reasonOf(error)}`);
      return FAILED;
    }
  };
  try {
    return await Promise.race([stopped(), late]);
  } finally {
    cancel();
  }
}

function whyNotStarted(error: unknown, { settings }: CommandGateway): string {
  const cannot = `Cannot listen on ${hostInUrl(settings.host)}:${settings.port}`;
  if (error instanceof Deno.errors.AddrInUse) {
    return `${cannot}: the port is in use, choose another with --port (0 picks a free one)`;
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return `${cannot}: this machine has no such address`;
  }
  if (error instanceof Deno.errors.PermissionDenied && settings.port < 1024) {
    return `${cannot}: permission is denied for a port below 1024`;
  }
  return `Cannot start: ${reasonOf(error)}`;
}
