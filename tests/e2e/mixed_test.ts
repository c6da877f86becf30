import { assert, assertEquals } from "@std/assert";
import { PushClient } from "@push/client";
import { type Cluster, startCluster } from "../../dev/cluster/cluster.ts";
import { startRedis } from "../support/redis.ts";
import { ask } from "../support/http_client.ts";
import { until } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

/** Gateways that share the log and keep sessions to themselves. */
async function start(url: string): Promise<Cluster> {
  return await startCluster({
    redisUrl: url,
    store: () => ["--store", "memory", "--redis-url", url],
    args: ["--heartbeat-interval", "1"],
  });
}

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, n) => n + from);

Deno.test("mixed: with only the log in Redis, what is published at any node is received at all, in one order", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using cluster = await start(redis.url);
  const clients = await Promise.all(cluster.gateways.map(({ ws }) => WireClient.open(ws)));
  for (const client of clients) await client.subscribe("news");
  await Promise.all(
    cluster.gateways.flatMap(({ http }, n) =>
      numbers(20).map((i) =>
        ask(`${http}/api/push/publish`, { body: { channel: "news", data: `${n}.${i}` } })
      )
    ),
  );
  const [order, ...others] = await Promise.all(clients.map(async (client) => {
    const frames = await client.take(60, "channel_message");
    return frames.map(({ data }) => data);
  }));
  assertEquals(new Set(order).size, 60);
  for (const other of others) assertEquals(other, order);
  for (const client of clients) await client.close();
});

Deno.test("mixed: a client of @push/client brings its position along; one of the fixed wire starts at the head", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using cluster = await start(redis.url);
  const publish = (data: number) =>
    ask(`${cluster.gateway(3).http}/api/push/publish`, { body: { channel: "news", data } });
  cluster.balancer.drain(cluster.gateway(3).port);
  await using client = new PushClient(cluster.balancer.ws, {
    clientId: "mover",
    reconnectDelay: { min: 0.02, max: 0.1 },
  });
  const got: unknown[] = [];
  const gaps: unknown[] = [];
  client.on("gap", (gap) => gaps.push(gap));
  await client.connect();
  await client.subscribe("news", ({ data }) => void got.push(data));
  const fixed = await WireClient.open(`${cluster.gateway(1).ws}?client_id=fixed`);
  await fixed.subscribe("news");
  await publish(1);
  assertEquals((await fixed.next("channel_message")).data, 1);
  await until(() => got.length === 1, "the message arrived");
  await fixed.close(3000);

  const home = cluster.gateways.find(({ port }) => (cluster.balancer.open.get(port) ?? 0) > 0)!;
  cluster.balancer.drain(home.port);
  await home.kill();
  for (const n of [2, 3, 4]) await publish(n);
  await using moved = await WireClient.open(`${cluster.gateway(3).ws}?client_id=fixed`);
  await moved.subscribe("news");
  await publish(5);
  await until(() => got.length === 5, "all messages arrived");
  assertEquals([got, gaps], [[1, 2, 3, 4, 5], []]);
  assertEquals((await moved.next("channel_message")).data, 5);
  assert(!moved.unread.some(({ type }) => type === "error"));
});

Deno.test("mixed: a publish id that is repeated at another node is stored once", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using cluster = await start(redis.url);
  const body = { channel: "news", data: 1, id: "order-7" };
  const answers = [];
  for (const { http } of cluster.gateways) {
    answers.push((await ask(`${http}/api/push/publish`, { body })).body);
  }
  assertEquals(answers.map(({ seq, duplicate }) => [seq, duplicate]), [
    [1, false],
    [1, true],
    [1, true],
  ]);
  assertEquals(new Set(answers.map(({ event_id }) => event_id)).size, 1);
});
