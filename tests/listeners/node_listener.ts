import { systemClock } from "../../server/clock.ts";
import type { Handler } from "../../server/listeners/listener.ts";
import { NodeListener, type NodeTerms } from "../../server/listeners/node.ts";
import { silentLog } from "../../server/logging/log.ts";

/** Milliseconds that the impatient server of a test waits for anything. */
export const SOON = 150;

/** A server of `node:http` that loses its patience soon. */
export function openImpatient(handler: Handler, more: Partial<NodeTerms> = {}) {
  return NodeListener.open({
    hostname: "127.0.0.1",
    port: 0,
    handler,
    clock: systemClock,
    log: silentLog(systemClock),
    certificate: undefined,
    maxFrameBytes: 65_536,
    longestHold: 0,
    patience: {
      head: SOON,
      request: 2 * SOON,
      keepAlive: 2 * SOON,
      stuck: 3 * SOON,
      close: SOON,
      check: SOON / 3,
      watch: SOON,
      probe: SOON,
    },
    ...more,
  });
}
