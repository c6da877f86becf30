import { assertEquals } from "@std/assert";
import { Buffers } from "../../server/limits/buffers.ts";
import { Metrics } from "../../server/metrics.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { EventEncoder, EventStream } from "../../server/transports/event_stream.ts";
import { PlainStreamConnection } from "../../server/transports/plain_stream.ts";
import { Turn } from "../../server/turn.ts";
import { TimingWheel } from "../../server/wheel.ts";

Deno.test("PlainStreamConnection: one whose end shows that its reader is stuck ends once, and has written nothing", () => {
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
  connection.begin(new Map([["a", { epoch: "e", seq: 0 }]]), 1000);
  connection.send(`{"data":"${"x".repeat(1000)}","event_id":"e:1:a","source":null}`, 1);
  connection.close("going_away");
  assertEquals(heard, ["slow_consumer"]);
  wheel.stop();
});
