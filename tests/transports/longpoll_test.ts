import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../server/testing/mod.ts";
import { LongPollConnection } from "../../server/transports/longpoll.ts";
import { Turn } from "../../server/turn.ts";

function make(maxBatchSize = 3) {
  const clock = new ManualClock();
  const closes: string[] = [];
  const terms = { clock, turn: new Turn(clock), maxBatchSize };
  const connection = new LongPollConnection(terms, (code) => closes.push(code));
  const aborted = new AbortController();
  return { clock, closes, connection, aborted, signal: aborted.signal };
}

Deno.test("LongPollConnection: it takes messages only while a poll waits, and a batch at most", async () => {
  const { connection, signal, clock } = make();
  assertEquals([connection.capacity, connection.isWaiting], [0, false]);
  const poll = connection.poll(1000, signal);
  assertEquals([connection.capacity, connection.isWaiting], [3, true]);
  connection.send('{"a":1}', 1);
  assertEquals(connection.capacity, 2);
  connection.send('[{"a":2},{"a":3}]', 2);
  assertEquals(connection.capacity, 0);
  await clock.turn();
  assertEquals(await poll, ['{"a":1}', '{"a":2},{"a":3}']);
  assertEquals([connection.capacity, connection.isWaiting], [0, false]);
  assertEquals(clock.pending, 0);
});

Deno.test("LongPollConnection: a poll is answered empty when its time has run out", async () => {
  const { connection, signal, clock } = make();
  const poll = connection.poll(1000, signal);
  await clock.advance(999);
  assert(connection.isWaiting);
  await clock.advance(1);
  assertEquals(await poll, []);
});

Deno.test("LongPollConnection: a notice that comes between two polls is in the next", async () => {
  const { connection, signal, clock } = make();
  connection.send('{"notice":1}', 0);
  const poll = connection.poll(1000, signal);
  await clock.turn();
  assertEquals(await poll, ['{"notice":1}']);
});

Deno.test("LongPollConnection: what gathered for a poll goes to the one that takes its place", async () => {
  const { connection, signal, clock } = make();
  const first = connection.poll(1000, signal);
  connection.send('{"a":1}', 1);
  const second = connection.poll(1000, signal);
  assertEquals(await first, []);
  await clock.turn();
  assertEquals(await second, ['{"a":1}']);
});

Deno.test("LongPollConnection: what gathered for a client that has gone is in its next poll", async () => {
  const { connection, aborted, clock } = make();
  const first = connection.poll(1000, aborted.signal);
  connection.send('{"a":1}', 1);
  aborted.abort();
  assertEquals(await first, []);
  assertEquals([connection.capacity, clock.pending], [0, 1]);
  await clock.turn();
  assertEquals(await connection.poll(1000, aborted.signal), [], "a client that has gone");
  const second = connection.poll(1000, new AbortController().signal);
  await clock.turn();
  assertEquals(await second, ['{"a":1}']);
  assertEquals(clock.pending, 0);
});

Deno.test("LongPollConnection: closed, it answers what waits and takes no more", async () => {
  const { connection, signal, clock, closes } = make();
  const poll = connection.poll(1000, signal);
  connection.send('{"a":1}', 1);
  connection.close("replaced");
  connection.close("going_away");
  assertEquals(await poll, ['{"a":1}']);
  connection.send('{"a":2}', 1);
  assertEquals(await connection.poll(1000, signal), []);
  assertEquals(closes, ["replaced"]);
  assertEquals(connection.capacity, 0);
  await clock.turn();
  assertEquals(clock.pending, 0);
});

Deno.test("LongPollConnection: the notices that it keeps are bounded, and the oldest go first", async () => {
  const { connection, signal, clock } = make();
  for (let n = 0; n < 5000; n++) connection.send(`{"notice":${n}}`, 0);
  const poll = connection.poll(1000, signal);
  await clock.turn();
  const frames = await poll;
  assertEquals(frames.length, 1000);
  assertEquals(frames.at(-1), '{"notice":4999}');
});
