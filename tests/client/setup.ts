import type { ClientError, ClientOptions, PushClient } from "@push/client";
import { ManualClock } from "../../server/testing/mod.ts";
import { clientOf, FakeGateway } from "./fake_gateway.ts";

/** What most tests start from. */
export interface Setup {
  readonly clock: ManualClock;
  readonly gateway: FakeGateway;
  readonly client: PushClient;
  /** What the client's `error` event told. */
  readonly errors: ClientError[];
  /** Lets everything happen that needs no time. */
  settle(): Promise<void>;
}

/** A client that is not connected yet. */
export function setUp(options: ClientOptions = {}): Setup {
  const clock = new ManualClock();
  const gateway = new FakeGateway();
  const client = clientOf(gateway, clock, options);
  const errors: ClientError[] = [];
  client.on("error", (error) => errors.push(error));
  return { clock, gateway, client, errors, settle: () => clock.advance(0) };
}

/** A connected client. */
export async function connected(options: ClientOptions = {}): Promise<Setup> {
  const setup = setUp(options);
  await setup.client.connect();
  return setup;
}

/** A promise that a test settles. */
export function gate<T = void>(): {
  promise: Promise<T>;
  open: (value: T) => void;
  fail: (error: unknown) => void;
} {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  return { promise, open: resolve, fail: reject };
}
