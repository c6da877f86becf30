import { GatewayNode } from "../../cluster/gateways.ts";
import type { Scenario } from "../scenario.ts";
import type { World } from "../world.ts";

/** Ends a gateway as a crash does, again and again, for as long as there is load. */
async function crashAround(world: World): Promise<void> {
  let crashes = 0;
  // Some five crashes a second, as far as the gateways start in time.
  while (world.left > 0 || crashes === 0) {
    await world.pause(100 + world.random.below(200));
    await world.crash(world.random.pick(world.gateways), world.random.below(100));
    crashes++;
  }
  world.log(`${crashes} crashes`);
}

/** Crashes and stops of gateways. */
export const CRASHES: readonly Scenario[] = [
  {
    name: "kv-kill",
    says: "A gateway over Deno KV is killed again and again under load.",
    topology: "kv",
    async run(world) {
      await world.load();
      await crashAround(world);
    },
  },
  {
    name: "kill",
    says: "Three gateways over Redis, one of which is killed again and again under load.",
    topology: "redis",
    async run(world) {
      await world.load();
      await crashAround(world);
    },
  },
  {
    name: "mixed-kill",
    says: "The same where only the log is in Redis: clients bring their positions along.",
    topology: "mixed",
    async run(world) {
      // A client of the fixed wire starts at the head at another node: nothing is promised to it.
      await world.load({ frames: 0 });
      await crashAround(world);
    },
  },
  {
    name: "kill-unanswered",
    says: "A gateway dies after Redis has stored a publish and before it heard so. The publisher " +
      "asks another one, and the message is stored once.",
    topology: "redis",
    async run(world) {
      await world.load();
      const arm = (n: number) => world.topology.proxies[n].swallowAnswer(isPublish).then(() => n);
      const armed = world.gateways.map((_, n) => arm(n));
      do {
        const n = await Promise.race(armed);
        await world.crash(world.gateways[n]);
        armed[n] = arm(n);
      } while (world.left > 0);
    },
  },
  {
    name: "kill-refused",
    says: "Gateways die while messages are on their way to the dead letters: each ends there once.",
    topology: "redis",
    args: ["--max-retries=2", "--ack-timeout=1", "--retry-backoff=1"],
    terms: { maxRetries: 2 },
    async run(world) {
      const channels = ["channel-1"];
      await world.handler(channels, { policy: "nack" });
      await world.frames(channels, { policy: "nack" });
      const publisher = await world.publisher(channels, 20);
      publisher.go();
      await crashAround(world);
      await publisher.rest();
      await world.pause(8_000);
    },
  },
  {
    name: "rolling-restart",
    says: "Each of three gateways is stopped in order and started again under load.",
    topology: "redis",
    async run(world) {
      await world.load({ sockets: 6, pollers: 6 });
      do {
        for (const gateway of world.gateways) {
          await world.fault(`restart of ${gateway.name}`, () => gateway.restart(), 1_500);
          await world.pause(300);
        }
      } while (world.left > 0);
    },
  },
  {
    name: "suspended",
    says: "A gateway stands still for longer than its lease and then goes on: others have its " +
      "clients by then, and what it does late counts for nothing.",
    topology: "redis",
    async run(world) {
      await world.load();
      do {
        const gateway = world.random.pick(world.gateways);
        await world.fault(`${gateway.name} stands still`, async () => {
          gateway.signal("SIGSTOP");
          await world.pause(5_000);
          gateway.signal("SIGCONT");
        }, Infinity);
        await world.pause(1_000);
      } while (world.left > 0);
    },
  },
  {
    name: "kv-stop-early",
    says: "A gateway is told to stop while it starts, and twice: it ends, and the next one opens " +
      "the same file.",
    topology: "kv",
    async run(world) {
      await world.load();
      const [gateway] = world.gateways;
      do {
        await world.fault("stops while it starts", async () => {
          await gateway.stop();
          const starting = gateway.start().catch(() => {});
          await world.pause(world.random.below(80));
          const ended = gateway.stop();
          gateway.signal("SIGTERM");
          await Promise.all([starting, ended]);
          await gateway.start();
        }, 1_500);
        await world.pause(200);
      } while (world.left > 0);
    },
  },
  {
    name: "kv-second-process",
    says: "A second gateway on the same file of Deno KV is refused, and disturbs nobody.",
    topology: "kv",
    async run(world) {
      await world.load();
      const args = ["--store", "kv", "--kv-path", world.topology.kvPath!];
      const said: string[] = [];
      const second = await GatewayNode.start({ args, onLine: (line) => said.push(line) })
        .catch(() => undefined);
      if (second !== undefined) {
        await second.kill();
        throw new Error("A second gateway opened the file of the first one");
      }
      world.log(`It says: ${said.at(-1)}`);
      await world.spend();
    },
  },
];

/** Whether a command to Redis stores what a publisher sent. */
function isPublish(command: string): boolean {
  return /evalsha/i.test(command) && /channel-\d/.test(command) && command.includes("filler");
}
