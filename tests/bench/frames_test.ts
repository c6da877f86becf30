import { assertEquals, assertThrows } from "@std/assert";
import { decodeFrames, encodeFrame, PING, TEXT } from "../../bench/load/frames.ts";

/** A frame as a server sends it: without a mask. */
function served(payload: Uint8Array, first = 0x80 | TEXT): Uint8Array {
  const { length } = payload;
  const head = length < 126
    ? [first, length]
    : length < 65_536
    ? [first, 126, length >> 8, length & 0xff]
    : [first, 127, 0, 0, 0, 0, 0, length >> 16, length >> 8 & 0xff, length & 0xff];
  return new Uint8Array([...head, ...payload]);
}

function decoded(bytes: Uint8Array, end = bytes.length): { frames: number[][]; at: number } {
  const frames: number[][] = [];
  const at = decodeFrames(bytes, 0, end, (opcode, _, start, end) => {
    frames.push([opcode, end - start]);
  });
  return { frames, at };
}

Deno.test("frames of every length are read, several at a time", () => {
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 70_000];
  const bytes = new Uint8Array(sizes.flatMap((size) => [...served(new Uint8Array(size))]));
  const { frames, at } = decoded(bytes);
  assertEquals(frames, sizes.map((size) => [TEXT, size]));
  assertEquals(at, bytes.length);
});

Deno.test("a frame that is not whole waits for the rest, wherever it was cut", () => {
  const first = served(new Uint8Array(3), 0x80 | PING);
  const bytes = new Uint8Array([...first, ...served(new Uint8Array(200))]);
  for (let end = 0; end < bytes.length; end++) {
    const { frames, at } = decoded(bytes, end);
    assertEquals(frames.length, end < first.length ? 0 : 1, `cut at ${end}`);
    assertEquals(at, end < first.length ? 0 : first.length);
  }
});

Deno.test("a client's frame is masked, with zeros", () => {
  assertEquals([...encodeFrame(new Uint8Array([1, 2]))], [0x81, 0x82, 0, 0, 0, 0, 1, 2]);
  const long = encodeFrame(new Uint8Array(300).fill(7));
  assertEquals([...long.subarray(0, 9)], [0x81, 0xfe, 1, 44, 0, 0, 0, 0, 7]);
  assertThrows(() => encodeFrame(new Uint8Array(65_536)), RangeError);
});

Deno.test("frames that no server here sends are no messages", () => {
  assertThrows(() => decoded(served(new Uint8Array(1), TEXT)), Error, "splits");
  assertThrows(() => decoded(encodeFrame(new Uint8Array(1))), Error, "masks");
});
