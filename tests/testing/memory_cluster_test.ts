import { assertEquals, assertRejects } from "@std/assert";
import { type Json, type JsonObject, PushError } from "@push/client/protocol";
import { resolveOptions } from "../../server/options/options.ts";
import { MemoryData, MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import {
  ManualClock,
  MemoryCluster,
  type MemoryClusterOptions,
  type MemoryNode,
  seededRandom,
} from "../../server/testing/mod.ts";

/** What a node has heard, as text. */
async function listen(node: MemoryNode): Promise<string[]> {
  const heard: string[] = [];
  await node.listen({
    rows: (from, version, changes) => {
      heard.push(
        `${from === node.node ? "own" : "rows"} ${version} ${JSON.stringify([...changes])}`,
      );
    },
    note: (_from, note) => heard.push(`note ${JSON.stringify(note)}`),
    lapse: () => heard.push("lapse"),
  });
  return heard;
}

function cluster(options: Partial<MemoryClusterOptions> = {}) {
  const clock = new ManualClock();
  return { clock, cluster: new MemoryCluster({ clock, random: seededRandom(3), ...options }) };
}

function changes(rows: { [key: string]: Json }): ReadonlyMap<string, Json> {
  return new Map(Object.entries(rows));
}

Deno.test("MemoryCluster tells every node of changed rows, and keeps them for a lease", async () => {
  const { clock, cluster: nodes } = cluster({ lease: 1000 });
  const [one, two] = [nodes.join(), nodes.join()];
  const [heardByOne, heardByTwo] = [await listen(one), await listen(two)];
  await one.renew();
  assertEquals(await one.write(changes({ a: 1, b: 2 })), 1);
  assertEquals(await one.write(changes({ a: null })), 2);
  await clock.advance(0);
  assertEquals(heardByTwo, ['rows 1 [["a",1],["b",2]]', 'rows 2 [["a",null]]']);
  assertEquals(heardByOne, ['own 1 [["a",1],["b",2]]', 'own 2 [["a",null]]']);
  assertEquals(await two.rows(one.node), { version: 2, rows: new Map([["b", 2]]) });
  assertEquals(await two.renew(), new Map([[one.node, 2], [two.node, 0]]));

  await clock.advance(999);
  assertEquals(nodes.isAlive(one.node), true);
  await clock.advance(1);
  assertEquals(nodes.isAlive(one.node), false);
  assertEquals(await two.rows(one.node), undefined);
  assertEquals(await one.write(changes({ c: 3 })), 1);
  assertEquals((await two.rows(one.node))?.rows, new Map([["c", 3]]));
});

Deno.test("MemoryCluster carries notes to one node, or to every other one", async () => {
  const { clock, cluster: nodes } = cluster();
  const all = [nodes.join(), nodes.join(), nodes.join()];
  const heard = await Promise.all(all.map(listen));
  await all[0].send(all[1].node, { to: "two" });
  await all[0].send(null, { to: "others" });
  await clock.advance(0);
  assertEquals(heard, [[], ['note {"to":"two"}', 'note {"to":"others"}'], [
    'note {"to":"others"}',
  ]]);
});

Deno.test("MemoryCluster loses, doubles and reorders as its seed says", async () => {
  const run = async () => {
    const { clock, cluster: nodes } = cluster();
    const [one, two] = [nodes.join(), nodes.join()];
    const heard = await listen(two);
    nodes.rumours = { loss: 0.3, repeats: 0.3, delay: 10, jitter: 50 };
    const sent: JsonObject[] = Array.from({ length: 100 }, (_, n) => ({ n }));
    for (const note of sent) await one.send(two.node, note);
    await clock.advance(9);
    assertEquals(heard, []);
    await clock.advance(51);
    return heard.map((note) => JSON.parse(note.slice(5)).n as number);
  };
  const heard = await run();
  const distinct = new Set(heard);
  assertEquals(distinct.size < 100 && distinct.size < heard.length, true);
  assertEquals(heard.every((n, i) => i === 0 || n >= heard[i - 1]), false);
  assertEquals(await run(), heard);
});

Deno.test("MemoryNode that is cut off reaches nobody, hears nothing, and lapses when healed", async () => {
  const { clock, cluster: nodes } = cluster();
  const [one, two] = [nodes.join(), nodes.join()];
  const heard = await listen(two);
  two.cut();
  await one.send(null, { lost: true });
  const operations = [
    two.renew(),
    two.write(changes({ a: 1 })),
    two.rows(one.node),
    two.send(null, {}),
    two.keep("a", "b", 1),
    two.kept("a"),
    two.drop("a"),
  ];
  for (const operation of operations) {
    assertEquals((await assertRejects(() => operation, PushError)).code, "unavailable");
  }
  await clock.advance(0);
  assertEquals(heard, []);
  two.heal();
  await clock.advance(0);
  assertEquals(heard, ["lapse"]);
  await one.send(null, { n: 1 });
  await clock.advance(0);
  assertEquals(heard, ["lapse", 'note {"n":1}']);

  two.kill();
  two.heal();
  await assertRejects(() => two.renew(), PushError);
});

Deno.test("MemoryNode keeps texts for as long as it was asked to", async () => {
  const { clock, cluster: nodes } = cluster();
  const [one, two] = [nodes.join(), nodes.join()];
  await one.keep("a", "text", 1000);
  assertEquals(await two.kept("a"), "text");
  await clock.advance(999);
  assertEquals(await two.kept("a"), "text");
  await clock.advance(1);
  assertEquals(await two.kept("a"), undefined);
  await one.keep("a", "again", 1000);
  await two.drop("a");
  assertEquals(await one.kept("a"), undefined);
});

Deno.test("a store that a MemoryNode has clustered tells the followers of its channels", async () => {
  const { clock, cluster: nodes } = cluster();
  const { push } = resolveOptions({ push: { enabled: true } });
  const data = new MemoryData();
  const members = [nodes.join(), nodes.join()].map((node) => {
    const handle = new MemoryStore({
      retention: retentionOf(push),
      limits: storeLimitsOf(push),
      random: seededRandom(1).bytes,
      data,
    });
    return { node, store: node.clustered(handle) };
  });
  const [one, two] = members;
  assertEquals(one.store.cluster, one.node);
  const heads: string[] = [];
  const stop = await two.node.follow("news", ({ head, messages }) => {
    heads.push(`${head}: ${messages.map(({ seq, payload }) => `${seq}=${payload}`)}`);
  });
  const draft = { subject: "a", origin: null, source: null, payload: "1" };
  await one.store.append("news", [draft, draft], clock.now());
  await one.store.append("other", [draft], clock.now());
  await two.store.append("news", [{ ...draft, payload: `"${"x".repeat(70_000)}"` }], clock.now());
  await clock.advance(0);
  assertEquals(heads, ["2: 1=1,2=1", "3: "]);

  two.node.cut();
  assertEquals(typeof two.store.trouble, "string");
  const refused = await assertRejects(() => two.store.read("news", 0, 1, clock.now()), PushError);
  assertEquals(refused.code, "unavailable");
  two.node.heal();
  assertEquals((await two.store.read("news", 0, 9, clock.now())).head, 3);

  stop();
  await one.store.append("news", [draft], clock.now());
  await clock.advance(0);
  assertEquals(heads.length, 2);

  await two.node.renew();
  await two.store[Symbol.asyncDispose]();
  assertEquals(nodes.isAlive(two.node.node), false);
  await assertRejects(() => two.node.renew(), PushError);
  await one.store[Symbol.asyncDispose]();
});
