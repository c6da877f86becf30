import { assertEquals } from "@std/assert";
import { payload, Stamps } from "../../bench/load/stamp.ts";

function marksIn(stamps: Stamps, text: string, from = 0): [number, number, number][] {
  const bytes = new TextEncoder().encode(text);
  const found: [number, number, number][] = [];
  const count = stamps.read(bytes, from, bytes.length, (...mark) => found.push(mark));
  assertEquals(count, found.length);
  return found;
}

function message(number: number, seq = number): string {
  return `{"type":"channel_message","data":${payload(7, number, 1234.4)},"seq":${seq}}`;
}

Deno.test("a payload is JSON of 128 bytes, and its mark is found", () => {
  const text = payload(99_999, 123_456_789, 1_234_567_890_123);
  assertEquals(new TextEncoder().encode(text).length, 128);
  assertEquals(Object.keys(JSON.parse(text)), ["~", "p"]);
  assertEquals(marksIn(new Stamps(), text), [[99_999, 123_456_789, 1_234_567_890_123]]);
});

Deno.test("all marks of a batch are found, in order, whatever is between them", () => {
  const stamps = new Stamps();
  const notice = `{"type":"presence_diff","joins":[${'{"client_id":"ann"},'.repeat(20)}]}`;
  const batch = [1, 2, 3].map((number) => message(number));
  const numbers = (parts: readonly string[]) => marksIn(stamps, `[${parts}]`).map(([, it]) => it);
  assertEquals(numbers(batch), [1, 2, 3]);
  assertEquals(numbers([batch[0], notice, batch[1], batch[2]]), [1, 2, 3]);
  assertEquals(numbers([notice, ...batch, notice, message(4, 1_000_000), message(5)]), [
    1,
    2,
    3,
    4,
    5,
  ]);
  // What was learned from a notice between does not make it pass over messages.
  const many = Array.from({ length: 50 }, (_, i) => message(i + 1, 10 ** (i % 7)));
  assertEquals(numbers(many), many.map((_, i) => i + 1));
  assertEquals(numbers([]), []);
});

Deno.test("a mark is looked for only in what came, not in what the buffer had before", () => {
  const bytes = new TextEncoder().encode(`${message(1)}${message(2)}`);
  const found: number[] = [];
  const end = new TextEncoder().encode(message(1)).length;
  new Stamps().read(bytes, 0, end, (_, number) => found.push(number));
  assertEquals(found, [1]);
  new Stamps().read(bytes, end, bytes.length, (_, number) => found.push(number));
  assertEquals(found, [1, 2]);
});
