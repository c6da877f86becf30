import { assert, assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { inWorld, numbers } from "./harness.ts";

const SECOND = 1_000;

Deno.test(
  "subscribe and unsubscribe in one breath end as they were said: unsubscribed",
  inWorld({}, async (w) => {
    const bob = await w.extended("bob");
    bob.say(
      { type: "channel.subscribe", channel: "c", request_id: 1 },
      { type: "channel.unsubscribe", channel: "c", request_id: 2 },
    );
    await w.settle();
    assertEquals(bob.frames.slice(1).map(({ type }) => type), [
      "channel.subscribed",
      "channel.unsubscribed",
    ]);
    await w.publish("c", 1);
    assertEquals(bob.data, []);
    assertEquals(await w.position("bob", "c"), undefined);
    assertEquals(w.hub.subscribers("c"), 0);
  }),
);

for (const wire of ["fixed", "extended"] as const) {
  for (const operation of ["create", "read", "load", "commit", "forget"] as const) {
    Deno.test(
      `however slow '${operation}' is, the last word counts (${wire} wire)`,
      inWorld({}, async (w) => {
        const away = await w.subscriber("bob", "stored");
        await away.drop();
        const bob = await w.connect("bob", { wire });
        const release = w.interposed.hold(operation);
        const last: Record<string, boolean> = {};
        for (const channel of ["new", "stored"]) {
          const words = channel === "new" ? "susuus" : "ssuusu";
          for (const word of words) {
            const type = word === "s" ? "channel.subscribe" : "channel.unsubscribe";
            bob.say({ type, channel });
            last[channel] = word === "s";
          }
        }
        await w.pass(SECOND);
        release();
        await w.pass(SECOND);
        await w.publish("new", "n");
        await w.publish("stored", "s");
        assertEquals(last, { new: true, stored: false });
        assertEquals(bob.data, ["n"]);
        assertEquals(await w.position("bob", "stored"), undefined);
      }),
    );
  }
}

Deno.test(
  "a message between subscribe, unsubscribe and subscribe again is not delivered",
  inWorld({}, async (w) => {
    const bob = await w.extended("bob");
    await bob.subscribe("c");
    bob.say({ type: "channel.unsubscribe", channel: "c" });
    await w.publish("c", 1);
    await bob.subscribe("c");
    await w.publish("c", 2);
    assertEquals(bob.data, [2]);
  }),
);

Deno.test(
  "messages flow once the answer has left, and not before, also with 'connect'",
  inWorld({}, async (w) => {
    await w.publish("c", 1, 2);
    const bob = await w.extended("bob", {
      subscriptions: [{ channel: "c", all: true }, { channel: "d" }, { channel: "c" }],
    });
    const types = bob.frames.map(({ type }) => type).filter((type) => type !== "presence_diff");
    assertEquals(types, ["connected", "channel_message", "channel_message"]);
    assertEquals(bob.data, [1, 2]);
  }),
);

Deno.test(
  "subscribing twice at once is subscribing once",
  inWorld({}, async (w) => {
    const bob = await w.extended("bob");
    bob.say({ type: "channel.subscribe", channel: "c" }, {
      type: "channel.subscribe",
      channel: "c",
    });
    await w.settle();
    await w.publish("c", 1);
    assertEquals(bob.data, [1]);
    const answers = bob.connection.take("channel.subscribed");
    assertEquals(answers.length, 2);
    assertEquals(answers[0].ok, true);
  }),
);

Deno.test(
  "a connection that breaks while it subscribes leaves nothing flowing",
  inWorld({}, async (w) => {
    for (const operation of ["create", "read", "commit"] as const) {
      const bob = await w.connect("bob");
      const release = w.interposed.hold(operation);
      bob.say({ type: "channel.subscribe", channel: `c ${operation}`.replace(" ", "-") });
      await w.settle();
      const dropped = bob.drop();
      release();
      await dropped;
      await w.settle();
      assertEquals(w.hub.subscribers(`c-${operation}`), 0);
      assertEquals(w.hub.sessionCount, 0);
      await w.publish(`c-${operation}`, 1);
      assertEquals(bob.data, []);
    }
  }),
);

Deno.test(
  "a connection that breaks while its session is being claimed leaves no session attached",
  inWorld({}, async (w) => {
    for (const wire of ["fixed", "extended"] as const) {
      const release = w.interposed.hold("claim");
      const bob = w.dial(wire === "fixed" ? "bob" : undefined);
      if (wire === "fixed") bob.say({ type: "ping" });
      else bob.say({ type: "connect", version: 1, instance: "i", attempt: 0 });
      await w.settle();
      await bob.drop();
      release();
      await w.settle();
      assertEquals(w.hub.sessionCount, 0);
    }
    await w.pass(100 * SECOND);
    assertEquals(w.hub.presence.size, 0);
  }),
);

Deno.test(
  "a takeover while the older connection subscribes: the newer one decides",
  inWorld({}, async (w) => {
    const old = await w.connect("bob");
    const release = w.interposed.hold("commit");
    old.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    const bob = await w.connect("bob");
    assertEquals(old.closed, "replaced");
    bob.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    release();
    await w.settle();
    await w.publish("c", 1);
    assertEquals([old.data, bob.data], [[], [1]]);
    assertEquals(w.hub.subscribers("c"), 1);
    assert(await bob.ack(bob.messages[0]));
  }),
);

Deno.test(
  "a connection that takes a session over and subscribes late gets what is published then",
  inWorld({}, async (w) => {
    await w.subscriber("bob", "c");
    const bob = await w.connect("bob");
    // Long enough for the hub to let go of a channel that nobody listens to.
    await w.pass(30 * SECOND);
    await w.publish("c", 1);
    await w.pass(30 * SECOND);
    await bob.subscribe("c");
    assertEquals(bob.data, [1]);
    await w.publish("c", 2);
    assertEquals(bob.data, [1, 2]);
  }),
);

for (const operation of ["create", "read", "load", "commit"] as const) {
  Deno.test(
    `a subscription that took a slow '${operation}' longer than idle channels are kept gets messages`,
    inWorld({}, async (w) => {
      await (await w.subscriber("bob", "c")).drop();
      await w.pass(30 * SECOND);
      const bob = await w.extended("bob");
      const eve = await w.extended("eve");
      const release = w.interposed.hold(operation);
      bob.say({ type: "channel.subscribe", channel: "c" });
      eve.say({ type: "channel.subscribe", channel: "c" });
      await w.pass(20 * SECOND);
      release();
      await w.settle();
      await w.publish("c", 1);
      await w.pass(20 * SECOND);
      await w.publish("c", 2);
      assertEquals([bob.data.slice(0, 2), eve.data.slice(0, 2)], [[1, 2], [1, 2]]);
    }),
  );
}

Deno.test(
  "a slow first subscription starves no other that came with the same 'connect'",
  inWorld({}, async (w) => {
    let release: (() => void) | undefined;
    w.interposed.before = ({ operation, args }) => {
      if (operation !== "create" || args[0] !== "slow") return;
      return new Promise((resolve) => release = resolve);
    };
    const bob = await w.connect("bob", {
      wire: "extended",
      subscriptions: [
        { channel: "quick" },
        { channel: "slow" },
      ],
    });
    await w.pass(20 * SECOND);
    assertEquals(bob.frames, []);
    release!();
    await w.settle();
    await w.publish("quick", 1);
    await w.publish("slow", 2);
    assertEquals(bob.data, [1, 2]);
  }),
);

Deno.test(
  "an unsubscribe that the store refused can be said again",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    w.interposed.refuseOnce("forget", new PushError("unavailable"));
    bob.say({ type: "channel.unsubscribe", channel: "c" });
    await w.settle();
    assertEquals(bob.errors, ["unavailable"]);
    await w.publish("c", 1);
    assertEquals(bob.data, []);
    await bob.unsubscribe("c");
    assertEquals(await w.position("bob", "c"), undefined);
  }),
);

Deno.test(
  "an unsubscribed channel gets no position again from a write that failed before",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    let failures = 0;
    w.interposed.before = async ({ operation }) => {
      if (operation !== "commit") return;
      failures++;
      await new Promise<void>((resolve) => w.clock.schedule(SECOND, resolve));
      throw new PushError("unavailable");
    };
    assert(await bob.ack(bob.messages[0]));
    await w.pass(700);
    bob.say({ type: "channel.unsubscribe", channel: "c" });
    await w.pass(5 * SECOND);
    assert(failures > 0);
    w.interposed.before = undefined;
    await w.pass(5 * SECOND);
    assertEquals(await w.position("bob", "c"), undefined);
  }),
);

Deno.test(
  "an unsubscribed channel gets no position again from a dead letter that is under way",
  inWorld({ delivery: { maxRetries: 0 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    const release = w.interposed.hold("commit");
    const [{ event_id }] = bob.messages;
    bob.say({ type: "message_nack", event_id });
    await w.settle();
    bob.say({ type: "channel.unsubscribe", channel: "c" });
    await w.settle();
    release();
    await w.pass(5 * SECOND);
    assertEquals(await w.position("bob", "c"), undefined);
    assertEquals(bob.connection.take("channel.unsubscribed").map(({ ok }) => ok), [true]);
  }),
);

Deno.test(
  "a message acknowledged while it is being given up is not both settled and a dead letter",
  inWorld({ delivery: { maxRetries: 0 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    const release = w.interposed.hold("commit");
    const [message] = bob.messages;
    assert(await bob.nack(message));
    const acknowledged = await bob.ack(message);
    release();
    await w.pass(5 * SECOND);
    const letters = await w.hub.deadLetters({ limit: 10 });
    assertEquals(acknowledged, letters.length === 0);
  }),
);

Deno.test(
  "an acknowledgement while messages are sent, refused and lost leaves nothing stuck",
  inWorld({ delivery: { window: 3, ackTimeout: 4 * SECOND, maxRetries: 100 } }, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 60));
    for (let i = 0; i < 400; i++) {
      const messages = bob.take();
      messages.forEach((message, k) => {
        const fate = (i + k) % 5;
        const { event_id } = message;
        if (fate === 0) bob.say({ type: "message_nack", event_id });
        else if (fate === 1) bob.say({ type: "message_nack", event_id, delay: 2 });
        else if (fate !== 2) bob.say({ type: "message_ack", event_id });
      });
      if (i % 37 === 36) {
        await bob.drop();
        bob = await w.subscriber("bob", "c");
      }
      await w.pass(700);
    }
    assertEquals(bob.take().filter(({ _retry_count }) => _retry_count === undefined), []);
    const { floor, late } = (await w.position("bob", "c"))!;
    assertEquals([floor, late], [60, []]);
  }),
);
