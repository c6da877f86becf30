import { assertEquals } from "@std/assert";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import { startRedisCluster } from "../../support/redis.ts";
import { until } from "../../support/within.ts";
import { proveRedisStore } from "./support/prove.ts";
import { deafNode, namesOf, revocation } from "./support/revocations.ts";
import { openRedisStore } from "./support/store.ts";

const cluster = await startRedisCluster();

proveRedisStore(
  "RedisStore on a Cluster",
  { cluster: cluster.addresses.join(",") },
  (name, fn) => Deno.test(name, fn),
);

Deno.test("RedisStore on a Cluster: revocations move with their slot, and go on to be told", async () => {
  const keys = new RedisKeys("moves:");
  await using a = await openRedisStore({ cluster: cluster.addresses[0], prefix: "moves:" });
  await using b = await openRedisStore({ cluster: cluster.addresses[1], prefix: "moves:" });
  await using deaf = await deafNode(b);
  const slot = await cluster.slotOf(keys.revocations("entries"));
  for (let round = 0; round < 2; round++) {
    await a.revoke(revocation(`before ${round}`));
    const owner = await cluster.ownerOf(slot);
    await cluster.moveSlot(slot, cluster.nodes.find((node) => node !== owner)!);
    await a.revoke(revocation(`after ${round}`));
    await until(() => deaf.size === 2 * round + 2, "it knows both");
  }
  assertEquals(await namesOf(a), ["after 0", "after 1", "before 0", "before 1"]);
});

Deno.test.afterAll(() => cluster.stop());
