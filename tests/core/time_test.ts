import { assert, assertEquals, assertLess } from "@std/assert";
import { inWorld, numbers } from "./harness.ts";

const SECOND = 1_000;
const HOUR = 3_600_000;
const delivery = { ackTimeout: 16 * SECOND, maxRetries: 3 };

for (const jump of [HOUR, -HOUR, 12 * HOUR, -12 * HOUR]) {
  const hours = jump / HOUR;
  Deno.test(
    `when the machine's clock jumps by ${hours} h nothing is sent again early, and nothing stalls`,
    inWorld({ delivery }, async (w) => {
      const clients = await Promise.all(
        numbers(1, 20).map((n) => w.subscriber(`client ${n}`.replace(" ", "-"), "c")),
      );
      await w.publish("c", 1);
      await w.pass(2 * SECOND);
      w.clock.jump(jump);
      let ms = 12 * SECOND;
      await w.pass(ms - 2 * SECOND);
      for (const client of clients) {
        assertEquals(client.data, [1]);
        assertEquals(client.closed, undefined);
      }
      await w.publish("c", 2);
      for (const client of clients) assertEquals(client.data, [1, 2]);
      // Timeouts come when they would have come.
      while (clients[0].messages.length === 2) {
        await w.pass(100);
        ms += 100;
        assertLess(ms, 26 * SECOND);
      }
      // A jump forward counts as a second, since it may have been a pause.
      assert(ms >= 15 * SECOND, `${ms} ms`);
      for (const client of clients) {
        assertEquals(client.messages.map((m) => m._retry_count ?? 0).filter((n) => n > 1), []);
      }
      assertEquals(await w.hub.deadLetters({ limit: 1 }), []);
    }),
  );

  Deno.test(
    `when the machine's clock jumps by ${hours} h an attached session lives on, with its position`,
    inWorld({ delivery }, async (w) => {
      const bob = await w.extended();
      await bob.subscribe("c");
      await w.publish("c", 1);
      w.clock.jump(jump);
      await w.pass(5 * SECOND);
      await bob.ackUpTo(bob.messages[0]);
      await w.publish("c", 2);
      assertEquals(bob.data, [1, 2]);
      await bob.ackUpTo(bob.messages[1]);
      await w.pass(60 * SECOND);
      assertEquals(bob.data, [1, 2]);
    }),
  );
}

Deno.test(
  "a process that was stopped for a minute sends no burst of retries, and dead-letters nothing",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", ...numbers(1, 100));
    await w.pass(5 * SECOND);
    // Time passes, but no timer of the process has run meanwhile.
    w.clock.jump(60 * SECOND);
    await w.pass(2 * SECOND);
    assertEquals(bob.data, numbers(1, 100));
    for (const message of bob.take()) assert(await bob.ack(message));
    await w.pass(60 * SECOND);
    assertEquals(bob.take(), []);
  }),
);

// What has expired is never delivered.

Deno.test(
  "a message that expired while nobody was there is not delivered, and counted",
  inWorld({ delivery: { messageTtl: HOUR } }, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    bob.connection.capacity = 0;
    await w.publish("c", 1);
    await w.pass(HOUR - SECOND);
    await w.publish("c", 2);
    await w.pass(SECOND);
    await bob.drain();
    assertEquals(bob.data, [2]);
    assertEquals(bob.connection.take("channel.gap").map(({ seq }) => seq), [1]);
    await w.pass(3 * SECOND);
    assertEquals((await w.hub.stats()).expired, 1);
  }),
);

Deno.test(
  "a message is delivered up to the last moment of its time, and not after",
  inWorld({ delivery: { messageTtl: HOUR } }, async (w) => {
    const readers = await Promise.all(["a", "b", "c", "d"].map((name) => w.subscriber(name, "c")));
    for (const { connection } of readers) connection.capacity = 0;
    await w.publish("c", 1);
    await w.pass(HOUR - 1);
    await readers[0].drain();
    await w.pass(1);
    await readers[1].drain();
    await w.pass(1);
    await readers[2].drain();
    await w.pass(HOUR);
    await readers[3].drain();
    assertEquals(readers.map(({ data }) => data), [[1], [], [], []]);
  }),
);

Deno.test(
  "a message that expires between its retries is not sent again, and is no dead letter",
  inWorld({ delivery: { ...delivery, maxRetries: 1000, messageTtl: 100 * SECOND } }, async (w) => {
    const bob = await w.subscriber("bob", "c", { wire: "extended" });
    await w.publish("c", 1);
    await w.pass(99 * SECOND);
    const sent = bob.messages.length;
    assert(sent > 1);
    await w.pass(1000 * SECOND);
    assertEquals(bob.messages.length, sent);
    assertEquals(bob.connection.take("channel.gap").map(({ seq }) => seq), [1]);
    assertEquals(await w.hub.deadLetters({ limit: 1 }), []);
    await w.publish("c", 2);
    assertEquals(bob.data.at(-1), 2);
  }),
);

Deno.test(
  "a page read before its messages expired serves no one after",
  inWorld({ delivery: { messageTtl: HOUR, window: 10 } }, async (w) => {
    await w.publish("c", ...numbers(1, 50));
    await w.pass(HOUR - 500);
    const bob = await w.extended("bob");
    await bob.subscribe("c", { all: true });
    assertEquals(bob.data, numbers(1, 10));
    await w.pass(500);
    await bob.ackUpTo(bob.messages[9]);
    assertEquals(bob.data, numbers(1, 10));
    assertEquals(bob.connection.take("channel.gap").map(({ seq }) => seq), [50]);
  }),
);

Deno.test(
  "a jump of the clock back makes nothing that has expired come again",
  inWorld({ delivery: { messageTtl: HOUR } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    bob.connection.capacity = 0;
    await w.publish("c", 1);
    await w.pass(HOUR + SECOND);
    await w.publish("c", 2);
    w.clock.jump(-HOUR);
    await bob.drain();
    assertEquals(bob.data.at(-1), 2);
    await w.publish("c", 3);
    assertEquals(bob.data.slice(-2), [2, 3]);
  }),
);
