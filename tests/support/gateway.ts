import { Gateway, type GatewayOptions, type GatewayParts } from "../../mod.ts";

/** A gateway that listens for one test. */
export interface Served extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly port: number;
  /** Address of the WebSocket. */
  readonly ws: string;
  /** Address of the routes. */
  readonly http: string;
}

/** Options of a log that is not written: what a test provokes is no news. */
export const QUIET = { level: "off" } as const;

/**
 * Starts a gateway on a free port of this machine, with push on and without a log unless the options
 * say otherwise. Disposing of it stops it.
 */
export async function startGateway(
  options: GatewayOptions = {},
  parts: GatewayParts = {},
): Promise<Served> {
  const gateway = new Gateway(
    { port: 0, log: QUIET, ...options, push: { enabled: true, ...options.push } },
    parts,
  );
  await gateway.start();
  const { port } = gateway.address;
  return {
    gateway,
    port,
    ws: `ws://127.0.0.1:${port}${gateway.settings.path}`,
    http: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => gateway.stop(),
  };
}
