import { assert, assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { numbers } from "./harness.ts";
import { NodesWorld, overNodes } from "./nodes_world.ts";

const SECOND = 1_000;
const LOST = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
const WELL = { loss: 0, repeats: 0, delay: 0, jitter: 0 };

Deno.test(
  "a client that moves goes on where it was: nothing acknowledged comes again, nothing is lost",
  overNodes({}, async (w) => {
    const old = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    await w.publish(0, "c", 1, 2, 3);
    // Acknowledged, and not stored yet.
    for (const message of old.messages.slice(0, 2)) assert(await old.ack(message));
    assertEquals(w.position("bob", "c")?.floor, 0);
    const bob = await w.subscriber(1, "bob", "c", { wire: "fixed" });
    assertEquals(old.closed, "replaced");
    assertEquals(bob.messages.map((m) => [m.data, m._redelivered]), [[3, true]]);
    await w.publish(0, "c", 4);
    assertEquals(bob.data, [3, 4]);
    assertEquals(old.data, [1, 2, 3]);
  }),
);

Deno.test(
  "a client that moves back and forth never goes on from what a node remembers of it",
  overNodes({}, async (w) => {
    for (const n of numbers(1, 10)) {
      const bob = await w.subscriber(n % 2, "bob", "c", { wire: "fixed" });
      await w.publish(0, "c", n);
      assertEquals(bob.data, [n]);
      assert(await bob.ack(bob.messages[0]));
      if (n % 3 === 0) await bob.drop();
    }
  }),
);

Deno.test(
  "where the holder does not answer the session is taken from it: the older connection is closed",
  overNodes({}, async (w) => {
    const old = await w.subscriber(0, "bob", "c");
    await w.publish(0, "c", 1);
    w.cluster.rumours = LOST;
    const bob = await w.connect(1, "bob");
    assertEquals(bob.frames, []);
    await w.pass(250);
    assert(bob.frames.some(({ type }) => type === "connected"));
    await bob.subscribe("c");
    assertEquals(bob.data, [1]);
    // Nobody told the holder, and it finds out.
    assertEquals(old.closed, undefined);
    await w.pass(6 * SECOND);
    assertEquals(old.closed, "replaced");
    w.cluster.rumours = WELL;
  }),
);

Deno.test(
  "what a stale connection acknowledges, refuses or ends changes nothing",
  overNodes({}, async (w) => {
    const old = await w.subscriber(0, "bob", "c");
    await w.publish(0, "c", 1, 2);
    w.cluster.rumours = LOST;
    const bob = await w.connect(1, "bob");
    await w.pass(250);
    await bob.subscribe("c");
    await old.ackUpTo(old.messages[1]);
    await w.pass(SECOND);
    assertEquals(w.position("bob", "c")?.floor, 0);
    assertEquals(old.closed, "replaced");
    await bob.drop();
    w.cluster.rumours = WELL;
    const again = await w.subscriber(0, "bob", "c");
    assertEquals(again.data, [1, 2]);
  }),
);

Deno.test(
  "a delayed older claim never takes the session from a newer one",
  overNodes({}, async (w) => {
    const bob = await w.connect(0, "bob", { instance: "i", attempt: 2 });
    const delayed = await w.connect(1, "bob", { instance: "i", attempt: 1 });
    await w.pass(SECOND);
    assertEquals([bob.closed, delayed.closed], [undefined, "replaced"]);
  }),
);

Deno.test(
  "a request to let go that is late takes the session from nobody who came since",
  overNodes({ nodes: 3 }, async (w) => {
    await w.connect(0, "bob");
    // What the nodes say takes far longer than anybody waits.
    w.cluster.rumours = { loss: 0, repeats: 1, delay: 3 * SECOND, jitter: 0 };
    await w.connect(1, "bob");
    await w.pass(300);
    await w.connect(2, "bob");
    await w.pass(300);
    const last = await w.subscriber(0, "bob", "c");
    await w.pass(300);
    await w.pass(20 * SECOND);
    assertEquals(last.closed, undefined);
    const open = w.nodes.flatMap(({ clients }) => clients).filter(({ closed }) => !closed);
    assertEquals(open.length, 1);
  }),
);

Deno.test(
  "a word to let go that is late takes the session from nobody who came since",
  overNodes({}, async (w) => {
    await w.connect(0, "bob");
    w.cluster.rumours = { ...WELL, delay: 90 };
    await w.connect(1, "bob");
    // The holder has said by which claim it holds, and is told to let go much later.
    await w.pass(120);
    w.cluster.rumours = { ...WELL, delay: 3 * SECOND };
    await w.pass(180);
    const last = await w.connect(0, "bob");
    await w.pass(300);
    w.cluster.rumours = WELL;
    await w.pass(10 * SECOND);
    assertEquals(last.closed, undefined);
    assert(last.frames.some(({ type }) => type === "connected"));
  }),
);

Deno.test(
  "of two connections that are being opened at two nodes, the later one stays, whichever is faster",
  overNodes({ nodes: 3 }, async (w) => {
    await w.connect(0, "bob");
    w.cluster.rumours = { ...WELL, delay: 200 };
    const slow = w.dial(1, "bob");
    slow.say({ type: "ping" });
    await w.pass(60);
    w.cluster.rumours = WELL;
    const fast = await w.connect(2, "bob", { wire: "fixed" });
    await w.pass(SECOND);
    assertEquals([slow.closed, fast.closed], ["replaced", undefined]);
    assertEquals(fast.frames.map(({ type }) => type), ["pong"]);
  }),
);

Deno.test(
  "a client that comes to another node after the clock was set back is the newer one",
  overNodes({}, async (w) => {
    const old = await w.subscriber(0, "bob", "c");
    w.clock.jump(-3_600_000);
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1);
    assertEquals([old.closed, bob.closed, bob.data], ["replaced", undefined, [1]]);
  }),
);

Deno.test(
  "a client whose older attempt a busy node hears of late keeps the newer one",
  overNodes({ nodes: 3 }, async (w) => {
    await w.connect(0, "bob", { instance: "i", attempt: 1 });
    w.cluster.rumours = { ...WELL, delay: 100 };
    const newer = await w.connect(1, "bob", { instance: "i", attempt: 3 });
    await w.pass(60);
    w.cluster.rumours = WELL;
    const older = await w.connect(2, "bob", { instance: "i", attempt: 2 });
    await w.pass(SECOND);
    assertEquals([older.closed, newer.closed], ["replaced", undefined]);
    assert(newer.frames.some(({ type }) => type === "connected"));
  }),
);

Deno.test(
  "a node that changes the subscriptions of a session lets it go when that is done",
  overNodes({}, async (w) => {
    const old = await w.connect(0, "bob");
    const release = w.nodes[0].interposed.hold("commit");
    old.say({ type: "channel.subscribe", channel: "c" });
    const bob = w.dial(1, "bob");
    bob.say({ type: "ping" });
    await w.pass(SECOND);
    assertEquals([old.closed, bob.frames], [undefined, []]);
    release();
    await w.pass(10);
    assertEquals(old.frames.at(-1)?.type, "channel.subscribed");
    assertEquals([old.closed, bob.frames.at(-1)?.type], ["replaced", "pong"]);
  }),
);

Deno.test(
  "a session is taken from a node that does not get done with changing it",
  overNodes({}, async (w) => {
    const old = await w.connect(0, "bob");
    w.nodes[0].interposed.hold("commit");
    old.say({ type: "channel.subscribe", channel: "c" });
    const bob = w.dial(1, "bob");
    bob.say({ type: "ping" });
    await w.pass(3 * SECOND);
    assertEquals([old.closed, bob.frames.at(-1)?.type], ["replaced", "pong"]);
  }),
);

Deno.test("a node that stops waits for no change any more", async () => {
  const w = new NodesWorld({});
  await w.start();
  const old = await w.connect(0, "bob");
  w.nodes[0].interposed.hold("commit");
  old.say({ type: "channel.subscribe", channel: "c" });
  const bob = w.dial(1, "bob");
  bob.say({ type: "ping" });
  await w.pass(100);
  w.kill(0);
  w.nodes[1].hub.stop();
  assertEquals(w.clock.pending, 0);
});

for (const operation of ["claim", "release"] as const) {
  Deno.test(`a drain ends though the store never answers '${operation}'`, async () => {
    const w = new NodesWorld({ nodes: 1 });
    await w.start();
    await w.connect(0, "bob");
    w.nodes[0].interposed.hold(operation);
    // An older connection of its client is attached.
    w.dial(0, "bob").say({ type: "ping" });
    await w.settle();
    const drained = w.nodes[0].hub.drain();
    await w.pass(60 * SECOND);
    await drained;
    w.nodes[0].hub.stop();
  });
}

Deno.test(
  "a late message that its new node has not heard of yet is waited for, and no gap is told",
  overNodes({}, async (w) => {
    await w.subscriber(1, "ann", "c");
    const old = await w.subscriber(0, "bob", "c");
    w.cluster.rumours = LOST;
    await w.publish(0, "c", 1, 2, 3);
    assertEquals(old.data, [1, 2, 3]);
    await old.nack(old.messages[1], 1);
    w.cluster.rumours = WELL;
    const bob = await w.subscriber(1, "bob", "c");
    await w.pass(SECOND);
    assertEquals(bob.frames.filter(({ type }) => type === "channel.gap"), []);
    assertEquals(new Set(bob.data), new Set([1, 2, 3]));
  }),
);

for (const sharesSessions of [true, false]) {
  const where = sharesSessions ? "shared sessions" : "own sessions";
  Deno.test(
    `of connections to several nodes at the same moment exactly one stays (${where})`,
    async () => {
      for (let seed = 1; seed <= 10; seed++) {
        await overNodes({ nodes: 3, seed, sharesSessions }, async (w) => {
          // Words of the first seeds arrive at once; others cross.
          const delay = seed % 4;
          w.cluster.rumours = { loss: 0, repeats: 0, delay, jitter: 5 * delay };
          const clients = [0, 1, 2, 0, 1, 2].map((at) => w.dial(at, "bob"));
          for (const client of clients) {
            client.say({ type: "channel.subscribe", channel: "c" });
            await w.pass(w.random.below(1 + 2 * delay));
          }
          await w.pass(8 * SECOND);
          const [bob, ...others] = clients.filter(({ closed }) => closed === undefined);
          assert(bob !== undefined && others.length === 0, `seed ${seed}`);
          await w.publish(0, "c", 1);
          await w.pass(SECOND);
          assertEquals(bob.data, [1], `seed ${seed}`);
        })();
      }
    },
  );
}

Deno.test(
  "clients of a killed node go on at another one, and nothing that was stored is lost",
  overNodes({}, async (w) => {
    const old = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    await w.publish(0, "c", 1, 2);
    assert(await old.ack(old.messages[0]));
    await w.pass(SECOND);
    assert(await old.ack(old.messages[1]));
    w.kill(0);
    await w.publish(1, "c", 3);
    const bob = await w.connect(1, "bob", { wire: "fixed" });
    await w.pass(250);
    await bob.subscribe("c");
    // What was acknowledged within the last second may come again; it says so.
    assertEquals(bob.messages.map((m) => [m.data, m._redelivered]), [[2, true], [3, undefined]]);
  }),
);

Deno.test(
  "a session whose node is known to be dead is taken over without waiting for it",
  overNodes({}, async (w) => {
    await w.subscriber(0, "bob", "c");
    w.kill(0);
    await w.pass(9 * SECOND);
    w.nodes[1].hub.context.roster!.isAlive = () => false;
    const bob = await w.connect(1, "bob");
    assert(bob.frames.some(({ type }) => type === "connected"));
  }),
);

Deno.test(
  "attached sessions are renewed, so that no other node takes them for released",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    await w.pass(60 * SECOND);
    await w.publish(1, "c", 1);
    assert(await bob.ack(bob.messages[0]));
    // Held still: another node has to ask.
    let asked = 0;
    w.nodes[0].interposed.before = ({ operation }) =>
      void (asked += operation === "release" ? 1 : 0);
    await w.connect(1, "bob");
    assertEquals([asked, bob.closed], [1, "replaced"]);
  }),
);

Deno.test(
  "a claim whose outcome is unknown is asked again, and counts once",
  overNodes({}, async (w) => {
    const old = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    await w.publish(0, "c", 1);
    assert(await old.ack(old.messages[0]));
    let unknown = 0;
    w.nodes[0].interposed.after = ({ operation }) => {
      if (operation !== "claim" || ++unknown > 3) return;
      throw new PushError("outcome_unknown");
    };
    const bob = await w.connect(0, "bob", { wire: "fixed" });
    await w.pass(2 * SECOND);
    assertEquals([bob.errors, bob.closed, old.closed], [[], undefined, "replaced"]);
    await bob.subscribe("c");
    await w.publish(1, "c", 2);
    assertEquals(bob.data, [2]);
  }),
);

Deno.test(
  "a release that failed is asked for again until it is answered",
  overNodes({}, async (w) => {
    const bob = await w.connect(0, "bob", { sessionTtl: 30 });
    await bob.subscribe("c");
    w.nodes[0].interposed.before = ({ operation }) => {
      if (operation === "release") throw new PushError("unavailable");
    };
    await bob.drop();
    await w.pass(6 * SECOND);
    w.nodes[0].interposed.before = undefined;
    w.nodes[0].interposed.reset();
    await w.pass(10 * SECOND);
    assertEquals(w.nodes[0].interposed.count("release"), 1);
    await w.pass(40 * SECOND);
    assertEquals(w.position("bob", "c"), undefined);
  }),
);

Deno.test(
  "an end that failed is void once the client is back",
  overNodes({}, async (w) => {
    const bob = await w.connect(0, "bob", { sessionTtl: 0 });
    w.nodes[0].interposed.before = ({ operation }) => {
      if (operation === "end") throw new PushError("unavailable");
    };
    await bob.drop();
    await w.pass(3 * SECOND);
    const again = await w.subscriber(1, "bob", "c");
    w.nodes[0].interposed.before = undefined;
    await w.pass(10 * SECOND);
    await w.publish(0, "c", 1);
    assertEquals([again.data, again.closed], [[1], undefined]);
  }),
);

Deno.test(
  "retries and the dead letter are one node's, whichever has the client",
  overNodes({ delivery: { ackTimeout: 4 * SECOND, maxRetries: 2, retryBackoff: 1 } }, async (w) => {
    const old = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    await w.publish(0, "c", 1);
    await w.pass(7 * SECOND);
    assertEquals(old.messages.map((m) => m._retry_count), [undefined, 1]);
    const bob = await w.subscriber(1, "bob", "c", { wire: "fixed" });
    await w.pass(60 * SECOND);
    assertEquals(bob.messages.map((m) => m._retry_count), [1, 2]);
    assertEquals(old.messages.length, 2);
    const letters = await w.nodes[0].hub.deadLetters({ limit: 10 });
    assertEquals(letters.map(({ message, attempts }) => [message.seq, attempts]), [[1, 3]]);
    const dead = w.nodes.map(({ hub }) => hub.context.metrics.deadLettered);
    assertEquals(dead, [0, 1]);
  }),
);

for (const told of [true, false]) {
  Deno.test(
    `what is put back at another node comes again to a client that is connected${
      told ? "" : ", though the note is lost"
    }`,
    overNodes({ delivery: { ackTimeout: SECOND, maxRetries: 0 } }, async (w) => {
      const bob = await w.subscriber(0, "bob", "c", { wire: "fixed" });
      await w.publish(0, "c", 1);
      await w.pass(5 * SECOND);
      bob.take();
      w.cluster.rumours = told ? { loss: 0, repeats: 1, delay: 0, jitter: 10 } : LOST;
      const redriven = w.nodes[1].hub.redrive({ limit: 10 });
      await w.pass(told ? 20 : 6 * SECOND);
      assertEquals((await redriven).length, 1);
      const again = bob.take();
      assertEquals(again.map(({ _redriven }) => _redriven), [true]);
      if (told) assert(await bob.ack(again[0]));
      await w.pass(told ? 20 * SECOND : 0);
      assertEquals(bob.take().length, 0);
      w.cluster.rumours = WELL;
    }),
  );
}

Deno.test(
  "a poller that comes to another node gets what was never sent, and no more until that is overdue",
  overNodes({ delivery: { ackTimeout: 4 * SECOND, retryBackoff: 1 } }, async (w) => {
    const first = await w.hubClient(0, "bob", "c");
    await w.publish(0, "c", 1, 2);
    const { epoch } = await w.log("c");
    const { session, connection } = await w.hubClient(1, "bob", "c", first.session.holder);
    await w.publish(0, "c", 3);
    const seqs = () => connection.take("channel_message").map(({ seq }) => seq);
    assertEquals(seqs(), [3]);
    // The acknowledgement of what the other node has sent counts.
    assert(session.ackEvent(`${epoch}:1:c`, connection));
    assertEquals(session.ackEvent(`${epoch}:1:c`, connection), false);
    await w.pass(3 * SECOND);
    assertEquals(seqs(), []);
    await w.pass(4 * SECOND);
    assertEquals(seqs(), [2, 3]);
    assertEquals(first.connection.closed?.code, "replaced");
  }),
);

Deno.test(
  "a poller that is not the last holder any more is refused",
  overNodes({}, async (w) => {
    const first = await w.hubClient(0, "bob", "c");
    const newest = await w.hubClient(1, "bob", "c");
    await w.pass(300);
    const refused = w.hubClient(0, "bob", "c", first.session.holder).then(
      () => "attached",
      (error) => error.code,
    );
    await w.pass(300);
    assertEquals([await refused, newest.connection.closed], ["replaced", undefined]);
  }),
);

Deno.test(
  "where each node has its own sessions, the newest connection of a client wins all the same",
  overNodes({ sharesSessions: false, nodes: 3 }, async (w) => {
    const first = await w.subscriber(0, "bob", "c", { instance: "i", attempt: 1 });
    const second = await w.subscriber(1, "bob", "c", { instance: "i", attempt: 2 });
    assertEquals([first.closed, second.closed], ["replaced", undefined]);
    // Its older claim comes late: it has come to a node that knows nothing.
    w.cluster.rumours = { loss: 0, repeats: 1, delay: 50, jitter: 50 };
    const third = await w.subscriber(0, "bob", "c", { instance: "i", attempt: 3 });
    await w.pass(200);
    assertEquals([second.closed, third.closed], ["replaced", undefined]);
    await w.publish(2, "c", 1);
    await w.pass(200);
    assertEquals([first.data, second.data, third.data], [[], [], [1]]);
  }),
);

Deno.test(
  "where each node has its own sessions, a client brings its position along",
  overNodes({ sharesSessions: false }, async (w) => {
    const old = await w.subscriber(0, "bob", "c");
    await w.publish(0, "c", 1, 2, 3);
    const { epoch } = await w.log("c");
    await old.drop();
    const position = { epoch, seq: 2, open: [1, 1] };
    const bob = await w.connect(1, "bob", { subscriptions: [{ channel: "c", position }] });
    assertEquals(bob.data, [3]);
    // Only what the first node had of it is forgotten.
    const again = await w.connect(0, "bob", { wire: "fixed" });
    await again.subscribe("c");
    assertEquals([again.data, bob.closed], [[], "replaced"]);
  }),
);

Deno.test(
  "a client id that another gateway minted is taken by nobody who lacks its secret",
  overNodes({ sharesSessions: false }, async (w) => {
    const dial = (at: number, client_id?: string, secret?: string) => {
      const client = w.dial(at);
      const instance = `instance ${at}`;
      client.say({ type: "connect", version: 1, instance, attempt: 9, client_id, secret });
      return client;
    };
    const bob = dial(0);
    await w.settle();
    const { client_id } = bob.connection.take("connected")[0];
    const thief = dial(1, client_id, "guessed");
    await w.settle();
    assertEquals(bob.closed, undefined);
    await thief.drop();
  }),
);
