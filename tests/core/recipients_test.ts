import { assert, assertEquals } from "@std/assert";
import { inWorld, numbers } from "./harness.ts";

const marks = ["_redelivered", "_retry_count", "_redriven"] as const;

Deno.test(
  "a new subscription starts at the head",
  inWorld({}, async (w) => {
    await w.publish("c", 1, 2);
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 3);
    assertEquals(bob.data, [3]);
  }),
);

Deno.test(
  "a message stored while the answer to a subscribe is on its way is delivered",
  inWorld({}, async (w) => {
    const bob = await w.connect("bob");
    await w.publish("c", 1);
    const release = w.interposed.hold("commit");
    bob.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    await w.publish("c", 2);
    assertEquals(bob.frames.map(({ type }) => type), ["pong"]);
    release();
    await w.settle();
    assertEquals(bob.frames.map(({ type }) => type), [
      "pong",
      "channel.subscribed",
      "channel_message",
    ]);
    assertEquals(bob.data, [2]);
  }),
);

Deno.test(
  "a session that was away gets what was stored meanwhile, in order; only what was sent is marked",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2, 3);
    const [first] = bob.take();
    assert(await bob.ack(first));
    await bob.drop();
    await w.publish("c", 4, 5);
    await w.pass(3_600_000);
    const again = await w.subscriber("bob", "c");
    await w.publish("c", 6);
    assertEquals(again.data, [2, 3, 4, 5, 6]);
    assertEquals(
      again.messages.map((message) => marks.map((mark) => message[mark])),
      [
        [true, 0, undefined],
        [true, 0, undefined],
        [undefined, undefined, undefined],
        [undefined, undefined, undefined],
        [undefined, undefined, undefined],
      ],
    );
  }),
);

Deno.test(
  "a resend after a lost connection is marked though nothing of the channel was acknowledged",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    await bob.drop();
    const again = await w.subscriber("bob", "c");
    assertEquals(again.messages.map(({ _redelivered }) => _redelivered), [true]);
  }),
);

Deno.test(
  "what was acknowledged out of order is not sent again after a lost connection",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 10));
    for (const message of bob.take()) {
      if ([2, 3, 7, 10].includes(message.data as number)) assert(await bob.ack(message));
    }
    await bob.drop();
    const again = await w.subscriber("bob", "c");
    assertEquals(again.data, [1, 4, 5, 6, 8, 9]);
    await w.publish("c", 11);
    assertEquals(again.data, [1, 4, 5, 6, 8, 9, 11]);
  }),
);

Deno.test(
  "positions survive the gateway: what was acknowledged a second before a crash is not sent again",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2, 3);
    for (const message of bob.take().slice(0, 2)) await bob.ack(message);
    await w.pass(1_000);
    w.crash();
    const again = await w.subscriber("bob", "c");
    assertEquals(again.data, [3]);
  }),
);

Deno.test(
  "a crash right after an acknowledgement repeats messages, and loses none",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2, 3);
    for (const message of bob.take()) await bob.ack(message);
    w.crash();
    const again = await w.subscriber("bob", "c");
    assertEquals(again.data, [1, 2, 3]);
  }),
);

Deno.test(
  "'last' starts with so many kept messages, 'all' with the oldest, 'since' after a place",
  inWorld({}, async (w) => {
    await w.publish("c", 1, 2, 3, 4);
    const dan = await w.extended("dan");
    const { epoch } = await dan.subscribe("c", { last: 2 });
    assertEquals(dan.data, [3, 4]);
    const [all, since, none, many, end] = await Promise.all(
      ["all", "since", "none", "many", "end"].map((name) => w.extended(name)),
    );
    await all.subscribe("c", { all: true });
    await since.subscribe("c", { since: { epoch: epoch!, seq: 1 } });
    await none.subscribe("c", { last: 0 });
    await many.subscribe("c", { last: 1000 });
    await end.subscribe("c", { since: { epoch: epoch!, seq: 4 } });
    assertEquals(
      [all, since, none, many, end].map(({ data }) => data),
      [[1, 2, 3, 4], [2, 3, 4], [], [1, 2, 3, 4], []],
    );
    await w.publish("c", 5);
    assertEquals([all.data, since.data, none.data], [[1, 2, 3, 4, 5], [2, 3, 4, 5], [5]]);
  }),
);

Deno.test(
  "'since' a place that is not yet there starts at the head, and misses nothing that comes",
  inWorld({}, async (w) => {
    await w.publish("c", 1);
    const bob = await w.extended("bob");
    const { epoch } = await bob.subscribe("c");
    await bob.unsubscribe("c");
    await bob.subscribe("c", { since: { epoch: epoch!, seq: 1_000 } });
    await w.publish("c", 2, 3);
    assertEquals(bob.data, [2, 3]);
  }),
);

Deno.test(
  "an earlier start includes the client's own messages; later own ones are left out",
  inWorld({}, async (w) => {
    const ann = await w.extended("ann");
    await ann.publish("c", "own");
    await w.publish("c", "other");
    await ann.subscribe("c", { all: true });
    await ann.publish("c", "own later");
    assertEquals(ann.data, ["own", "other"]);
    // Also where the connection breaks before they are acknowledged.
    await ann.drop();
    const again = await w.extended("ann");
    await again.subscribe("c");
    assertEquals(again.data, ["own", "other"]);
  }),
);

Deno.test(
  "a returning subscription goes on from its position",
  inWorld({}, async (w) => {
    const bob = await w.extended("bob");
    await bob.subscribe("c");
    await w.publish("c", 1, 2);
    await bob.ackUpTo(bob.messages[1]);
    await bob.drop();
    await w.publish("c", 3);
    const again = await w.extended("bob");
    assertEquals((await again.subscribe("c")).seq, 2);
    assertEquals(again.data, [3]);
  }),
);

Deno.test(
  "a returning subscription that asks for 'all' starts anew, and goes on from there",
  inWorld({}, async (w) => {
    const bob = await w.extended("bob");
    await bob.subscribe("c");
    await w.publish("c", 1, 2, 3, 4);
    await bob.ackUpTo(bob.messages[3]);
    await bob.drop();
    const again = await w.extended("bob");
    await again.subscribe("c", { all: true });
    assertEquals(again.data, [1, 2, 3, 4]);
    await again.ackUpTo(again.messages[1]);
    await again.drop();
    const third = await w.extended("bob");
    await third.subscribe("c");
    assertEquals(third.data, [3, 4]);
  }),
);

Deno.test(
  "the client's own position moves the gateway's on: what it has is not sent again",
  inWorld({}, async (w) => {
    const bob = await w.extended("bob");
    const { epoch } = await bob.subscribe("c");
    await w.publish("c", ...numbers(1, 6));
    await bob.drop();
    const again = await w.extended("bob", {
      subscriptions: [{ channel: "c", position: { epoch: epoch!, seq: 5, open: [2, 2, 4, 5] } }],
    });
    assertEquals(again.data, [6]);
    // What it said to be open is still owed.
    again.say({ type: "ack", acks: [{ channel: "c", epoch, ranges: [2, 2, 5, 6] }] });
    await w.settle();
    await again.drop();
    const third = await w.subscriber("bob", "c", { wire: "extended" });
    assertEquals(third.data, [4]);
  }),
);

Deno.test(
  "a position told while messages flow counts at once, and is stored",
  inWorld({ delivery: { window: 3 } }, async (w) => {
    const { session, connection } = await w.hubClient("bob", "c");
    await w.publish("c", ...numbers(1, 8));
    const seqs = () => connection.take("channel_message").map(({ seq }) => seq);
    assertEquals(seqs(), [1, 2, 3]);
    const { epoch } = w.hub.channel("c");
    // A poller whose last answer was lost has but the first two, and is at one of them.
    session.adopt("c", epoch, 2, [2, 2], connection);
    await w.settle();
    assertEquals(seqs(), [3, 4]);
    await w.pass(1_000);
    assertEquals((await w.position("bob", "c"))?.floor, 1);
    // Of another epoch it says nothing.
    session.adopt("c", "other", 8, [], connection);
    await w.settle();
    assertEquals(seqs(), []);
  }),
);

Deno.test(
  "the client's position counts where the session was lost, and never beyond the head",
  inWorld({}, async (w) => {
    await w.publish("c", ...numbers(1, 6));
    const ann = await w.extended("ann");
    const { epoch } = await ann.subscribe("c");
    const at = (seq: number, open: number[] = []) => ({
      subscriptions: [{ channel: "c", position: { epoch: epoch!, seq, open } }],
    });
    const bob = await w.extended("bob", at(5, [2, 3]));
    assertEquals(bob.data, [6]);
    await w.pass(100_000);
    assertEquals(new Set(bob.data.slice(1)), new Set([2, 3, 6]));
    const cid = await w.extended("cid", at(1_000_000));
    assertEquals(cid.data, []);
    await w.publish("c", 7);
    assertEquals(cid.data, [7]);
  }),
);

Deno.test(
  "a stored subscription is a position: nothing flows until this connection has subscribed",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await bob.drop();
    const again = await w.connect("bob");
    await w.publish("c", 1);
    await w.pass(60_000);
    assertEquals(again.data, []);
    await again.subscribe("c");
    assertEquals(again.data, [1]);
  }),
);

Deno.test(
  "unsubscribe ends the position: a later subscription starts at the head",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    assertEquals((await bob.unsubscribe("c")).ok, true);
    assertEquals((await bob.unsubscribe("c")).ok, false);
    await w.publish("c", 2);
    assertEquals(bob.data, [1]);
    await bob.drop();
    assertEquals(await w.position("bob", "c"), undefined);
    const again = await w.subscriber("bob", "c");
    await w.publish("c", 3);
    assertEquals(again.data, [3]);
  }),
);

Deno.test(
  "unsubscribe ends a position that this connection never subscribed to",
  inWorld({}, async (w) => {
    await (await w.subscriber("bob", "c")).drop();
    const again = await w.connect("bob");
    await again.unsubscribe("c");
    assertEquals(await w.position("bob", "c"), undefined);
    await w.publish("c", 1);
    await again.subscribe("c");
    assertEquals(again.data, []);
  }),
);

Deno.test(
  "ok of create and subscribe is false where nothing changed",
  inWorld({}, async (w) => {
    const bob = await w.connect("bob");
    const create = () => bob.ask({ type: "channel.create", channel: "c" }, "channel.created");
    assertEquals([(await create()).ok, (await create()).ok], [true, false]);
    assertEquals([(await bob.subscribe("c")).ok, (await bob.subscribe("c")).ok], [true, false]);
    assertEquals((await bob.subscribe("d")).ok, true);
    const list = await bob.ask({ type: "channel.list" }, "channel.list");
    assertEquals(list.channels.sort(), ["c", "d"]);
  }),
);

Deno.test(
  "a client may subscribe to maxChannels channels, and those it left behind count",
  inWorld({ limits: { maxChannels: 2 } }, async (w) => {
    const bob = await w.subscriber("bob", "a");
    await bob.subscribe("b");
    bob.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    assertEquals(bob.errors, ["too_many_channels"]);
    await bob.drop();
    const again = await w.connect("bob");
    again.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    assertEquals(again.errors, ["too_many_channels"]);
    await again.unsubscribe("a");
    await again.subscribe("c");
    assertEquals(await w.position("bob", "a"), undefined);
  }),
);
