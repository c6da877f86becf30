/** Several gateways that are one, over Redis. */
import { startRedis } from "../../dev/cluster/redis.ts";
import { gateway, type Peer, sharing } from "../peers/mod.ts";
import type { Scenario } from "../scenario.ts";
import { show } from "../figures.ts";
import { CPU, figuresOf, GENERATOR, RATE, SERVER } from "./columns.ts";

const MOST = 2;

/** The same subscribers on one gateway, and spread over more. */
export const nodes: Scenario = {
  name: "nodes",
  about: "what a delivered message costs on several gateways over one Redis",
  async run(stage) {
    const { subscribers, publishers } = stage.scale;
    const redis = stage.keep(await startRedis());
    try {
      const peers = Array.from({ length: MOST }, (_, i) => cluster(i + 1, redis.url));
      const runs = peers.map((peer) => ({ peer, plan: {} }));
      return [{
        name: "nodes",
        title: "Several gateways",
        about: `${publishers} independent publishers and ${show(subscribers)} subscribers that ` +
          "acknowledge. Gateways are processes on one port (`reusePort`), over which the kernel spreads " +
          "connections. CPU is that of all gateways together, without Redis.",
        columns: [
          CPU,
          { key: "byOne", title: "× one gateway", digits: 2 },
          RATE,
          SERVER,
          GENERATOR,
        ],
        rows: await stage.compare("nodes", runs, figuresOf, [
          { key: "byOne", of: CPU.key, base: peers[0] },
        ]),
      }];
    } finally {
      await stage.end(redis);
    }
  },
};

/** So many gateways; each start has keys of its own in Redis. */
function cluster(count: number, url: string): Peer {
  let starts = 0;
  const peer = (port: number) =>
    gateway({
      name: count === 1 ? "1 gateway" : `${count} gateways`,
      wire: "extended",
      acks: "cumulative",
      options: {
        port,
        reusePort: count > 1,
        push: {
          delivery: { storeBackend: "redis" },
          redis: { url, prefix: `bench-${count}-${starts}:` },
        },
      },
      // The built-in server shares a port with this flag only.
      flags: ["--unstable-net"],
    });
  return {
    ...peer(0),
    start() {
      starts++;
      return sharing(count, (port) => peer(port).start());
    },
  };
}
