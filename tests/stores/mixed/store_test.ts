import { MixedData, MixedStore } from "../../../server/stores/mixed/store.ts";
import { storeSuite } from "../../../server/testing/mod.ts";
import { startRedis } from "../../support/redis.ts";
import { redisSettings } from "../redis/support/settings.ts";

const redis = await startRedis({ appendonly: false });
let cases = 0;

// Sessions are in the node: two handles of one case are handles on the same node's memory.
storeSuite({
  name: "MixedStore",
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

Deno.test.afterAll(() => redis.stop());
