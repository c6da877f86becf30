import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { parseEventId, PushError } from "@push/client/protocol";
import { inWorld, numbers, World } from "./harness.ts";

Deno.test(
  "Hub.publish() resolves once the store has the message, and nobody gets it before",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    const release = w.interposed.hold("append");
    let answered = false;
    const published = w.hub.publish("c", "1", {}).then(() => answered = true);
    await w.pass(10_000);
    assertEquals([answered, bob.data], [false, []]);
    release();
    await w.settle();
    assertEquals([answered, bob.data], [true, [1]]);
    await published;
  }),
);

Deno.test(
  "a message whose commit failed reaches nobody, and its publisher is told",
  inWorld({}, async (w) => {
    const [ann, bob] = [await w.connect("ann"), await w.subscriber("bob", "c")];
    w.interposed.refuseOnce("append", new PushError("store_full"));
    ann.say({ type: "channel.publish", channel: "c", data: 1 });
    await w.settle();
    assertEquals(ann.errors, ["store_full"]);
    await w.pass(60_000);
    assertEquals(bob.data, []);
    await w.publish("c", 2);
    assertEquals(bob.data, [2]);
  }),
);

Deno.test(
  "publishes of one connection are stored in sending order, however they arrive at the store",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    const ann = await w.extended("ann");
    const release = w.interposed.hold("append");
    for (const n of numbers(1, 5)) ann.say({ type: "channel.publish", channel: "c", data: n });
    await w.settle();
    for (const n of numbers(6, 2500)) ann.say({ type: "channel.publish", channel: "c", data: n });
    release();
    await w.settle();
    assertEquals(bob.data, numbers(1, 1024));
    assertEquals(ann.connection.take("channel.published").map(({ seq }) => seq), numbers(1, 2500));
  }),
);

Deno.test(
  "all subscribers see the messages of several publishers in one order",
  inWorld({}, async (w) => {
    const clients = await Promise.all(
      ["a", "b", "c"].map((name) => w.subscriber(name, "channel")),
    );
    const publishers = await Promise.all(["x", "y", "z"].map((name) => w.extended(name)));
    for (const round of numbers(1, 50)) {
      for (const publisher of publishers) {
        publisher.say({ type: "channel.publish", channel: "channel", data: round });
      }
      if (round % 7 === 0) await w.settle();
    }
    await w.settle();
    const orders = clients.map(({ messages }) => messages.map(({ event_id }) => event_id));
    assertEquals(orders[0].length, 150);
    assertEquals(orders[1], orders[0]);
    assertEquals(orders[2], orders[0]);
    assertEquals(orders[0].map((id) => parseEventId(id)?.seq), numbers(1, 150));
  }),
);

Deno.test(
  "a burst is committed together: many publishes cost few appends",
  inWorld({}, async (w) => {
    await w.publish("c", 0);
    w.interposed.reset();
    await w.publish("c", ...numbers(1, 1000));
    assertEquals(w.interposed.count("append"), 1);
  }),
);

Deno.test(
  "a publish behind one that failed is stored under a number that follows the log",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    w.interposed.after = ({ operation }) => {
      if (operation !== "append") return;
      w.interposed.after = undefined;
      throw new PushError("outcome_unknown");
    };
    const release = w.interposed.hold("append");
    const lost = w.hub.publish("c", "2", {}).catch((error) => error.code);
    await w.settle();
    const next = w.hub.publish("c", "3", {});
    release();
    await w.settle();
    assertEquals(await lost, "outcome_unknown");
    assertEquals((await next).seq, 3);
    // It was stored after all, so it is delivered, and in its place.
    assertEquals(bob.data, [1, 2, 3]);
  }),
);

Deno.test(
  "a message that was stored though its publish failed waits for no other publish",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    w.interposed.after = ({ operation }) => {
      if (operation !== "append") return;
      w.interposed.after = undefined;
      throw new PushError("outcome_unknown");
    };
    const lost = w.hub.publish("c", "1", {}).catch((error) => error.code);
    await w.settle();
    assertEquals(await lost, "outcome_unknown");
    await w.pass(5_000);
    assertEquals(bob.data, [1]);
  }),
);

Deno.test(
  "the publisher does not get its own message, unless it asks with 'echo'",
  inWorld({}, async (w) => {
    const [ann, bob] = [await w.subscriber("ann", "c"), await w.subscriber("bob", "c")];
    await ann.publish("c", "quiet");
    await ann.publish("c", "loud", { echo: true });
    await w.publish("c", "other");
    assertEquals(ann.data, ["loud", "other"]);
    assertEquals(bob.data, ["quiet", "loud", "other"]);
    // What was passed over is settled: nothing is owed once the rest is acknowledged.
    for (const message of ann.take()) assert(await ann.ack(message));
    await w.pass(200_000);
    assertEquals(ann.data, ["loud", "other"]);
  }),
);

Deno.test(
  "'delivered' counts the other subscribers connected now",
  inWorld({}, async (w) => {
    const ann = await w.connect("ann");
    assertEquals((await ann.publish("c", 1)).delivered, 0);
    const [bob] = [await w.subscriber("bob", "c"), await w.subscriber("cid", "c")];
    await w.subscriber("dan", "other");
    assertEquals((await ann.publish("c", 2)).delivered, 2);
    await ann.subscribe("c");
    assertEquals((await ann.publish("c", 3)).delivered, 2);
    assertEquals((await ann.publish("c", 3, { echo: true })).delivered, 2);
    await bob.drop();
    assertEquals((await ann.publish("c", 4)).delivered, 1);
    await w.connect("cid");
    assertEquals((await ann.publish("c", 5)).delivered, 0);
    assertEquals((await w.hub.publish("c", "6", {})).delivered, 1);
  }),
);

Deno.test(
  "a repeated publish id is stored once within five minutes, and answered with the first result",
  inWorld({}, async (w) => {
    const [ann, bob] = [await w.extended("ann"), await w.subscriber("bob", "c")];
    const first = await ann.publish("c", 1, { id: "x" });
    await ann.publish("c", 2);
    await w.pass(299_000);
    const again = await ann.publish("c", "other data", { id: "x" });
    assertEquals([again.event_id, again.seq, again.duplicate], [first.event_id, 1, true]);
    assertEquals(first.duplicate, undefined);
    await w.pass(2_000);
    const later = await ann.publish("c", 3, { id: "x" });
    assertEquals([later.seq, later.duplicate], [3, undefined]);
    assertEquals(new Set(bob.data), new Set([1, 2, 3]));
  }),
);

Deno.test(
  "a publish id repeated in one burst, or over another connection, is stored once",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    const [ann, twin] = [await w.extended("ann"), await w.extended("twin")];
    ann.say({ type: "channel.publish", channel: "c", data: 1, id: "x", request_id: 1 });
    ann.say({ type: "channel.publish", channel: "c", data: 1, id: "x", request_id: 2 });
    await w.settle();
    await twin.publish("c", 1, { id: "x" });
    await twin.publish("d", 1, { id: "x" });
    assertEquals(bob.data, [1]);
    const answers = ann.connection.take("channel.published");
    assertEquals(answers.map(({ seq, duplicate }) => [seq, duplicate]), [[1, undefined], [
      1,
      true,
    ]]);
    assertEquals(bob.messages.length, 1);
  }),
);

Deno.test("the same publish id of two subjects is two messages", async () => {
  const w = new World();
  const [a, b] = ["a", "b"].map((subject) => w.dial(subject, {}, { subject }));
  for (const client of [a, b]) await client.ask({ type: "ping" }, "pong");
  const bob = await w.subscriber("bob", "c");
  await a.publish("c", "from a", { id: "x" });
  await b.publish("c", "from b", { id: "x" });
  assertEquals(bob.data, ["from a", "from b"]);
  await w.end();
});

Deno.test(
  "a message travels as it was written: digits, escapes and the order of keys",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    const ann = await w.connect("ann");
    const payload = '{ "z":1.0000000000000000001, "a":"\\u00e9\\ud83d\\ude00", "2":[1e400,-0] }';
    ann.sayText(`{"type":"channel.publish","channel":"c","data":${payload}}`);
    await w.settle();
    const [text] = bob.connection.texts.filter((each) => each.includes("channel_message"));
    assert(text.includes(`"data":${payload},"event_id"`), text);
  }),
);

Deno.test(
  "a message names its place, its time, its source, and on the extended wire its number and id",
  inWorld({}, async (w) => {
    const fixed = await w.subscriber("fixed", "c");
    const extended = await w.subscriber("extended", "c", { wire: "extended" });
    const ann = await w.extended("ann");
    const { event_id, epoch } = await ann.publish("c", { x: [1] }, { id: 'a "b"' });
    const timestamp = w.clock.now() / 1000;
    const frame = {
      type: "channel_message" as const,
      channel: "c",
      data: { x: [1] },
      event_id: event_id!,
      timestamp,
      source: "ann",
      target: null,
    };
    assertEquals(fixed.messages, [frame]);
    assertEquals(extended.messages, [{ ...frame, seq: 1, epoch, id: 'a "b"' }]);
    assertEquals(parseEventId(event_id), { channel: "c", epoch: epoch!, seq: 1 });
    assertNotEquals(timestamp, Math.floor(timestamp / 1000));
    await w.publish("c", 2);
    assertEquals(fixed.messages[1].source, null);
  }),
);

Deno.test(
  "delivery: false sends each message at most once, and keeps no session",
  inWorld({ delivery: { enabled: false } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    assertEquals(bob.data, [1, 2]);
    assertEquals(await bob.ack(bob.messages[0]), false);
    assertEquals(await bob.nack(bob.messages[1]), false);
    await w.pass(200_000);
    assertEquals(bob.data, [1, 2]);
    await bob.drop();
    await w.publish("c", 3);
    const again = await w.subscriber("bob", "c");
    await w.publish("c", 4);
    await w.pass(200_000);
    assertEquals(again.data, [4]);
    assertEquals((await w.hub.stats()).sessions, 1);
    assertEquals(w.interposed.count("commit"), 0);
  }),
);
