import { MixedData, MixedStore } from "../../../server/stores/mixed/store.ts";
import { systemRandom } from "../../../server/clock.ts";
import { clusterSuite, storeSuite } from "../../../server/testing/mod.ts";
import { LIMITS, RETENTION } from "../kv/support/files.ts";
import { startRedis } from "../../support/redis.ts";
import { redisSettings } from "../redis/support/settings.ts";
import { twoNodes } from "../redis/support/two_nodes.ts";

const redis = await startRedis({ appendonly: false });
let cases = 0;

// Sessions are in the node: two handles of one case are handles on the same node's memory.
storeSuite({
  name: "MixedStore",
  start: Date.now,
  open: (terms) => {
    const settings = redisSettings({ port: redis.port, prefix: `case${++cases}:` });
    const data = new MixedData();
    const a = new MixedStore({ ...terms, settings, data });
    const b = new MixedStore({ ...terms, settings, data });
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
  test: (name, fn) => Deno.test(name, fn),
});

clusterSuite({
  name: "MixedStore",
  open: async () => {
    const settings = redisSettings({ port: redis.port, prefix: `case${++cases}:` });
    const terms = { retention: RETENTION, limits: LIMITS, random: systemRandom, settings };
    const [a, b] = [new MixedStore(terms), new MixedStore(terms)];
    await a.open();
    await b.open();
    return twoNodes(a, b);
  },
  test: (name, fn) => Deno.test(name, fn),
});

Deno.test.afterAll(() => redis.stop());
