import { assertEquals, assertRejects } from "@std/assert";
import { PushError, type StateChange } from "@push/client";
import { ManualClock } from "../../server/testing/mod.ts";
import { clientOf, FakeGateway } from "./fake_gateway.ts";

Deno.test("connect() says who it is in the first frame, and nothing in the address", async () => {
  const clock = new ManualClock();
  const gateway = new FakeGateway();
  const client = clientOf(gateway, clock, { authToken: "t", clientId: "me", sessionTtl: 5 });
  await client.connect();
  assertEquals(gateway.opened, ["ws://gateway.test/ws"]);
  assertEquals(gateway.heard[0], {
    type: "connect",
    version: 1,
    token: "t",
    client_id: "me",
    instance: "80".repeat(16),
    attempt: 1,
    session_ttl: 5,
    subscriptions: [],
  });
  assertEquals(
    [client.isConnected, client.state, client.transport, client.clientId, client.supportsPublish],
    [true, "connected", "websocket", "me", true],
  );
  await client.disconnect();
});
