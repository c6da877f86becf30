import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import type { MessageFrame } from "@push/client/protocol";
import { inWorld, numbers, type TestClient, type World } from "./harness.ts";

const SECOND = 1_000;
/** Step of the timing wheel with this ackTimeout: what is due is found within one. */
const STEP = 250;
const delivery = { ackTimeout: 16 * SECOND, maxRetries: 3, retryBackoff: 2 };

/** Lets time pass until the client gets a message; returns the milliseconds, and the message. */
async function wait(
  w: World,
  client: TestClient,
  limit = 200 * SECOND,
): Promise<[number, MessageFrame]> {
  const start = w.clock.now();
  while (w.clock.now() - start < limit) {
    const [message] = client.take();
    if (message !== undefined) return [w.clock.now() - start, message];
    await w.pass(50);
  }
  throw new Error(`No message came within ${limit} ms`);
}

function marks({ _redelivered, _retry_count, _redriven }: MessageFrame): unknown[] {
  return [_redelivered, _retry_count, _redriven];
}

Deno.test(
  "a message without an acknowledgement is sent again after 1 to 1.5 ackTimeout, then after exact waits",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    assertEquals(marks(bob.take()[0]), [undefined, undefined, undefined]);
    const waits: number[] = [];
    for (const attempt of [1, 2, 3]) {
      const [ms, message] = await wait(w, bob);
      assertEquals([message.data, ...marks(message)], [1, true, attempt, undefined]);
      waits.push(ms);
    }
    const exact = [16, 32, 64].map((seconds) => seconds * SECOND);
    assertGreaterOrEqual(waits[0], exact[0]);
    assertLessOrEqual(waits[0], 1.5 * exact[0]);
    for (const i of [1, 2]) {
      assertGreaterOrEqual(waits[i], exact[i]);
      assertLessOrEqual(waits[i], exact[i] + STEP);
    }
  }),
);

Deno.test(
  "every message of a steady stream is sent again within 1 to 1.5 ackTimeout of its own time",
  inWorld({ delivery: { ...delivery, maxRetries: 1000, retryBackoff: 1 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    const sentAt = new Map<unknown, number>();
    const seen = new Map<unknown, number>();
    for (let tick = 0; tick < 1200; tick++) {
      if (tick % 7 === 0 && tick < 700) {
        await w.publish("c", tick);
        sentAt.set(tick, w.clock.now());
      }
      for (const { data, _retry_count } of bob.take()) {
        if (_retry_count === 1) seen.set(data, w.clock.now() - sentAt.get(data)!);
      }
      await w.pass(60);
    }
    assertEquals(seen.size, sentAt.size);
    for (const ms of seen.values()) {
      assertGreaterOrEqual(ms, delivery.ackTimeout - 60);
      // Marks are made at steps of the wheel, and what is due is found at the next.
      assertLessOrEqual(ms, 1.5 * delivery.ackTimeout + 2 * STEP + 60);
    }
  }),
);

Deno.test(
  "after maxRetries a message goes to the dead letters, once: payload, attempts, reason",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    const ann = await w.connect("ann");
    await ann.publish("c", { poison: [1, "x"] }, { id: "p" });
    await w.pass(500 * SECOND);
    assertEquals(bob.messages.length, 4);
    const letters = await w.hub.deadLetters({ limit: 100 });
    assertEquals(letters.length, 1);
    const [{ session, channel, message, attempts, reason, at }] = letters;
    assertEquals([session, channel, attempts, reason], ["n:bob:anonymous", "c", 4, "timeout"]);
    assertEquals([message.payload, message.source, message.id], ['{"poison":[1,"x"]}', "ann", "p"]);
    assert(at > message.at && at <= w.clock.now());
    const { metrics } = w.hub.context;
    assertEquals([metrics.deadLettered, metrics.timedOut, metrics.redelivered], [1, 4, 3]);
    // Nothing is left in flight, and it is not for another session to pay.
    await bob.drop();
    await w.pass(500 * SECOND);
    const again = await w.subscriber("bob", "c");
    await w.pass(500 * SECOND);
    assertEquals(again.data, []);
    assertEquals((await w.hub.deadLetters({ limit: 100 })).length, 1);
  }),
);

Deno.test(
  "maxRetries: 0 gives a message up after its first timeout",
  inWorld({ delivery: { ...delivery, maxRetries: 0 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    await w.pass(30 * SECOND);
    assertEquals(bob.data, [1]);
    const [letter] = await w.hub.deadLetters({ limit: 100 });
    assertEquals([letter.attempts, letter.reason], [1, "timeout"]);
  }),
);

Deno.test(
  "one poison message holds no other back, and settles nothing but itself",
  inWorld({ delivery: { ...delivery, window: 4 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", "poison");
    const [poison] = bob.take();
    for (const n of numbers(1, 300)) {
      await w.publish("c", n);
      await w.pass(SECOND);
      for (const message of bob.take()) {
        if (message.data !== "poison") assert(await bob.ack(message), `${message.data}`);
      }
    }
    const good = bob.messages.filter(({ data }) => data !== "poison");
    assertEquals(good.map(({ data }) => data), numbers(1, 300));
    assertEquals(good.some(({ _redelivered }) => _redelivered), false);
    const [letter, ...others] = await w.hub.deadLetters({ limit: 100 });
    assertEquals([letter.message.payload, others], ['"poison"', []]);
    assertEquals(await bob.ack(poison), false);
  }),
);

Deno.test(
  "a nack asks for redelivery at once",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    const counts: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const [message] = bob.take();
      counts.push(message._retry_count);
      assertEquals(await bob.nack(message), true);
    }
    assertEquals(counts, [undefined, 1, 2, 3]);
    assertEquals(bob.take(), []);
    const [letter] = await w.hub.deadLetters({ limit: 100 });
    assertEquals([letter.attempts, letter.reason], [4, "nack"]);
  }),
);

Deno.test(
  "a nack with a delay asks for redelivery after it, behind newer messages",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    assertEquals(await bob.nack(bob.take()[0], 5), true);
    await w.publish("c", 2);
    assertEquals(bob.takeData(), [2]);
    await w.pass(4_900);
    assertEquals(bob.takeData(), []);
    await w.pass(100 + STEP);
    assertEquals(bob.takeData(), [1]);
  }),
);

Deno.test(
  "over a new connection a refused message comes behind what was before it",
  inWorld({ delivery: { ...delivery, window: 4 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 12));
    await bob.nack(bob.messages[3], 1);
    await bob.drop();
    await w.pass(2 * SECOND);
    const back = await w.subscriber("bob", "c");
    // Cut at any message, it has nothing above what it lacks, but for what the gateway takes for late.
    assertEquals(back.data, [1, 2, 3, 5]);
    await back.ack(back.messages[0]);
    assertEquals(back.data, [1, 2, 3, 5, 4]);
  }),
);

Deno.test(
  "a nack on the extended wire names its place, and has no answer",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    await w.publish("c", 1);
    const [{ channel, epoch, seq }] = bob.take();
    bob.say({ type: "nack", channel, epoch, seq, delay: 1 });
    bob.say({ type: "nack", channel, epoch: "other", seq });
    await w.pass(SECOND + STEP);
    assertEquals(bob.take().map(marks), [[true, 1, undefined]]);
    assertEquals(bob.errors, []);
  }),
);

Deno.test(
  "an ack or nack of anything not outstanding is answered false, and changes nothing",
  inWorld({ delivery }, async (w) => {
    const [bob, eve] = [await w.subscriber("bob", "c"), await w.subscriber("eve", "other")];
    await w.publish("c", 1, 2);
    const [first, second] = bob.take();
    const wrong = [
      "",
      "x",
      first.event_id.replace(/:1:/, ":3:"),
      first.event_id.replace(/:1:/, ":0:"),
      first.event_id.replace(/:c$/, ":d"),
      `a${first.event_id.slice(1)}`,
      `b${first.event_id.slice(1)}`,
    ].filter((id) => id !== first.event_id).map((event_id) => ({ ...first, event_id }));
    for (const message of wrong.slice(1)) {
      assertEquals([await bob.ack(message), await bob.nack(message)], [false, false]);
    }
    // Another client's message is nobody's, existing or not.
    assertEquals([await eve.ack(first), await eve.nack(first)], [false, false]);
    assertEquals(await bob.ack(first), true);
    assertEquals([await bob.ack(first), await bob.nack(first)], [false, false]);
    await w.pass(30 * SECOND);
    assertEquals(bob.take().map(({ data }) => data), [2]);
    assertEquals(await bob.ack(second), true);
  }),
);

Deno.test(
  "a nack of what waits for its redelivery is answered false; an ack of it counts",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    const [message] = bob.take();
    assertEquals(await bob.nack(message, 60), true);
    assertEquals(await bob.nack(message, 1), false);
    assertEquals(await bob.ack(message), true);
    await w.pass(500 * SECOND);
    assertEquals(bob.take(), []);
  }),
);

Deno.test(
  "an acknowledgement counts after the retry was sent: no further one, no dead letter",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    const [first] = bob.take();
    await wait(w, bob);
    assertEquals(await bob.ack(first), true);
    assertEquals(await bob.ack(first), false);
    await w.pass(500 * SECOND);
    assertEquals([bob.take(), await w.hub.deadLetters({ limit: 1 })], [[], []]);
  }),
);

Deno.test(
  "a thousand acknowledgements of one message are one",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    const [{ event_id }] = bob.take();
    for (let i = 0; i < 1000; i++) bob.say({ type: "message_ack", event_id });
    await w.settle();
    const answers = bob.connection.take("ack_received").map(({ ok }) => ok);
    assertEquals([answers.length, answers.filter((ok) => ok)], [1000, [true]]);
    assertEquals(w.hub.context.metrics.acknowledged, 1);
    assertEquals((await w.hub.stats()).messages, 2);
    await w.pass(30 * SECOND);
    assertEquals(bob.takeData(), [2]);
  }),
);

Deno.test(
  "a cumulative acknowledgement settles what was sent in order; what was sent again only by name",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    await w.publish("c", 1, 2, 3);
    const [first, , third] = bob.take();
    const { channel, epoch } = first;
    bob.say({ type: "nack", channel, epoch, seq: 1 });
    await w.settle();
    await bob.ackUpTo(third);
    assertEquals(bob.takeData(), [1]);
    await w.pass(40 * SECOND);
    assertEquals(bob.takeData(), [1]);
    bob.say({ type: "ack", acks: [{ channel, epoch, ranges: [1, 1] }] });
    await w.pass(500 * SECOND);
    assertEquals(bob.takeData(), []);
  }),
);

Deno.test(
  "an acknowledgement of another epoch is ignored",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    await w.publish("c", 1);
    const [{ channel, seq }] = bob.take();
    bob.say({ type: "ack", acks: [{ channel, epoch: "other", upto: seq, ranges: [1, 1] }] });
    await w.pass(30 * SECOND);
    assertEquals(bob.takeData(), [1]);
  }),
);

Deno.test(
  "nothing times out while nothing is attached, and attempts are unchanged",
  inWorld({ delivery }, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    assert(await bob.nack(bob.take()[0]));
    assertEquals(bob.take().map(marks), [[true, 1, undefined]]);
    for (let i = 0; i < 10; i++) {
      await bob.drop();
      await w.pass(1000 * SECOND);
      bob = await w.subscriber("bob", "c");
      assertEquals(bob.take().map((m) => [m.data, ...marks(m)]), [
        [1, true, 1, undefined],
        [2, true, 0, undefined],
      ]);
      await w.pass(10 * SECOND);
    }
    assertEquals(await w.hub.deadLetters({ limit: 1 }), []);
  }),
);

Deno.test(
  "the time of a delivery begins anew with the connection",
  inWorld({ delivery }, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    await w.pass(15 * SECOND);
    await bob.drop();
    bob = await w.subscriber("bob", "c");
    bob.take();
    const [ms, message] = await wait(w, bob);
    assertGreaterOrEqual(ms, 16 * SECOND);
    assertEquals(message._retry_count, 1);
  }),
);

Deno.test(
  "what a client renews does not time out, however long its handler takes",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    await w.publish("c", 1, 2, 3);
    const [{ channel, epoch }] = bob.take();
    for (let i = 0; i < 100; i++) {
      bob.say({ type: "renew", renew: [{ channel, epoch, ranges: [1, 1, 3, 3] }] });
      await w.pass(5 * SECOND);
      for (const { seq } of bob.take()) {
        assertEquals(seq, 2);
        bob.say({ type: "ack", acks: [{ channel, epoch, ranges: [2, 2] }] });
      }
    }
    await w.pass(30 * SECOND);
    assertEquals(bob.takeData(), [1, 3]);
    // A redelivery is renewed as well.
    for (let i = 0; i < 100; i++) {
      bob.say({ type: "renew", renew: [{ channel, epoch, ranges: [1, 1, 3, 3] }] });
      await w.pass(5 * SECOND);
    }
    assertEquals(bob.takeData(), []);
  }),
);

Deno.test(
  "a resent message comes behind newer ones, holds none back, and goes before what waits in the log",
  inWorld({ delivery: { ...delivery, window: 3 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2, 3, 4, 5);
    const [first, second, third] = bob.take();
    await bob.nack(first, 1);
    assertEquals(bob.takeData(), [4]);
    await w.pass(2 * SECOND);
    assertEquals(bob.takeData(), []);
    await bob.ack(second);
    assertEquals(bob.takeData(), [1]);
    await bob.ack(third);
    assertEquals(bob.takeData(), [5]);
  }),
);

Deno.test(
  "refusing everything forever neither stalls a channel nor gathers without end",
  inWorld({ delivery: { ...delivery, window: 8, maxRetries: 1000 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 500));
    for (let i = 0; i < 200; i++) {
      for (const message of bob.take()) await bob.nack(message, 3600);
      await w.pass(STEP);
    }
    await w.pass(SECOND);
    const { late } = (await w.position("bob", "c"))!;
    assertLessOrEqual(late.length, 16);
    // It is flow control, not an end: what comes again and is acknowledged makes room.
    for (let i = 0; i < 200; i++) {
      await w.pass(60 * SECOND);
      for (const message of bob.take()) await bob.ack(message);
    }
    assertEquals(new Set(bob.data), new Set(numbers(1, 500)));
  }),
);

Deno.test(
  "a window full of redriven messages and one that is never acknowledged stalls nothing",
  inWorld({ delivery: { ...delivery, window: 1, maxRetries: 0 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 6));
    for (let i = 0; i < 4; i++) for (const message of bob.take()) await bob.nack(message);
    assertEquals(bob.data, [1, 2, 3, 4, 5]);
    await w.hub.redrive({ limit: 10 });
    // The fifth is not acknowledged: it times out, and then come the four.
    await w.pass(200 * SECOND);
    for (let i = 0; i < 40; i++) {
      for (const message of bob.take()) if (message.data !== 5) await bob.ack(message);
      await w.pass(SECOND);
    }
    assertEquals(new Set(bob.data), new Set(numbers(1, 6)));
  }),
);
