import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { GapFrame, GatewayFrame } from "@push/client/protocol";
import { inWorld, numbers, type TestClient } from "./harness.ts";

const MINUTE = 60_000;
const trimmed = { historySize: 2, maxChannelBytes: 700 };

function gaps(client: TestClient): GapFrame[] {
  return client.connection.take("channel.gap");
}

/** What a client saw, in order: numbers of gaps as strings, payloads of messages. */
function story(client: TestClient): unknown[] {
  return client.frames.flatMap((frame: GatewayFrame) => {
    if (frame.type === "channel_message") return [frame.data];
    if (frame.type === "channel.gap") return [`gap ${frame.seq}`];
    return frame.type === "error" && frame.code === "gap" ? ["gap"] : [];
  });
}

Deno.test(
  "messages that expired while a session was away are told as a gap; it goes on from the oldest kept",
  inWorld({ delivery: { messageTtl: 10 * MINUTE, sessionGrace: 100 * MINUTE } }, async (w) => {
    const bob = await w.extended();
    const { epoch } = await bob.subscribe("c");
    const { client_id, secret } = bob.connection.take("connected")[0];
    await bob.drop();
    await w.publish("c", 1, 2);
    await w.pass(8 * MINUTE);
    await w.publish("c", 3);
    await w.pass(5 * MINUTE);
    const again = await w.extended(client_id, { secret });
    await again.subscribe("c");
    assertEquals(story(again), ["gap 2", 3]);
    const [{ channel, epoch: at, reason }] = gaps(again);
    assertEquals([channel, at], ["c", epoch]);
    assertNotEquals(reason, "epoch");
    assertEquals(w.hub.context.metrics.gaps, 1);
  }),
);

Deno.test(
  "messages trimmed by a size limit are told as a gap, once per loss, to who was behind only",
  inWorld({ delivery: trimmed }, async (w) => {
    const [bob, eve] = [await w.extended("bob"), await w.extended("eve")];
    await Promise.all([bob.subscribe("c"), eve.subscribe("c")]);
    await bob.drop();
    for (const n of numbers(1, 30)) {
      await w.publish("c", n);
      await eve.ackUpTo(eve.messages.at(-1)!);
    }
    const again = await w.extended("bob");
    await again.subscribe("c");
    const [gap, ...rest] = story(again);
    const kept = rest.length;
    assert(kept >= 2 && kept < 30, `${kept} messages kept`);
    assertEquals([gap, ...rest], [`gap ${30 - kept}`, ...numbers(31 - kept, 30)]);
    assertEquals(story(eve), numbers(1, 30));
    assert((await w.hub.stats()).evicted > 0, "A counter rises");
  }),
);

Deno.test(
  "a slow reader whose messages are trimmed while it is attached is told",
  inWorld({ delivery: trimmed }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    bob.connection.capacity = 0;
    for (const n of numbers(2, 3000)) await w.hub.publish("c", `${n}`, {});
    await bob.drain();
    const [first, gap, ...rest] = story(bob);
    assertEquals([first, gap], [1, "gap"]);
    assertEquals(rest.at(-1), 3000);
    const error = bob.connection.take("error")[0];
    assertEquals([error.code, error.channel], ["gap", "c"]);
    assertEquals(rest, numbers(3001 - rest.length, 3000));
  }),
);

Deno.test(
  "a message that is gone when its retry is due is told as a gap, and owed no more",
  inWorld({ delivery: trimmed }, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    await w.publish("c", 1);
    await bob.nack(bob.messages[0], 30);
    for (const n of numbers(2, 50)) {
      await w.publish("c", n);
      await bob.ackUpTo(bob.messages.at(-1)!);
    }
    w.hub.channel("c").sweep(w.clock.now(), 0);
    await w.pass(31_000);
    const seqs = gaps(bob).map(({ seq }) => seq);
    assertEquals(bob.data, numbers(1, 50));
    assertEquals(seqs, [1]);
    await w.pass(1000_000);
    assertEquals([gaps(bob), bob.data.length], [[], 50]);
    assertEquals(await w.hub.deadLetters({ limit: 1 }), []);
  }),
);

Deno.test(
  "a message that is gone when it would be given up is told as a gap, and the channel goes on",
  inWorld({ delivery: { ...trimmed, window: 1, maxRetries: 0 } }, async (w) => {
    let bob = await w.subscriber("bob", "c", { wire: "extended" });
    await w.publish("c", 1);
    const [{ epoch }] = bob.messages;
    await bob.drop();
    await w.publish("c", ...numbers(2, 50));
    // It has the first one, and is at it.
    const position = { epoch: epoch!, seq: 1, open: [1, 1] };
    bob = await w.extended("bob", { subscriptions: [{ channel: "c", position }] });
    assertEquals(story(bob), []);
    await w.pass(60_000);
    const [first, second, message] = story(bob);
    assertEquals([first, typeof second, typeof message], ["gap 1", "string", "number"]);
    for (let i = 0; i < 50; i++) await bob.ackUpTo(bob.messages.at(-1)!);
    assertEquals(bob.data.at(-1), 50);
  }),
);

Deno.test(
  "what is sent again behind a gap that nobody acknowledged carries the mark",
  inWorld({ delivery: trimmed }, async (w) => {
    await (await w.subscriber("bob", "c")).drop();
    await w.publish("c", ...numbers(1, 30));
    const first = await w.subscriber("bob", "c");
    assertEquals(first.messages.some(({ _redelivered }) => _redelivered), false);
    await first.drop();
    const again = await w.subscriber("bob", "c");
    assertEquals(again.data, first.data);
    assertEquals(again.messages.every(({ _redelivered }) => _redelivered), true);
  }),
);

Deno.test(
  "a fresh store is told as a gap: another epoch, from its oldest message on",
  inWorld({}, async (w) => {
    const bob = await w.extended("bob");
    const { epoch } = await bob.subscribe("c");
    await w.publish("c", 1, 2);
    await bob.ackUpTo(bob.messages[1]);
    w.interposed.target = w.freshStore();
    w.crash();
    await w.publish("c", "a", "b");
    const again = await w.extended("bob", {
      subscriptions: [{ channel: "c", position: { epoch: epoch!, seq: 2 } }],
    });
    assertEquals(story(again), ["gap 0", "a", "b"]);
    const [gap] = gaps(again);
    assertEquals(gap.reason, "epoch");
    assertNotEquals(gap.epoch, epoch);
    assertEquals(again.messages.map(({ epoch }) => epoch), [gap.epoch, gap.epoch]);
  }),
);

Deno.test(
  "a store that loses its data under a running gateway: subscribers are told, and go on",
  inWorld({}, async (w) => {
    const [bob, eve] = [
      await w.subscriber("bob", "c", { wire: "extended" }),
      await w.subscriber("eve", "c"),
    ];
    await w.publish("c", 1, 2, 3, 4, 5);
    const [first] = bob.messages;
    await bob.ackUpTo(first);
    w.interposed.target = w.freshStore();
    for (const [client, name] of [[bob, "bob"], [eve, "eve"]] as const) {
      // Sessions are gone with the store: they are claimed anew, as after a failover.
      await w.interposed.target.claim(
        { key: `n:${name}:anonymous`, holder: "x", instance: "x", attempt: 0, ttl: 1e9 },
        w.clock.now(),
      );
      assertEquals(client.closed, undefined);
    }
    await w.publish("c", "a");
    await w.publish("c", "b", "c");
    for (const client of [bob, eve]) {
      assertEquals(client.data, [1, 2, 3, 4, 5, "a", "b", "c"]);
    }
    assertEquals(gaps(bob).map(({ seq, reason }) => [seq, reason]), [[0, "epoch"]]);
    assertEquals(eve.errors, ["gap"]);
    // Acknowledgements of the lost epoch are ignored.
    assertEquals(await eve.ack(eve.messages[0]), false);
    assertEquals(await eve.ack(eve.messages[5]), true);
  }),
);

Deno.test(
  "an answer of the store that is older than a new epoch changes nothing",
  inWorld({}, async (w) => {
    await w.publish("c", ...numbers(1, 600));
    const { epoch } = w.hub.channel("c");
    const bob = await w.extended("bob");
    let release: (() => void) | undefined;
    w.interposed.after = ({ operation }) => {
      if (operation !== "read" || release !== undefined) return;
      return new Promise((resolve) => release = resolve);
    };
    bob.say({ type: "channel.subscribe", channel: "c", since: { epoch, seq: 0 } });
    await w.settle();
    w.interposed.target = w.freshStore();
    await w.interposed.target.claim(
      { key: "n:bob:anonymous", holder: "x", instance: "x", attempt: 0, ttl: 1e9 },
      w.clock.now(),
    );
    await w.publish("c", "a");
    release!();
    await w.settle();
    await w.publish("c", "b");
    assertEquals(story(bob), ["gap 0", "a", "b"]);
  }),
);

Deno.test(
  "a gap is told again until it or a later message was acknowledged",
  inWorld({ delivery: trimmed }, async (w) => {
    let bob = await w.extended("bob");
    await bob.subscribe("c");
    await bob.drop();
    await w.publish("c", ...numbers(1, 30));
    const again = async () => {
      await bob.drop();
      bob = await w.extended("bob");
      await bob.subscribe("c");
      return story(bob);
    };
    const first = await again();
    assertEquals(typeof first[0], "string");
    assertEquals(await again(), first);
    assertEquals(await again(), first);
    // The message right after the gap is acknowledged by name: the gap was heard.
    const [{ channel, epoch, seq }] = bob.messages;
    bob.say({ type: "ack", acks: [{ channel, epoch, ranges: [seq!, seq!] }] });
    await w.settle();
    assertEquals(await again(), first.slice(2));
    assertEquals(await again(), first.slice(2));
  }),
);

for (const how of ["event_id", "upto", "ranges"] as const) {
  Deno.test(
    `an acknowledgement of a message before a gap says nothing of the gap (by ${how})`,
    inWorld({ delivery: trimmed }, async (w) => {
      let bob = await w.subscriber("bob", "c", { wire: "extended" });
      await w.publish("c", 1);
      const [first] = bob.messages;
      bob.connection.capacity = 0;
      for (const n of numbers(2, 3000)) await w.hub.publish("c", `${n}`, {});
      await bob.drain();
      const [gap] = gaps(bob);
      const { channel, epoch } = first;
      if (how === "event_id") await bob.ack(first);
      else if (how === "upto") await bob.ackUpTo(first);
      else bob.say({ type: "ack", acks: [{ channel, epoch, ranges: [1, 1] }] });
      await w.pass(1_000);
      await bob.drop();
      bob = await w.subscriber("bob", "c", { wire: "extended" });
      assertEquals(gaps(bob), [gap]);
      // By its own number it counts.
      bob.say({ type: "ack", acks: [{ channel, epoch, upto: gap.seq }] });
      await w.settle();
      await bob.drop();
      bob = await w.subscriber("bob", "c", { wire: "extended" });
      assertEquals(gaps(bob), []);
    }),
  );
}

Deno.test(
  "a gap counts as heard when its own number is acknowledged",
  inWorld({ delivery: trimmed }, async (w) => {
    let bob = await w.extended("bob");
    const { epoch } = await bob.subscribe("c");
    await bob.drop();
    await w.publish("c", ...numbers(1, 30));
    bob = await w.extended("bob");
    await bob.subscribe("c");
    const [gap, ...rest] = story(bob);
    assertEquals(typeof gap, "string");
    bob.say({ type: "ack", acks: [{ channel: "c", epoch, upto: gaps(bob)[0].seq }] });
    await w.settle();
    await bob.drop();
    bob = await w.extended("bob");
    await bob.subscribe("c");
    assertEquals(story(bob), rest);
  }),
);

Deno.test(
  "a gap on the fixed wire counts as heard when a message after it is acknowledged",
  inWorld({ delivery: trimmed }, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await bob.drop();
    await w.publish("c", ...numbers(1, 30));
    bob = await w.subscriber("bob", "c");
    const first = story(bob);
    await bob.drop();
    bob = await w.subscriber("bob", "c");
    assertEquals(story(bob), first);
    assert(await bob.ack(bob.messages[0]));
    await bob.drop();
    bob = await w.subscriber("bob", "c");
    assertEquals(story(bob), first.slice(2));
  }),
);

Deno.test(
  "what was acknowledged above a gap is not sent again behind it",
  inWorld({ delivery: trimmed }, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 6));
    const last = bob.messages.at(-1)!;
    assert(await bob.ack(last));
    await bob.drop();
    // Some below it go, it stays.
    await w.publish("c", ...numbers(7, 13));
    const { oldest } = (await w.hub.channels())[0];
    assert(oldest > 1 && oldest < 6, `${oldest} is the oldest kept`);
    bob = await w.subscriber("bob", "c");
    assertEquals(story(bob), ["gap", ...numbers(oldest, 13).filter((n) => n !== 6)]);
  }),
);

Deno.test(
  "what waits for its retry above a gap is sent once behind it",
  inWorld({ delivery: trimmed }, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 6));
    assert(await bob.nack(bob.messages.at(-1)!, 3600));
    await bob.drop();
    await w.publish("c", ...numbers(7, 13));
    bob = await w.subscriber("bob", "c");
    const data = bob.data;
    assertEquals([story(bob)[0], data.filter((n) => n === 6)], ["gap", [6]]);
    for (const message of bob.take()) assert(await bob.ack(message));
    await w.pass(7200_000);
    assertEquals(bob.takeData(), []);
  }),
);

Deno.test(
  "what was refused behind a gap that nobody acknowledged comes once over the next connection",
  inWorld({ delivery: trimmed }, async (w) => {
    let bob = await w.extended("bob");
    await bob.subscribe("c");
    await bob.drop();
    await w.publish("c", ...numbers(1, 30));
    bob = await w.extended("bob");
    await bob.subscribe("c");
    const rest = bob.data;
    const refused = bob.messages[3];
    assert(await bob.nack(refused, 3600));
    await w.pass(1_000);
    await bob.drop();
    bob = await w.extended("bob");
    await bob.subscribe("c");
    await w.settle();
    assertEquals(bob.data.toSorted(), rest.toSorted());
    assertEquals(gaps(bob).length, 1);
    const { epoch } = refused;
    bob.say({ type: "ack", acks: [{ channel: "c", epoch, ranges: [1, 30] }] });
    await w.pass(7200_000);
    assertEquals(story(bob).length, 1 + rest.length);
    assertEquals((await w.position("bob", "c"))?.floor, 30);
  }),
);

Deno.test(
  "what waits for its retry above a gap, and is gone too, keeps no place in the window",
  inWorld({ delivery: { ...trimmed, window: 1 } }, async (w) => {
    await (await w.subscriber("bob", "c")).drop();
    await w.publish("c", ...numbers(1, 30));
    const first = await w.subscriber("bob", "c");
    // As many as may wait where the window is one message.
    for (let i = 0; i < 2; i++) await first.nack(first.messages.at(-1)!, 60_000);
    await first.drop();
    const refused = first.data;
    assertEquals(refused.length, 2);
    await w.publish("c", ...numbers(31, 60));
    const again = await w.extended("bob");
    await again.subscribe("c");
    const [{ seq: gone }, ...late] = gaps(again);
    assertEquals(late.map(({ seq }) => seq), refused);
    // Nobody publishes: it goes on by itself.
    for (const n of numbers(gone + 1, 60)) {
      assertEquals(again.takeData(), [n]);
      await again.ackUpTo(again.messages.at(-1)!);
    }
    await w.pass(1000);
    const position = await w.position("bob", "c");
    assertEquals([position?.floor, position?.late], [60, []]);
  }),
);

Deno.test(
  "own messages and the end of a subscription's past are no gap",
  inWorld({ delivery: { historySize: 2 } }, async (w) => {
    const ann = await w.extended("ann");
    await ann.subscribe("c");
    for (const n of numbers(1, 20)) await ann.publish("c", n);
    await ann.drop();
    const again = await w.extended("ann");
    await again.subscribe("c");
    await w.publish("c", "x");
    assertEquals(story(again), ["x"]);
    const eve = await w.extended("eve");
    await eve.subscribe("c", { all: true });
    assertEquals(story(eve).some((each) => typeof each === "string" && each !== "x"), false);
  }),
);

Deno.test(
  "no subscriber hears of a gap when nothing is lost, whatever the history keeps",
  inWorld({ delivery: { historySize: 0 } }, async (w) => {
    const [bob, eve] = [await w.subscriber("bob", "c"), await w.subscriber("eve", "c")];
    for (const n of numbers(1, 50)) {
      await w.publish("c", n);
      for (const message of bob.take()) await bob.ack(message);
    }
    await eve.drop();
    const again = await w.subscriber("eve", "c");
    assertEquals(story(again), numbers(1, 50));
    assertEquals(story(bob), numbers(1, 50));
  }),
);
