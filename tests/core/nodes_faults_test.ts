import { assert, assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import type { AppendResult } from "../../server/stores/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import { Engine } from "./failover_store.ts";
import { numbers } from "./harness.ts";
import { NodesWorld, overNodes, type WorldNode } from "./nodes_world.ts";

const SECOND = 1_000;
const WELL = { loss: 0, repeats: 0, delay: 0, jitter: 0 };

/** The next append's answer is lost and asked for again, after others have appended, too. */
function answerLate({ interposed }: WorldNode, others: () => Promise<void>): void {
  const { target } = interposed;
  interposed.target = new Proxy(target, {
    get(_, key) {
      const value = Reflect.get(target, key);
      if (key !== "append") return typeof value === "function" ? value.bind(target) : value;
      return async (...args: Parameters<typeof target.append>): Promise<AppendResult> => {
        interposed.target = target;
        const result = await target.append(...args);
        await others();
        const [state] = await target.states([args[0]], args[2]);
        return { ...result, ...state! };
      };
    },
  });
}

Deno.test(
  "an append whose answer comes after what others have appended leaves the row whole",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(0, "bob", "c");
    const [one, two] = w.nodes;
    answerLate(one, async () => {
      for (const delay of [11, 15]) {
        w.cluster.rumours = { ...WELL, delay };
        await two.hub.publish("c", `${delay}`, {});
      }
    });
    w.cluster.rumours = { ...WELL, delay: 10 };
    const published = one.hub.publish("c", "10", {});
    await w.pass(10);
    assertEquals((await published).seq, 1);
    assertEquals(bob.data, [10]);
    await w.pass(10);
    assertEquals(bob.data, [10, 11, 15]);
    w.cluster.rumours = WELL;
    await w.publish(1, "c", ...numbers(16, 18));
    await w.pass(SECOND);
    assertEquals(bob.messages.map(({ seq }) => seq), numbers(1, 6));
  }),
);

Deno.test(
  "a client that attaches while its node drains is sent away, and another node has it at once",
  overNodes({}, async (w) => {
    const old = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    await w.publish(0, "c", 1, 2);
    const [{ hub, interposed }] = w.nodes;
    const release = interposed.hold("claim");
    const late = w.dial(0, "bob");
    late.say({ type: "ping" });
    await w.settle();
    assert(await old.ack(old.messages[0]));
    let isDrained = false;
    const drained = hub.drain().then(() => isDrained = true);
    await w.pass(SECOND);
    assertEquals(isDrained, false);
    release();
    await w.settle();
    await drained;
    assertEquals([late.closed, hub.sessionCount], ["going_away", 0]);
    // Nobody has to be asked for it.
    w.cluster.rumours = { ...WELL, loss: 1 };
    const bob = await w.subscriber(1, "bob", "c", { wire: "fixed" });
    assertEquals(bob.data, [2]);
    w.cluster.rumours = WELL;
  }),
);

Deno.test(
  "a drain waits until its last clients are let go",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    await w.publish(0, "c", 1);
    const [{ hub, interposed }] = w.nodes;
    const release = interposed.hold("release");
    assert(await bob.ack(bob.messages[0]));
    await bob.drop();
    let isDrained = false;
    const drained = hub.drain().then(() => isDrained = true);
    await w.pass(SECOND);
    assertEquals(isDrained, false);
    release();
    await w.settle();
    await drained;
    assertEquals(w.position("bob", "c")?.floor, 1);
    // Nobody has to be asked for it.
    w.cluster.rumours = { ...WELL, loss: 1 };
    const again = await w.connect(1, "bob", { wire: "fixed" });
    assertEquals(again.frames.map(({ type }) => type), ["pong"]);
    w.cluster.rumours = WELL;
  }),
);

Deno.test(
  "a node that could not store what a client acknowledged stores it when another asks for the client",
  overNodes({}, async (w) => {
    const old = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    await w.publish(0, "c", 1, 2);
    const [{ interposed }] = w.nodes;
    interposed.before = ({ operation }) => {
      if (operation === "commit" || operation === "release") throw new PushError("unavailable");
    };
    assert(await old.ack(old.messages[0]));
    await old.drop();
    await w.pass(50);
    interposed.before = undefined;
    const bob = await w.subscriber(1, "bob", "c", { wire: "fixed" });
    assertEquals(bob.data, [2]);
  }),
);

Deno.test(
  "what is stored before a channel's notices flow is no part of a subscription that begins then",
  overNodes({}, async (w) => {
    const { member } = w.nodes[1];
    const follow = member.follow.bind(member);
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    member.follow = async (...args) => {
      await held;
      return await follow(...args);
    };
    const bob = await w.connect(1, "bob");
    bob.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    await w.publish(0, "c", 1);
    release();
    await w.settle();
    const [{ seq }] = bob.connection.take("channel.subscribed");
    assertEquals(seq, 1);
    await w.publish(0, "c", 2);
    assertEquals([bob.data, w.nodes[1].hub.context.metrics.logReads], [[2], 0]);
  }),
);

/** The next answer of an operation comes when the returned function is called. */
function holdAnswer({ interposed }: WorldNode, held: string): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  interposed.after = async ({ operation }) => {
    if (operation !== held) return;
    interposed.after = undefined;
    await promise;
  };
  return resolve;
}

Deno.test(
  "a message whose notice overtakes the first answer about its channel arrives at once",
  overNodes({}, async (w) => {
    const answer = holdAnswer(w.nodes[1], "read");
    const bob = await w.connect(1, "bob");
    bob.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    await w.publish(0, "c", 1);
    answer();
    await w.settle();
    const [{ seq }] = bob.connection.take("channel.subscribed");
    assertEquals(seq === 1 ? [1] : bob.data, [1]);
    await w.publish(0, "c", 2);
    assertEquals(bob.data.at(-1), 2);
  }),
);

Deno.test(
  "a subscription begins at no head that is older than it, though an older answer is under way",
  overNodes({}, async (w) => {
    w.cluster.rumours = { ...WELL, loss: 1 };
    const answer = holdAnswer(w.nodes[1], "read");
    const [ann, bob] = [await w.connect(1, "ann"), await w.connect(1, "bob")];
    ann.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    await w.publish(0, "c", 1);
    bob.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    answer();
    await w.pass(5 * SECOND);
    const [{ seq }] = bob.connection.take("channel.subscribed");
    assertEquals([seq, bob.data, ann.data], [1, [], [1]]);
    w.cluster.rumours = WELL;
  }),
);

Deno.test(
  "a client that comes again while its lease is being renewed keeps its session",
  overNodes({}, async (w) => {
    await w.subscriber(0, "bob", "c");
    const renew = w.nodes[0].interposed.hold("renew");
    await w.pass(6 * SECOND);
    const again = await w.subscriber(0, "bob", "c");
    renew();
    await w.settle();
    await w.publish(1, "c", 1);
    assertEquals([again.closed, again.data], [undefined, [1]]);
  }),
);

Deno.test(
  "a subscription in an epoch that follows starts at its head, whatever the head was before",
  async () => {
    const engines: Engine[] = [];
    const w = new NodesWorld({ wrap: (store) => engines[0].handle(store) });
    const parts = { retention: retentionOf(w.settings), limits: storeLimitsOf(w.settings) };
    const engine = new Engine({ ...parts, random: w.random.bytes }, () => w.clock.now());
    engines.push(engine);
    await w.start();
    await w.subscriber(1, "ann", "c");
    await w.publish(0, "c", ...numbers(1, 10));
    await w.pass(4 * SECOND);
    await engine.failOver({ c: 8 });
    await w.publish(0, "c", "three");
    await w.pass(4 * SECOND);
    const bob = await w.connect(1, "bob");
    assertEquals((await bob.subscribe("c")).seq, 3);
    await w.publish(0, "c", "four");
    assertEquals(bob.data, ["four"]);
    await w.end();
  },
);

Deno.test(
  "clients that came, moved and went leave no row behind, whatever is lost",
  async () => {
    for (const sharesSessions of [true, false]) {
      const w = new NodesWorld({ sharesSessions, seed: 3 });
      await w.start();
      w.cluster.rumours = { loss: 0.2, repeats: 0.2, delay: 5, jitter: 50 };
      for (const n of numbers(1, 200)) {
        const wire = n % 3 === 0 ? "extended" : "fixed";
        const subscribed = { type: "channel.subscribe", channel: `c${n % 5}` };
        (await w.connect(n % 2, `bob-${n}`, { wire })).say(subscribed);
        if (n % 4 > 0) (await w.connect((n + 1) % 2, `bob-${n}`, { wire })).say(subscribed);
      }
      await w.pass(2 * SECOND);
      for (const { clients } of w.nodes) {
        for (const client of clients) if (client.closed === undefined) await client.drop();
      }
      await w.pass(200 * SECOND);
      for (const { member, hub } of w.nodes) {
        assertEquals([hub.sessionCount, hub.presence.list(null)], [0, []]);
        assertEquals((await member.rows(member.node))?.rows, new Map());
      }
      await w.end();
    }
  },
);

Deno.test(
  "a node that is back among the others catches up at once",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(1, "bob", "c");
    w.nodes[1].member.cut();
    await w.publish(0, "c", 1, 2);
    await w.pass(4 * SECOND);
    w.nodes[1].member.heal();
    await w.pass(50);
    assertEquals(bob.data, [1, 2]);
  }),
);

Deno.test(
  "a client that left right after it moved is present nowhere, though no node heard of the move",
  overNodes({}, async (w) => {
    await w.subscriber(0, "bob", "c");
    await w.pass(SECOND);
    w.cluster.rumours = { ...WELL, loss: 1 };
    const bob = await w.connect(1, "bob");
    await w.pass(300);
    bob.say({ type: "disconnect" });
    await w.pass(300);
    w.cluster.rumours = WELL;
    await w.pass(10 * SECOND);
    for (const { hub } of w.nodes) assertEquals(hub.presence.list(null), []);
  }),
);

Deno.test(
  "what is told while an older part of the log is being read is read, too, and at once",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(1, "bob", "c");
    const answer = holdAnswer(w.nodes[1], "read");
    for (const n of numbers(1, 4)) {
      w.cluster.rumours = { ...WELL, loss: n % 2 };
      await w.publish(0, "c", n);
      await w.pass(30);
    }
    answer();
    await w.settle();
    assertEquals(bob.data, [1, 2]);
    await w.pass(30);
    assertEquals(bob.data, [1, 2, 3, 4]);
  }),
);
