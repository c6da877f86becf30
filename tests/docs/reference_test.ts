/** Every snippet of the reference page that the product was made from, in TypeScript. */
import { assertEquals, assertRejects } from "@std/assert";
import { Gateway, type GatewayOptions } from "../../mod.ts";
import { type Message, PushClient } from "../../client/mod.ts";
import { nextEvent } from "./next_event.ts";

async function startGateway(options: GatewayOptions = {}) {
  const gateway = new Gateway({
    port: 0,
    log: { level: "off" },
    push: { enabled: true },
    ...options,
  });
  await gateway.start();
  return { gateway, url: `ws://127.0.0.1:${gateway.address.port}/ws` };
}

Deno.test("Quick Start: enable push, connect, subscribe and receive", async () => {
  const { gateway, url } = await startGateway({ authToken: "my-token" });
  const client = new PushClient(url, { authToken: "my-token" });
  await client.connect();

  const received = nextEvent<Message>((handler) => client.on("channel_message", handler));
  await client.subscribe("alerts");
  const closed = client.waitClosed();

  await gateway.publish("alerts", { level: "info" });
  const msg = await received;
  assertEquals([msg.channel, msg.data], ["alerts", { level: "info" }]);

  await client.disconnect();
  await closed;
  await gateway.stop();
});

Deno.test("Agent-Centric Example: a handler works on each alert", async () => {
  const { gateway, url } = await startGateway({ authToken: "my-token" });
  const agent = { start: (prompt: string) => Promise.resolve(`summary of ${prompt}`) };
  const client = new PushClient(url, { authToken: "my-token" });
  await client.connect();

  const summaries = nextEvent<string>((handler) => {
    client.on("channel_message", async (msg) => {
      handler(await agent.start(`Summarise this alert: ${JSON.stringify(msg.data)}`));
    });
  });
  await client.subscribe("alerts");
  await gateway.publish("alerts", { disk: "full" });
  assertEquals(await summaries, 'summary of Summarise this alert: {"disk":"full"}');

  await client.disconnect();
  await gateway.stop();
});

Deno.test("Publish/Subscribe: one client publishes, another receives", async () => {
  const { gateway, url } = await startGateway();
  const publisher = new PushClient(url);
  await publisher.connect();

  const subscriber = new PushClient(url);
  await subscriber.connect();
  const received = nextEvent<Message>((handler) => subscriber.on("channel_message", handler));
  await subscriber.subscribe("events");

  await publisher.publish("events", { type: "user_login", user_id: 123 });
  assertEquals((await received).data, { type: "user_login", user_id: 123 });

  await publisher.disconnect();
  await subscriber.disconnect();
  await gateway.stop();
});

Deno.test("One-shot Wait: the next message, or a TimeoutError", async () => {
  const { gateway, url } = await startGateway();
  const client = new PushClient(url);
  await client.connect();

  const waiting = client.waitFor("notifications", { timeout: 60 });
  while ((await gateway.channels()).length === 0) await client.listChannels();
  await client.listChannels();
  await gateway.publish("notifications", "hello");
  assertEquals((await waiting).data, "hello");

  const error = await assertRejects(
    () => client.waitFor("notifications", { timeout: 0.05 }),
    Error,
  );
  assertEquals(error.name, "TimeoutError");

  await client.disconnect();
  await gateway.stop();
});

Deno.test("Presence Tracking: a status is set, and seen in the list", async () => {
  const { gateway, url } = await startGateway();
  const client = new PushClient(url);
  await client.connect();

  await client.setStatus("available", { role: "agent" });
  const list = nextEvent<{ clients: readonly { clientId: string; status: string }[] }>((handler) =>
    client.on("presence_list", handler)
  );
  await client.getPresence();
  const { clients } = await list;
  assertEquals(clients.map(({ clientId, status }) => [clientId, status]), [
    [client.clientId, "available"],
  ]);

  await client.disconnect();
  await gateway.stop();
});

Deno.test("Best Practices: heartbeat intervals for fast and slow networks", async () => {
  for (
    const presence of [
      { heartbeatInterval: 10, offlineTimeout: 30 },
      { heartbeatInterval: 30, offlineTimeout: 90 },
    ]
  ) {
    const { gateway } = await startGateway({ push: { enabled: true, presence } });
    assertEquals(
      gateway.settings.push.presence.heartbeatInterval,
      presence.heartbeatInterval * 1000,
    );
    assertEquals(gateway.settings.push.presence.offlineTimeout, presence.offlineTimeout * 1000);
    await gateway.stop();
  }
});

Deno.test("Best Practices: the memory store by name, and polling as a fallback", async () => {
  const { gateway, url } = await startGateway({
    push: { enabled: true, delivery: { storeBackend: "memory" } },
  });
  class Blocked {
    constructor() {
      throw new Error("WebSockets are blocked here.");
    }
  }
  const client = new PushClient(url, {
    fallbackToPolling: true,
    WebSocket: Blocked as unknown as typeof WebSocket,
  });
  await client.connect();
  assertEquals(client.transport, "sse");

  const received = nextEvent<Message>((handler) => client.on("channel_message", handler));
  await client.subscribe("alerts");
  await gateway.publish("alerts", "over polling");
  assertEquals((await received).data, "over polling");

  await client.disconnect();
  await gateway.stop();
});
