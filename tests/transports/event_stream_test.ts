import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { Buffers } from "../../server/limits/buffers.ts";
import { Metrics } from "../../server/metrics.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import {
  EventEncoder,
  EventStream,
  onOneLine,
  type StreamOwner,
} from "../../server/transports/event_stream.ts";
import { TimingWheel } from "../../server/wheel.ts";

/** Notes what it hears, and drops a stream that is stuck. */
class Owner implements StreamOwner {
  readonly heard: string[] = [];
  drained(): void {
    this.heard.push("drained");
  }
  lives(): void {}
  gone(): void {
    this.heard.push("gone");
  }
  stuck(stream: EventStream): void {
    this.heard.push("stuck");
    stream.drop();
  }
}

function make(maxBufferedBytes = 800) {
  const clock = new ManualClock();
  const wheel = new TimingWheel(clock, 250);
  const metrics = new Metrics();
  const owner = new Owner();
  const settled: EventStream[] = [];
  const terms = {
    wheel,
    metrics,
    encoder: new EventEncoder(),
    maxBufferedBytes,
    buffers: new Buffers(2 ** 30, () => clock.now()),
    settled: (stream: EventStream) => void settled.push(stream),
  };
  const stream = new EventStream(terms, owner, ":\n\n");
  const reader = stream.body.getReader();
  const decoder = new TextDecoder();
  const read = async () => {
    const { value } = await reader.read();
    return value === undefined ? undefined : decoder.decode(value);
  };
  return { clock, wheel, metrics, owner, settled, terms, stream, reader, read };
}

Deno.test("EventStream: what is written is read in order, and what waits is read at once", async () => {
  const { stream, read, wheel } = make();
  const first = read();
  stream.write("a");
  assertEquals(await first, "a");
  stream.write("b");
  stream.write("c");
  assertEquals(await read(), "bc");
  stream.write("d");
  stream.end();
  stream.write("e");
  assertEquals([await read(), await read()], ["d", undefined]);
  wheel.stop();
});

Deno.test("EventStream: it takes no more above a quarter of the limit, and says when it does again", async () => {
  const { stream, read, owner, wheel } = make();
  assert(stream.takes(200));
  stream.write("x".repeat(150));
  assertEquals([stream.takes(50), stream.takes(51)], [true, false]);
  assertEquals(owner.heard, []);
  assertEquals((await read())?.length, 150);
  assertEquals(owner.heard, ["drained"]);
  assert(stream.takes(200));
  wheel.stop();
});

Deno.test("EventStream: more than the limit ends it as stuck; one piece may be larger", async () => {
  const { stream, read, owner, metrics, settled, wheel } = make();
  stream.write("x".repeat(5000));
  stream.write("y".repeat(800));
  assertEquals(owner.heard, [], "what is behind it counts by itself");
  stream.write("z");
  assertEquals(owner.heard, ["stuck"]);
  assertEquals([...metrics.closed], [["slow_consumer", 1]]);
  // It holds its place until its reader is known to have gone.
  assertEquals(settled, []);
  assertEquals(await read(), undefined);
  assertStrictEquals(settled[0], stream);
  wheel.stop();
});

Deno.test("EventStream: a reader that takes nothing for 30 seconds is stuck; a slow one is not", async () => {
  const { stream, read, owner, clock, wheel } = make();
  for (let i = 0; i < 10; i++) {
    stream.write(`${i}`);
    await clock.advance(20_000);
    assertEquals(await read(), `${i}`);
  }
  assertEquals(owner.heard, []);
  stream.write("x");
  await clock.advance(25_000);
  assertEquals(owner.heard, []);
  await clock.advance(10_000);
  assertEquals(owner.heard, ["stuck"]);
  wheel.stop();
});

Deno.test("EventStream: in silence it says that it lives, at least every 10 seconds", async () => {
  const { stream, reader, read, clock, wheel } = make();
  for (let i = 0; i < 5; i++) {
    const next = read();
    for (let passed = 0; passed < 10; passed++) await clock.advance(1_000);
    assertEquals(await next, ":\n\n");
    // What came meanwhile waits, and is sign enough.
    assertEquals(await read(), ":\n\n");
  }
  stream.write("x");
  await clock.advance(20_000);
  assertEquals(await read(), "x");
  stream.end();
  assertEquals(wheel.size, 0);
  await reader.cancel();
  wheel.stop();
});

Deno.test("EventStream: a reader that hangs up is told once, and leaves no timer", async () => {
  const { stream, reader, owner, settled, wheel } = make();
  const pending = reader.read();
  await reader.cancel();
  assertEquals((await pending).done, true);
  assertEquals([owner.heard, settled.length, wheel.size], [["gone"], 1, 0]);
  stream.write("x");
  stream.end();
  stream.drop();
  assertEquals([owner.heard, settled.length], [["gone"], 1]);
  wheel.stop();
});

Deno.test("EventStream: one that was ended is settled when its reader has read or gone", async () => {
  const { stream, reader, owner, settled, wheel } = make();
  stream.write("x");
  stream.end();
  assertEquals(settled, []);
  await reader.cancel();
  assertEquals([owner.heard, settled.length], [[], 1]);
  const other = make();
  other.stream.abandon();
  assertEquals(other.settled.length, 1);
  assertEquals(await other.read(), undefined);
  wheel.stop();
  other.wheel.stop();
});

Deno.test("EventStream: subscribers that are written the same text share its bytes", async () => {
  const { terms, wheel } = make();
  const streams = Array.from({ length: 3 }, () => new EventStream(terms, new Owner(), ":"));
  const readers = streams.map(({ body }) => body.getReader());
  for (const text of ["one", "two"]) {
    const reads = readers.map((reader) => reader.read());
    await Promise.resolve();
    for (const stream of streams) stream.write(`${text}${""}`);
    const [first, ...others] = (await Promise.all(reads)).map(({ value }) => value!);
    for (const other of others) assertStrictEquals(other, first);
    assertEquals(new TextDecoder().decode(first), text);
  }
  wheel.stop();
});

Deno.test("onOneLine() leaves JSON what it means, without an end of a line", () => {
  const value = { text: "a\nb\r\u2028", list: [1, 2] };
  for (const json of [JSON.stringify(value), JSON.stringify(value, null, 2), "[1,\r\n2\r]"]) {
    assertEquals(JSON.parse(onOneLine(json)), JSON.parse(json));
    assertEquals(/[\r\n]/.test(onOneLine(json)), false);
  }
});

Deno.test("EventStream: one that was ended drops what nobody reads for 30 seconds", async () => {
  const { stream, read, owner, settled, clock, wheel } = make();
  stream.write("x");
  stream.end();
  await clock.advance(25_000);
  assertEquals(wheel.size, 1);
  await clock.advance(10_000);
  assertEquals([wheel.size, owner.heard, settled], [0, [], []]);
  assertEquals(await read(), undefined);
  assertStrictEquals(settled[0], stream);
  const other = make();
  other.stream.write("x");
  other.stream.end();
  assertEquals([await other.read(), await other.read(), other.wheel.size], ["x", undefined, 0]);
  wheel.stop();
  other.wheel.stop();
});
