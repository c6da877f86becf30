import type { RedisOptions } from "../../../../server/options/types.ts";
import { RedisStore } from "../../../../server/stores/redis/store.ts";
import { storeSuite } from "../../../../server/testing/mod.ts";
import { redisSettings } from "./settings.ts";

let cases = 0;

/** Runs every case of the suite against a Redis, each under a prefix of its own. */
export function proveRedisStore(
  name: string,
  redis: RedisOptions,
  test: (name: string, fn: () => Promise<void>) => void,
): void {
  storeSuite({
    name,
    nodes: true,
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
}
