import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { inWorld, numbers, type TestClient, World } from "./harness.ts";

const delivery = { ackTimeout: 16_000, maxRetries: 0, retryBackoff: 2 };
const MINUTE = 60_000;

/** Lets a client's next message become a dead letter. */
async function give(w: World, client: TestClient): Promise<void> {
  for (const message of client.take()) assert(await client.nack(message));
  await w.settle();
}

async function letters(w: World): Promise<unknown[]> {
  return (await w.hub.deadLetters({ limit: 1000 })).map(({ message }) =>
    JSON.parse(message.payload)
  );
}

Deno.test(
  "dead letters are those of one subscription: another one's delivery goes on",
  inWorld({ delivery }, async (w) => {
    const [bob, eve] = [await w.subscriber("bob", "c"), await w.subscriber("eve", "c")];
    await w.publish("c", 1, 2);
    await give(w, bob);
    for (const message of eve.take()) assert(await eve.ack(message));
    assertEquals(await letters(w), [1, 2]);
    assertEquals(await w.hub.deadLetters({ limit: 10, session: "n:eve:anonymous" }), []);
    const [second] = await w.hub.deadLetters({ limit: 10, channel: "c", seq: 2 });
    assertEquals(second.message.payload, "2");
    assertEquals((await w.hub.deadLetters({ limit: 1 })).length, 1);
    assertEquals((await w.hub.stats()).deadLetters, 2);
  }),
);

Deno.test(
  "dead letters are kept deadLetterTtl, and at most maxDeadLetters of a subscription",
  inWorld(
    { delivery: { ...delivery, maxDeadLetters: 3, deadLetterTtl: 10 * MINUTE } },
    async (w) => {
      const bob = await w.subscriber("bob", "c");
      await w.publish("c", ...numbers(1, 5));
      await give(w, bob);
      assertEquals(await letters(w), [3, 4, 5]);
      await w.pass(9 * MINUTE);
      assertEquals(await letters(w), [3, 4, 5]);
      await w.pass(2 * MINUTE);
      assertEquals(await letters(w), []);
      assertEquals((await w.hub.stats()).deadLetters, 0);
    },
  ),
);

Deno.test(
  "an acknowledgement of a dead letter is answered false, and brings nothing back",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    const [message] = bob.messages;
    await give(w, bob);
    assertEquals([await bob.ack(message), await bob.nack(message)], [false, false]);
    assertEquals(await letters(w), [1]);
  }),
);

Deno.test(
  "redrive puts a message back with attempts 0 and the mark, to an attached client at once",
  inWorld({ delivery: { ...delivery, maxRetries: 1 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    await give(w, bob);
    await give(w, bob);
    assertEquals(await letters(w), [1]);
    assertEquals((await w.hub.redrive({ limit: 10 })).length, 1);
    await w.settle();
    const again = bob.take();
    assertEquals(
      again.map((m) => [m.data, m._redelivered, m._retry_count, m._redriven]),
      [[1, true, 0, true]],
    );
    assertEquals(await letters(w), []);
    assertEquals(w.hub.context.metrics.redriven, 1);
    assert(await bob.nack(again[0]));
    const [retry] = bob.take();
    assertEquals([retry._retry_count, retry._redriven], [1, true]);
    assert(await bob.ack(retry));
    await w.pass(10 * MINUTE);
    assertEquals([bob.take(), await letters(w)], [[], []]);
  }),
);

Deno.test(
  "redrive waits for a client that is away, whatever else it settles meanwhile",
  inWorld({ delivery }, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    await give(w, bob);
    await bob.drop();
    assertEquals((await w.hub.redrive({ limit: 10, seq: 1 })).length, 1);
    // A connection that does not subscribe does not get it, and does not lose it.
    await (await w.connect("bob")).drop();
    await w.publish("c", 3);
    bob = await w.subscriber("bob", "c");
    const back = bob.take();
    assertEquals(back.map((m) => [m.data, m._redriven]), [[1, true], [3, undefined]]);
    for (const message of back) assert(await bob.ack(message));
    await bob.drop();
    bob = await w.subscriber("bob", "c");
    assertEquals(bob.take(), []);
    assertEquals(await letters(w), [2]);
  }),
);

Deno.test(
  "a redriven message survives lost connections and a crash until it is acknowledged",
  inWorld({ delivery }, async (w) => {
    let bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    await give(w, bob);
    await w.hub.redrive({ limit: 10 });
    await w.settle();
    assertEquals(bob.takeData(), [1]);
    await bob.drop();
    bob = await w.subscriber("bob", "c");
    assertEquals(bob.take().map((m) => [m.data, m._redriven]), [[1, true]]);
    await w.pass(1_000);
    w.crash();
    bob = await w.subscriber("bob", "c");
    assertEquals(bob.take().map((m) => [m.data, m._redriven]), [[1, true]]);
  }),
);

Deno.test(
  "a redriven message comes though the log has lost it",
  inWorld({ delivery: { ...delivery, historySize: 0 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    await give(w, bob);
    for (const n of numbers(2, 500)) {
      await w.publish("c", n);
      for (const message of bob.take()) await bob.ack(message);
    }
    await w.pass(5_000);
    assert((await w.hub.channels())[0].oldest > 1);
    await w.hub.redrive({ limit: 10 });
    await w.settle();
    const [back] = bob.take();
    assertEquals([back.data, back._redriven], [1, true]);
    assert(await bob.ack(back));
  }),
);

Deno.test(
  "redriving twice, or what is not there, sends nothing twice",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    await give(w, bob);
    const [first, second] = await Promise.all([
      w.hub.redrive({ limit: 10 }),
      w.hub.redrive({ limit: 10 }),
    ]);
    await w.settle();
    assertEquals([first.length, second.length, bob.takeData()], [1, 0, [1]]);
    assertEquals(await w.hub.redrive({ limit: 10, channel: "nowhere" }), []);
  }),
);

Deno.test(
  "redriving one message sends no other again that was put back before",
  inWorld({ delivery: { ...delivery, maxRetries: 1 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    await give(w, bob);
    await give(w, bob);
    await w.hub.redrive({ limit: 10, seq: 1 });
    await w.settle();
    const [first] = bob.take();
    assertEquals(first.data, 1);
    await w.pass(1_000);
    await w.hub.redrive({ limit: 10, seq: 2 });
    await w.settle();
    const [second, ...rest] = bob.take();
    assertEquals([second.data, rest], [2, []]);
    // What waits for its retry keeps its attempts.
    assert(await bob.nack(first));
    assertEquals(bob.take().map((m) => [m.data, m._retry_count]), [[1, 1]]);
    assert(await bob.nack(second));
    assertEquals(bob.take().map((m) => [m.data, m._retry_count]), [[2, 1]]);
    assert(await bob.nack(second));
    await w.hub.redrive({ limit: 10, seq: 2 });
    await w.settle();
    assertEquals(bob.take().map((m) => [m.data, m._retry_count]), [[2, 0]]);
  }),
);

Deno.test(
  "a redriven message is not mistaken for one of a newer epoch with the same number",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    await give(w, bob);
    await w.hub.redrive({ limit: 10 });
    await w.settle();
    assertEquals(bob.takeData(), [1]);
    w.interposed.target = w.freshStore();
    await w.interposed.target.claim(
      { key: "n:bob:anonymous", holder: "x", instance: "x", attempt: 0, ttl: 1e9 },
      w.clock.now(),
    );
    await w.publish("c", "a");
    const [message] = bob.take();
    assertEquals(message.data, "a");
    assert(await bob.ack(message));
    await bob.drop();
    const again = await w.subscriber("bob", "c");
    assertEquals(again.data, []);
    await w.pass(MINUTE);
    const ids = bob.messages.map(({ event_id, data }) => [event_id, data]);
    assertEquals(new Map(ids as [string, unknown][]).size, new Set(ids.map(String)).size);
  }),
);

Deno.test(
  "a letter and its position are stored in one step, so neither is ever without the other",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    const release = w.interposed.hold("commit");
    const [{ event_id }] = bob.take();
    bob.say({ type: "message_nack", event_id });
    await w.pass(5_000);
    // Nothing is stored: to the store the message is still owed.
    assertEquals(await letters(w), []);
    assertEquals((await w.position("bob", "c"))?.floor, 0);
    release();
    await w.pass(1_000);
    assertEquals(await letters(w), [1]);
    assertEquals((await w.position("bob", "c"))?.floor, 1);
    assertEquals((await w.position("bob", "c"))?.late, []);
  }),
);

Deno.test(
  "dead-lettering that a failing store refuses is tried again: one letter in the end",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    let failures = 0;
    w.interposed.before = ({ operation }) => {
      if (operation !== "commit") return;
      failures++;
      throw new PushError("unavailable");
    };
    for (const message of bob.take()) assert(await bob.nack(message));
    await w.pass(5 * MINUTE);
    assertEquals(await letters(w), []);
    assert(failures > 3);
    assert(w.hub.context.metrics.commitErrors > 0);
    w.interposed.before = undefined;
    await w.pass(5 * MINUTE);
    assertEquals(new Set(await letters(w)), new Set([1, 2]));
    assertEquals(w.hub.context.metrics.deadLettered, 2);
    assertEquals(bob.take(), []);
  }),
);

/** Commits with a dead letter take two seconds, and fail; all others succeed. */
function refuseLetters(w: World): void {
  w.interposed.before = async ({ operation, args }) => {
    const [, , commits] = args as [unknown, unknown, { deadLetters?: unknown[] }[]];
    if (operation !== "commit" || commits[0].deadLetters === undefined) return;
    await new Promise<void>((resolve) => w.clock.schedule(2_000, resolve));
    throw new PushError("unavailable");
  };
}

for (const moment of [0, 100, 1_000, 1_999, 2_000, 2_600]) {
  Deno.test(
    `a message whose dead letter could not be stored is not lost by a connection that breaks (${moment} ms)`,
    inWorld({ delivery }, async (w) => {
      let bob = await w.subscriber("bob", "c");
      await w.publish("c", 1, 2);
      refuseLetters(w);
      const [first, second] = bob.take();
      assert(await bob.nack(first));
      assert(await bob.ack(second));
      await w.pass(moment);
      await bob.drop();
      await w.pass(10_000);
      w.interposed.before = undefined;
      bob = await w.subscriber("bob", "c");
      assertEquals(bob.data, [1]);
      await w.pass(MINUTE);
      assertEquals(await letters(w), [1]);
    }),
  );
  Deno.test(
    `a message whose dead letter could not be stored is not lost by a crash (${moment} ms)`,
    inWorld({ delivery }, async (w) => {
      let bob = await w.subscriber("bob", "c");
      await w.publish("c", 1, 2);
      refuseLetters(w);
      const [first, second] = bob.take();
      assert(await bob.nack(first));
      assert(await bob.ack(second));
      await w.pass(moment);
      w.interposed.before = undefined;
      w.crash();
      bob = await w.subscriber("bob", "c");
      assert(bob.data.includes(1));
      // The timer of the store that was, before the crash.
      await w.pass(2_000);
    }),
  );
}

Deno.test(
  "a message that was being given up when its log was lost is not mistaken for one of the new log",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    refuseLetters(w);
    for (const message of bob.take()) assert(await bob.nack(message));
    w.interposed.target = w.freshStore();
    await w.interposed.target.claim(
      { key: "n:bob:anonymous", holder: "x", instance: "x", attempt: 0, ttl: 1e9 },
      w.clock.now(),
    );
    await w.publish("c", "a", "b");
    for (const message of bob.take()) assert(await bob.ack(message));
    await w.pass(10_000);
    w.interposed.before = undefined;
    assertEquals([bob.take(), await letters(w)], [[], []]);
    await bob.drop();
    const again = await w.subscriber("bob", "c");
    assertEquals(again.data, []);
  }),
);

Deno.test(
  "an acknowledgement that comes while a letter could not be stored counts",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    w.interposed.before = ({ operation }) => {
      if (operation === "commit") throw new PushError("unavailable");
    };
    const [message] = bob.take();
    assert(await bob.nack(message));
    await w.pass(1_000);
    assertEquals(await bob.ack(message), true);
    w.interposed.before = undefined;
    await w.pass(5 * MINUTE);
    assertEquals(await letters(w), []);
  }),
);

Deno.test(
  "an acknowledgement counts that comes while a failing store is asked for the message to give up",
  inWorld({ delivery }, async (w) => {
    await (await w.subscriber("bob", "c")).drop();
    await w.publish("c", 1);
    const bob = await w.subscriber("bob", "c");
    const [message] = bob.take();
    // Long enough for the hub to let go of the page that it read.
    await w.pass(3_000);
    let asked = 0;
    w.interposed.before = async ({ operation }) => {
      if (operation !== "read") return;
      asked++;
      await new Promise<void>((resolve) => w.clock.schedule(1_000, resolve));
      throw new PushError("unavailable");
    };
    assert(await bob.nack(message));
    assertEquals(await bob.ack(message), true);
    await w.pass(5_000);
    assert(asked > 0);
    w.interposed.before = undefined;
    await w.pass(5 * MINUTE);
    assertEquals([bob.take(), await letters(w)], [[], []]);
    assertEquals((await w.position("bob", "c"))?.late, []);
  }),
);

Deno.test(
  "only the connection that holds the session dead-letters",
  inWorld({ delivery }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1);
    // Another gateway takes the session over behind this one's back.
    const { store } = w;
    const claimed = await store.claim(
      { key: "n:bob:anonymous", holder: "elsewhere", instance: "elsewhere", attempt: 0, ttl: 1e9 },
      w.clock.now(),
    );
    assert(claimed.ok);
    await w.pass(5 * MINUTE);
    assertEquals([await letters(w), bob.closed], [[], "replaced"]);
    assertNotEquals(await w.position("bob", "c"), undefined);
  }),
);

Deno.test("an embedding program hears of each dead letter", async () => {
  const heard: unknown[] = [];
  const w = new World({ delivery }, undefined, {
    deadLettered: (clientId, letter) => heard.push([clientId, letter.message.payload]),
  });
  const bob = await w.subscriber("bob", "c");
  await w.publish("c", 1);
  await give(w, bob);
  assertEquals(heard, [["bob", "1"]]);
  await w.end();
});

Deno.test(
  "more than two windows put back behind a message that is not settled stop nothing",
  inWorld({ delivery: { ...delivery, window: 4 } }, async (w) => {
    const bob = await w.subscriber("bob", "c");
    for (const n of numbers(1, 30)) {
      await w.publish("c", n);
      for (const message of bob.take()) if (n > 1) assert(await bob.nack(message));
    }
    await w.settle();
    assertEquals((await letters(w)).length, 29);
    await bob.drop();
    await w.hub.redrive({ limit: 100 });
    const back = await w.subscriber("bob", "c");
    await w.publish("c", 31);
    const got: unknown[] = [];
    for (let round = 0; round < 20; round++) {
      await w.pass(1_000);
      for (const message of back.take()) {
        got.push(message.data);
        // The first one is still at its handler.
        if (message.data !== 1) assert(await back.ack(message));
      }
    }
    assertEquals(got.toSorted((a, b) => Number(a) - Number(b)), numbers(1, 31));
  }),
);
