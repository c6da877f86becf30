/** The same deliveries with each store. */
import { startRedis } from "../../dev/cluster/redis.ts";
import { BARE, gateway, ON, type Peer, TURN } from "../peers/mod.ts";
import type { Scenario } from "../scenario.ts";
import { show } from "../figures.ts";
import { BY_BARE, BY_TURN, CPU, figuresOf, PEAK, RATE, RATIOS } from "./columns.ts";

/** Memory, a file of Deno KV, and Redis. */
export const stores: Scenario = {
  name: "stores",
  about: "what a delivered message costs with each store",
  async run(stage) {
    const { subscribers, publishers } = stage.scale;
    const redis = stage.keep(await startRedis());
    const folder = await Deno.makeTempDir({ prefix: "push-bench-" });
    try {
      const peers = [BARE, TURN, ON, kv(folder), overRedis(redis.url)];
      const runs = peers.map((peer) => ({ peer, plan: {} }));
      return [{
        name: "stores",
        title: "Stores",
        about: `${publishers} independent publishers, ${show(subscribers)} subscribers that ` +
          "acknowledge. A publisher goes on when its message is stored and everybody has it. CPU is " +
          "that of the gateway, without Redis.",
        columns: [CPU, BY_BARE, BY_TURN, RATE, PEAK],
        rows: await stage.compare("stores", runs, figuresOf, RATIOS),
      }];
    } finally {
      await stage.end(redis);
      await Deno.remove(folder, { recursive: true });
    }
  },
};

/** Each start has a file of its own, so that none reads what an earlier one left. */
function kv(folder: string): Peer {
  let starts = 0;
  const peer = (kvPath: string) =>
    gateway({
      name: "Deno KV",
      wire: "extended",
      acks: "cumulative",
      options: { push: { delivery: { storeBackend: "kv", kvPath } } },
    });
  return { ...peer(""), start: () => peer(`${folder}/${++starts}.db`).start() };
}

/** Each start has keys of its own. */
function overRedis(url: string): Peer {
  let starts = 0;
  const peer = (prefix: string) =>
    gateway({
      name: "Redis",
      wire: "extended",
      acks: "cumulative",
      options: { push: { delivery: { storeBackend: "redis" }, redis: { url, prefix } } },
    });
  return { ...peer(""), start: () => peer(`bench-${++starts}:`).start() };
}
