/**
 * What the command needs of the world around it, so that it can be tried without one.
 *
 * @module
 */
import { type Clock, systemClock } from "../clock.ts";
import type { GatewayOptions } from "../options/options.ts";
import type { Settings } from "../options/settings.ts";

/** A signal that asks the command to stop. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGBREAK";

/** What the command uses of a gateway. */
export interface CommandGateway {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly address: { readonly hostname: string; readonly port: number };
  readonly settings: Settings;
  readonly store: { readonly name: string; readonly survives: string } | undefined;
}

/** The world around the command. */
export interface World {
  readonly Gateway: new (options: GatewayOptions) => CommandGateway;
  readonly clock: Clock;
  readonly stopSignals: readonly StopSignal[];
  /** The environment variables that may be read. */
  environment(): Readonly<Record<string, string>>;
  readTextFile(path: string): Promise<string>;
  /** Prints a line to the standard output. */
  print(line: string): void;
  /** Prints a line to the standard error. */
  complain(line: string): void;
  /** Calls `handler` at each signal until the function that it returns is called. */
  onSignal(signal: StopSignal, handler: () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/**
 * The real world.
 *
 * @param Gateway the class that the command starts
 * @param variables names of the variables to read where Deno may not read all
 */
export function realWorld(Gateway: World["Gateway"], variables: readonly string[]): World {
  return {
    Gateway,
    clock: systemClock,
    stopSignals: Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"],
    environment: () => readEnvironment(variables),
    readTextFile: Deno.readTextFile,
    print: (line) => console.log(line),
    complain: (line) => console.error(line),
    onSignal(signal, handler) {
      Deno.addSignalListener(signal, handler);
      return () => Deno.removeSignalListener(signal, handler);
    },
    exit: Deno.exit,
  };
}

function readEnvironment(variables: readonly string[]): Record<string, string> {
  const may = (variable?: string): boolean =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  if (may()) return Deno.env.toObject();
  const found = variables.filter(may).map((name) => [name, Deno.env.get(name)]);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}
