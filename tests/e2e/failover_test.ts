import { assert } from "@std/assert";
import { replacePrimary } from "../../dev/chaos/scenarios/failover.ts";
import { trial } from "./trial.ts";

Deno.test("failover: what a replica behind its primary did not have is told as lost, never silently", async () => {
  await trial({
    topology: "sentinel",
    terms: { patience: 20_000, mayLose: true },
    async faults(world) {
      const set = world.topology.sentinel!;
      await world.pause(800);
      await world.fault("the primary is replaced", async () => {
        const primary = await set.current();
        await set.failOver(300);
        await primary.restart();
      }, Infinity);
      await world.pause(1_000);
    },
  });
});

Deno.test("failover: who was away is told of what was lost meanwhile, though its own position was not", async () => {
  const history = await trial({
    topology: "sentinel",
    terms: { patience: 20_000, mayLose: true },
    async faults(world) {
      await replacePrimary(world);
      await world.pause(1_000);
    },
  });
  assert(history.count("gap") > 0, "nothing was lost, which shows nothing");
});

Deno.test("failover: slots of a Redis Cluster that move under load lose nothing", async () => {
  let moved = 0;
  const history = await trial({
    topology: "cluster",
    load: { channels: 4 },
    async faults(world) {
      const cluster = world.topology.redisCluster!;
      const keys = await Promise.all(cluster.nodes.map((node) => node.ask("KEYS", "*")));
      const slots = new Set<number>();
      for (const key of keys.flat()) slots.add(await cluster.slotOf(String(key)));
      for (const slot of slots) {
        const owner = await cluster.ownerOf(slot);
        await cluster.moveSlot(slot, cluster.nodes.find((node) => node !== owner)!);
        moved++;
      }
      await cluster.reshard(cluster.nodes[0], cluster.nodes[1], 50);
      await cluster.agreed();
      await world.pause(1_000);
    },
  });
  assert(moved > 4, "no slot of a channel moved");
  assert(history.count("gap") === 0, "a loss was told");
});
