import { assertEquals } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { WireClient } from "../support/wire_client.ts";

const TOKENS = [
  { name: "ann", token: "token-of-ann" },
  { name: "ann#desk", token: "token-of-odd" },
  { name: "eve", token: "token-of-eve" },
];

/** Opens `@push/client`'s wire for a token and a client id. */
async function dial(ws: string, token: string, client_id: string) {
  const client = await WireClient.open(ws);
  const connected = await client.ask({
    ...{ type: "connect", version: 1, instance: "i", attempt: 0, token, client_id },
    subscriptions: [{ channel: "room" }],
  });
  return { client, connected };
}

Deno.test("two subjects may name a client alike, and others can tell them apart", async () => {
  await using gateway = await startGateway({ push: { auth: { tokens: TOKENS } } });
  const ann = await dial(gateway.ws, "token-of-ann", "desk");
  await using _ann = ann.client;
  const eve = await dial(gateway.ws, "token-of-eve", "desk");
  await using _eve = eve.client;
  assertEquals(
    [ann.connected, eve.connected].map(({ client_id, known_as }) => [client_id, known_as]),
    [["desk", "ann#desk"], ["desk", "eve#desk"]],
  );
  await eve.client.ask({ type: "channel.publish", channel: "room", data: 1, request_id: 1 });
  const message = await ann.client.next("channel_message");
  assertEquals(message.source, "eve#desk");
  ann.client.send({ type: "presence.query", channel: "room" });
  const { clients } = await ann.client.next("presence.list");
  assertEquals(clients.map((each: { client_id: string }) => each.client_id).sort(), [
    "ann#desk",
    "eve#desk",
  ]);
});

Deno.test("a subject with a number sign is not taken for another one", async () => {
  await using gateway = await startGateway({ push: { auth: { tokens: TOKENS } } });
  const odd = await dial(gateway.ws, "token-of-odd", "x");
  await using _odd = odd.client;
  // No client id has one: the last number sign is where the subject ends.
  assertEquals(odd.connected.known_as, "ann#desk#x");
  await using refused = await WireClient.open(gateway.ws);
  const { code } = await refused.ask({
    ...{ type: "connect", version: 1, instance: "i", attempt: 0 },
    ...{ token: "token-of-ann", client_id: "desk#x" },
  });
  assertEquals(code, "bad_request");
});

Deno.test("whom no token tells apart is seen as its client id", async () => {
  await using gateway = await startGateway({ authToken: "token-of-all" });
  const { client, connected } = await dial(gateway.ws, "token-of-all", "desk");
  await using _client = client;
  assertEquals([connected.client_id, connected.known_as], ["desk", undefined]);
});
