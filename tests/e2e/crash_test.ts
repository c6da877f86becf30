import { assert, assertEquals } from "@std/assert";
import { PushClient } from "../../client/mod.ts";
import { freePort, GatewayProcess } from "../support/gateway_process.ts";
import { within } from "../support/within.ts";

const CRASHES = 3;
const PER_LIFE = 60;
const UNDER_WAY = 10;

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
  /** Numbers that were answered, with the epoch they were stored in: each life has its own. */
  const stored = new Map<number, string>();
  const publishNext = async () => {
    const n = ++sent;
    const { epoch } = await publisher.publish("events", n);
    stored.set(n, epoch);
    return epoch;
  };
  /** What the life with an epoch has answered runs everywhere, but for what may be missing. */
  const assertNoneMissing = (epoch: string, but: readonly number[] = []) => {
    const answered = [...stored].filter(([, of]) => of === epoch).map(([n]) => n);
    assert(answered.length > 0);
    for (const { runs } of listeners) {
      assertEquals(answered.filter((n) => !runs.includes(n) && !but.includes(n)), []);
    }
  };
  /** Everybody has heard of the newest number, and so of all before it. */
  const heard = () =>
    within(Promise.all(listeners.map(({ reached }) => reached(sent))), `number ${sent}`);

  for (let life = 0; life < CRASHES; life++) {
    let epoch = "";
    for (let i = 0; i < PER_LIFE; i++) epoch = await publishNext();
    // Everybody is back, and has heard of the loss before.
    await heard();
    assertNoneMissing(epoch);
    // Some are under way when the process dies.
    const first = sent + 1;
    const answers = Array.from({ length: UNDER_WAY }, publishNext);
    const underWay = answers.map((_, i) => first + i);
    await gateway.kill();
    gateway = await GatewayProcess.start(port);
    await Promise.all(answers);
    assertNoneMissing(epoch, underWay);
  }
  const epoch = await publishNext();
  await heard();
  assertNoneMissing(epoch);

  assertEquals(stored.size, sent, "every publish was answered in the end");
  assertEquals(new Set(stored.values()).size, CRASHES + 1, "each life has its epoch");
  for (const { client, runs, gaps } of listeners) {
    assert(client.isConnected);
    assertEquals(runs.length, new Set(runs).size, "no handler ran twice for one message");
    assertEquals(gaps.length, CRASHES, "each loss of the store was told, once");
  }

  await Promise.all(
    [...listeners.map(({ client }) => client), publisher].map((client) => client.disconnect()),
  );
  await gateway.kill();
});
