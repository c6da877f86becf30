import { assertEquals } from "@std/assert";
import { Sender } from "ws";
import { asciiFrame, textFrames } from "../../server/listeners/ws_frames.ts";

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
