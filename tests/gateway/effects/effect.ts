import type { GatewayOptions, PushOptions } from "../../../mod.ts";
import { type Served, startGateway } from "../../support/gateway.ts";
import { SocketClock } from "../../support/socket_clock.ts";
import { within } from "../../support/within.ts";
import type { Frame, WireClient } from "../../support/wire_client.ts";

/** What one option does, as a sentence and as a test of it. */
export interface Effect {
  readonly says: string;
  run(): Promise<void>;
}

/** Effects by the path of their option. */
export type Effects = { readonly [path: string]: Effect };

/** A gateway with a clock that the test advances. */
export interface Timed extends Served {
  readonly clock: SocketClock;
}

/** Starts a gateway under a clock of its own, with no presence events unless the options say so. */
export async function timed(push: PushOptions = {}, more: GatewayOptions = {}): Promise<Timed> {
  const clock = new SocketClock();
  const presence = { broadcastChanges: false, ...push.presence };
  const served = await startGateway({ ...more, push: { ...push, presence } }, { clock });
  return { ...served, clock };
}

/** Closes a client that has a session; resolves once the gateway has noticed. */
export async function leave({ gateway }: Served, client: WireClient, code = 1000): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const off = gateway.on("disconnected", () => resolve());
  await client.close(code);
  await within(promise, "the gateway to notice that a client has left");
  off();
}

/** Data of what a client was sent up to now. */
export async function dataOf(client: WireClient): Promise<unknown[]> {
  const unread = [...await client.settled()];
  return unread.map(({ data, code, type }: Frame) => data ?? code ?? type);
}
