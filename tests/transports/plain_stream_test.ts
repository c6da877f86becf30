import { assertEquals } from "@std/assert";
import { Buffers } from "../../server/limits/buffers.ts";
import { Metrics } from "../../server/metrics.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { EventEncoder, EventStream } from "../../server/transports/event_stream.ts";
import { PlainStreamConnection } from "../../server/transports/plain_stream.ts";
import { Turn } from "../../server/turn.ts";
import { TimingWheel } from "../../server/wheel.ts";

function make() {
  const clock = new ManualClock();
  const wheel = new TimingWheel(clock, 250);
  const terms = {
    wheel,
    metrics: new Metrics(),
    encoder: new EventEncoder(),
    maxBufferedBytes: 800,
    buffers: new Buffers(2 ** 30, () => clock.now()),
    settled() {},
  };
  const heard: unknown[] = [];
  const connection = new PlainStreamConnection(
    { open: (owner, keepalive) => new EventStream(terms, owner, keepalive) },
    new Turn(clock),
    {
      written: (channel, place) => void heard.push([channel, place]),
      drained() {},
      lives() {},
      ended: (code) => void heard.push(code),
    },
  );
  const { body } = connection.begin(new Map([["a", { epoch: "e", seq: 0 }]]), 1000);
  const message = (seq: number, length: number) =>
    connection.send(`{"data":"${"x".repeat(length)}","event_id":"e:${seq}:a","source":null}`, 1);
  return { clock, wheel, heard, connection, body, message };
}

Deno.test("PlainStreamConnection: one whose end shows that its reader is stuck ends once, and has written nothing", async () => {
  const { clock, wheel, heard, connection, message } = make();
  message(1, 1000);
  await clock.turn();
  assertEquals(heard, [["a", { epoch: "e", seq: 1 }]]);
  message(2, 900);
  connection.close("going_away");
  assertEquals(heard.slice(1), ["slow_consumer"]);
  wheel.stop();
});

Deno.test("PlainStreamConnection: presence events are left out where much waits, and nobody is stuck for them", async () => {
  const { clock, wheel, heard, connection, body, message } = make();
  message(1, 1000);
  await clock.turn();
  for (let n = 0; n < 100; n++) connection.send(`{"type":"presence_join","n":${n}}`, 0);
  await clock.turn();
  connection.close("normal");
  assertEquals(heard, [["a", { epoch: "e", seq: 1 }], "normal"]);
  const text = await new Response(body).text();
  assertEquals([text.length > 1000, text.includes("presence_join")], [true, false]);
  wheel.stop();
});
