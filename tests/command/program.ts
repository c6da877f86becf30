/**
 * The command as a process of its own, with a gateway that does nothing but listen. It stops in no
 * time; with `--window=1`, never.
 *
 * @module
 */
import { VARIABLES } from "../../server/command/plan.ts";
import { runCommand } from "../../server/command/run.ts";
import { realWorld } from "../../server/command/world.ts";
import { type GatewayOptions, resolveOptions } from "../../server/options/options.ts";
import type { Settings } from "../../server/options/settings.ts";

class Listener {
  readonly settings: Settings;
  readonly store = { name: "none", survives: "nothing" };
  #listener: Deno.TcpListener | undefined;

  constructor(options: GatewayOptions) {
    this.settings = resolveOptions(options);
  }

  get address(): Deno.NetAddr {
    return this.#listener!.addr;
  }

  // deno-lint-ignore require-await
  async start(): Promise<void> {
    const { host, port } = this.settings;
    this.#listener = Deno.listen({ hostname: host, port });
  }

  stop(): Promise<void> {
    this.#listener?.close();
    const never = this.settings.push.delivery.window === 1;
    return never ? new Promise(() => {}) : Promise.resolve();
  }
}

Deno.exit(await runCommand(Deno.args, realWorld(Listener, VARIABLES)));
