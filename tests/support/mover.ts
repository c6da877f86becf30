import { assertEquals } from "@std/assert";
import { PushClient, type StateChange, type Transport } from "@push/client";
import { seededRandom } from "../../server/testing/mod.ts";
import { ask } from "./http_client.ts";
import { Line, type LineEnd } from "./line.ts";
import { quickClock } from "./quick_clock.ts";
import { until } from "./within.ts";

/** Messages after which the client moves on. */
const FEW = 5;

/** The numbers from 1 to `count`. */
export const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** How a client moves. */
export interface Trial {
  /** The gateways. */
  readonly ends: readonly LineEnd[];
  /** What chance is drawn from. */
  readonly seed: number;
  /** Share of the answers to what goes up that are lost. Default 0. */
  readonly loss?: number;
  /** Whether each request may go to another node, and not only after a move. Default false. */
  readonly roams?: boolean;
  /** Brings the client to where it is to be next. */
  readonly move: (mover: Mover, step: number) => Promise<void>;
  /** How often it moves. */
  readonly steps: number;
}

/** The client that moves. */
export interface Mover {
  /** The client. */
  readonly client: PushClient;
  /** What is between it and the gateways. */
  readonly line: Line;
  /** Waits until it is connected over this transport. */
  reached(transport: Transport): Promise<void>;
}

/** Publishes at a gateway, as a program without a connection. */
export async function publish({ http }: LineEnd, channel: string, data: unknown): Promise<void> {
  const { status, text } = await ask(`${http}/api/push/publish`, { body: { channel, data } });
  if (status !== 200) throw new Error(`Cannot publish: ${status} ${text}`);
}

/**
 * Moves one client while numbered messages are published for it without a break, and it publishes
 * numbered messages itself. Each must be handled once, in order, on either side.
 *
 * @returns what its state has been
 */
export async function moves(
  { ends, seed, loss = 0, roams, move, steps }: Trial,
): Promise<StateChange[]> {
  const random = seededRandom(seed);
  const line = new Line(ends[0]);
  line.loses = (path) => path.endsWith("/send") && random.next() < loss;
  await using client = new PushClient(ends[0].ws, {
    clientId: "mover",
    ...line.options,
    clock: quickClock(10),
    reconnectDelay: { min: 0.01, max: 0.1 },
    connectTimeout: 50,
    requestTimeout: 100,
  });
  await using watcher = new PushClient(ends.at(-1)!.ws, { clientId: "watcher" });
  const changes: StateChange[] = [];
  const told: unknown[] = [];
  const got: unknown[] = [];
  const back: unknown[] = [];
  client.on("state", (change) => changes.push(change));
  for (const event of ["gap", "error"] as const) client.on(event, (value) => told.push(value));
  await Promise.all([client.connect(), watcher.connect()]);
  await client.subscribe("down", ({ data }) => void got.push(data));
  await watcher.subscribe("up", ({ data }) => void back.push(data));

  const mover: Mover = {
    client,
    line,
    reached: (transport) =>
      until(() => client.transport === transport, `the client is back over ${transport}`),
  };
  const extras: Promise<void>[] = [];
  let sent = 0;
  let isOver = false;
  const pending: Promise<unknown>[] = [];
  const publishing = (async () => {
    while (!isOver) {
      await publish(random.pick(ends), "down", ++sent);
      const published = client.publish("up", sent);
      // Looked at in the end.
      published.catch(() => {});
      pending.push(published);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  try {
    for (let step = 0; step < steps; step++) {
      const home = random.pick(ends);
      line.end = () => roams ? random.pick(ends) : home;
      const subscribed = extra(client, ends[step % ends.length], `extra-${step}`);
      subscribed.catch(() => {});
      extras.push(subscribed);
      await move(mover, step);
      const enough = got.length + FEW;
      await until(() => got.length >= enough, "messages flow", 30_000);
    }
  } catch (error) {
    const last = changes.slice(-8).map(({ state, transport, reason }) =>
      `${state} ${transport}: ${reason}`
    );
    throw new Error(
      `Seed ${seed} failed after ${sent} messages: run it again with PUSH_SEED=${seed}. The client was\n${
        last.join("\n")
      }`,
      { cause: error },
    );
  } finally {
    isOver = true;
    await publishing;
  }
  line.block();
  line.isGathering = false;
  await Promise.all([...pending, ...extras]);
  await until(() => got.length >= sent && back.length >= sent, "all has arrived", 30_000);
  assertEquals(got, numbers(sent));
  assertEquals(back, numbers(sent));
  assertEquals(told, []);
  console.log(`seed ${seed}: ${sent} messages each way, ${changes.length} changes of state`);
  return changes;
}

/** Subscribes to a channel that has messages, and gets some more, while the client moves. */
async function extra(client: PushClient, end: LineEnd, channel: string): Promise<void> {
  const got: unknown[] = [];
  for (let n = 1; n <= FEW; n++) await publish(end, channel, n);
  const subscribing = client.subscribe(channel, ({ data }) => void got.push(data), { all: true });
  for (let n = FEW + 1; n <= 3 * FEW; n++) {
    await publish(end, channel, n);
  }
  const subscription = await subscribing;
  await until(() => got.length >= 3 * FEW, `all of ${channel} has arrived: ${got}`, 30_000);
  assertEquals(got, numbers(3 * FEW));
  await subscription.unsubscribe();
}
