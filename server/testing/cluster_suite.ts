import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Cluster } from "../stores/cluster.ts";
import { HOSTILE, numbers } from "./store_trial.ts";

/** Two nodes of one fresh cluster. The suite cleans up after each case. */
export interface ClusterHandles {
  /** One node… */
  readonly a: Cluster;
  /** …and another. */
  readonly b: Cluster;
  /** Lets so many milliseconds pass for what the cluster keeps. */
  pass(ms: number): Promise<void>;
  /** Ends both, and removes what they left. */
  cleanUp(): Promise<void>;
}

/** One sentence about clusters, and what shows that it is true. */
export interface ClusterCase {
  /** The sentence. */
  readonly name: string;
  /** Rejects if the sentence is not true. */
  run(nodes: ClusterHandles): Promise<void>;
}

/** Options of {@linkcode clusterSuite}. */
export interface ClusterSuiteOptions {
  /** Name of the cluster; every test's name begins with it. */
  readonly name: string;
  /** Makes two nodes of a fresh cluster. Called once for each case. */
  open(): Promise<ClusterHandles> | ClusterHandles;
  /** Takes one test: `Deno.test`, or what another runner has. */
  test(name: string, fn: () => Promise<void>): void;
}

/** Every case: what one node keeps for another. */
export const CLUSTER_CASES: readonly ClusterCase[] = [
  {
    name: "nodes have names of their own",
    run({ a, b }) {
      assertNotEquals(a.node, b.node);
      return Promise.resolve();
    },
  },
  {
    name: "a text is kept for every node, until it is dropped or another takes its place",
    async run({ a, b }) {
      assertEquals(await b.kept("text"), undefined);
      assertEquals(await a.keep("text", "first", 60_000), true);
      assertEquals([await a.kept("text"), await b.kept("text")], ["first", "first"]);
      await b.keep("text", "second", 60_000);
      assertEquals(await a.kept("text"), "second");
      await a.drop("text");
      assertEquals([await a.kept("text"), await b.kept("text")], [undefined, undefined]);
      await a.drop("text");
    },
  },
  {
    name: "a text does not take the place of one of a higher version",
    async run({ a, b }) {
      const last = Number.MAX_SAFE_INTEGER;
      for (const [version, isKept] of [[2, true], [1, false], [2, true], [last, true]] as const) {
        assertEquals(await a.keep("text", `version ${version}`, 60_000, version), isKept);
      }
      assertEquals(await b.keep("text", "late", 60_000, last - 1), false);
      assertEquals(await b.kept("text"), `version ${last}`);
    },
  },
  {
    name: "a text is neither given nor taken after its time",
    async run({ a, b, pass }) {
      for (const name of ["one", "two"]) await a.keep(name, "text", 500);
      await a.keep("three", "text", 60_000);
      await pass(600);
      assertEquals(await b.kept("one"), undefined);
      assertEquals(await b.take("two"), undefined);
      assertEquals(await b.take("three"), "text");
    },
  },
  {
    name: "a text that is taken is there no more, on no node",
    async run({ a, b }) {
      assertEquals(await b.take("ticket"), undefined);
      await a.keep("ticket", "text", 60_000);
      assertEquals(await b.take("ticket"), "text");
      for (const node of [a, b]) {
        assertEquals([await node.take("ticket"), await node.kept("ticket")], [
          undefined,
          undefined,
        ]);
      }
      // The name is free, whatever version was taken.
      await a.keep("ticket", "text", 60_000, 7);
      assertEquals(await a.take("ticket"), "text");
      assertEquals(await b.keep("ticket", "another", 60_000), true);
      assertEquals(await b.take("ticket"), "another");
    },
  },
  {
    name: "of all who take a text at the same moment, on whichever node, one gets it",
    async run({ a, b }) {
      const names = numbers(1, 40).map((i) => `ticket ${i}`);
      await Promise.all(names.map((name) => a.keep(name, `text of ${name}`, 60_000)));
      await Promise.all(names.map(async (name) => {
        const takers = [a, b, b, a, a, b];
        const got = await Promise.all(takers.map((node) => node.take(name)));
        assertEquals(got.filter((text) => text !== undefined), [`text of ${name}`]);
      }));
    },
  },
  {
    name: "names and texts are only names and texts, whatever they look like",
    async run({ a, b }) {
      const texts = new Map(HOSTILE.map((name, i) => [name, HOSTILE[(i + 1) % HOSTILE.length]]));
      for (const [name, text] of [...texts, ["empty", ""], ["mark", "1@ab 2@cd x"]]) {
        await a.keep(name, text, 60_000);
        assertEquals(await b.kept(name), text);
      }
      for (const [name, text] of texts) assertEquals(await b.take(name), text);
      assertEquals([await b.take("empty"), await b.take("mark")], ["", "1@ab 2@cd x"]);
    },
  },
];

/**
 * Proves what nodes keep for each other: one test for each of {@linkcode CLUSTER_CASES}.
 *
 * @param options the cluster, and who runs the tests
 *
 * @example
 * ```ts
 * import { clusterSuite, ManualClock, MemoryCluster, seededRandom } from "@push/gateway/testing";
 *
 * clusterSuite({
 *   name: "MemoryCluster",
 *   open: () => {
 *     const clock = new ManualClock();
 *     const cluster = new MemoryCluster({ clock, random: seededRandom(1) });
 *     return {
 *       a: cluster.join(),
 *       b: cluster.join(),
 *       pass: (ms) => clock.advance(ms),
 *       cleanUp: () => Promise.resolve(),
 *     };
 *   },
 *   test: (_name, _fn) => {}, // Deno.test
 * });
 * ```
 */
export function clusterSuite({ name, open, test }: ClusterSuiteOptions): void {
  assert(name.length > 0, "A cluster has a name");
  for (const { name: sentence, run } of CLUSTER_CASES) {
    test(`${name}: ${sentence}`, async () => {
      const nodes = await open();
      try {
        await run(nodes);
      } finally {
        await nodes.cleanUp();
      }
    });
  }
}
