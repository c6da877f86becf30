/**
 * Listens by `Deno.serve`, and prints what the environment then says of how WebSockets write.
 *
 * @module
 */
import { systemClock } from "../../server/clock.ts";
import { DenoListener } from "../../server/listeners/deno.ts";
import { silentLog } from "../../server/logging/log.ts";

const listener = new DenoListener({
  hostname: "127.0.0.1",
  port: 0,
  handler: () => Promise.resolve(new Response()),
  clock: systemClock,
  log: silentLog(systemClock),
  certificate: undefined,
  letGo: () => Promise.resolve(),
});
const { state } = Deno.permissions.querySync({ name: "env" });
console.log(state === "granted" ? JSON.stringify(Deno.env.get("DENO_USE_WRITEV")) : "not asked");
await listener.close();
