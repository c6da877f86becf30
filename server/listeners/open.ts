import type { Clock } from "../clock.ts";
import type { Log } from "../logging/log.ts";
import type { Settings } from "../options/settings.ts";
import { Certificate } from "./certificate.ts";
import { DenoListener } from "./deno.ts";
import type { Handler, Listener } from "./listener.ts";

/** What a server listens with. */
export interface ListenerParts {
  readonly settings: Settings;
  readonly handler: Handler;
  readonly clock: Clock;
  readonly log: Log;
  /** Closes every WebSocket with a code that says come back. */
  letGo(): Promise<void>;
}

/**
 * Opens the server that the settings name; the built-in one at once.
 *
 * @throws {TypeError} if the files of its certificate cannot be read, or do not belong together; or
 *   if Deno lacks the flag that a shared port takes
 * @throws {Deno.errors.AddrInUse} if the port is taken
 */
export function openListener(parts: ListenerParts): Listener | Promise<Listener> {
  const { settings, clock, log } = parts;
  const { host: hostname, port, reusePort, websocket, tls: { cert, key } } = settings;
  const certificate = cert === undefined || key === undefined
    ? undefined
    : new Certificate({ cert, key }, clock, log);
  if (websocket === "ws") return openNode(parts, certificate);
  // Without the flag Deno 2.9 ends the process.
  if (reusePort && !("listenDatagram" in Deno)) {
    throw new TypeError(
      "Cannot use 'reusePort' with the built-in server without --unstable-net: " +
        "run Deno with that flag, or set 'websocket' to 'ws'",
    );
  }
  return new DenoListener({ ...parts, hostname, port, reusePort, certificate });
}

/** What it takes is loaded only where it is chosen. */
async function openNode(
  { settings, handler, clock, log }: ListenerParts,
  certificate: Certificate | undefined,
): Promise<Listener> {
  const { host: hostname, port, reusePort, push: { limits, polling } } = settings;
  const { NodeListener } = await import("./node.ts");
  return await NodeListener.open({
    hostname,
    port,
    reusePort,
    handler,
    clock,
    log,
    certificate,
    maxFrameBytes: limits.maxFrameBytes,
    longestHold: polling.longPollTimeout,
  });
}
