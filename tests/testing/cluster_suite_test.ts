import { assert, assertEquals } from "@std/assert";
import {
  CLUSTER_CASES,
  clusterSuite,
  ManualClock,
  MemoryCluster,
  type MemoryNode,
  seededRandom,
} from "../../server/testing/mod.ts";

function open(wrap: (node: MemoryNode) => MemoryNode = (node) => node) {
  const clock = new ManualClock();
  const cluster = new MemoryCluster({ clock, random: seededRandom(1) });
  return {
    a: wrap(cluster.join()),
    b: wrap(cluster.join()),
    pass: (ms: number) => clock.advance(ms),
    cleanUp: () => Promise.resolve(),
  };
}

clusterSuite({
  name: "MemoryCluster",
  open: () => open(),
  test: (name, fn) => Deno.test(name, fn),
});

/** Names of the cases that nodes fail which do one thing otherwise. */
async function failures(member: keyof MemoryNode, other: (node: MemoryNode) => unknown) {
  const failed: string[] = [];
  const runs: Promise<void>[] = [];
  clusterSuite({
    name: "broken",
    open: () =>
      open((node) =>
        new Proxy(node, {
          get: (target, name) => {
            if (name === member) return other(target);
            const value = Reflect.get(target, name, target);
            return typeof value === "function" ? value.bind(target) : value;
          },
        })
      ),
    test: (name, fn) => runs.push(fn().catch(() => void failed.push(name))),
  });
  assertEquals(runs.length, CLUSTER_CASES.length);
  await Promise.all(runs);
  return failed;
}

Deno.test("clusterSuite() fails nodes that break one promise", async (t) => {
  await t.step("looks, and then drops", async () => {
    const failed = await failures("take", (node) => async (name: string) => {
      const text = await node.kept(name);
      await node.drop(name);
      return text;
    });
    assertEquals(failed, [
      "broken: of all who take a text at the same moment, on whichever node, one gets it",
    ]);
  });
  await t.step("does not drop what is taken", async () => {
    assert((await failures("take", (node) => (name: string) => node.kept(name))).length > 0);
  });
  await t.step("does not look at versions", async () => {
    const keep = (node: MemoryNode) => (name: string, text: string, ttl: number) =>
      node.keep(name, text, ttl);
    assert((await failures("keep", keep)).length > 0);
  });
  await t.step("keeps texts for ever", async () => {
    const keep = (node: MemoryNode) => (name: string, text: string, _: number, version?: number) =>
      node.keep(name, text, 1e12, version);
    assert((await failures("keep", keep)).length > 0);
  });
  await t.step("has one name for all", async () => {
    assertEquals(await failures("node", () => "node"), ["broken: nodes have names of their own"]);
  });
});
