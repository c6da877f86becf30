import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MemoryConnection, MemoryPair } from "../../server/testing/mod.ts";

const PONG = '{"type":"pong"}';

function message(seq: number): string {
  return JSON.stringify({ type: "channel_message", channel: "c", seq });
}

Deno.test("MemoryConnection keeps every frame in order, also those of a batch", () => {
  const connection = new MemoryConnection();
  connection.send(PONG, 0);
  connection.send(message(1), 1);
  connection.send(`[${message(2)},${PONG},${message(3)}]`, 2);
  assertEquals(connection.frames.map(({ type }) => type), [
    "pong",
    "channel_message",
    "channel_message",
    "pong",
    "channel_message",
  ]);
  assertEquals(connection.texts.length, 3);
  assertEquals(connection.transport, "memory");
});

Deno.test("MemoryConnection.next() gives each frame of a type once, waiting if need be", async () => {
  const connection = new MemoryConnection();
  connection.send(message(1), 1);
  connection.send(PONG, 0);
  const first = connection.next("channel_message");
  const second = connection.next("channel_message");
  const third = connection.next("channel_message");
  connection.send(`[${message(2)},${message(3)},${message(4)}]`, 3);
  const seqs = (await Promise.all([first, second, third])).map(({ seq }) => seq);
  assertEquals(seqs, [1, 2, 3]);
  assertEquals(connection.take("channel_message").map(({ seq }) => seq), [4]);
  assertEquals(connection.take("channel_message"), []);
  assertEquals(await connection.next("pong"), { type: "pong" });
});

Deno.test("MemoryConnection takes as many messages as its capacity says, and counts more", () => {
  const connection = new MemoryConnection({ capacity: 2 });
  connection.send(message(1), 1);
  assertEquals(connection.capacity, 1);
  connection.send(PONG, 0);
  assertEquals([connection.capacity, connection.beyondCapacity], [1, 0]);
  connection.send(`[${message(2)},${message(3)},${message(4)}]`, 3);
  assertEquals(connection.beyondCapacity, 2);
  connection.send(message(5), 1);
  assertEquals(connection.beyondCapacity, 3);
  connection.capacity = 1;
  connection.send(message(6), 1);
  assertEquals(connection.beyondCapacity, 3);
  const endless = new MemoryConnection();
  endless.send(message(1), 1);
  assertEquals([endless.capacity, endless.beyondCapacity], [Infinity, 0]);
});

Deno.test("MemoryConnection refuses text that is not what its count says", () => {
  const connection = new MemoryConnection();
  assertThrows(() => connection.send("not JSON", 1), SyntaxError);
  assertThrows(() => connection.send(`[${message(1)}]`, 1), TypeError, "1 frames, not 1");
  assertThrows(() => connection.send(message(1), 2), TypeError);
  assertThrows(() => connection.send(`[${message(1)},${message(2)}]`, 3), TypeError);
  assertEquals(connection.frames, []);
});

Deno.test("MemoryConnection.close() ends it once: nobody waits any more, and nothing is received", async () => {
  const connection = new MemoryConnection();
  const waiting = connection.next("pong");
  connection.close("slow_consumer", "1 MiB waits");
  connection.close("normal");
  assertEquals(connection.closed, { code: "slow_consumer", detail: "1 MiB waits" });
  await assertRejects(() => waiting, Error, "slow_consumer (1 MiB waits)");
  await assertRejects(() => connection.next("pong"), Error, "slow_consumer");
  connection.send(PONG, 0);
  assertEquals([connection.frames.length, connection.afterClose], [0, 1]);
});

Deno.test("MemoryConnection.next() still gives what came before the close", async () => {
  const connection = new MemoryConnection();
  connection.send(PONG, 0);
  connection.close("normal");
  assertEquals(await connection.next("pong"), { type: "pong" });
});

Deno.test("MemoryPair.say() says one frame alone, and several as a batch", () => {
  const heard: string[] = [];
  const pair = new MemoryPair((text) => heard.push(text), { capacity: 3, transport: "pipe" });
  pair.say({ type: "ping" });
  pair.say({ type: "ping" }, { type: "channel.list" });
  pair.sayText("not JSON");
  assertEquals(heard, ['{"type":"ping"}', '[{"type":"ping"},{"type":"channel.list"}]', "not JSON"]);
  assertEquals([pair.connection.capacity, pair.connection.transport], [3, "pipe"]);
});
