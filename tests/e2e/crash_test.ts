import { assert, assertEquals } from "@std/assert";
import { PushClient } from "../../client/mod.ts";
import { freePort, GatewayProcess } from "../support/gateway_process.ts";

const CRASHES = 3;
const PER_LIFE = 60;

Deno.test("a gateway killed with -9 under load loses what the memory store says, tells of it, and nothing else", async () => {
  const port = freePort();
  const url = `ws://127.0.0.1:${port}/ws`;
  let gateway = await GatewayProcess.start(port);
  const reconnectDelay = { min: 0.05, max: 0.2 };
  const listeners = await Promise.all([0, 1].map(async (i) => {
    const client = new PushClient(url, { clientId: `listener-${i}`, reconnectDelay });
    const runs: number[] = [];
    const gaps: number[] = [];
    let seen = (_n: number) => {};
    client.on("gap", () => gaps.push(sent));
    await client.connect();
    await client.subscribe("events", ({ data }) => {
      runs.push(data as number);
      seen(data as number);
    });
    /** Resolves once the handler has run for message `n`. */
    const reached = (n: number) =>
      new Promise<void>((resolve) => {
        if (runs.includes(n)) return resolve();
        seen = (now) => now === n && resolve();
      });
    return { client, runs, gaps, reached };
  }));
  const publisher = new PushClient(url, { reconnectDelay });
  await publisher.connect();

  let sent = 0;
  const stored: number[] = [];
  const publishNext = async () => {
    const n = ++sent;
    await publisher.publish("events", n);
    stored.push(n);
  };

  for (let life = 0; life < CRASHES; life++) {
    for (let i = 0; i < PER_LIFE; i++) await publishNext();
    // Everybody is back, and has heard of the loss before.
    await Promise.all(listeners.map(({ reached }) => reached(sent)));
    // Some are under way when the process dies.
    const underWay = Array.from({ length: 10 }, publishNext);
    await gateway.kill();
    gateway = await GatewayProcess.start(port);
    await Promise.all(underWay);
  }
  await publishNext();
  await Promise.all(listeners.map(({ reached }) => reached(sent)));

  assertEquals(stored.length, sent, "every publish was answered in the end");
  for (const { client, runs, gaps } of listeners) {
    assert(client.isConnected);
    assertEquals(runs.length, new Set(runs).size, "no handler ran twice for one message");
    assertEquals(gaps.length, CRASHES, "each loss of the store was told, once");
    const lastGap = Math.max(...gaps);
    const missing = stored.filter((n) => !runs.includes(n));
    for (const n of missing) assert(n <= lastGap, `message ${n} is missing, and nobody said so`);
  }

  await Promise.all(
    [...listeners.map(({ client }) => client), publisher].map((client) => client.disconnect()),
  );
  await gateway.kill();
});
