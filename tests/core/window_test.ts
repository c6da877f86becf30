import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { type HubClient, inWorld, numbers, type TestClient, type World } from "./harness.ts";

/** Acknowledges what comes until nothing does; returns the payloads in order. */
async function drain(w: World, client: TestClient): Promise<unknown[]> {
  const data: unknown[] = [];
  while (true) {
    const messages = client.take();
    if (messages.length === 0) return data;
    data.push(...messages.map((message) => message.data));
    const { channel, epoch } = messages[0];
    if (epoch === undefined) { for (const message of messages) await client.ack(message); }
    else {
      const ranges = messages.flatMap(({ seq }) => [seq!, seq!]);
      client.say({ type: "ack", acks: [{ channel, epoch, ranges }] });
    }
    await w.settle();
  }
}

for (const wire of ["fixed", "extended"] as const) {
  Deno.test(
    `at most a window of messages is outstanding, the rest waits in the log (${wire} wire)`,
    inWorld({ delivery: { window: 10 } }, async (w) => {
      const bob = await w.subscriber("bob", "c", { wire });
      await w.publish("c", ...numbers(1, 1000));
      assertEquals(bob.data, numbers(1, 10));
      if (wire === "extended") await bob.ackUpTo(bob.messages[4]);
      else for (const message of bob.messages.slice(0, 5)) assert(await bob.ack(message));
      assertEquals(bob.data, numbers(1, 15));
      assertEquals(await drain(w, bob), numbers(1, 1000));
      assertEquals((await w.hub.stats()).messages, 1000);
    }),
  );
}

Deno.test(
  "at most a window of bytes is outstanding, and one message that is larger still flows",
  inWorld({ delivery: { windowBytes: 10_000 } }, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    const texts = numbers(1, 30).map((n) => String(n).padEnd(n === 20 ? 50_000 : 3_000, "."));
    await w.publish("c", ...texts);
    assertEquals(bob.data, texts.slice(0, 3));
    await bob.ackUpTo(bob.messages[0]);
    assertEquals(bob.data.length, 4);
    assertEquals(await drain(w, bob), texts);
  }),
);

Deno.test(
  "messages that are sent again count in the window",
  inWorld({ delivery: { window: 4, maxRetries: 1000 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 100));
    for (let i = 0; i < 40; i++) {
      const outstanding = bob.take();
      assertLessOrEqual(outstanding.length, 4);
      for (const message of outstanding) await bob.nack(message, i % 3);
      await w.pass(500);
    }
    await w.pass(10_000);
    assertLessOrEqual(bob.take().length, 4);
  }),
);

Deno.test(
  "a client that claims to have more open than a window gets it again, a window at a time",
  inWorld({ delivery: { window: 5 } }, async (w) => {
    await w.publish("c", ...numbers(1, 40));
    const { epoch } = w.hub.channel("c");
    const position = { epoch, seq: 30, open: [1, 30] };
    const bob = await w.extended("bob", { subscriptions: [{ channel: "c", position }] });
    assertEquals(bob.data, numbers(1, 5));
    assertEquals(await drain(w, bob), numbers(1, 40));
  }),
);

Deno.test(
  "a reader that takes nothing keeps its position, and catches up when it reads again",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    const eve = await w.subscriber("eve", "c");
    bob.connection.capacity = 0;
    await w.publish("c", ...numbers(1, 3000));
    await w.pass(200_000);
    assertEquals([bob.data, eve.data.length > 0], [[], true]);
    await bob.drain(1);
    assertEquals(bob.data, [1]);
    await bob.drain(9);
    assertEquals(bob.data, numbers(1, 10));
    assertEquals(bob.messages.some(({ _redelivered }) => _redelivered), false);
    bob.connection.capacity = Infinity;
    assertEquals(await drain(w, bob), numbers(1, 3000));
  }),
);

Deno.test(
  "a reader that takes a few at a time gets everything once, in order",
  inWorld({ delivery: { window: 7 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    bob.connection.capacity = 0;
    await w.publish("c", ...numbers(1, 100));
    for (let i = 0; bob.messages.length < 100; i++) {
      await bob.drain(1 + i % 3);
      for (const message of bob.take()) await bob.ack(message);
    }
    await w.pass(100_000);
    assertEquals(bob.data, numbers(1, 100));
  }),
);

Deno.test(
  "a channel that has always more than the connection takes holds back no other of the connection",
  inWorld({ delivery: { enabled: false } }, async (w) => {
    const bob = await w.subscriber("bob", "busy");
    bob.say({ type: "channel.subscribe", channel: "calm" });
    await w.settle();
    bob.connection.capacity = 0;
    await w.publish("busy", ...numbers(1, 10));
    await w.publish("calm", "calm");
    for (let n = 11; !bob.data.includes("calm"); n++) {
      assert(n < 20, "calm waits for ever");
      await w.publish("busy", n);
      await bob.drain(1);
    }
  }),
);

Deno.test(
  "what is overdue waits for a reader that takes nothing",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    bob.connection.capacity = 0;
    await w.pass(3_600_000);
    assertEquals(bob.takeData(), [1]);
    await bob.drain();
    assertEquals(bob.take().map(({ data, _retry_count }) => [data, _retry_count]), [[1, 1]]);
  }),
);

Deno.test(
  "a burst to a client of the extended wire is one text",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    const eve = await w.subscriber("eve", "c");
    const before = bob.connection.texts.length;
    await w.publish("c", ...numbers(1, 500));
    assertEquals(bob.connection.texts.length - before, 1);
    assert(
      eve.connection.texts.every((text) => text.startsWith("{")),
      "No batch on the fixed wire",
    );
  }),
);

Deno.test(
  "5 000 subscribers behind by 100 messages cost a handful of reads",
  inWorld({}, async (w) => {
    const names = numbers(1, 5000).map((n) => `client ${n}`);
    for (const name of names) {
      const { session, connection } = await w.hubClient(name, "c");
      w.hub.detach(session, connection, "lost");
    }
    await w.publish("c", ...numbers(1, 100));
    w.interposed.reset();
    const clients: HubClient[] = [];
    for (const name of names) clients.push(await w.hubClient(name, "c"));
    await w.settle();
    for (const { connection } of clients) {
      assertEquals(connection.take("channel_message").length, 100);
    }
    assertLessOrEqual(w.interposed.count("read"), 5);
  }),
);

Deno.test(
  "200 subscribers that come back to 10 000 messages share their reads",
  inWorld({ delivery: { historySize: 100_000, historyBytes: 2 ** 30 } }, async (w) => {
    const clients = await Promise.all(numbers(1, 200).map((n) => w.hubClient(`n${n}`, "c")));
    for (const { session, connection } of clients) await w.hub.detach(session, connection, "lost");
    for (let i = 0; i < 10; i++) await w.publish("c", ...numbers(1, 1000));
    const again = await Promise.all(numbers(1, 200).map((n) => w.hubClient(`n${n}`, "c")));
    w.interposed.reset();
    for (let round = 0; round < 20; round++) {
      await w.settle();
      for (const { session, connection } of again) {
        const last = connection.take("channel_message").at(-1);
        if (last !== undefined) {
          session.ack("c", last.epoch!, last.seq, [], connection);
        }
      }
    }
    for (const { connection } of again) {
      assertEquals(
        connection.frames.filter(({ type }) => type === "channel_message").length,
        10_000,
      );
    }
    assertLessOrEqual(w.interposed.count("read"), 10_000 / 256 + 10);
  }),
);

Deno.test(
  "readers at many different places of a slow store read each page about once, and none starves",
  inWorld({ delivery: { historySize: 100_000, historyBytes: 2 ** 30 } }, async (w) => {
    const [count, distance] = [60, 300];
    for (let i = 0; i < distance * count / 1000; i++) await w.publish("c", ...numbers(1, 1000));
    const { epoch, head } = w.hub.channel("c");
    let calls = 0;
    w.interposed.before = ({ operation }) => {
      if (operation !== "read") return;
      return new Promise((resolve) => w.clock.schedule(1 + calls++ % 7, resolve));
    };
    const readers = await Promise.all(
      numbers(0, count - 1).map((n) =>
        w.hubClient(`reader ${n}`, "c", {}, { since: { epoch, seq: n * distance } }, 1)
      ),
    );
    const positions = readers.map(() => 0);
    for (let round = 0; round < 1000 && positions.some((seq) => seq < head); round++) {
      readers.forEach(({ session, connection }, n) => {
        const { seq } = connection.take("channel_message").at(-1) ?? {};
        if (seq === undefined) return;
        positions[n] = seq;
        session.ack("c", epoch, seq, [], connection);
      });
      await w.pass(5);
    }
    readers.forEach(({ connection }, n) => {
      const seqs = connection.frames.flatMap((frame) =>
        frame.type === "channel_message" ? [frame.seq] : []
      );
      assertEquals(seqs, numbers(n * distance + 1, head));
    });
    assertLessOrEqual(calls, 1.5 * head / 256);
    w.interposed.before = undefined;
  }),
);
