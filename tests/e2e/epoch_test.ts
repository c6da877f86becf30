import { assert, assertEquals, assertGreater } from "@std/assert";
import { PushClient, type Transport } from "@push/client";
import { startGateway } from "../support/gateway.ts";
import { startRedis } from "../support/redis.ts";
import { until } from "../support/within.ts";

/** Times that Redis is killed. */
const KILLS = 3;
/** Messages published in one go, and milliseconds until the next. */
const BURST = 40;
const PAUSE = 10;
/** Messages without an answer above which nothing more is published. */
const MOST_UNANSWERED = 5_000;
/** One message of so many is at its handler until Redis is back. */
const HELD = 20;

/** A client whose handler is slow with some messages: these are unsettled when the epoch changes. */
class Listener {
  readonly client: PushClient;
  /** Payloads in the order in which the handler began. */
  readonly begun: number[] = [];
  readonly gaps: unknown[] = [];
  readonly errors: unknown[] = [];
  #held = Promise.withResolvers<void>();

  constructor(url: string, transport: Transport) {
    this.client = new PushClient(url, {
      clientId: `listener-${transport}`,
      transports: [transport],
      reconnectDelay: { min: 0.02, max: 0.2 },
    });
    this.client.on("gap", (gap) => this.gaps.push(gap));
    this.client.on("error", ({ error }) => this.errors.push(error));
  }

  async start(channel: string): Promise<void> {
    await this.client.connect();
    await this.client.subscribe<number>(channel, async ({ data }) => {
      this.begun.push(data);
      if (data % HELD === 0) await this.#held.promise;
    }, { concurrency: 5_000 });
  }

  /** Lets the handlers end that wait. */
  release(): void {
    this.#held.resolve();
    this.#held = Promise.withResolvers();
  }

  /** Payloads that the handler began with more than once. */
  get twice(): number[] {
    const seen = new Set<number>();
    return this.begun.filter((data) => seen.has(data) || !seen.add(data));
  }
}

Deno.test("epoch: over crashes of Redis under load nothing runs twice, nothing is missing, and the order is kept", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  await using served = await startGateway({
    push: { delivery: { storeBackend: "redis" }, redis: { url: redis.url } },
  });
  const { gateway, ws } = served;
  const listeners = [new Listener(ws, "websocket"), new Listener(ws, "longpoll")];
  for (const listener of listeners) await listener.start("news");

  /** Number in the log by payload, of what was accepted. */
  const accepted = new Map<number, number>();
  const epochs = new Set<string>();
  let published = 0;
  let unanswered = 0;
  const publish = (): Promise<void> => {
    const data = ++published;
    unanswered++;
    return gateway.publish("news", data).then(({ seq, epoch }) => {
      accepted.set(data, seq);
      epochs.add(epoch);
    }, () => {}).finally(() => unanswered--);
  };
  const timer = setInterval(() => {
    for (let i = 0; i < BURST && unanswered < MOST_UNANSWERED; i++) void publish();
  }, PAUSE);
  const goesOn = async (what: string): Promise<void> => {
    const before = listeners.map(({ begun }) => begun.length);
    const wanted = accepted.size + 3_000;
    await until(
      () =>
        accepted.size > wanted &&
        listeners.every(({ begun }, i) => begun.length > before[i] + 2_000),
      what,
    );
  };
  try {
    const begun = performance.now();
    await goesOn("messages flowed");
    const rate = 1_000 * accepted.size / (performance.now() - begun);
    for (let kill = 1; kill <= KILLS; kill++) {
      await redis.kill("SIGKILL");
      await redis.restart();
      await until(() => epochs.size > kill, "another epoch had begun");
      await goesOn(`messages flowed after crash ${kill}`);
      for (const listener of listeners) listener.release();
    }
    console.log(
      `${Math.round(rate)} messages/s, ${published} published, ${accepted.size} accepted`,
    );
  } finally {
    clearInterval(timer);
  }
  await until(() => unanswered === 0, "every publish was answered");
  const order = [...accepted].sort(([, a], [, b]) => a - b).map(([data]) => data);
  await until(() => listeners.every(({ begun }) => begun.includes(order.at(-1)!)), "all arrived");
  for (const listener of listeners) listener.release();

  assertEquals(epochs.size, KILLS + 1);
  assertGreater(accepted.size, 1_000 * KILLS);
  for (const { begun, twice, gaps, errors, client } of listeners) {
    const { transport } = client;
    assertEquals([twice.slice(0, 9), gaps, errors], [[], [], []], `${transport}`);
    const had = new Set(begun);
    assertEquals(order.filter((data) => !had.has(data)), [], `${transport}: missing`);
    assertEquals(begun.filter((data) => accepted.has(data)), order, `${transport}: order`);
    // What was refused may be stored all the same, once.
    assert(begun.length <= published);
    await client.disconnect({ forget: true });
  }
});
