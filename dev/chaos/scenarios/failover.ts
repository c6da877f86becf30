import type { Scenario } from "../scenario.ts";
import type { World } from "../world.ts";

/** Redis in several processes that fail over, or move what they have. */
export const FAILOVER: readonly Scenario[] = [
  {
    name: "sentinel-failover",
    says:
      "The primary dies after its replica fell behind; that takes over, and the old one comes " +
      "back. What was lost so is told.",
    topology: "sentinel",
    terms: { patience: 20_000, mayLose: true },
    async run(world) {
      await world.load();
      await replacePrimary(world);
      await world.spend();
    },
  },
  {
    name: "sentinel-return",
    says:
      "The primary stands still until it was replaced, and then goes on. It takes writes only " +
      "while it has a replica (`min-replicas-to-write 1`): so what is answered is not lost, or its " +
      "loss is told.",
    topology: "sentinel",
    // Without it two primaries answer for a moment, and Redis keeps nothing of what one of them had.
    redis: { config: ["min-replicas-to-write 1", "min-replicas-max-lag 1"] },
    terms: { patience: 20_000, mayLose: true },
    async run(world) {
      await world.load();
      const set = world.topology.sentinel!;
      await world.pause(1_000);
      await world.fault("the primary stands still", async () => {
        const primary = await set.current();
        await primary.kill("SIGSTOP");
        await set.replaced(primary);
        await primary.kill("SIGCONT");
        // The sentinels make it a replica.
        await set.complete();
      }, Infinity);
      await world.pause(1_500);
      await world.spend();
    },
  },
  {
    name: "cluster-reshard",
    says:
      "Slots move between the primaries of a Redis Cluster under load, the channels' own among " +
      "them: nothing is lost.",
    topology: "cluster",
    async run(world) {
      await world.load({ channels: 4 });
      const cluster = world.topology.redisCluster!;
      do {
        const keys = await Promise.all(
          cluster.nodes.map((node) => node.ask("SCAN", 0, "COUNT", 1_000)),
        );
        const names = keys.flatMap((answer) => (answer as [string, string[]])[1]);
        const key = world.random.pick(names);
        const slot = await cluster.slotOf(key);
        const owner = await cluster.ownerOf(slot);
        const to = world.random.pick(cluster.nodes.filter((node) => node !== owner));
        world.log(`slot ${slot} of ${key} moves`);
        await cluster.moveSlot(slot, to);
        await world.pause(50);
      } while (world.left > 0);
      const [from, to] = cluster.nodes;
      await cluster.reshard(from, to, 100);
      await cluster.agreed();
    },
  },
  {
    name: "cluster-node",
    says: "A primary of a Redis Cluster dies and comes back.",
    topology: "cluster",
    terms: { patience: 20_000, mayLose: true },
    async run(world) {
      await world.load({ channels: 4 });
      const cluster = world.topology.redisCluster!;
      do {
        const node = world.random.pick(cluster.nodes);
        await world.fault(`kill -9 of the Redis on ${node.port}`, async () => {
          await node.kill();
          await world.pause(500);
          await node.restart();
          await cluster.agreed();
        }, 3_000);
        await world.pause(1_500);
      } while (world.left > 0);
    },
  },
];

/** The primary is replaced by a replica that is behind, while a subscriber is away. */
export async function replacePrimary(world: World): Promise<void> {
  const set = world.topology.sentinel!;
  const wanderer = await world.handler(["channel-1", "channel-2"]);
  await world.pause(500);
  // Its position is older than anything that is lost.
  await wanderer.client.disconnect();
  await world.pause(500);
  await world.fault("the primary is replaced", async () => {
    const primary = await set.current();
    await set.failOver(300);
    await primary.restart();
  }, Infinity);
  await wanderer.client.connect();
}
