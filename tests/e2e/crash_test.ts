import { assertEquals } from "@std/assert";
import { trial } from "./trial.ts";

Deno.test("crash: twenty kill -9 of a gateway over Deno KV under load lose nothing, keep the order and repeat nothing to a handler", async () => {
  const history = await trial({
    topology: "kv",
    async faults(world) {
      for (let n = 0; n < 20; n++) {
        await world.pause(world.random.below(150));
        await world.crash(world.gateways[0]);
      }
    },
  });
  assertEquals([history.count("fault"), history.count("gap")], [20, 0]);
});

Deno.test("crash: twenty kill -9 of gateways over Redis under load lose nothing, keep the order and repeat nothing to a handler", async () => {
  const history = await trial({
    topology: "redis",
    async faults(world) {
      for (let n = 0; n < 20; n++) {
        await world.pause(world.random.below(150));
        await world.crash(world.gateways[n % world.gateways.length], world.random.below(50));
      }
    },
  });
  assertEquals([history.count("fault"), history.count("gap")], [20, 0]);
});

Deno.test("crash: five kill -9 of a Redis that writes at once lose nothing", async () => {
  const history = await trial({
    topology: "redis",
    redis: { appendfsync: "always" },
    async faults(world) {
      const redis = world.topology.redis!;
      for (let n = 0; n < 5; n++) {
        await world.pause(300 + world.random.below(300));
        await world.fault("kill -9 of Redis", async () => {
          await redis.kill();
          await world.pause(world.random.below(200));
          await redis.restart();
        }, 1_500);
      }
    },
  });
  assertEquals([history.count("fault"), history.count("gap")], [5, 0]);
});

Deno.test("crash: where only the log is in Redis, kill -9 of gateways loses nothing to clients that bring their positions", async () => {
  const history = await trial({
    topology: "mixed",
    load: { frames: 0 },
    async faults(world) {
      for (let n = 0; n < 6; n++) {
        await world.pause(100 + world.random.below(200));
        await world.crash(world.gateways[n % world.gateways.length]);
      }
    },
  });
  assertEquals([history.count("fault"), history.count("gap")], [6, 0]);
});
