/**
 * The gateway as measured: everything at its default but the limits of rates and connections, as one
 * generator stands for many machines. The argument is JSON of options that are not at their default.
 */
import { Gateway } from "../../mod.ts";
import type { GatewayOptions } from "../../server/options/options.ts";
import { serveParent } from "./parent.ts";

/** There where the process was started with --expose-gc. */
const collectGarbage: (() => void) | undefined = Reflect.get(globalThis, "gc");

const { push, ...options }: GatewayOptions = JSON.parse(Deno.args[0] ?? "{}");
const gateway = new Gateway({
  port: 0,
  ...options,
  push: {
    enabled: true,
    ...push,
    limits: {
      frameRate: 0,
      publishRate: 0,
      pollRate: 0,
      maxConnectionsPerAddress: 0,
      ...push?.limits,
    },
  },
});
await gateway.start();
console.log(`port ${gateway.address.port}`);
void serveParent(() => {
  collectGarbage?.();
  return `heap ${Deno.memoryUsage().heapUsed}`;
});
