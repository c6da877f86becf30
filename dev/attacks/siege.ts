/**
 * One attack on one gateway, and what it did to the others.
 *
 * @module
 */
import { GatewayNode } from "../cluster/gateways.ts";
import { Watched } from "../cluster/watched.ts";
import { type Attack, type Field, TOKEN } from "./attack.ts";
import { HealthyPair, type Noticed } from "./healthy.ts";

const MIB = 1024 * 1024;
/** The proxy that attackers come through; the healthy ones come from 127.0.0.1. */
const ATTACKER = "127.0.0.7";
/** Milliseconds between two looks at the memory of the gateway. */
const LOOKS = 50;
/** Milliseconds beyond its duration after which an attacker is ended. */
const PATIENCE = 15_000;

/** How an attack is measured. */
export interface SiegeOptions {
  /** Part of the whole attack that is made: 1 is all of it. */
  readonly scale: number;
  /** Milliseconds without an attack before it. */
  readonly quiet: number;
  /** Longest time of the attack in milliseconds. */
  readonly duration: number;
  /** Arguments of the gateway's command. */
  readonly args: readonly string[];
}

/** Milliseconds that the healthy pair's messages took. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
}

/** What came of an attack. */
export interface Outcome {
  /** Memory of the gateway in MiB: when the attack began, and at most. */
  readonly memory: { readonly before: number; readonly peak: number };
  readonly quiet: Times;
  readonly attacked: Times;
  /** How the attacker ended, in words. */
  readonly ending: string;
  readonly noticed: Noticed;
  /** Whether the same process still answers. */
  readonly survived: boolean;
}

/** Starts a gateway, attacks it, and measures. */
export async function besiege(attack: Attack, options: SiegeOptions): Promise<Outcome> {
  await using gateway = await GatewayNode.start({
    args: ["--token", TOKEN, "--trust-proxy", ATTACKER, ...options.args],
  });
  await using pair = await HealthyPair.start(gateway.port);
  // The first messages make code warm that later ones use.
  await wait(Math.min(1000, options.quiet));
  pair.times();
  await wait(options.quiet);
  const quiet = pair.times();
  using memory = new Memory(gateway.pid);
  const { port } = gateway;
  const { scale } = options;
  // A part of an attack is enough to see that it works, not how it ends.
  const duration = scale < 1 ? options.duration : Math.max(options.duration, attack.lasts ?? 0);
  const started = performance.now();
  const ending = await runAttacker(attack, { port, from: ATTACKER, scale, duration });
  // One that was ended at once is looked at as long as others: what it left behind counts, too.
  await wait(Math.max(started + duration - performance.now(), 0));
  const attacked = pair.times();
  const noticed = await pair.end();
  return {
    memory: { before: memory.first, peak: memory.peak },
    quiet,
    attacked,
    ending,
    noticed,
    survived: gateway.starts === 1 && gateway.running && await isHealthy(gateway.http),
  };
}

/** Runs the attack in a process of its own, which takes only the time that others leave. */
async function runAttacker({ name }: Attack, field: Field): Promise<string> {
  const program = new URL("attacker.ts", import.meta.url).pathname;
  const attacker = Watched.start({
    command: [
      "nice",
      "-n",
      "19",
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      program,
      name,
      JSON.stringify(field),
    ],
    piped: true,
  });
  const timer = setTimeout(() => attacker.signal("SIGKILL"), field.duration + PATIENCE);
  const [output, errors] = await Promise.all([
    new Response(attacker.stdout).text(),
    new Response(attacker.stderr).text(),
    attacker.ended,
  ]);
  clearTimeout(timer);
  const ending = /^ended (.*)$/m.exec(output)?.[1];
  if (ending !== undefined) return ending;
  throw new Error(`The attacker of '${name}' failed: ${errors.slice(-1000)}`);
}

/** Resident memory of a process, looked at again and again. */
class Memory implements Disposable {
  readonly #file: string;
  readonly #timer: ReturnType<typeof setInterval>;
  /** MiB at the first look. */
  readonly first: number;
  /** Most MiB that were seen. */
  peak: number;

  constructor(pid: number) {
    this.#file = `/proc/${pid}/status`;
    this.first = this.peak = this.#now();
    this.#timer = setInterval(() => this.peak = Math.max(this.peak, this.#now()), LOOKS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #now(): number {
    try {
      const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(this.#file)) ?? [];
      return Number(kib ?? 0) * 1024 / MIB;
    } catch {
      return 0;
    }
  }
}

async function isHealthy(http: string): Promise<boolean> {
  try {
    const response = await fetch(`${http}/health`, { signal: AbortSignal.timeout(10_000) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
