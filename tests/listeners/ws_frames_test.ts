import { Buffer } from "node:buffer";
import { assertEquals } from "@std/assert";
import { Sender } from "ws";
import { asciiFrame, readWhole, textFrames } from "../../server/listeners/ws_frames.ts";
import { BINARY, CLOSE, closeFrame, frame, joined, PING, PONG } from "../rfc6455/frames.ts";

/** What `ws` itself would write. */
function framesOf(texts: readonly string[]): Uint8Array {
  const options = { fin: true, opcode: 1, mask: false, rsv1: false, readOnly: false };
  const parts = texts.flatMap((text) => Sender.frame(text, options)) as (string | Uint8Array)[];
  const bytes = parts.map((part) =>
    typeof part === "string" ? new TextEncoder().encode(part) : part
  );
  return Uint8Array.from(bytes.flatMap((part) => [...part]));
}

Deno.test("textFrames() writes every length as ws does", () => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]) {
    const text = "x".repeat(length);
    assertEquals(new Uint8Array(textFrames([text])), framesOf([text]), `${length} bytes`);
  }
});

Deno.test("textFrames() counts bytes, not characters", () => {
  for (
    const text of [
      "ü".repeat(62),
      "ü".repeat(63),
      "☃".repeat(21_845),
      "😀".repeat(16_384),
      "é\ud800x",
    ]
  ) {
    assertEquals(new Uint8Array(textFrames([text])), framesOf([text.toWellFormed()]));
  }
});

Deno.test("textFrames() puts several frames behind each other", () => {
  const texts = ["one", "", "ü".repeat(200), "x".repeat(70_000), "last"];
  assertEquals(new Uint8Array(textFrames(texts)), framesOf(texts));
  assertEquals(textFrames([]).length, 0);
});

Deno.test("asciiFrame() is what textFrames() writes, for short texts of ASCII alone", () => {
  for (const length of [0, 1, 125, 126, 127, 255, 256, 1024]) {
    const text = "x".repeat(length);
    const bytes = Uint8Array.from(asciiFrame(text)!, (character) => character.charCodeAt(0));
    assertEquals(bytes, framesOf([text]), `${length} bytes`);
  }
  assertEquals(asciiFrame("x".repeat(1025)), undefined);
  for (const text of ["é", "a\u0080", "☃", "\ud800"]) assertEquals(asciiFrame(text), undefined);
});

const MOST = 70_000;

/** What is read of bytes up to where it ends; the reader stops behind so many texts. */
function read(bytes: Uint8Array, atMost = Infinity) {
  const texts: string[] = [];
  let pongs = 0;
  const chunk = Buffer.from(bytes);
  const rest = readWhole(chunk, MOST, {
    get isReading() {
      return texts.length < atMost;
    },
    text: (text) => void texts.push(text),
    heard: () => void pongs++,
  });
  return { texts, pongs, rest, chunk };
}

Deno.test("readWhole() reads whole texts and pongs, wherever what came ends", () => {
  const texts = ["one", "", "x".repeat(125), "x".repeat(126), "ü☃😀".repeat(40), "last"];
  const frames = texts.map((text) => frame(text));
  frames.splice(2, 0, frame("", { opcode: PONG }), frame("alive", { opcode: PONG }));
  const bytes = joined(frames);
  const ends = frames.map((_, i) => joined(frames.slice(0, i + 1)).length);
  for (let length = 0; length <= bytes.length; length++) {
    const whole = ends.filter((end) => end <= length);
    const { texts: came, pongs, rest } = read(bytes.subarray(0, length));
    assertEquals(rest, whole.at(-1) ?? 0, `${length} bytes`);
    assertEquals(pongs, whole.filter((_, i) => i === 2 || i === 3).length);
    assertEquals(came, texts.slice(0, whole.length - pongs));
  }
});

Deno.test("readWhole() stops before what is no whole text of a client", () => {
  const before = frame("before");
  const others = {
    "a binary frame": frame("x", { opcode: BINARY }),
    "a ping": frame("x", { opcode: PING }),
    "a close": closeFrame(1000, "bye"),
    "a close that says nothing": frame("", { opcode: CLOSE }),
    "a fragment": frame("x", { fin: false }),
    "a reserved bit": frame("x", { rsv: 0b100 }),
    "no mask": frame("long enough", { masked: false }),
    "a text that is too long": frame("x".repeat(MOST + 1)),
    "a pong that is too long": frame("x".repeat(126), { opcode: PONG }),
  };
  for (const [what, other] of Object.entries(others)) {
    const { texts, pongs, rest, chunk } = read(joined([before, other, frame("behind")]));
    assertEquals([texts, pongs, rest], [["before"], 0, before.length], what);
    assertEquals(new Uint8Array(chunk.subarray(rest)), joined([other, frame("behind")]), what);
  }
});

Deno.test("readWhole() leaves what is no UTF-8 to be read again, without a mask", () => {
  for (const payload of [[0xff], [0x61, 0xc3], [0xed, 0xa0, 0x80], [0xc0, 0xaf]]) {
    const { texts, rest, chunk } = read(frame(payload));
    assertEquals([texts, rest], [[], 0]);
    assertEquals([...chunk.subarray(2)], [0, 0, 0, 0, ...payload]);
  }
});

Deno.test("readWhole() reads no further than its reader does", () => {
  const frames = ["one", "two", "three"].map((text) => frame(text));
  const { texts, rest } = read(joined(frames), 2);
  assertEquals([texts, rest], [["one", "two"], joined(frames.slice(0, 2)).length]);
});
