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
 * @throws {TypeError} if the files of its certificate cannot be read, or do not belong together
 * @throws {Deno.errors.AddrInUse} if the port is taken
 */
export function openListener(parts: ListenerParts): Listener | Promise<Listener> {
  const { settings: { host: hostname, port, websocket, tls: { cert, key } }, clock, log } = parts;
  const certificate = cert === undefined || key === undefined
    ? undefined
    : new Certificate({ cert, key }, clock, log);
  if (websocket === "ws") return openNode(parts, certificate);
  return new DenoListener({ ...parts, hostname, port, certificate });
}

/** What it takes is loaded only where it is chosen. */
async function openNode(
  { settings, handler, clock, log }: ListenerParts,
  certificate: Certificate | undefined,
): Promise<Listener> {
  const { host: hostname, port, push: { limits, polling } } = settings;
  const { NodeListener } = await import("./node.ts");
  return await NodeListener.open({
    hostname,
    port,
    handler,
    clock,
    log,
    certificate,
    maxFrameBytes: limits.maxFrameBytes,
    longestHold: polling.longPollTimeout,
  });
}
