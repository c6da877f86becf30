import { assert, assertEquals, assertGreater } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { inWorld, numbers } from "./harness.ts";

const SECOND = 1_000;
const unavailable = () => new PushError("unavailable");

Deno.test(
  "positions that a failing store refused are stored later",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    w.interposed.before = ({ operation }) => {
      if (operation === "commit") throw unavailable();
    };
    for (const message of bob.messages) assert(await bob.ack(message));
    await w.pass(10 * SECOND);
    assertEquals((await w.position("bob", "c"))?.floor, 0);
    assertGreater(w.hub.context.metrics.commitErrors, 5);
    w.interposed.before = undefined;
    await w.pass(SECOND);
    assertEquals((await w.position("bob", "c"))?.floor, 2);
    w.interposed.reset();
    await w.pass(60 * SECOND);
    assertEquals(w.interposed.count("commit"), 0, "What is stored is not stored again");
  }),
);

Deno.test(
  "positions are stored behind, coalesced: a thousand acknowledgements cost one write",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await bob.subscribe("d");
    await w.publish("c", ...numbers(1, 900));
    await w.publish("d", ...numbers(1, 100));
    w.interposed.reset();
    for (const message of bob.take()) {
      bob.say({ type: "message_ack", event_id: message.event_id });
    }
    await w.pass(SECOND);
    assertEquals(w.interposed.count("commit"), 1);
    assertEquals(
      [(await w.position("bob", "c"))?.floor, (await w.position("bob", "d"))?.floor],
      [900, 100],
    );
  }),
);

Deno.test(
  "acknowledgements of a session that detaches while the store fails are stored later",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    w.interposed.before = ({ operation }) => {
      if (operation === "commit") throw unavailable();
    };
    assert(await bob.ack(bob.messages[0]));
    await bob.drop();
    await w.pass(10 * SECOND);
    w.interposed.before = undefined;
    await w.pass(SECOND);
    assertEquals((await w.position("bob", "c"))?.floor, 1);
  }),
);

for (const back of [0, 100, 5_000]) {
  Deno.test(
    `what was acknowledged and could not be stored is not sent again to who is back after ${back} ms`,
    inWorld({}, async (w) => {
      let bob = await w.subscriber("bob", "c");
      await w.publish("c", 1, 2, 3);
      w.interposed.before = ({ operation }) => {
        if (operation === "commit") throw unavailable();
      };
      for (const message of bob.messages.slice(0, 2)) assert(await bob.ack(message));
      await bob.drop();
      await w.pass(back);
      w.interposed.before = undefined;
      bob = await w.subscriber("bob", "c");
      assertEquals(bob.messages.map((m) => [m.data, m._redelivered]), [[3, true]]);
      assert(await bob.ack(bob.messages[0]));
      await bob.drop();
      await w.pass(2 * SECOND);
      assertEquals((await w.position("bob", "c"))?.floor, 3);
    }),
  );
}

Deno.test(
  "a session that has ended begins anew, though its last position could not be stored",
  inWorld({}, async (w) => {
    let bob = await w.extended("bob", { sessionTtl: 10 });
    await bob.subscribe("c");
    await w.publish("c", 1);
    w.interposed.before = ({ operation }) => {
      if (operation === "commit") throw unavailable();
    };
    await bob.ackUpTo(bob.messages[0]);
    await bob.drop();
    await w.pass(20 * SECOND);
    await w.publish("c", 2);
    w.interposed.before = undefined;
    bob = await w.subscriber("bob", "c");
    await w.publish("c", 3);
    assertEquals(bob.data, [3]);
  }),
);

Deno.test(
  "a log that cannot be read is read again, until it can",
  inWorld({}, async (w) => {
    await w.publish("c", ...numbers(1, 600));
    const bob = await w.extended("bob");
    await bob.subscribe("x");
    let failures = 0;
    w.interposed.before = ({ operation, args }) => {
      if (operation !== "read" || args[2] === 1) return;
      failures++;
      throw unavailable();
    };
    bob.say({ type: "channel.subscribe", channel: "c", all: true });
    await w.pass(10 * SECOND);
    assertEquals(bob.data, []);
    assertGreater(failures, 3);
    assert(failures < 100, `${failures} reads in ten seconds`);
    w.interposed.before = undefined;
    await w.pass(SECOND);
    assertEquals(bob.data, numbers(1, 600));
  }),
);

Deno.test(
  "a hub that stops waits for a store that does not answer a claim, and not for ever",
  inWorld({}, async (w) => {
    const claim = w.interposed.hold("claim");
    const bob = await w.connect("bob", { wire: "extended" });
    let isDrained = false;
    w.hub.drain().then(() => isDrained = true);
    await w.pass(9 * SECOND);
    assertEquals(isDrained, false);
    await w.pass(2 * SECOND);
    assertEquals(isDrained, true);
    claim();
    await w.settle();
    assertEquals(bob.closed, "going_away");
  }),
);

Deno.test(
  "a hub that stops while the log cannot be read leaves nothing running",
  inWorld({}, async (w) => {
    await w.publish("c", ...numbers(1, 600));
    const bob = await w.extended("bob");
    w.interposed.before = ({ operation, args }) => {
      if (operation === "read" && args[2] !== 1) throw unavailable();
    };
    bob.say({ type: "channel.subscribe", channel: "c", all: true });
    await w.pass(600);
    // The end of a world looks for timers.
  }),
);

Deno.test(
  "a channel that could not be opened is opened by the next subscribe",
  inWorld({}, async (w) => {
    const bob = await w.connect("bob");
    for (const operation of ["create", "read", "commit"] as const) {
      w.interposed.refuseOnce(operation, unavailable());
      bob.say({ type: "channel.subscribe", channel: "c" });
      await w.settle();
    }
    assertEquals(bob.errors, ["unavailable", "unavailable", "unavailable"]);
    await w.publish("c", 1);
    assertEquals(bob.data, []);
    await bob.subscribe("c");
    await w.publish("c", 2);
    assertEquals(bob.data.at(-1), 2);
  }),
);

Deno.test(
  "publishes fail with the store's code while it is away, and go on when it is back",
  inWorld({}, async (w) => {
    const [ann, bob] = [await w.extended("ann"), await w.subscriber("bob", "c")];
    w.interposed.before = ({ operation }) => {
      if (operation === "append") throw unavailable();
    };
    for (const n of numbers(1, 3)) {
      ann.say({ type: "channel.publish", channel: "c", data: n, id: `id ${n}`, request_id: n });
    }
    await w.settle();
    const errors = ann.connection.take("error");
    assertEquals(errors.map(({ code, request_id }) => [code, request_id]), [
      ["unavailable", 1],
      ["unavailable", 2],
      ["unavailable", 3],
    ]);
    w.interposed.before = undefined;
    for (const n of numbers(1, 3)) await ann.publish("c", n, { id: `id ${n}` });
    assertEquals(bob.data, [1, 2, 3]);
  }),
);

Deno.test(
  "a publish of unknown outcome that is said again is stored once",
  inWorld({}, async (w) => {
    const [ann, bob] = [await w.extended("ann"), await w.subscriber("bob", "c")];
    w.interposed.after = ({ operation }) => {
      if (operation !== "append") return;
      w.interposed.after = undefined;
      throw new PushError("outcome_unknown");
    };
    ann.say({ type: "channel.publish", channel: "c", data: 1, id: "x" });
    await w.settle();
    assertEquals(ann.errors, ["outcome_unknown"]);
    assertEquals((await ann.publish("c", 1, { id: "x" })).duplicate, true);
    assertEquals(bob.data, [1]);
  }),
);

Deno.test(
  "what was stored without the gateway hearing of it reaches who subscribes after it",
  inWorld({}, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await bob.drop();
    w.interposed.after = ({ operation }) => {
      if (operation !== "append") return;
      w.interposed.after = undefined;
      throw new PushError("outcome_unknown");
    };
    await w.publish("c", 1).catch(() => {});
    bob = await w.subscriber("bob", "c");
    assertEquals(bob.data, [1]);
  }),
);

Deno.test(
  "an error of the store that is no PushError is answered as internal, and told nobody's secrets",
  inWorld({}, async (w) => {
    const bob = await w.connect("bob");
    w.interposed.refuseOnce("append", new TypeError("password=hunter2"));
    bob.say({ type: "channel.publish", channel: "c", data: 1 });
    await w.settle();
    w.interposed.refuseOnce("commit", new TypeError("password=hunter2"));
    bob.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    assertEquals(bob.errors, ["internal", "internal"]);
    assert(!bob.connection.texts.join("").includes("hunter2"));
    assertEquals(bob.closed, undefined);
  }),
);

for (
  const [what, error, code] of [
    ["refuses", unavailable(), "unavailable"],
    ["breaks", new TypeError("broken"), "internal"],
  ] as const
) {
  Deno.test(
    `a 'connect' whose session the store ${what} to claim is closed, and holds nothing`,
    inWorld({}, async (w) => {
      w.interposed.refuseOnce("claim", error);
      const bob = await w.connect("bob", { wire: "extended" });
      assertEquals([bob.errors, bob.closed], [[code], code]);
      assertEquals([w.hub.sessionCount, w.hub.presence.size], [0, 0]);
    }),
  );

  Deno.test(
    `a 'connect' whose first subscription the store ${what} to store holds no session when it ends`,
    inWorld({}, async (w) => {
      w.interposed.refuseOnce("commit", error);
      const subscriptions = [{ channel: "c" }, { channel: "d" }];
      const bob = await w.connect("bob", { wire: "extended", subscriptions });
      if (bob.closed === undefined) {
        const { subscriptions: answers } = bob.connection.take("connected")[0];
        assertEquals(answers.map(({ type }) => type).sort(), ["channel.subscribed", "error"]);
        await bob.drop();
      } else assertEquals(bob.closed, code);
      await w.pass(100 * SECOND);
      assertEquals([w.hub.sessionCount, w.hub.presence.size], [0, 0]);
      assertEquals([w.hub.subscribers("c"), w.hub.subscribers("d")], [0, 0]);
    }),
  );
}

Deno.test(
  "a message larger than what is kept in memory is stored, answered and delivered",
  inWorld({ limits: { maxMessageBytes: 2 ** 23, maxFrameBytes: 2 ** 24 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    const ann = await w.connect("ann");
    const text = "x".repeat(5 * 2 ** 20);
    assertEquals((await ann.publish("c", text)).delivered, 1);
    assertEquals(bob.data.length, 1);
    await ann.publish("c", "small");
    assert(await bob.ack(bob.messages[0]));
    assertEquals(bob.data.at(-1), "small");
  }),
);

Deno.test(
  "channels that nobody uses are let go, and found again",
  inWorld({}, async (w) => {
    const before = w.hub.channel("c");
    await w.publish("c", 1);
    await w.pass(30 * SECOND);
    assert(w.hub.channel("c") !== before, "An idle channel is dropped");
    const bob = await w.extended("bob");
    await bob.subscribe("c", { all: true });
    assertEquals(bob.data, [1]);
  }),
);
