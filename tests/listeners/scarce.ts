/**
 * A server of `node:http` in a process with few file descriptors: prints its port, and what happens
 * to it.
 *
 * @module
 */
import { systemClock } from "../../server/clock.ts";
import { Log } from "../../server/logging/log.ts";
import { openImpatient } from "./node_listener.ts";

// Deno 2.9 ends the process if it first thinks of signals when there is no descriptor for them.
Deno.addSignalListener("SIGTERM", () => Deno.exit());
const log = new Log({
  clock: systemClock,
  level: "info",
  sink: ({ event }) => console.log(event),
});
const listener = await openImpatient((request) => {
  const answer = request.url.endsWith("/hold")
    ? new Promise<Response>(() => {})
    : new Response("ok");
  return Promise.resolve(answer);
}, { log });
console.log(`port ${listener.address.port}`);
