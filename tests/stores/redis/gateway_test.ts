import { assert, assertEquals } from "@std/assert";
import { PushClient } from "../../../client/mod.ts";
import { closeOf } from "../../../client/protocol/codes.ts";
import { Gateway } from "../../../mod.ts";
import { startGateway } from "../../support/gateway.ts";
import { ask } from "../../support/http_client.ts";
import { startRedis } from "../../support/redis.ts";
import { freePort } from "../../support/gateway_process.ts";
import { WireClient } from "../../support/wire_client.ts";
import { until, within } from "../../support/within.ts";

/** A started gateway over a Redis, and where it is. */
async function gatewayOn(redisPort: number): Promise<{ gateway: Gateway; url: string }> {
  const port = freePort();
  const redis = { url: `redis://127.0.0.1:${redisPort}`, lease: 3 };
  const gateway = new Gateway({
    port,
    push: { enabled: true, redis, delivery: { storeBackend: "redis" } },
  });
  await gateway.start();
  return { gateway, url: `ws://127.0.0.1:${port}/ws` };
}

async function metric(url: string, name: string): Promise<number> {
  const response = await fetch(new URL("/metrics", url.replace("ws:", "http:")));
  const text = await response.text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

Deno.test("Redis that loses its data sends no client away: each goes on, and is told of the gap", async () => {
  await using redis = await startRedis();
  const { gateway, url } = await gatewayOn(redis.port);
  const client = new PushClient(url, { clientId: "bob" });
  const heard: unknown[] = [];
  const gaps: unknown[] = [];
  const states: string[] = [];
  client.on("gap", (gap) => gaps.push(gap));
  client.on("state", ({ state }) => states.push(state));
  await client.connect();
  await client.subscribe("events", ({ data }) => void heard.push(data));
  await gateway.publish("events", 1);
  await until(() => heard.includes(1), "the first is heard");
  await redis.ask("flushall");
  await gateway.publish("events", 2);
  await until(() => gaps.length > 0 && heard.includes(2), "the gap is told");
  await until(
    async () => Number(await redis.ask("exists", "praison:push:{s:n:bob:anonymous}:session")) > 0,
    "the session has begun anew",
    15_000,
  );
  await gateway.publish("events", 3);
  await until(() => heard.includes(3), "the last is heard");
  assertEquals(states, ["connecting", "connected"]);
  // What is acknowledged from now on is stored again, under the same session.
  await until(async () => {
    const stored = await redis.ask("hget", "praison:push:{c:events}:cursors", "n:bob:anonymous");
    return typeof stored === "string" && /^1 \d+ 1 \S+ 2 /.test(stored);
  }, "the position is stored");
  await client.disconnect();
  await gateway.stop();
});

Deno.test("a session that another client took is still closed as replaced", async () => {
  await using redis = await startRedis();
  const [a, b] = [await gatewayOn(redis.port), await gatewayOn(redis.port)];
  const first = new PushClient(a.url, { clientId: "bob" });
  const states: unknown[] = [];
  first.on("state", ({ state }) => states.push(state));
  await first.connect();
  const second = new PushClient(b.url, { clientId: "bob" });
  await second.connect();
  await until(() => states.includes("closed"), "the older one is closed");
  assert(second.isConnected);
  await first.disconnect();
  await second.disconnect();
  for (const { gateway } of [a, b]) await gateway.stop();
});

Deno.test("what nobody can read in Redis is counted in /metrics and /health", async () => {
  await using redis = await startRedis();
  const { gateway, url } = await gatewayOn(redis.port);
  assertEquals(await metric(url, "push_store_quarantined_total"), 0);
  await gateway.publish("events", 1);
  await redis.ask("del", "praison:push:{c:events}:meta");
  await redis.ask("rpush", "praison:push:{c:events}:meta", "foreign");
  await gateway.publish("events", 2);
  assertEquals(await metric(url, "push_store_quarantined_total"), 1);
  const health = await (await fetch(new URL("/health", url.replace("ws:", "http:")))).json();
  assertEquals(health.push.store.quarantined, 1);
  await gateway.stop();
});

Deno.test("what is revoked at one gateway is void at the other, and a ticket of one is redeemed at one", async () => {
  await using redis = await startRedis({ appendonly: false });
  const push = {
    redis: { url: redis.url },
    delivery: { storeBackend: "redis" },
    auth: {
      tokens: [{ name: "ann", token: "token-of-ann" }, { name: "bob", token: "token-of-bob" }],
    },
  } as const;
  await using a = await startGateway({ push });
  await using b = await startGateway({ push });
  const headers = { authorization: "Bearer token-of-ann" };
  await using ann = await WireClient.open(b.ws, headers);
  await using bob = await WireClient.open(b.ws, { authorization: "Bearer token-of-bob" });
  for (const client of [ann, bob]) await client.subscribe("news");
  const tickets: string[] = [];
  for (const at of [a, b, a]) {
    tickets.push((await ask(`${at.http}/api/push/ticket`, { headers, body: {} })).body.ticket);
  }
  const redeem = (ticket: string) =>
    Promise.all(
      [a, b, b, a].map(async ({ http }) =>
        (await ask(`${http}/api/push/poll/register`, { body: { ticket } })).status
      ),
    );
  for (const ticket of tickets.slice(1)) {
    assertEquals((await redeem(ticket)).sort(), [200, 401, 401, 401]);
  }
  await a.gateway.revoke({ token: "token-of-ann" });
  const { code } = await within(ann.closed, "the client to be closed");
  for (const { http } of [a, b]) {
    const refused = await ask(`${http}/api/push/poll/register`, { headers, body: {} });
    assertEquals(refused.status, 401);
  }
  // What it was good for when it was issued, it is no more.
  assertEquals((await redeem(tickets[0])).sort(), [401, 401, 401, 401]);
  bob.send({ type: "ping" });
  await bob.next("pong");
  assertEquals(code, closeOf("token_invalid"));
});
