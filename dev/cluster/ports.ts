/**
 * Free ports of the loopback interface.
 *
 * @module
 */

// Below the ports that systems hand out to outgoing connections: one that is given up for a restart
// is not taken by a connection meanwhile. Ten thousand above, the second port that a node of a Redis
// cluster needs is below that line, too.
const FIRST = 12_000;
const COUNT = 10_000;

/** Most ports that are tried, for a start or for a search. */
const TRIES = 200;

/**
 * A port of 127.0.0.1 that is free now.
 *
 * Another process may take it before it is used. So what uses it must notice, and try again with
 * another one.
 *
 * @param beside also free must be the ports this far above it
 * @throws {Error} if none was found
 */
export function freePort(...beside: number[]): number {
  for (let n = 0; n < TRIES; n++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if ([0, ...beside].every((distance) => isFree(port + distance))) return port;
  }
  throw new Error("Cannot find a free port of 127.0.0.1");
}

/** Whether a port of 127.0.0.1 is free now. */
export function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts something on a free port, with another port where somebody else was faster.
 *
 * @param start resolves to `undefined` if the port was taken
 */
export async function onFreePort<T>(
  start: (port: number) => Promise<T | undefined>,
  ...beside: number[]
): Promise<T> {
  for (let n = 0; n < TRIES; n++) {
    const started = await start(freePort(...beside));
    if (started !== undefined) return started;
  }
  throw new Error("Cannot find a free port of 127.0.0.1");
}
