import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushClient, PushError } from "@push/client";
import { startGateway } from "../support/gateway.ts";
import { within } from "../support/within.ts";

const TRANSPORTS = ["websocket", "sse", "longpoll"] as const;

for (const transport of TRANSPORTS) {
  Deno.test(`publishes beyond publishRate wait and are sent again by themselves, in order (${transport})`, async () => {
    const limits = { publishRate: 400, publishBurst: 50 };
    await using served = await startGateway({ push: { limits } });
    await using client = new PushClient(served.ws, { transports: [transport] });
    const stored: unknown[] = [];
    const all = Promise.withResolvers<void>();
    served.gateway.on("published", (message) => {
      stored.push(message.data);
      if (stored.length === 300) all.resolve();
    });
    await client.connect();
    const numbers = Array.from({ length: 300 }, (_, n) => n);
    const published = await within(
      Promise.all(numbers.map((n) => client.publish("news", n))),
      "every publish to be stored",
    );
    await within(all.promise, "every publish to be told");
    assertEquals(stored, numbers);
    assertEquals(published.map(({ seq }) => seq), numbers.map((n) => n + 1));
    assert(published.every(({ duplicate }) => !duplicate));
    const response = await fetch(`${served.http}/metrics`);
    const hits = /^push_limit_hits_total\{limit="publishRate"\} (\d+)$/m.exec(
      await response.text(),
    );
    assert(Number(hits?.[1]) > 0, "the limit was hit");
  });
}

Deno.test("a publish that waits for its turn longer than its time says that it was refused", async () => {
  const limits = { publishRate: 1, publishBurst: 1 };
  await using served = await startGateway({ push: { limits } });
  await using client = new PushClient(served.ws, { publishTimeout: 0.2 });
  await client.connect();
  await client.publish("news", 1);
  const error = await assertRejects(() => client.publish("news", 2), PushError);
  assertEquals(error.code, "too_many_publishes");
});

Deno.test("a client that is closed while publishes wait leaves no timer, and says that they were not sent", async () => {
  const limits = { publishRate: 1, publishBurst: 1 };
  await using served = await startGateway({ push: { limits } });
  const client = new PushClient(served.ws);
  await client.connect();
  await client.publish("news", 1);
  const second = assertRejects(() => client.publish("news", 2), PushError);
  const metrics = async () => await (await fetch(`${served.http}/metrics`)).text();
  while (!(await metrics()).includes('limit="publishRate"} 1\n'));
  // An answer comes before what was asked later.
  await client.getPresence();
  await client.disconnect();
  assertEquals((await second).code, "disconnected");
});

Deno.test("a client that polls too often waits as long as the gateway says, and stays connected", async () => {
  const limits = { pollRate: 100, pollBurst: 5 };
  await using served = await startGateway({ push: { limits } });
  await using client = new PushClient(served.ws, { transports: ["longpoll"] });
  const states: string[] = [];
  client.on("state", ({ state }) => states.push(state));
  await client.connect();
  const messages = await client.subscribe<number>("news");
  const got: number[] = [];
  await served.gateway.publish("news", 0);
  for await (const { data } of messages) {
    got.push(data);
    if (data === 20) break;
    // Each needs a poll of its own.
    await served.gateway.publish("news", data + 1);
  }
  assertEquals(got, Array.from({ length: 21 }, (_, n) => n));
  assertEquals(states, ["connecting", "connected"]);
  const metrics = await (await fetch(`${served.http}/metrics`)).text();
  assert(/^push_limit_hits_total\{limit="pollRate"\} [1-9]/m.test(metrics), "the limit was hit");
});
