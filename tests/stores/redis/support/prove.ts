import type { RedisOptions } from "../../../../server/options/types.ts";
import { RedisStore } from "../../../../server/stores/redis/store.ts";
import { clusterSuite, storeSuite } from "../../../../server/testing/mod.ts";
import { redisSettings } from "./settings.ts";
import { openRedisStore } from "./store.ts";
import { twoNodes } from "./two_nodes.ts";

let cases = 0;

/** Runs every case of both suites against a Redis, each under a prefix of its own. */
export function proveRedisStore(
  name: string,
  redis: RedisOptions,
  test: (name: string, fn: () => Promise<void>) => void,
): void {
  storeSuite({
    name,
    nodes: true,
    start: Date.now,
    open: (terms) => {
      const settings = redisSettings({ ...redis, prefix: `case${++cases}:` });
      const a = new RedisStore({ ...terms, settings });
      const b = new RedisStore({ ...terms, settings });
      return {
        a,
        b,
        advance: (ms) => {
          a.advance(ms);
          b.advance(ms);
          return Promise.resolve();
        },
      };
    },
    test,
  });

  clusterSuite({
    name,
    open: async () => {
      const options = { ...redis, prefix: `case${++cases}:` };
      const [a, b] = [await openRedisStore(options), await openRedisStore(options)];
      return twoNodes(a, b);
    },
    test,
  });
}
