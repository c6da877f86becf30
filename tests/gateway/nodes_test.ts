import { assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { Gateway } from "../../mod.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import { ManualClock, MemoryCluster, seededRandom } from "../../server/testing/mod.ts";
import { ask } from "../support/http_client.ts";
import { ServedNodes } from "../support/poll_nodes.ts";
import { until } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

Deno.test("several gateways on one store are one: messages, subscribers, presence", async () => {
  await using nodes = await ServedNodes.start(3);
  const [one, two, three] = nodes.nodes;
  await using ann = await WireClient.open(`${one.ws}?client_id=ann`);
  await using bob = await WireClient.open(`${two.ws}?client_id=bob`);
  for (const client of [ann, bob]) await client.subscribe("news");
  for (const { gateway } of nodes.nodes) {
    await until(async () => {
      await nodes.clock.advance(100);
      return (await gateway.channels())[0].subscribers === 2;
    }, "every gateway counts both subscribers");
    assertEquals((await gateway.presence("news")).map(({ clientId }) => clientId).sort(), [
      "ann",
      "bob",
    ]);
  }
  const receipt = await three.gateway.publish("news", "hello");
  assertEquals(receipt.delivered, 2);
  for (const client of [ann, bob]) {
    assertEquals((await client.next("channel_message")).data, "hello");
  }
  const { body } = await ask(`${three.http}/api/push/channels`);
  assertEquals(body.channels[0].subscribers, 2);
  const listed = await ask(`${three.http}/api/push/presence?channel=news`);
  assertEquals(listed.body.presence.length, 2);
});

Deno.test("a gateway that cannot reach the others does not start, and starts when it can", async () => {
  const clock = new ManualClock();
  const cluster = new MemoryCluster({ clock, random: seededRandom(1) });
  const node = cluster.join();
  const { push } = resolveOptions({ push: { enabled: true } });
  const store = new MemoryStore({
    retention: retentionOf(push),
    limits: storeLimitsOf(push),
    random: seededRandom(2).bytes,
    cluster: node,
  });
  const gateway = new Gateway({ port: 0, push: { enabled: true } }, {
    clock,
    store: node.clustered(store),
  });
  node.cut();
  const refused = await assertRejects(() => gateway.start(), PushError);
  assertEquals([refused.code, clock.pending], ["unavailable", 0]);
  node.heal();
  await gateway.start();
  assertEquals((await gateway.publish("news", 1)).seq, 1);
  await gateway.stop();
  await clock.advance(0);
  assertEquals([clock.pending, cluster.isAlive(node.node)], [0, false]);
});
