import { assert, assertEquals } from "@std/assert";
import type { Json } from "@push/client/protocol";
import { seededRandom } from "../../server/testing/mod.ts";
import {
  LEASE,
  type NodeWorld,
  type PresenceNodes,
  SECOND,
  told,
  withNodes,
} from "./presence_nodes.ts";
import type { TestClient } from "./test_client.ts";

for (const sharesSessions of [true, false]) {
  const where = sharesSessions ? "sessions are shared" : "each node has sessions of its own";

  Deno.test(
    `presence is one list for all nodes, and who shares a channel hears of all (${where})`,
    withNodes(async (nodes) => {
      const [one, two] = [await nodes.add(), await nodes.add()];
      const ann = await one.subscriber("ann", "c");
      await nodes.pass(2 * SECOND);
      const bob = await two.subscriber("bob", "c");
      await nodes.pass(2 * SECOND);
      assertEquals(told(ann), ["join bob online"]);
      assertEquals([one.list("c"), two.list("c")], [["ann", "bob"], ["ann", "bob"]]);
      assertEquals([one.list(), two.list()], [["ann", "bob"], ["ann", "bob"]]);
      assertEquals([one.hub.presence.size, two.hub.presence.size], [2, 2]);

      await bob.heartbeat("busy", { mood: "good" });
      await nodes.pass(2 * SECOND);
      assertEquals(told(ann), ["update bob busy"]);
      const [, entry] = one.hub.presence.list("c");
      assertEquals([entry.status, entry.metadata, entry.channels], ["busy", { mood: "good" }, [
        "c",
      ]]);

      await bob.unsubscribe("c");
      await nodes.pass(2 * SECOND);
      assertEquals(told(ann), ["leave bob offline"]);
      assertEquals([one.list("c"), one.list()], [["ann"], ["ann", "bob"]]);
      await bob.subscribe("c");
      await nodes.pass(2 * SECOND);
      assertEquals(told(ann), ["join bob busy"]);
      await bob.leave();
      await nodes.pass(2 * SECOND);
      assertEquals(told(ann), ["leave bob offline"]);
      assertEquals([one.list(), two.list()], [["ann"], ["ann"]]);
    }, { sharesSessions }),
  );

  Deno.test(
    `a client that moves neither leaves nor joins, and is never there twice (${where})`,
    withNodes(async (nodes) => {
      const all = [await nodes.add(), await nodes.add(), await nodes.add()];
      const [one, two, three] = all;
      const watchers = [
        await one.subscriber("ann", "c"),
        await three.subscriber("eve", "c", "extended"),
      ];
      const bob = await one.subscriber("bob", "c");
      await bob.heartbeat("busy", { mood: "good" });
      await nodes.pass(5 * SECOND);
      watchers.forEach(told);

      const moved = await two.connect("bob");
      for (let i = 0; i < 20; i++) {
        await nodes.pass(100);
        for (const node of all) assertEquals(node.list("c"), ["ann", "bob", "eve"]);
      }
      await moved.subscribe("c");
      await nodes.pass(120 * SECOND);
      for (const each of [...watchers, moved]) each.say({ type: "ping" });
      await nodes.pass(2 * SECOND);
      assertEquals(watchers.map((each) => told(each).filter((it) => it.includes("bob"))), [[], []]);
      const statuses = one.hub.presence.list("c").map((
        { client_id, status },
      ) => [client_id, status]);
      assertEquals(statuses.sort(), [["ann", "online"], ["bob", "busy"], ["eve", "online"]]);

      // What is left of it where it was is over: the leave counts at once.
      await moved.leave();
      await nodes.pass(2 * SECOND);
      assertEquals(watchers.map(told), [["leave bob offline"], ["leave bob offline"]]);
      for (const node of all) assertEquals(node.list("c"), ["ann", "eve"]);
    }, { sharesSessions, presence: { offlineTimeout: 600 * SECOND } }),
  );
}

Deno.test(
  "a client that moves and does not come back to a channel leaves it after the grace",
  withNodes(async (nodes) => {
    const [one, two] = [await nodes.add(), await nodes.add()];
    const ann = await one.subscriber("ann", "c");
    await one.subscriber("bob", "c");
    await nodes.pass(2 * SECOND);
    told(ann);
    const moved = await two.connect("bob");
    await nodes.pass(50 * SECOND);
    assertEquals(told(ann), []);
    await nodes.pass(12 * SECOND);
    assertEquals(told(ann), ["leave bob offline"]);
    assertEquals([one.list("c"), one.list()], [["ann"], ["ann", "bob"]]);
    await moved.leave();
  }, { presence: { offlineTimeout: 600 * SECOND } }),
);

Deno.test(
  "a client whose node was killed is gone after a lease, told once",
  withNodes(async (nodes) => {
    const [one, two, three] = [await nodes.add(), await nodes.add(), await nodes.add()];
    const ann = await one.subscriber("ann", "c");
    const eve = await three.subscriber("eve", "c");
    await two.subscriber("bob", "c");
    await nodes.pass(2 * SECOND);
    for (const each of [ann, eve]) told(each);
    two.kill();
    await nodes.pass(LEASE + LEASE / 4 + SECOND);
    for (const each of [ann, eve]) assertEquals(told(each), ["leave bob offline"]);
    for (const node of [one, three]) assertEquals(node.list(), ["ann", "eve"]);
  }),
);

Deno.test(
  "a client whose node was killed and that came to another one was never away",
  withNodes(async (nodes) => {
    const [one, two] = [await nodes.add(), await nodes.add()];
    const ann = await one.subscriber("ann", "c");
    await two.subscriber("bob", "c");
    await nodes.pass(2 * SECOND);
    told(ann);
    two.kill();
    await nodes.pass(3 * SECOND);
    await one.subscriber("bob", "c");
    await nodes.pass(3 * LEASE);
    assertEquals(told(ann), []);
    assertEquals(one.list("c"), ["ann", "bob"]);
  }),
);

Deno.test(
  "a node that stops leaves its clients a lease to come to another one",
  withNodes(async (nodes) => {
    const [one, two] = [await nodes.add(), await nodes.add()];
    const ann = await one.subscriber("ann", "c");
    await two.subscriber("bob", "c");
    await two.subscriber("eve", "c");
    await nodes.pass(2 * SECOND);
    told(ann);
    await two.stop();
    assertEquals(one.hub.context.roster!.nodes, [one.node.node]);
    await nodes.pass(SECOND);
    await one.subscriber("bob", "c");
    await nodes.pass(2 * LEASE);
    assertEquals(told(ann), ["leave eve offline"]);
    assertEquals(one.list("c"), ["ann", "bob"]);
  }),
);

Deno.test(
  "presence converges though changes are lost, doubled and late",
  withNodes(async (nodes) => {
    const [one, two] = [await nodes.add(), await nodes.add()];
    const ann = await one.subscriber("ann", "c", "extended");
    nodes.cluster.rumours = { loss: 0.4, repeats: 0.3, delay: 20, jitter: 500 };
    const names = ["bob", "cat", "dan", "eve", "fay"];
    const clients = [];
    for (const name of names) clients.push(await two.subscriber(name, "c"));
    for (let i = 0; i < 30; i++) {
      await clients[i % 5].heartbeat(`status ${i}`);
      if (i % 4 === 0) await clients[i % 5].unsubscribe("c");
      else await clients[i % 5].subscribe("c");
      await nodes.pass(300);
    }
    for (const each of [...clients, ann]) await each.heartbeat("last");
    await clients[0].leave();
    await nodes.pass(LEASE);
    const entries = one.hub.presence.list("c").map(({ client_id, status }) => [client_id, status]);
    const expected = two.hub.presence.list("c").map(({ client_id, status }) => [client_id, status]);
    assertEquals(entries.sort(), expected.sort());
    assert(expected.length > 1);
    // Whoever believes what was told knows the same.
    const known = new Map<string, string>();
    for (const frame of ann.connection.take("presence_diff")) {
      for (const { client_id, status } of [...frame.joins, ...frame.updates]) {
        known.set(client_id, status);
      }
      for (const { client_id } of frame.leaves) known.delete(client_id);
    }
    known.set("ann", "last");
    assertEquals([...known].sort(), expected.sort());
    nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
    await nodes.pass(SECOND);
  }, { presence: { offlineTimeout: 600 * SECOND } }),
);

Deno.test(
  "a node that was cut off comes back: others have told its leaves, and tell its joins",
  withNodes(async (nodes) => {
    const [one, two] = [await nodes.add(), await nodes.add()];
    const ann = await one.subscriber("ann", "c");
    const bob = await two.subscriber("bob", "c");
    await nodes.pass(2 * SECOND);
    for (const each of [ann, bob]) told(each);
    two.node.cut();
    await nodes.pass(LEASE + LEASE / 4 + SECOND);
    assertEquals(told(ann), ["leave bob offline"]);
    assertEquals(two.list("c"), ["ann", "bob"]);
    two.node.heal();
    await nodes.pass(3 * SECOND);
    assertEquals(told(ann), ["join bob online"]);
    assertEquals(told(bob), []);
    assertEquals([one.list("c"), two.list("c")], [["ann", "bob"], ["ann", "bob"]]);
  }),
);

Deno.test(
  "a node that starts announces nobody who was there before, and lists all",
  withNodes(async (nodes) => {
    const one = await nodes.add();
    for (const name of ["ann", "bob", "cat"]) await one.subscriber(name, "c");
    await nodes.pass(2 * SECOND);
    const two = await nodes.add();
    assertEquals(two.list("c"), ["ann", "bob", "cat"]);
    const eve = await two.subscriber("eve", "c");
    await nodes.pass(5 * SECOND);
    assertEquals(told(eve), []);
  }),
);

Deno.test(
  "no storm: a node with 10 000 members that vanishes is no event to anybody beyond the limits",
  withNodes(async (nodes) => {
    const [one, two] = [await nodes.add(), await nodes.add()];
    const ann = await one.subscriber("ann", "c");
    const eve = await one.subscriber("eve", "c", "extended");
    const rows = Array.from({ length: 10_000 }, (_, i): [string, Json] => [
      `m:n:client ${i}:anonymous`,
      {
        client_id: `client ${i}`,
        status: "online",
        metadata: {},
        channels: ["c"],
        last_seen: nodes.clock.now(),
        online: true,
        generation: i + 10,
      },
    ]);
    for (const [key, row] of rows) two.hub.context.roster!.set(key, row);
    await nodes.pass(3 * SECOND);
    assertEquals(one.list("c").length, 10_002);
    for (const each of [ann, eve]) told(each);
    const before = [ann.frames.length, eve.frames.length];
    two.kill();
    await nodes.pass(LEASE + LEASE / 4 + SECOND);
    assertEquals(one.list("c"), ["ann", "eve"]);
    assertEquals([ann.frames.length, eve.frames.length], before);
  }),
);

Deno.test(
  "the last sign of life of a client on another node is known to half of offlineTimeout",
  withNodes(async (nodes) => {
    const [one, two] = [await nodes.add(), await nodes.add()];
    const bob = await two.connect("bob");
    for (let i = 0; i < 20; i++) {
      await nodes.pass(7 * SECOND);
      await bob.heartbeat();
      const [entry] = one.hub.presence.list(null);
      const age = nodes.clock.now() / 1000 - entry.last_seen;
      // Half of the timeout, a sweep, and a heartbeat.
      assert(age <= 30 + 10 + 8, `${age} seconds old`);
    }
    await nodes.pass(71 * SECOND);
    assertEquals([one.list(), two.list()], [[], []]);
  }, { presence: { offlineTimeout: 60 * SECOND } }),
);

Deno.test(
  "rows that no node of this version has written are passed over",
  withNodes(async (nodes) => {
    const [one, two] = [await nodes.add(), await nodes.add()];
    const foreign: Json[] = [1, "a", [], {}, { client_id: "x" }, { client_id: 1, channels: [2] }];
    for (const row of foreign) {
      two.hub.context.roster!.set(`m:${JSON.stringify(row)}`, row);
    }
    two.hub.context.roster!.set("something else", { online: true });
    await two.connect("bob");
    await nodes.pass(SECOND);
    assertEquals(one.list(), ["bob"]);
  }),
);

/** Clients come, move and go while rumours are lost and nodes die or are cut off. */
async function history(nodes: PresenceNodes, seed: number): Promise<number> {
  const random = seededRandom(seed);
  let living = [await nodes.add(), await nodes.add(), await nodes.add()];
  const watcher = await living[0].subscriber("watcher", "room", "extended");
  const present = new Map<string, { client: TestClient; node: NodeWorld }>();
  nodes.cluster.rumours = { loss: 0.1, repeats: 0.1, delay: 5, jitter: 100 };
  for (let step = 0; step < 60; step++) {
    const name = `c${random.below(6)}`;
    const node = random.pick(living);
    const what = random.below(20);
    const known = present.get(name);
    if (what === 0) node.node.cut();
    else if (what === 1 && living.length > 2 && node !== living[0]) {
      node.kill();
      living = living.filter((each) => each !== node);
      for (const [each, { node: at }] of present) if (at === node) present.delete(each);
    } else if (what === 2) living.push(await nodes.add());
    else if (what < 6 && known !== undefined) {
      present.delete(name);
      await known.client.leave();
    } else if (what < 14 && node.node.isWell) {
      const client = await node.connect(name);
      // A client has one connection; that the other one is gone may be noticed late.
      await known?.client.drop();
      client.say({ type: "channel.subscribe", channel: "room" });
      await nodes.pass(500);
      // Over a store that fails in between it does not.
      if (client.frames.some(({ type }) => type === "channel.subscribed")) {
        present.set(name, { client, node });
      } else await client.leave();
    } else for (const { node } of living) if (random.below(2) === 0) node.heal();
    await nodes.pass(random.below(random.below(10) === 0 ? LEASE : 400));
    for (const each of living) {
      const list = each.list("room");
      assertEquals(list, [...new Set(list)], `seed ${seed}: a client is there twice`);
    }
  }
  for (const { node } of living) node.heal();
  nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
  // Who only lost a connection has the grace to come back; who moved or left is not waited for.
  await nodes.pass(nodes.cluster.sharesSessions ? 3 * LEASE : 90 * SECOND);
  const expected = [...present].filter(([, { client }]) => client.closed === undefined)
    .map(([name]) => name).concat("watcher").sort();
  for (const each of living) assertEquals(each.list("room"), expected, `seed ${seed}`);
  // Whoever believes what was told knows the same.
  const known = new Set(["watcher"]);
  for (const { joins, leaves } of watcher.connection.take("presence_diff")) {
    for (const { client_id } of joins) known.add(client_id);
    for (const { client_id } of leaves) known.delete(client_id);
  }
  assertEquals([...known].sort(), expected, `seed ${seed}`);
  return expected.length - 1;
}

for (const sharesSessions of [true, false]) {
  const where = sharesSessions ? "sessions are shared" : "each node has sessions of its own";
  Deno.test(`whatever happens, every node comes to list the same clients, once each (${where})`, async () => {
    let present = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const presence = { offlineTimeout: 3600 * SECOND };
      const run = async (nodes: PresenceNodes) => void (present += await history(nodes, seed));
      await withNodes(run, { sharesSessions, presence })();
    }
    assert(present > 20);
  });
}
