import { KvStore } from "../../../server/stores/kv/store.ts";
import { openDatabase, openPackage } from "../../../server/stores/kv/engine.ts";
import { storeSuite } from "../../../server/testing/mod.ts";

// The same cases over both implementations of KV, in a file and in memory, with two handles each.
let count = 0;
for (
  const [engine, open] of [["Deno.openKv", openDatabase], ["npm:@deno/kv", openPackage]] as const
) {
  storeSuite({
    name: `KvStore in a file, ${engine}`,
    open: async (terms) => {
      const folder = await Deno.makeTempDir({ prefix: "push-kv-" });
      const options = { ...terms, path: `${folder}/push.db`, openDatabase: open };
      return {
        a: new KvStore(options),
        b: new KvStore(options),
        cleanUp: () => Deno.remove(folder, { recursive: true }),
      };
    },
    test: (name, fn) => Deno.test(name, fn),
  });

  storeSuite({
    name: `KvStore in memory, ${engine}`,
    open: (terms) => {
      const options = { ...terms, path: `:memory:${++count}`, openDatabase: open };
      return { a: new KvStore(options), b: new KvStore(options) };
    },
    test: (name, fn) => Deno.test(name, fn),
  });
}
