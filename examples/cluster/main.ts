/**
 * Messages that cross nodes while a node dies.
 *
 * Two publishers and three subscribers come through a load balancer, so that they hang on different
 * gateways. While they talk, a gateway is killed and started again. In the end the program counts
 * what each subscriber got: everything, in order, once.
 *
 *     deno run -A examples/cluster/main.ts [messages of each publisher]
 *
 * @module
 */
import { PushClient } from "@push/client";
import { startCluster } from "../../dev/cluster/cluster.ts";

const MESSAGES = Number(Deno.args[0] ?? 300);
const PUBLISHERS = ["ann", "bob"];
const SUBSCRIBERS = ["sub-1", "sub-2", "sub-3"];
const CHANNEL = "news";
const ALL = MESSAGES * PUBLISHERS.length;

console.log("Starting a Redis, three gateways and a balancer…");
const cluster = await startCluster();
const connect = async (clientId: string) => {
  const client = new PushClient(cluster.balancer.ws, {
    clientId,
    reconnectDelay: { min: 0.05, max: 0.5 },
  });
  client.on("state", ({ state, reason }) => console.log(`  ${clientId} is ${state}: ${reason}`));
  await client.connect();
  return client;
};

const received = new Map<string, string[]>();
const subscribers = await Promise.all(SUBSCRIBERS.map(connect));
const all = subscribers.map(async (client, i) => {
  const got: string[] = [];
  received.set(SUBSCRIBERS[i], got);
  const { promise, resolve } = Promise.withResolvers<void>();
  await client.subscribe<string>(CHANNEL, ({ data }) => {
    got.push(data);
    if (got.length % 100 === 0) console.log(`  ${SUBSCRIBERS[i]} got ${data}, its ${got.length}th`);
    if (got.length === ALL) resolve();
  });
  return () => promise;
});
const complete = await Promise.all(all);

const publishers = await Promise.all(PUBLISHERS.map(connect));
const published = publishers.map(async (client, i) => {
  for (let n = 1; n <= MESSAGES; n++) await client.publish(CHANNEL, `${PUBLISHERS[i]} ${n}`);
});

const died = (async () => {
  const gateway = cluster.gateway(2);
  while ((received.get("sub-1")?.length ?? 0) < ALL / 3) await new Promise((r) => setTimeout(r, 5));
  console.log(`Killing ${gateway.name}`);
  await gateway.kill();
  await gateway.start();
  console.log(`${gateway.name} is back`);
})();

await Promise.all([...published, ...complete.map((received) => received()), died]);

const orders = [...received.values()].map((list) => list.join("\n"));
const isOnce = [...received.values()].every((list) => new Set(list).size === ALL);
const isSame = orders.every((order) => order === orders[0]);
for (const [name, list] of received) console.log(`${name}: ${list.length} of ${ALL} messages`);
console.log(
  isOnce && isSame ? "All got each message once, in the same order" : "Something is wrong",
);

for (const client of [...publishers, ...subscribers]) await client.disconnect({ forget: true });
await cluster.stop();
Deno.exit(isOnce && isSame ? 0 : 1);
