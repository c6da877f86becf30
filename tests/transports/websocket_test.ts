import { assert, assertEquals, assertMatch } from "@std/assert";
import { Buffers } from "../../server/limits/buffers.ts";
import { Metrics } from "../../server/metrics.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { type Gathered, Gathering } from "../../server/transports/gathered.ts";
import { WebSocketConnection } from "../../server/transports/websocket.ts";
import { Turn } from "../../server/turn.ts";

const LIMIT = 8000;

/** A socket whose buffer the test fills and drains. */
class FakeSocket {
  readyState = 1;
  bufferedAmount = 0;
  readonly sent: string[] = [];
  readonly closes: [code: number | undefined, reason: string | undefined][] = [];
  fails = false;

  send(text: string): void {
    if (this.fails) throw new DOMException("The socket is closing.", "InvalidStateError");
    this.sent.push(text);
  }

  close(code?: number, reason?: string): void {
    this.closes.push([code, reason]);
    if (this.fails) throw new DOMException("The socket is closing.", "InvalidStateError");
    this.readyState = 2;
  }
}

/** A socket that sends what has gathered in one write. */
class WritingSocket extends FakeSocket {
  readonly writes: string[][] = [];

  sendAll(gathered: Gathered, asOne: boolean): void {
    this.writes.push(asOne ? [gathered.joined] : gathered.texts);
  }
}

function make(batching = false, socket = new FakeSocket(), maxBufferedBytes = LIMIT) {
  const clock = new ManualClock();
  const metrics = new Metrics();
  const calls = { drained: 0, closed: 0 };
  const owner = {
    behind: 0,
    drained: () => void calls.drained++,
    shut: () => void calls.closed++,
  };
  const turn = new Turn(clock);
  const [texts, batches] = [new Gathering(turn), new Gathering(turn)];
  const buffers = new Buffers(2 ** 30, () => clock.now());
  const connection = new WebSocketConnection(
    socket,
    { clock, turn, texts, batches, metrics, maxBufferedBytes, buffers },
    owner,
  );
  if (batching) connection.batch();
  return { clock, socket, metrics, calls, owner, connection, turn };
}

Deno.test("WebSocketConnection: without batches each frame leaves at once and alone", () => {
  const { connection, socket } = make();
  connection.send('{"a":1}', 1);
  connection.send('{"a":2}', 0);
  assertEquals(socket.sent, ['{"a":1}', '{"a":2}']);
});

Deno.test("WebSocketConnection: with batches what a turn brings leaves as one frame, in order", async () => {
  const { connection, socket, clock } = make(true);
  connection.send('{"a":1}', 0);
  connection.send('[{"a":2},{"a":3}]', 2);
  connection.send('{"a":4}', 1);
  assertEquals(socket.sent, []);
  await clock.turn();
  assertEquals(socket.sent, ['[{"a":1},{"a":2},{"a":3},{"a":4}]']);

  connection.send('{"a":5}', 1);
  await clock.turn();
  connection.send('[{"a":6},{"a":7}]', 2);
  await clock.turn();
  assertEquals(socket.sent.slice(1), ['{"a":5}', '[{"a":6},{"a":7}]']);
});

Deno.test("WebSocketConnection: where a socket can, what a turn brings leaves in one write, a message each", async () => {
  const socket = new WritingSocket();
  const { connection, clock } = make(false, socket);
  for (const text of ["a", "b", "c"]) connection.send(text, 1);
  assertEquals(socket.writes, []);
  await clock.turn();
  assertEquals(socket.writes, [["a", "b", "c"]]);
  connection.send("d", 0);
  connection.close("normal");
  assertEquals(socket.writes.slice(1), [["d"]], "before the close");
  assertEquals([socket.sent, socket.closes], [[], [[1000, ""]]]);
});

Deno.test("WebSocketConnection: what came before a client asked for batches is in none", async () => {
  const socket = new WritingSocket();
  const { connection, clock } = make(false, socket);
  connection.send('{"a":1}', 0);
  connection.batch();
  connection.send('{"a":2}', 0);
  connection.send('{"a":3}', 1);
  await clock.turn();
  assertEquals(socket.writes, [['{"a":1}'], ['[{"a":2},{"a":3}]']]);
});

Deno.test("WebSocketConnection: one that has got much in a round gets the rest in the next", async () => {
  const { connection, clock, calls, turn } = make(true);
  turn.sends(256, 0);
  assertEquals([connection.capacity, calls.drained], [0, 1]);
  turn.pump({ pump: () => {} });
  await clock.turn();
  assertEquals(connection.capacity, Infinity);
  connection.send(`"${"x".repeat(LIMIT / 4)}"`, 1);
  assertEquals([connection.capacity, calls.drained], [0, 2], "what has gathered counts, too");
  await clock.turn();
  assertEquals([connection.capacity, clock.pending], [Infinity, 0]);
});

Deno.test("WebSocketConnection: who gets a message a frame gets a share, and another when all had theirs", async () => {
  const { connection, clock, calls, turn } = make(false, new WritingSocket());
  const share = connection.capacity;
  assert(share > 0 && share < 100, `${share} messages`);
  for (let n = 0; n < share; n++) connection.send("a", 1);
  assertEquals([connection.capacity, calls.drained], [0, 1]);
  assertEquals([connection.capacity, calls.drained], [0, 2], "still");
  turn.pump({ pump: () => {} });
  await clock.turn();
  assertEquals([connection.capacity, calls.drained], [share, 2]);
});

Deno.test("WebSocketConnection: while much waits that its client has sent, it gets some for each slice of that", async () => {
  const { connection, clock, calls, owner, turn } = make(false, new WritingSocket());
  const share = connection.capacity;
  assert(share < 100, `${share} messages`);
  for (let n = 0; n < share; n++) connection.send("a", 1);
  owner.behind = 1000;
  turn.pump({ pump: () => {} });
  await clock.turn();
  assertEquals([connection.capacity, calls.drained], [0, 0]);
  connection.handled();
  assertEquals(calls.drained, 1);
  const slice = connection.capacity;
  assert(slice > 0 && slice < share, `${slice} of ${share}`);
  for (let n = 0; n < slice; n++) connection.send("a", 1);
  assertEquals([connection.capacity, calls.drained], [0, 1]);
  owner.behind = 0;
  connection.handled();
  assertEquals([connection.capacity, calls.drained], [share, 2]);
});

Deno.test("WebSocketConnection: a filling buffer takes no more messages until it has drained", async () => {
  const { connection, socket, clock, calls } = make(true);
  assertEquals(connection.capacity, Infinity);
  connection.send("x".repeat(LIMIT / 4), 1);
  connection.flush();
  socket.bufferedAmount = LIMIT / 4 + 1;
  assertEquals(connection.capacity, 0);
  socket.bufferedAmount = LIMIT / 8 + 1;
  await clock.advance(50);
  assertEquals([connection.capacity, calls.drained], [0, 0]);
  socket.bufferedAmount = LIMIT / 8;
  await clock.advance(50);
  assertEquals([connection.capacity, calls.drained], [Infinity, 1]);
  assertEquals(clock.pending, 0);
});

Deno.test("WebSocketConnection: a buffer beyond the limit ends it as a slow consumer, once", () => {
  const { connection, socket, calls, metrics } = make();
  socket.bufferedAmount = LIMIT + 1;
  connection.send('{"a":1}', 0);
  assertEquals(socket.closes.map(([code]) => code), [4008]);
  assertEquals(calls.closed, 1);
  connection.send('{"a":2}', 0);
  connection.close("going_away");
  assertEquals(socket.sent.length, 1);
  assertEquals(socket.closes.length, 1);
  assertEquals([...metrics.closed], [["slow_consumer", 1]]);
  assertEquals(connection.capacity, 0);
});

Deno.test("WebSocketConnection: one answer may be more than may wait, and who reads it is not slow; further ones may not", () => {
  for (const batching of [false, true]) {
    const { connection, socket } = make(batching);
    for (let n = 0; n < 10; n++) {
      connection.send(`"${"x".repeat(3 * LIMIT)}"`, 0);
      socket.bufferedAmount = 3 * LIMIT;
      connection.flush();
      socket.bufferedAmount = 0;
      connection.send('{"answer":1}', 0);
      connection.flush();
    }
    assertEquals(socket.closes, []);
    for (let n = 0; n < 10; n++) {
      socket.bufferedAmount += 3 * LIMIT;
      connection.send(`"${"x".repeat(3 * LIMIT)}"`, 0);
      connection.flush();
    }
    assertEquals(socket.closes.map(([code]) => code), [4008]);
  }
});

Deno.test("WebSocketConnection: each answer may be more than may wait where nothing does, also one that is longer than the last", () => {
  for (const batching of [false, true]) {
    const { connection, socket } = make(batching);
    for (const size of [LIMIT, 9 * LIMIT]) {
      connection.send(`"${"x".repeat(size)}"`, 0);
      socket.bufferedAmount = size;
      connection.flush();
      assertEquals(socket.closes, []);
      socket.bufferedAmount = 0;
    }
  }
});

Deno.test("WebSocketConnection: a turn that brings more than the limit beside one answer ends it", () => {
  const { connection, socket } = make(true);
  connection.send(`"${"x".repeat(LIMIT)}"`, 0);
  assertEquals(socket.closes, []);
  connection.send(`"${"x".repeat(LIMIT)}"`, 0);
  assertEquals(socket.closes.map(([code]) => code), [4008]);
});

Deno.test("WebSocketConnection: messages may be more than may wait; answers behind them may not", () => {
  for (const batching of [false, true]) {
    const { connection, socket } = make(batching);
    assert(connection.capacity > 0);
    connection.send(`[${"x".repeat(3 * LIMIT)}]`, 2);
    socket.bufferedAmount = 3 * LIMIT;
    connection.send('{"answer":1}', 0);
    connection.flush();
    assertEquals(socket.closes, []);
    for (let n = 0; n < 10; n++) {
      connection.send(`"${"x".repeat(LIMIT)}"`, 0);
      connection.flush();
      socket.bufferedAmount += LIMIT;
    }
    assertEquals(socket.closes.map(([code]) => code), [4008]);
  }
});

Deno.test("WebSocketConnection: one that is closed with a full buffer is closed once", () => {
  const { connection, socket, calls, metrics } = make(true);
  connection.send('{"a":1}', 0);
  socket.bufferedAmount = LIMIT + 1;
  connection.close("going_away");
  assertEquals(socket.closes.length, 1);
  assertEquals(calls.closed, 1);
  assertEquals([...metrics.closed.values()], [1]);
});

Deno.test("WebSocketConnection: a buffer that stands still for 30 seconds ends it", async () => {
  const { connection, socket, clock, calls } = make();
  socket.bufferedAmount = LIMIT / 2;
  assertEquals(connection.capacity, 0);
  await clock.advance(29_900);
  assertEquals(calls.closed, 0);
  await clock.advance(200);
  assertEquals(socket.closes.map(([code]) => code), [4008]);
  assertEquals([calls.closed, calls.drained, clock.pending], [1, 0, 0]);
});

Deno.test("WebSocketConnection: presence events beyond half of the limit are left out; who does not read is found out by them", async () => {
  const { connection, socket, clock, calls } = make();
  const event = `{"type":"presence_diff","joins":["${"x".repeat(500)}"]}`;
  socket.bufferedAmount = LIMIT / 2 - 3 * event.length;
  connection.send(event, 0);
  socket.bufferedAmount = LIMIT / 2;
  for (let n = 0; n < 100; n++) connection.send(event, 0);
  connection.send('{"type":"pong"}', 0);
  assertEquals(socket.sent, [event, '{"type":"pong"}']);
  await clock.advance(29_000);
  assertEquals(calls.closed, 0);
  await clock.advance(2_000);
  assertEquals([calls.closed, clock.pending], [1, 0]);
});

Deno.test("WebSocketConnection: a presence event that is larger than the limit leaves where nothing waits", () => {
  const { connection, socket, calls } = make();
  const event = `{"type":"presence_diff","joins":["${"x".repeat(2 * LIMIT)}"]}`;
  connection.send(event, 0);
  socket.bufferedAmount = event.length;
  connection.send(event, 0);
  connection.send('{"type":"pong"}', 0);
  assertEquals([socket.sent.length, calls.closed], [2, 0]);
});

Deno.test("WebSocketConnection: who reads a long write is not stuck, where nothing shows how far that is", async () => {
  const MIB = 1_048_576;
  for (const writesWhole of [false, true]) {
    const socket = Object.assign(new FakeSocket(), { writesWhole });
    const { connection, clock, calls } = make(false, socket, 4 * MIB);
    socket.bufferedAmount = MIB;
    assertEquals(connection.capacity, 0);
    await clock.advance(119_000);
    assertEquals(calls.closed, writesWhole ? 0 : 1);
    await clock.advance(2_000);
    assertEquals(socket.closes.map(([code]) => code), [4008]);
    assertEquals([calls.closed, clock.pending], [1, 0]);
  }
});

Deno.test("WebSocketConnection: a buffer that drains slowly is left in peace", async () => {
  const { connection, socket, clock, calls } = make();
  socket.bufferedAmount = LIMIT - 1;
  assertEquals(connection.capacity, 0);
  for (let n = 0; n < 20; n++) {
    await clock.advance(20_000);
    socket.bufferedAmount -= 1;
  }
  assertEquals(calls, { drained: 0, closed: 0 });
  connection.gone();
  assertEquals(clock.pending, 0);
});

Deno.test("WebSocketConnection: closing sends first what had gathered", () => {
  const { connection, socket } = make(true);
  connection.send('{"type":"error"}', 0);
  connection.close("token_invalid");
  assertEquals(socket.sent, ['{"type":"error"}']);
  assertEquals(socket.closes[0][0], 4501);
});

Deno.test("WebSocketConnection: a reason is ASCII of at most 123 bytes, and names the code", () => {
  const { connection, socket } = make();
  connection.close("bad_secret", `"ü\u2028\n${"x".repeat(500)}`);
  const [code, reason] = socket.closes[0];
  assertEquals(code, 4502);
  assertMatch(reason!, /^bad_secret: "\?\?\?x+$/);
  assert(reason!.length <= 123);
  const normal = make();
  normal.connection.close("normal");
  assertEquals(normal.socket.closes, [[1000, ""]]);
  const other = make();
  other.connection.close("gap");
  assertEquals(other.socket.closes[0][0], 4011, "a code without a close code of its own");
});

Deno.test("WebSocketConnection: a socket that fails in the very moment harms nobody", () => {
  const { connection, socket, calls } = make();
  socket.fails = true;
  connection.send('{"a":1}', 0);
  connection.close("going_away");
  assertEquals([socket.closes.length, calls.closed], [1, 1]);
  const closing = make();
  closing.socket.readyState = 2;
  closing.connection.send('{"a":1}', 0);
  assertEquals(closing.socket.sent, []);
});

Deno.test("WebSocketConnection: one that is gone sends nothing and waits for nothing", async () => {
  const { connection, socket, clock } = make(true);
  connection.send('{"a":1}', 0);
  socket.bufferedAmount = LIMIT;
  assertEquals(connection.capacity, 0);
  connection.gone();
  await clock.advance(100);
  assertEquals([socket.sent.length, socket.closes.length, clock.pending], [0, 0, 0]);
});
