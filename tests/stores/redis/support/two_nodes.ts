import type { Cluster } from "../../../../server/stores/cluster.ts";
import type { ClusterHandles } from "../../../../server/testing/mod.ts";

/** A store that shares its Redis with other nodes. */
interface SharedStore extends AsyncDisposable {
  readonly cluster: Cluster;
}

/** Two nodes of one Redis, as the cluster suite wants them. */
export function twoNodes(a: SharedStore, b: SharedStore): ClusterHandles {
  return {
    a: a.cluster,
    b: b.cluster,
    // What is kept for a time is so by the clock of Redis.
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    cleanUp: async () => {
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
    },
  };
}
