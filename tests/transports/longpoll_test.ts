import { assert, assertEquals } from "@std/assert";
import { Buffers } from "../../server/limits/buffers.ts";
import { Metrics } from "../../server/metrics.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { EventEncoder, EventStream } from "../../server/transports/event_stream.ts";
import {
  LongPollConnection,
  pollTerms,
  type StreamSource,
} from "../../server/transports/longpoll.ts";
import { Turn } from "../../server/turn.ts";
import { TimingWheel } from "../../server/wheel.ts";

function make(maxBatchSize = 3, maxChannels = 128, maxBufferedBytes = 2 ** 22) {
  const clock = new ManualClock();
  const closes: string[] = [];
  const turn = new Turn(clock);
  const terms = pollTerms({ clock, turn, maxBatchSize, maxChannels, maxBufferedBytes });
  const connection = new LongPollConnection(terms, (code) => closes.push(code));
  const aborted = new AbortController();
  const reading = { patience: 5000, isOn: false, goesOn: () => reading.isOn };
  const poll = async (
    { signal }: AbortController = aborted,
    fill: (atOnce: boolean) => void = () => {},
  ) => JSON.parse(await connection.poll(1000, { signal }, fill, reading)).messages;
  return { clock, closes, connection, aborted, poll, reading };
}

Deno.test("LongPollConnection: it takes messages only while a poll waits, and a batch at most", async () => {
  const { connection, poll, clock } = make();
  assertEquals([connection.capacity, connection.isWaiting], [0, false]);
  const answer = poll();
  assertEquals([connection.capacity, connection.isWaiting], [3, true]);
  connection.send('{"a":1}', 1);
  assertEquals(connection.capacity, 2);
  connection.send('[{"a":2},{"a":3}]', 2);
  assertEquals(connection.capacity, 0);
  await clock.turn();
  assertEquals(await answer, [{ a: 1 }, { a: 2 }, { a: 3 }]);
  assertEquals([connection.capacity, connection.isWaiting], [0, false]);
  assertEquals(clock.pending, 0);
});

Deno.test("LongPollConnection: what is there when a poll comes is its answer, and nothing is waited for", async () => {
  const { connection, poll, clock, aborted } = make();
  const capacities: number[] = [];
  const answer = poll(aborted, () => {
    capacities.push(connection.capacity);
    connection.send('[{"a":1},{"a":2}]', 2);
    capacities.push(connection.capacity);
  });
  assertEquals([clock.pending, connection.capacity, connection.isWaiting], [0, 0, false]);
  assertEquals(await answer, [{ a: 1 }, { a: 2 }]);
  assertEquals(capacities, [3, 1]);
});

Deno.test("LongPollConnection: a connection that is closed as a poll comes answers it", async () => {
  const { connection, poll, clock, aborted } = make();
  assertEquals(await poll(aborted, () => connection.close("replaced")), []);
  const { connection: other, poll: ask } = make();
  const answer = ask(aborted, () => {
    other.send('{"a":1}', 1);
    other.close("replaced");
  });
  assertEquals(await answer, [{ a: 1 }]);
  assertEquals(clock.pending, 0);
});

Deno.test("LongPollConnection: a poll is answered empty when its time has run out", async () => {
  const { connection, poll, clock } = make();
  const answer = poll();
  await clock.advance(999);
  assert(connection.isWaiting);
  await clock.advance(1);
  assertEquals(await answer, []);
});

Deno.test("LongPollConnection: a poll waits for what is being read, and no longer than that may take", async () => {
  const { connection, poll, clock, reading } = make();
  reading.isOn = true;
  for (const end of [() => reading.isOn = false, () => {}]) {
    const answer = poll();
    await clock.advance(5_950);
    assert(connection.isWaiting);
    end();
    await clock.advance(50);
    assertEquals([await answer, clock.pending], [[], 0]);
    reading.isOn = true;
  }
});

Deno.test("LongPollConnection: a notice that comes between two polls is in the next", async () => {
  const { connection, poll, clock } = make();
  connection.send('{"notice":1}', 0);
  assertEquals(await poll(), [{ notice: 1 }]);
  assertEquals(clock.pending, 0);
});

Deno.test("LongPollConnection: a lost right waits once for each channel, however often it is told, and again once it has left", async () => {
  const { connection, poll } = make();
  const notices = ["a", "b"].map((channel) => ({ type: "error", code: "forbidden", channel }));
  for (let n = 0; n < 2; n++) {
    for (const notice of [...notices, ...notices]) connection.send(JSON.stringify(notice), 0);
    assertEquals(await poll(), notices);
  }
});

Deno.test("LongPollConnection: messages leave with a notice that came before the poll", async () => {
  const { connection, poll, aborted, clock } = make();
  connection.send('{"notice":1}', 0);
  const fills: boolean[] = [];
  const fill = (atOnce: boolean) => {
    fills.push(atOnce);
    if (atOnce) connection.send('{"a":1}', 1);
  };
  assertEquals(await poll(aborted, fill), [{ notice: 1 }, { a: 1 }]);
  const held = poll(aborted, fill);
  await clock.advance(1000);
  assertEquals([await held, fills], [[], [true, false]]);
});

Deno.test("LongPollConnection: what gathered for a poll goes to the one that takes its place", async () => {
  const { connection, poll } = make();
  const first = poll();
  connection.send('{"a":1}', 1);
  const second = poll();
  assertEquals(await first, []);
  assertEquals(await second, [{ a: 1 }]);
});

Deno.test("LongPollConnection: what gathered for a client that has gone is in its next poll", async () => {
  const { connection, aborted, poll, clock } = make();
  const first = poll();
  connection.send('{"a":1}', 1);
  aborted.abort();
  assertEquals(await first, []);
  assertEquals([connection.capacity, clock.pending], [0, 1]);
  await clock.turn();
  assertEquals(await poll(new AbortController()), [{ a: 1 }]);
  assertEquals(await poll(), [], "a client that has gone before anything came");
  assertEquals([connection.isWaiting, clock.pending], [false, 0]);
});

Deno.test("LongPollConnection: closed, it answers what waits and takes no more", async () => {
  const { connection, poll, clock, closes } = make();
  const answer = poll();
  connection.send('{"a":1}', 1);
  connection.close("replaced");
  connection.close("going_away");
  assertEquals(await answer, [{ a: 1 }]);
  connection.send('{"a":2}', 1);
  assertEquals(await poll(), []);
  assertEquals(closes, ["replaced"]);
  assertEquals(connection.capacity, 0);
  await clock.turn();
  assertEquals(clock.pending, 0);
});

Deno.test("LongPollConnection: the presence events that it keeps are bounded, and the oldest go first", async () => {
  const { connection, poll } = make();
  for (let n = 0; n < 5000; n++) connection.send(`{"type":"presence_join","n":${n}}`, 0);
  const events = await poll();
  assertEquals(events.length, 1000);
  assertEquals(events.at(-1), { type: "presence_join", n: 4999 });
});

Deno.test("LongPollConnection: large presence events are bounded by what may wait, and the newest is kept", async () => {
  const { connection, poll, closes } = make(3, 128, 4000);
  const names: string[] = [];
  for (let n = 0; n < 100; n++) {
    connection.send(`{"type":"presence_diff","n":${n},"text":"${"x".repeat(300)}"}`, 0);
  }
  connection.send('{"type":"channel.gap"}', 0);
  for (const { type, n } of await poll()) names.push(`${type} ${n}`);
  const gap = "channel.gap undefined";
  assertEquals(names, ["presence_diff 98", "presence_diff 99", gap]);
  connection.send(`{"type":"presence_diff","text":"${"x".repeat(3000)}"}`, 0);
  assertEquals([(await poll()).length, closes], [1, []], "one may be larger");
});

Deno.test("LongPollConnection: an answer takes no more messages once it is a quarter of what may wait", async () => {
  const { connection, poll, clock } = make(100, 128, 4000);
  const first = poll();
  const large = `{"type":"channel_message","data":"${"x".repeat(600)}"}`;
  connection.send(large, 1);
  assertEquals(connection.capacity, 99);
  connection.send(large, 1);
  assertEquals(connection.capacity, 0);
  await clock.turn();
  assertEquals((await first).length, 2);
  const second = poll();
  assertEquals(connection.capacity, 100);
  connection.close("normal");
  assertEquals(await second, []);
});

Deno.test("LongPollConnection: for presence events neither a message goes nor a word of what is lost", async () => {
  const { connection, poll, clock } = make();
  const first = poll();
  connection.send('{"type":"channel_message","seq":1}', 1);
  connection.send('{"type":"channel.gap","seq":0}', 0);
  for (let n = 0; n < 2000; n++) connection.send(`{"type":"presence_join","n":${n}}`, 0);
  assertEquals(connection.capacity, 2);
  connection.send('{"type":"channel_message","seq":2}', 1);
  await clock.turn();
  const came: { type: string; seq?: number }[] = await first;
  const kept = came.filter(({ type }) => type !== "presence_join");
  assertEquals(kept.map(({ type, seq }) => [type, seq]), [
    ["channel_message", 1],
    ["channel.gap", 0],
    ["channel_message", 2],
  ]);
  assertEquals(came.length, 2 + 1000);
});

Deno.test("LongPollConnection: one that never asks for what it must be told is closed in the end", () => {
  const { connection, closes } = make();
  for (let n = 0; n < 2000; n++) connection.send(`{"type":"channel.gap","n":${n}}`, 0);
  assertEquals(closes, []);
  connection.send('{"type":"channel.gap"}', 0);
  assertEquals(closes, ["slow_consumer"]);
});

Deno.test("LongPollConnection: one with very many channels may be told of each that its messages are gone", async () => {
  const { connection, closes, poll } = make(3, 3000);
  for (let n = 0; n < 6000; n++) connection.send(`{"type":"channel.gap","n":${n}}`, 0);
  assertEquals((await poll()).length, 6000);
  assertEquals(closes, []);
});

Deno.test("LongPollConnection: presence events are left out of a stream where much waits, and it goes on", async () => {
  const { connection, clock } = make(3, 128, 4000);
  const wheel = new TimingWheel(clock, 250);
  const terms = {
    wheel,
    metrics: new Metrics(),
    encoder: new EventEncoder(),
    maxBufferedBytes: 4000,
    buffers: new Buffers(2 ** 30, () => clock.now()),
    settled() {},
  };
  const source: StreamSource = {
    open: (owner, keepalive) => new EventStream(terms, owner, keepalive),
  };
  const { body } = connection.stream(source, () => {});
  connection.send(`{"type":"channel_message","data":"${"x".repeat(1000)}"}`, 1);
  for (let n = 0; n < 100; n++) connection.send(`{"type":"presence_join","n":${n}}`, 0);
  connection.send('{"type":"channel.gap"}', 0);
  await clock.turn();
  assert(connection.isStreaming);
  connection.close("normal");
  const text = await new Response(body).text();
  assertEquals(text.match(/"type":"[a-z_.]+"/g), [
    '"type":"channel_message"',
    '"type":"channel.gap"',
  ]);
  wheel.stop();
});
