import { assert, assertEquals, assertLess } from "@std/assert";
import { numbers } from "./harness.ts";
import { type NodesWorld, overNodes } from "./nodes_world.ts";

const SECOND = 1_000;

/** What arrived in a channel at clients, each once and in order. */
async function arrive(w: NodesWorld, count: number, wait: number): Promise<void> {
  await w.pass(wait);
  for (const { clients } of w.nodes) {
    for (const client of clients) assertEquals(client.data, numbers(1, count));
  }
}

Deno.test(
  "what is published at any node arrives at every node, in one order",
  overNodes({ nodes: 3 }, async (w) => {
    const clients = [];
    for (const at of [0, 1, 2]) {
      clients.push(await w.subscriber(at, `client ${at}`.replace(" ", "-"), "c"));
    }
    for (const n of numbers(1, 30)) await w.publish(n % 3, "c", n);
    await arrive(w, 30, 0);
    // All at once: whatever the order is, it is the same for all.
    const all = [0, 1, 2].flatMap((at) =>
      numbers(1, 20).map((n) => w.nodes[at].hub.publish("c", `${at * 100 + n}`, {}))
    );
    await w.settle();
    await Promise.all(all);
    const [first, ...others] = clients.map(({ data }) => data.slice(30));
    assertEquals(first.length, 60);
    for (const other of others) assertEquals(other, first);
    const seqs = clients[0].messages.map(({ seq }) => seq);
    assertEquals(seqs, numbers(1, 90));
  }),
);

Deno.test(
  "a notice brings its message at once, and no log is read for it",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(1, "bob", "c");
    w.nodes[1].interposed.reset();
    for (const n of numbers(1, 100)) await w.publish(0, "c", n);
    assertEquals(bob.data, numbers(1, 100));
    assertEquals(w.nodes[1].interposed.count("read"), 0);
    assertEquals(w.nodes[1].hub.context.metrics.logReads, 0);
  }),
);

Deno.test(
  "lost notices cost seconds, and no message",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(1, "bob", "c");
    w.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
    await w.publish(0, "c", ...numbers(1, 10));
    assertEquals(bob.data, []);
    await arrive(w, 10, 4 * SECOND);
  }),
);

Deno.test(
  "a notice that went missing is made good by the next one",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(1, "bob", "c");
    w.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
    await w.publish(0, "c", 1);
    w.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
    await w.publish(0, "c", 2);
    assertEquals(bob.data, []);
    await arrive(w, 2, 20);
    assertEquals(w.nodes[1].hub.context.metrics.logReads, 1);
  }),
);

Deno.test(
  "doubled, late and reordered notices deliver nothing twice and nothing out of order",
  overNodes({ nodes: 3, seed: 7 }, async (w) => {
    for (const at of [0, 1, 2]) await w.subscriber(at, `client-${at}`, "c");
    w.cluster.rumours = { loss: 0.2, repeats: 0.5, delay: 5, jitter: 60 };
    for (const n of numbers(1, 200)) {
      await w.publish(n % 3, "c", n);
      if (n % 5 === 0) await w.pass(7);
    }
    await arrive(w, 200, 5 * SECOND);
  }),
);

Deno.test(
  "notices that come in reverse close the row by themselves",
  overNodes({}, async (w) => {
    await w.subscriber(1, "bob", "c");
    for (const n of numbers(1, 10)) {
      w.cluster.rumours = { loss: 0, repeats: 0, delay: 12 - n, jitter: 0 };
      await w.publish(0, "c", n);
    }
    await arrive(w, 10, 15);
    assertEquals(w.nodes[1].hub.context.metrics.logReads, 0);
  }),
);

Deno.test(
  "messages that are too large for a notice are read from the log",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(1, "bob", "c");
    const large = "x".repeat(100_000);
    await w.publish(0, "c", large, large);
    await w.publish(0, "c", "small");
    await w.pass(20);
    assertEquals(bob.data.map((data) => String(data).length), [100_000, 100_000, 5]);
  }),
);

Deno.test(
  "a node that was cut off catches up when it is back, and its clients stay",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1);
    w.nodes[1].member.cut();
    await w.publish(0, "c", 2, 3);
    const refused = w.nodes[1].hub.publish("c", "4", {}).then(
      () => "stored",
      (error) => error.code,
    );
    await w.pass(2 * SECOND);
    assertEquals([await refused, bob.closed, bob.data], ["unavailable", undefined, [1]]);
    w.nodes[1].member.heal();
    await w.pass(600);
    assertEquals(bob.data, [1, 2, 3]);
    await w.publish(1, "c", 4);
    assertEquals(bob.data, [1, 2, 3, 4]);
  }),
);

Deno.test(
  "acknowledgements made while the node is cut off are stored when it is back",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1, 2);
    w.nodes[1].member.cut();
    for (const message of bob.messages) assert(await bob.ack(message));
    await w.pass(3 * SECOND);
    assertEquals(w.position("bob", "c")?.floor, 0);
    w.nodes[1].member.heal();
    await w.pass(2 * SECOND);
    assertEquals([w.position("bob", "c")?.floor, bob.closed], [2, undefined]);
  }),
);

Deno.test(
  "a subscription starts at the head that the log has when it is asked for",
  overNodes({}, async (w) => {
    await w.subscriber(1, "old", "c");
    w.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
    await w.publish(0, "c", 1, 2, 3);
    const bob = await w.connect(1, "bob");
    assertEquals((await bob.subscribe("c")).seq, 3);
    await w.publish(0, "c", 4);
    await w.pass(5 * SECOND);
    assertEquals(bob.data, [4]);
  }),
);

Deno.test(
  "a message that is stored while a subscribe is under way is not missed",
  overNodes({}, async (w) => {
    const release = w.nodes[1].interposed.hold("read");
    const bob = await w.connect(1, "bob");
    bob.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    await w.publish(0, "c", 1);
    release();
    await w.settle();
    const { seq } = bob.connection.take("channel.subscribed")[0];
    await w.publish(0, "c", 2);
    await w.pass(20);
    assertEquals(bob.data, seq === 0 ? [1, 2] : [2]);
  }),
);

Deno.test(
  "5 000 subscribers cost a handful of reads, also when they come back to 100 messages each",
  overNodes({}, async (w) => {
    const { hub, interposed } = w.nodes[1];
    const join = async () => {
      const clients = numbers(1, 5_000).map(async (n) => {
        const connection = new (await import("../../server/testing/mod.ts")).MemoryConnection();
        const terms = {
          identity: { subject: "anonymous" },
          name: `c${n}`,
          ttl: 1e8,
          wire: "extended" as const,
        };
        const { session } = await hub.attach(terms, connection);
        (await session.subscribe("c", {}, connection)).start();
        return { session, connection };
      });
      await w.settle();
      return await Promise.all(clients);
    };
    const first = await join();
    assertLess(interposed.count("read"), 10);
    await Promise.all(
      first.map(({ session, connection }) => hub.detach(session, connection, "lost")),
    );
    await w.publish(0, "c", ...numbers(1, 100));
    interposed.reset();
    const again = await join();
    await w.pass(100);
    for (const { connection } of again) {
      assertEquals(connection.take("channel_message").length, 100);
    }
    assertLess(interposed.count("read"), 10);
    assertLess(hub.context.metrics.logReads, 5);
  }),
);

Deno.test(
  "'delivered' counts the other subscribers of all nodes",
  overNodes({ nodes: 3 }, async (w) => {
    const ann = await w.subscriber(0, "ann", "c");
    await w.subscriber(1, "bob", "c");
    await w.subscriber(1, "cid", "c");
    const dan = await w.subscriber(2, "dan", "c");
    await w.pass(2 * SECOND);
    assertEquals((await ann.publish("c", 1)).delivered, 3);
    assertEquals((await w.nodes[2].hub.publish("c", "2", {})).delivered, 4);
    await dan.drop();
    await w.pass(2 * SECOND);
    assertEquals((await ann.publish("c", 3)).delivered, 2);
    w.kill(1);
    await w.pass(15 * SECOND);
    assertEquals((await ann.publish("c", 4)).delivered, 0);
  }),
);

Deno.test(
  "channels are followed while somebody listens, and no longer",
  overNodes({}, async (w) => {
    let followed = 0;
    const { member } = w.nodes[1];
    const follow = member.follow.bind(member);
    member.follow = async (...args) => {
      const stop = await follow(...args);
      followed++;
      let stopped = false;
      return () => {
        if (!stopped) followed--;
        stopped = true;
        stop();
      };
    };
    for (let round = 0; round < 3; round++) {
      const bob = await w.connect(1, "bob");
      for (const n of numbers(1, 20)) await bob.subscribe(`c${n}`);
      assertEquals(followed, 20);
      // Who publishes only follows nothing.
      await w.publish(1, "other", 1);
      assertEquals(followed, 20);
      await bob.drop();
      // A channel that goes on to be published on is followed by nobody all the same.
      for (let s = 0; s < 10; s++) {
        await w.publish(1, "c1", s);
        await w.pass(SECOND);
      }
      assertEquals(followed, 0);
    }
  }),
);
