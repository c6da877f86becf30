/**
 * A world for the command that is made of nothing but memory.
 *
 * @module
 */
import { runCommand } from "../../server/command/run.ts";
import type { CommandGateway, StopSignal, World } from "../../server/command/world.ts";
import { type GatewayOptions, resolveOptions } from "../../server/options/options.ts";
import type { Settings } from "../../server/options/settings.ts";

/** How the fake gateway behaves, where not well. */
export interface Behaviour {
  start?(): Promise<void>;
  stop?(): Promise<void>;
  /** Where it listens; else where it was told to, on port 4242 instead of 0. */
  hostname?: string;
}

/** What there is around the command. */
export interface Surroundings extends Behaviour {
  readonly environment?: Record<string, string>;
  readonly files?: Record<string, string>;
}

/** A run of the command, and what can be seen of it. */
export class FakeRun implements AsyncDisposable {
  readonly out: string[] = [];
  readonly errors: string[] = [];
  readonly gateways: (CommandGateway & { readonly options: GatewayOptions })[] = [];
  readonly code: Promise<number>;
  exited: number | undefined;
  /** Delays and tasks that wait for their time. */
  readonly scheduled = new Map<number, () => void>();
  readonly #handlers = new Map<StopSignal, () => void>();
  #changed = Promise.withResolvers<void>();

  constructor(args: string[], around: Surroundings = {}) {
    this.code = runCommand(args, this.#world(around));
  }

  /** Signals that the command listens to. */
  get listening(): StopSignal[] {
    return [...this.#handlers.keys()];
  }

  /** Everything printed, errors apart. */
  get printed(): string {
    return this.out.join("\n");
  }

  signal(signal: StopSignal): void {
    this.#handlers.get(signal)!();
  }

  /** Waits until a line that has this in it is printed, as an error or not. */
  async until(part: string): Promise<void> {
    while (![...this.out, ...this.errors].some((line) => line.includes(part))) {
      await this.#changed.promise;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.listening.length > 0) this.signal("SIGTERM");
    await this.code;
  }

  #note(lines: string[], line: string): void {
    lines.push(line);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #world({ environment = {}, files = {}, ...behaviour }: Surroundings): World {
    const { gateways, scheduled } = this;
    return {
      Gateway: class extends FakeGateway {
        constructor(options: GatewayOptions) {
          super(options, behaviour);
          gateways.push(this);
        }
      },
      clock: {
        now: () => 0,
        schedule(delay, task) {
          scheduled.set(delay, task);
          return () => scheduled.delete(delay);
        },
      },
      stopSignals: ["SIGINT", "SIGTERM"],
      environment: () => environment,
      readTextFile: (path) =>
        Object.hasOwn(files, path)
          ? Promise.resolve(files[path])
          : Promise.reject(new Deno.errors.NotFound("No such file (os error 2)")),
      print: (line) => this.#note(this.out, line),
      complain: (line) => this.#note(this.errors, line),
      onSignal: (signal, handler) => {
        this.#handlers.set(signal, handler);
        return () => this.#handlers.delete(signal);
      },
      exit: (code) => {
        this.exited = code;
      },
    };
  }
}

/** Runs the command to its end. */
export async function run(args: string[], around?: Surroundings): Promise<FakeRun> {
  const run = new FakeRun(args, around);
  await run.code;
  return run;
}

class FakeGateway implements CommandGateway {
  readonly settings: Settings;
  readonly #behaviour: Behaviour;

  constructor(readonly options: GatewayOptions, behaviour: Behaviour) {
    this.settings = resolveOptions(options);
    this.#behaviour = behaviour;
  }

  get address(): { hostname: string; port: number } {
    const { host, port } = this.settings;
    return { hostname: this.#behaviour.hostname ?? host, port: port || 4242 };
  }

  get store(): { name: string; survives: string } | undefined {
    if (!this.settings.push.enabled) return undefined;
    return { name: this.settings.push.delivery.storeBackend, survives: "a test" };
  }

  start(): Promise<void> {
    return this.#behaviour.start?.() ?? Promise.resolve();
  }

  stop(): Promise<void> {
    return this.#behaviour.stop?.() ?? Promise.resolve();
  }
}
