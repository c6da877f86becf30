import { GatewayNode } from "../../cluster/gateways.ts";
import type { Scenario } from "../scenario.ts";
import type { World } from "../world.ts";

/** Does something to Redis again and again for as long as there is load. */
async function again(world: World, act: () => Promise<void>, every = 500): Promise<void> {
  do {
    await world.pause(every + world.random.below(every));
    await act();
  } while (world.left > 0);
}

/** Kills Redis and starts it again. */
function crashRedis(world: World, forgets: number): Promise<void> {
  return world.fault("kill -9 of Redis", async () => {
    await world.topology.redis!.kill();
    await world.pause(world.random.below(500));
    await world.topology.redis!.restart();
  }, forgets);
}

/** Faults of a Redis server and of the way to it. */
export const REDIS: readonly Scenario[] = [
  {
    name: "redis-kill-always",
    says: "Redis is killed again and again under load, with `appendfsync always`: nothing is lost.",
    topology: "redis",
    redis: { appendfsync: "always" },
    async run(world) {
      await world.load();
      await again(world, () => crashRedis(world, 1_500));
    },
  },
  {
    name: "redis-kill-everysec",
    says: "The same with `appendfsync everysec`: what a crash of the process loses is told.",
    topology: "redis",
    terms: { mayLose: true },
    async run(world) {
      await world.load();
      await again(world, () => crashRedis(world, 3_000));
    },
  },
  {
    name: "redis-kill-none",
    says: "The same without a file: everything is lost, and every subscriber is told.",
    topology: "redis",
    terms: { mayLose: true },
    redis: { appendonly: false },
    async run(world) {
      // A client of the fixed wire has no position that could show the loss of its session.
      await world.load({ frames: 0 });
      await again(world, () => crashRedis(world, Infinity), 1_500);
    },
  },
  {
    name: "redis-flush",
    says: "Somebody empties Redis while clients live: every subscriber is told.",
    topology: "redis",
    terms: { mayLose: true },
    async run(world) {
      await world.load({ frames: 0 });
      await again(world, () =>
        world.fault("FLUSHALL", async () => {
          await world.topology.redis!.ask("FLUSHALL");
          await world.pause(500);
        }, Infinity), 2_000);
    },
  },
  {
    name: "redis-suspended",
    says: "Redis stands still, its connections open, and goes on: nothing is stored twice.",
    topology: "redis",
    async run(world) {
      await world.load();
      await again(world, () =>
        world.fault("Redis stands still", async () => {
          await world.topology.redis!.kill("SIGSTOP");
          await world.pause(4_000);
          await world.topology.redis!.kill("SIGCONT");
        }, 6_000), 1_000);
    },
  },
  {
    name: "redis-full",
    says: "Redis has no memory left: publishes are refused, acknowledgements are not, and with " +
      "memory again everything goes on.",
    topology: "redis",
    async run(world) {
      await world.load();
      const redis = world.topology.redis!;
      await again(world, () =>
        world.fault("Redis is full", async () => {
          await redis.ask("CONFIG", "SET", "maxmemory", "1mb");
          await world.pause(1_500);
          await redis.ask("CONFIG", "SET", "maxmemory", "0");
        }, 4_000));
    },
  },
  {
    name: "redis-evicting",
    says: "A gateway refuses to start over a Redis that may drop keys by itself.",
    topology: "redis",
    async run(world) {
      await world.topology.redis!.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
      const said: string[] = [];
      const args = ["--store", "redis", "--redis-url", world.topology.redis!.url];
      const node = await GatewayNode.start({ args, onLine: (line) => said.push(line) })
        .catch(() => undefined);
      await node?.kill();
      if (node !== undefined || !said.join("\n").includes("noeviction")) {
        throw new Error(`It did not refuse allkeys-lru: ${said.join(" ")}`);
      }
      world.log(`It says: ${said.at(-1)}`);
    },
  },
  {
    name: "redis-scripts",
    says: "Redis forgets its scripts under load: nobody notices.",
    topology: "redis",
    async run(world) {
      await world.load();
      await again(world, () => world.topology.redis!.ask("SCRIPT", "FLUSH").then(() => {}), 100);
    },
  },
  {
    name: "redis-unanswered",
    says: "Answers of Redis are lost after it did what was asked: it is done once.",
    topology: "redis",
    async run(world) {
      await world.load();
      await again(world, async () => {
        const proxy = world.random.pick(world.topology.proxies);
        const swallowed = proxy.swallowAnswer((command) => /evalsha/i.test(command));
        await world.happens(swallowed, 2_000);
        world.log("an answer is lost");
      }, 200);
    },
  },
  {
    name: "redis-listeners",
    says: "Redis ends the connections that listen, again and again: what was missed is read.",
    topology: "redis",
    async run(world) {
      await world.load();
      await again(world, async () => {
        await world.topology.redis!.ask("CLIENT", "KILL", "TYPE", "pubsub");
        world.log("listeners are cut off");
      }, 200);
    },
  },
  {
    name: "redis-deaf",
    says:
      "The connections that listen are alive and hear nothing: everything arrives all the same.",
    topology: "redis",
    async run(world) {
      await world.load();
      for (const proxy of world.topology.proxies) proxy.set("down", { deaf: true });
      world.log("all gateways are deaf");
      await world.spend();
      if (!(await world.arrive())) throw new Error("Not everything arrived while they were deaf");
      for (const proxy of world.topology.proxies) proxy.heal();
    },
  },
  {
    name: "redis-slow",
    says: "Redis does not answer for two seconds at a time.",
    topology: "redis",
    redis: { config: ["enable-debug-command yes"] },
    async run(world) {
      await world.load();
      await again(world, () =>
        world.fault("DEBUG SLEEP 2", async () => {
          await world.topology.redis!.ask("DEBUG", "SLEEP", 2);
        }, 4_000), 1_000);
    },
  },
  {
    name: "redis-latency",
    says: "Redis is 200 ms away, more or less; who comes over HTTP stays at one gateway.",
    topology: "redis",
    async run(world) {
      await world.load({ pollers: 0, streams: 0 });
      // Each move takes some ten answers of Redis: one that moves with each request gets nowhere.
      const { ws: url } = world.random.pick(world.gateways);
      for (const transport of ["sse", "longpoll"] as const) {
        await world.handler(["channel-1", "channel-2"], { transport, url });
      }
      for (const proxy of world.topology.proxies) {
        proxy.set("both", { latency: 50, jitter: 100, slice: 1_000 });
      }
      await world.spend();
    },
  },
  {
    name: "redis-partition",
    says: "One gateway of three cannot reach Redis, in both directions or in one.",
    topology: "redis",
    async run(world) {
      await world.load();
      await again(world, () => {
        const n = world.random.below(world.topology.proxies.length);
        const proxy = world.topology.proxies[n];
        const direction = world.random.pick(["up", "down", "both"] as const);
        return world.fault(`gateway ${n + 1} cannot reach Redis (${direction})`, async () => {
          proxy.set(direction, { blackhole: true });
          await world.pause(4_000);
          proxy.heal();
        }, 6_000);
      }, 1_000);
    },
  },
];
