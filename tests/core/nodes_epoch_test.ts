import { assert, assertEquals, assertLess } from "@std/assert";
import { type GatewayFrame, PushError } from "@push/client/protocol";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import { Engine } from "./failover_store.ts";
import { numbers, type TestClient } from "./harness.ts";
import { type NodesOptions, NodesWorld } from "./nodes_world.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

/** The body of a test over nodes whose log is an engine's. */
function overEngine(
  options: NodesOptions,
  run: (w: NodesWorld, engine: Engine) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const engines: Engine[] = [];
    const w = new NodesWorld({ ...options, wrap: (store) => engines[0].handle(store) });
    const parts = { retention: retentionOf(w.settings), limits: storeLimitsOf(w.settings) };
    const engine = new Engine({ ...parts, random: w.random.bytes }, () => w.clock.now());
    engines.push(engine);
    await w.start();
    await run(w, engine);
    await w.end();
  };
}

/** What a client saw since it was asked last: gaps as strings, payloads of messages. */
function story({ connection }: TestClient, from = 0): unknown[] {
  return connection.frames.slice(from).flatMap((frame: GatewayFrame) => {
    if (frame.type === "channel_message") return [frame.data];
    if (frame.type === "channel.gap") return [`gap ${frame.seq} ${frame.reason}`];
    return frame.type === "error" ? [frame.code] : [];
  });
}

Deno.test(
  "an epoch that goes on without a loss tells no gap: what is in flight is sent again, the rest goes on",
  overEngine({}, async (w, engine) => {
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1, 2, 3);
    await bob.ackUpTo(bob.messages[0]);
    const old = bob.messages[2];
    await engine.failOver({});
    await w.publish(0, "c", 4);
    await w.pass(5 * SECOND);
    const { epoch } = await w.log("c");
    assertEquals(story(bob), [1, 2, 3, 2, 3, 4]);
    const [, , , second, , fourth] = bob.messages;
    assertEquals([second.epoch, second.seq, second._redelivered], [epoch, 2, true]);
    assertEquals([fourth.seq, fourth._redelivered], [4, undefined]);
    // An acknowledgement that names the earlier epoch counts.
    assert(await bob.ack(old));
    await bob.ackUpTo(fourth);
    await w.pass(SECOND);
    const position = w.position("bob", "c");
    assertEquals([position?.epoch, position?.floor], [epoch, 4]);
  }),
);

Deno.test(
  "an epoch that goes on after a loss tells who had more: delivery goes on after the base",
  overEngine({}, async (w, engine) => {
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1, 2, 3, 4);
    await bob.ackUpTo(bob.messages[3]);
    await engine.failOver({ c: 2 });
    await w.publish(0, "c", "three", "four");
    await w.pass(5 * SECOND);
    assertEquals(story(bob), [1, 2, 3, 4, "gap 2 epoch", "three", "four"]);
    assertEquals(bob.messages.slice(4).map(({ seq }) => seq), [3, 4]);
  }),
);

Deno.test(
  "where an engine may have lost what was answered, all who were there before are told, wherever they stand",
  overEngine({}, async (w, engine) => {
    const bob = await w.subscriber(1, "bob", "c");
    const away = await w.subscriber(0, "away", "c");
    await w.publish(0, "c", 1, 2);
    await bob.ackUpTo(bob.messages[1]);
    await away.ackUpTo(away.messages[1]);
    const { epoch } = await w.log("c");
    await away.drop();
    await w.publish(0, "c", 3, 4);
    await engine.failOver({ c: 1 }, true, true);
    await w.publish(0, "c", "four");
    await w.pass(5 * SECOND);
    assertEquals(story(bob), [1, 2, 3, 4, "gap 2 epoch", 3, "four"]);
    const back = await w.subscriber(1, "away", "c");
    assertEquals(story(back), ["gap 2 epoch", 3, "four"]);
    for (const kind of ["position", "since"] as const) {
      const at = { start: { [kind]: { epoch, seq: 2 } } };
      const known = await w.subscriber(0, `known-${kind}`, "c", at);
      assertEquals(story(known), ["gap 2 epoch", 3, "four"]);
    }
    const fresh = await w.subscriber(0, "fresh", "c");
    assertEquals(story(fresh), []);
    // What was heard is not told again.
    await back.ackUpTo(back.messages[back.messages.length - 1]);
    await w.pass(SECOND);
    assertEquals(story(await w.subscriber(1, "away", "c")), []);
  }),
);

Deno.test(
  "what is kept and was not acknowledged comes again behind the gap of a loss",
  overEngine({}, async (w, engine) => {
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1, 2, 3, 4);
    await bob.ackUpTo(bob.messages[0]);
    await engine.failOver({ c: 1 });
    await w.publish(0, "c", "four");
    await w.pass(5 * SECOND);
    assertEquals(story(bob).slice(4), ["gap 1 epoch", 2, 3, "four"]);
  }),
);

Deno.test(
  "a gap of a loss that was not acknowledged is told again over the next connection",
  overEngine({}, async (w, engine) => {
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1, 2, 3);
    await bob.ackUpTo(bob.messages[2]);
    await engine.failOver({ c: 1 });
    await w.pass(5 * SECOND);
    assertEquals(story(bob).slice(3), ["gap 2 epoch"]);
    await bob.drop();
    const again = await w.subscriber(0, "bob", "c");
    assertEquals(story(again), ["gap 2 epoch"]);
    const { epoch } = await w.log("c");
    again.say({ type: "ack", acks: [{ channel: "c", epoch, upto: 2 }] });
    await again.drop();
    assertEquals(story(await w.subscriber(1, "bob", "c")), []);
  }),
);

Deno.test(
  "an epoch that nothing is said of is a gap from the oldest kept, as ever",
  overEngine({}, async (w, engine) => {
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1, 2);
    await engine.failOver({ c: 2 }, false);
    await w.publish(0, "c", "one");
    await w.pass(5 * SECOND);
    assertEquals(story(bob), [1, 2, "gap 0 epoch", "one"]);
  }),
);

const stories: [number, unknown[]][] = [[0, [3, 4]], [1, ["gap 2 epoch", 3]]];
for (const [lost, wanted] of stories) {
  Deno.test(
    `a stored position goes on over several epochs, with ${lost} messages lost before it`,
    overEngine({}, async (w, engine) => {
      const bob = await w.subscriber(1, "bob", "c");
      await w.publish(0, "c", 1, 2, 3);
      await bob.ackUpTo(bob.messages[lost === 0 ? 1 : 2]);
      await bob.drop();
      await engine.failOver({ c: lost });
      await w.pass(4 * SECOND);
      await engine.failOver({});
      await w.publish(0, "c", lost === 0 ? 4 : 3);
      assertEquals(story(await w.subscriber(0, "bob", "c")), wanted);
    }),
  );
}

for (const kind of ["position", "since"] as const) {
  Deno.test(
    `a ${kind} of an earlier epoch goes on, and tells a gap above the base`,
    overEngine({}, async (w, engine) => {
      await w.publish(0, "c", ...numbers(1, 6));
      const { epoch } = await w.log("c");
      await engine.failOver({ c: 2 });
      await w.publish(0, "c", "five");
      const at = (seq: number) => ({ start: { [kind]: { epoch, seq } } });
      const below = await w.subscriber(0, "ann", "c", at(3));
      assertEquals(story(below), [4, "five"]);
      assertEquals(below.connection.take("channel.subscribed")[0]?.epoch, undefined);
      const above = await w.subscriber(1, "bob", "c", at(6));
      assertEquals(story(above), ["gap 4 epoch", "five"]);
      const known = await w.subscriber(1, "ann", "c", at(6));
      assertEquals(story(known).includes("five"), true);
    }),
  );
}

Deno.test(
  "what a client received and has not settled of an earlier epoch comes again behind the gap",
  overEngine({}, async (w, engine) => {
    await w.publish(0, "c", ...numbers(1, 6));
    const { epoch } = await w.log("c");
    await engine.failOver({ c: 1 });
    await w.publish(0, "c", "six");
    const start = { position: { epoch, seq: 6, open: [2, 2, 4, 4] } };
    const bob = await w.subscriber(0, "bob", "c", { start });
    assertEquals(story(bob), ["gap 1 epoch", 2, 4, "six"]);
  }),
);

Deno.test(
  "late messages and dead letters go on in the epoch that follows",
  overEngine(
    { delivery: { ackTimeout: 2 * SECOND, maxRetries: 1, retryBackoff: 1 } },
    async (w, engine) => {
      const bob = await w.subscriber(1, "bob", "c");
      await w.publish(0, "c", 1, 2);
      await bob.ack(bob.messages[1]);
      await bob.nack(bob.messages[0], 4);
      await engine.failOver({});
      await w.publish(0, "c", 3);
      await w.pass(1 * SECOND);
      await bob.ack(bob.messages.at(-1)!);
      await w.pass(4 * SECOND);
      assertEquals(bob.messages.filter(({ seq }) => seq === 1).map((m) => m._retry_count), [
        undefined,
        1,
      ]);
      await w.pass(20 * SECOND);
      const { epoch } = await w.log("c");
      const letters = await w.nodes[0].hub.deadLetters({ limit: 9 });
      assertEquals(letters.map((each) => [each.epoch, each.message.seq]), [[epoch, 1]]);
      const redriven = w.nodes[0].hub.redrive({ limit: 9 });
      await w.pass(SECOND);
      assertEquals((await redriven).length, 1);
      assertEquals(bob.messages.at(-1)?._redriven, true);
      assert(await bob.ack(bob.messages.at(-1)!));
    },
  ),
);

Deno.test(
  "what is put back while a gap is owed outlives the node that was told of it",
  overEngine({ delivery: { ackTimeout: 2 * SECOND, maxRetries: 0 } }, async (w, engine) => {
    const bob = await w.subscriber(1, "bob", "c", { wire: "fixed" });
    await w.publish(0, "c", 1, 2);
    await bob.ack(bob.messages[1]);
    await w.pass(5 * SECOND);
    await engine.failOver({}, true, true);
    await w.pass(5 * SECOND);
    assertEquals(story(bob), [1, 2, "gap"]);
    const redriven = w.nodes[1].hub.redrive({ limit: 9 });
    await w.pass(SECOND);
    assertEquals((await redriven).length, 1);
    assertEquals(bob.messages.at(-1)?._redriven, true);
    w.kill(1);
    await w.pass(30 * SECOND);
    const back = await w.subscriber(0, "bob", "c", { wire: "fixed" });
    assertEquals(back.messages.map(({ data, _redriven }) => [data, _redriven]), [[1, true]]);
    await w.startNode(1);
  }),
);

Deno.test(
  "what has expired is judged by the engine's clock, whatever the node's says",
  overEngine({ delivery: { messageTtl: 100 * MINUTE } }, async (w, engine) => {
    engine.ahead = 5 * MINUTE;
    const bob = await w.subscriber(1, "bob", "c");
    bob.connection.capacity = 0;
    await w.publish(0, "c", 1);
    await w.pass(80 * MINUTE);
    await w.publish(0, "c", 2);
    // The node's clock is set, the engine's is not.
    w.clock.jump(60 * MINUTE);
    engine.ahead -= 60 * MINUTE;
    await w.pass(10 * SECOND);
    await bob.drain();
    assertEquals(story(bob), [1, 2]);
    await w.pass(25 * MINUTE);
    assertEquals(story(await w.subscriber(0, "ann", "c", { start: { all: true } })), [2]);
  }),
);

Deno.test(
  "a message that the store brings again though it looks expired is delivered, and not asked for hot",
  overEngine({ delivery: { messageTtl: 10 * MINUTE } }, async (w, engine) => {
    engine.ahead = 0;
    const bob = await w.subscriber(1, "bob", "c");
    bob.connection.capacity = 0;
    await w.publish(0, "c", ...numbers(1, 300));
    await w.pass(9 * MINUTE);
    // The engine expires later than it says: its clock is slow, and nobody has noticed yet.
    engine.ahead = -5 * MINUTE;
    await w.nodes[1].hub.context.store.states(["c"], w.clock.now());
    w.nodes[1].interposed.reset();
    await w.pass(90 * SECOND);
    await bob.drain();
    assertEquals(bob.data, numbers(1, 300));
    assertLess(w.nodes[1].interposed.count("read"), 10);
  }),
);

/** What a client of the extended wire was told, with the epochs that go on. */
function wholeStory({ connection }: TestClient, from = 0): unknown[] {
  return connection.frames.slice(from).flatMap((frame: GatewayFrame): unknown[] => {
    if (frame.type === "channel.epoch") return [frame];
    if (frame.type === "channel.gap") return [`gap ${frame.seq} ${frame.epoch}`];
    return frame.type === "channel_message" ? [`${frame.seq} ${frame.epoch}`] : [];
  });
}

for (const lost of [0, 2]) {
  Deno.test(
    `an epoch that goes on is told before anything of it, with ${lost} messages lost`,
    overEngine({}, async (w, engine) => {
      const bob = await w.subscriber(1, "bob", "c");
      const ann = await w.subscriber(1, "ann", "c", { wire: "fixed" });
      await w.publish(0, "c", 1, 2, 3, 4);
      const { epoch: first } = await w.log("c");
      const count = bob.connection.frames.length;
      await engine.failOver({ c: lost });
      await w.publish(0, "c", "new");
      await w.pass(5 * SECOND);
      const { epoch, head } = await w.log("c");
      const earlier = [{ epoch: first, base: 4 - lost }];
      const told = wholeStory(bob, count);
      assertEquals(told[0], { type: "channel.epoch", channel: "c", epoch, earlier });
      assertEquals(
        told.slice(1, 3),
        lost ? [`gap 0 ${epoch}`, `1 ${epoch}`] : [`1 ${epoch}`, `2 ${epoch}`],
      );
      assertEquals(told.at(-1), `${head} ${epoch}`);
      assertEquals(ann.frames.filter(({ type }) => type === "channel.epoch"), []);
      assert(ann.messages.length > 4);
    }),
  );
}

Deno.test(
  "subscribed names every earlier epoch with the lowest base since, 16 at most, and never on the fixed wire",
  overEngine({}, async (w, engine) => {
    await w.publish(0, "c", ...numbers(1, 6));
    const epochs = [(await w.log("c")).epoch];
    const again = async (lost: number) => {
      await engine.failOver({ c: lost });
      await w.publish(0, "c", "more");
      await w.pass(4 * SECOND);
      epochs.unshift((await w.log("c")).epoch);
    };
    await again(1);
    await again(3);
    const bob = await w.connect(0, "bob", { subscriptions: [{ channel: "c" }] });
    const [connected] = bob.connection.take("connected");
    const [, second, first] = epochs;
    assertEquals(connected.subscriptions, [{
      type: "channel.subscribed",
      channel: "c",
      ok: true,
      epoch: epochs[0],
      seq: 4,
      earlier: [{ epoch: second, base: 3 }, { epoch: first, base: 3 }],
    }]);
    await again(0);
    const cid = await w.connect(1, "cid");
    const { earlier } = await cid.subscribe("c", { last: 1 });
    assertEquals(earlier?.map(({ base }) => base), [4, 3, 3]);
    for (let i = 0; i < 15; i++) await again(0);
    const { earlier: most } = await (await w.connect(1, "dan")).subscribe("c");
    assertEquals(most?.map(({ epoch }) => epoch), epochs.slice(1, 17));
    const fixed = await w.connect(1, "eve", { wire: "fixed" });
    assertEquals(Object.keys(await fixed.subscribe("c")).sort(), ["channel", "ok", "type"]);
    const other = await (await w.connect(1, "fay")).subscribe("other");
    assertEquals(other.earlier, undefined);
  }),
);

Deno.test(
  "who has more of an earlier epoch than is kept is answered in it, then told how it goes on and of the gap",
  overEngine({}, async (w, engine) => {
    await w.publish(0, "c", ...numbers(1, 6));
    const { epoch: first } = await w.log("c");
    await engine.failOver({ c: 2 });
    const bob = await w.connect(0, "bob");
    const { epoch, earlier } = await bob.subscribe("c", { position: { epoch: first, seq: 6 } });
    assertEquals([epoch, earlier], [first, undefined]);
    await w.pass(SECOND);
    const { epoch: second } = await w.log("c");
    const change = { type: "channel.epoch", channel: "c", epoch: second };
    assertEquals(wholeStory(bob), [
      { ...change, earlier: [{ epoch: first, base: 4 }] },
      `gap 4 ${second}`,
    ]);
  }),
);

Deno.test(
  "an acknowledgement that names an earlier epoch does not say that the gap was heard",
  overEngine({}, async (w, engine) => {
    const bob = await w.subscriber(1, "bob", "c");
    await w.publish(0, "c", 1, 2, 3, 4);
    await bob.ackUpTo(bob.messages[0]);
    const { epoch: first } = await w.log("c");
    await engine.failOver({ c: 1 });
    await w.pass(5 * SECOND);
    assertEquals(story(bob).slice(4), ["gap 1 epoch", 2, 3]);
    // What was on its way when the epoch began.
    bob.say({ type: "ack", acks: [{ channel: "c", epoch: first, ranges: [2, 4] }] });
    assert(!(await bob.ack(bob.messages[3])));
    await bob.drop();
    const again = await w.subscriber(0, "bob", "c");
    await w.pass(5 * SECOND);
    assert(story(again).some((each) => String(each).startsWith("gap")), "the gap was not told");
  }),
);

for (const lost of [0, 1]) {
  Deno.test(
    `a poll that names an earlier epoch is told again how it goes on, with ${lost} messages lost`,
    overEngine({}, async (w, engine) => {
      const { session, connection } = await w.hubClient(1, "bob", "c");
      await w.publish(0, "c", 1, 2, 3);
      const { epoch: first } = await w.log("c");
      const poll = async (epoch: string, seq: number, open: number[] = []) => {
        const from = connection.frames.length;
        session.adopt("c", epoch, seq, open, connection);
        await w.pass(SECOND);
        return connection.frames.slice(from).map((frame): unknown =>
          frame.type === "channel_message" ? frame.seq : frame.type
        );
      };
      await poll(first, 2, [2, 2]);
      await engine.failOver({ c: lost });
      await w.pass(5 * SECOND);
      const { epoch } = await w.log("c");
      // Whatever was sent was lost with the answer.
      const told = lost ? ["channel.epoch", "channel.gap", 2] : ["channel.epoch", 3];
      assertEquals(await poll(first, 2, [2, 2]), told);
      assertEquals(await poll(first, 2, [2, 2]), told);
      if (lost) session.ack("c", epoch, 1, [], connection);
      assertEquals(await poll(epoch, 2, [2, 2]), lost ? [] : [3]);
      await w.nodes[1].hub.detach(session, connection, "lost");
    }),
  );
}

Deno.test(
  "a session that another node goes on with is told of the epoch that began meanwhile",
  overEngine({}, async (w, engine) => {
    const { session, connection } = await w.hubClient(0, "bob", "c");
    await w.publish(0, "c", 1, 2);
    await w.pass(SECOND);
    const { epoch: first } = await w.log("c");
    const { holder } = session;
    w.kill(0);
    await engine.failOver({});
    await w.pass(30 * SECOND);
    const moved = await w.hubClient(1, "bob", "c", holder);
    const { epoch } = await w.nodes[1].interposed.target.states(["c"], w.clock.now()).then(([it]) =>
      it!
    );
    assertEquals(moved.connection.frames[0], {
      type: "channel.epoch",
      channel: "c",
      epoch,
      earlier: [{ epoch: first, base: 2 }],
    });
    assertEquals(connection.frames.filter(({ type }) => type === "channel.epoch"), []);
    await w.startNode(0);
    await w.nodes[1].hub.detach(moved.session, moved.connection, "lost");
  }),
);

Deno.test(
  "what is put back from the dead letters, and has lost its number with the log, goes back to them",
  overEngine(
    { delivery: { ackTimeout: 2 * SECOND, maxRetries: 0 } },
    async (w, engine) => {
      const bob = await w.subscriber(1, "bob", "c", { wire: "fixed" });
      await w.publish(0, "c", 1, 2);
      assert(await bob.ack(bob.messages[0]));
      await w.pass(5 * SECOND);
      const letters = async () =>
        (await w.nodes[0].hub.deadLetters({ limit: 9 })).map(({ message }) => message.payload);
      assertEquals(await letters(), ["2"]);
      await engine.failOver({ c: 1 }, true, true);
      await w.pass(5 * SECOND);
      const { interposed, hub } = w.nodes[1];
      let refused = 0;
      interposed.after = ({ operation }) => {
        if (operation !== "load") return;
        // The step that buries it again fails once.
        interposed.after = undefined;
        interposed.refuseOnce("commit", new PushError("unavailable"));
        refused++;
      };
      const redriven = hub.redrive({ limit: 9 });
      await w.pass(SECOND);
      assertEquals((await redriven).length, 1);
      await w.pass(5 * SECOND);
      assertEquals([refused, await letters()], [1, ["2"]]);
      assertEquals(w.position("bob", "c")?.late, []);
    },
  ),
);
