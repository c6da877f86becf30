import { assertEquals } from "@std/assert";
import { type Served, startGateway } from "../support/gateway.ts";
import { startRedis } from "../support/redis.ts";
import { WireClient } from "../support/wire_client.ts";

Deno.test("a right that is taken and given back lets nothing through from between, on any node (Redis)", async () => {
  const rights = new Set(["subscribe a", "subscribe b"]);
  await using redis = await startRedis();
  await using stack = new AsyncDisposableStack();
  const nodes: Served[] = [];
  for (let i = 0; i < 2; i++) {
    nodes.push(stack.use(
      await startGateway({
        push: {
          presence: { broadcastChanges: false },
          delivery: { storeBackend: "redis" },
          redis: { url: redis.url },
        },
      }, { authorize: (_, action, channel) => rights.has(`${action} ${channel}`) }),
    ));
  }
  const [one, two] = nodes;
  const publish = async (...data: string[]) => {
    for (const each of data) {
      for (const channel of ["a", "b"]) {
        await one.gateway.publish(channel, each);
      }
    }
  };
  const connect = { client_id: "ann", subscriptions: [{ channel: "a" }, { channel: "b" }] };
  const [client] = await WireClient.connect(two.ws, connect);
  await publish("before");
  const [first] = (await client.take(2, "channel_message")).filter(({ channel }) =>
    channel === "a"
  );
  rights.delete("subscribe a");
  await one.gateway.reauthorize({ clientId: "ann" });
  assertEquals((await client.next("error")).channel, "a");
  await publish("forbidden");
  assertEquals((await client.next("channel_message")).channel, "b");
  await client.close(4999);
  rights.add("subscribe a");
  // It comes back to the other node, with the place that it had reached.
  const { epoch, seq } = first;
  const [again, connected] = await WireClient.connect(one.ws, {
    client_id: "ann",
    subscriptions: [{ channel: "a", position: { epoch, seq } }, { channel: "b" }],
  });
  assertEquals(connected.resumed, true);
  await publish("after");
  const got: [string, unknown][] = [];
  while (got.length < 5) {
    const { type, channel, data } = await again.next();
    got.push([channel, data ?? type]);
  }
  assertEquals(got.filter(([channel]) => channel === "a"), [["a", "channel.gap"], ["a", "after"]]);
  assertEquals(got.filter(([channel]) => channel === "b").map(([, data]) => data), [
    "before",
    "forbidden",
    "after",
  ]);
  await again.close();
});
