import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Code,
  decodeBatch,
  type Decoded,
  decodeFrame,
  excerpt,
  type Json,
  memberText,
  parseJson,
  PushError,
} from "@push/client/protocol";
import fc from "fast-check";
import { seededRandom } from "../../server/testing/mod.ts";

const seeded = { seed: 20250103, numRuns: 1500 };

function refusal(work: () => unknown): Code {
  return assertThrows(work, PushError).code;
}

function nested(depth: number, open = "[", close = "]"): string {
  return open.repeat(depth) + close.repeat(depth);
}

// Decoding.

Deno.test("decodeFrame() gives an object and the text it was written with", () => {
  const text = ' {"type":"ping" ,"x":1} ';
  assertEquals(decodeFrame(text), { frame: { type: "ping", x: 1 }, text });
});

Deno.test("decodeFrame() refuses what is no JSON object with bad_frame", () => {
  const wrong = [
    "",
    " ",
    "null",
    "1",
    '"a"',
    "true",
    "[]",
    '[{"type":"ping"}]',
    "{",
    "{}{}",
    "NaN",
  ];
  for (
    const each of [...wrong, "{'a':1}", '{"a":1,}', "\ufeff{}", "\u0000", '{"a":01}', "undefined"]
  ) {
    assertEquals(refusal(() => decodeFrame(each)), "bad_frame", each);
  }
});

Deno.test("decodeFrame() refuses deep nesting before the parser sees it", () => {
  const deep = 5_000_000;
  for (const text of [nested(deep), "[".repeat(deep), '{"a":'.repeat(deep), nested(65)]) {
    assertEquals(refusal(() => decodeFrame(text)), "nesting_too_deep");
  }
  assertEquals(refusal(() => decodeFrame(`{"a":${nested(64)}}`)), "nesting_too_deep");
  assertEquals(refusal(() => decodeFrame('{"a":{"b":[]}}', 2)), "nesting_too_deep");
});

Deno.test("nesting counts brackets, not their number, nor those inside strings", () => {
  decodeFrame(`{"a":${nested(63)}}`);
  decodeFrame(`{"a":[${Array(10_000).fill("[]").join(",")}]}`);
  decodeFrame(`{"a":"${"[".repeat(10_000)}","b":"\\"${"{".repeat(10_000)}\\\\"}`);
  assertEquals(
    refusal(() => decodeFrame(`{"a":"\\\\","b":${nested(64)}}`)),
    "nesting_too_deep",
  );
});

Deno.test("hostile strings of quotes and backslashes are read in linear time", () => {
  const size = 1_000_000;
  const hostile = ["\\".repeat(size), '"'.repeat(size), '\\"'.repeat(size), "\\\\\\".repeat(size)];
  for (const text of hostile) {
    for (const frame of [`{"a":"${text}"}`, `{"a":"${text}`, text]) {
      const start = performance.now();
      try {
        memberText(decodeFrame(frame), "a");
      } catch (error) {
        assert(error instanceof PushError);
      }
      assert(performance.now() - start < 1_000);
    }
  }
});

Deno.test("parseJson() throws nothing but PushError", () => {
  const bits = [
    "{",
    "}",
    "[",
    "]",
    '"',
    ":",
    ",",
    "\\",
    "1",
    "e",
    "-",
    "null",
    "\u2028",
    "\ud800",
    " ",
  ];
  const soup = fc.array(fc.constantFrom(...bits), { maxLength: 40 }).map((each) => each.join(""));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), soup, fc.json()), (text) => {
      for (const decode of [parseJson, decodeFrame, decodeBatch]) {
        try {
          decode(text, 5);
        } catch (error) {
          assert(error instanceof PushError, String(error));
        }
      }
    }),
    seeded,
  );
});

Deno.test("a name that every object has is a member like any other", () => {
  const decoded = decodeFrame('{"__proto__":{"x":1},"constructor":2,"toString":3}');
  assertEquals(memberText(decoded, "__proto__"), '{"x":1}');
  assertEquals([memberText(decoded, "constructor"), memberText(decoded, "toString")], ["2", "3"]);
  assertEquals(memberText(decoded, "hasOwnProperty"), undefined);
  assertEquals(({} as Record<string, unknown>).x, undefined);
});

// Batches.

Deno.test("decodeBatch() takes one frame, or several with the text of each", () => {
  assertEquals(decodeBatch('{"a":1}'), [{ frame: { a: 1 }, text: '{"a":1}' }]);
  assertEquals(decodeBatch(' [ {"a" : [1,{}]} ,{"b":"],["}\n,{} ] '), [
    { frame: { a: [1, {}] }, text: '{"a" : [1,{}]}' },
    { frame: { b: "],[" }, text: '{"b":"],["}' },
    { frame: {}, text: "{}" },
  ]);
  assertEquals([decodeBatch("[]"), decodeBatch(" [ ] ")], [[], []]);
});

Deno.test("decodeBatch() takes nothing of a batch whose parts are not all objects", () => {
  for (const text of ['[{"a":1},2]', "[[]]", "[null]", '["{}"]', "1", "null", '[{"a":1}', "[,]"]) {
    assertEquals(refusal(() => decodeBatch(text)), "bad_frame", text);
  }
});

Deno.test("a frame that is nested as deep as it may be counts in a batch as well as alone", () => {
  const deepest = `{"data":${nested(63)}}`;
  assertEquals(decodeFrame(deepest).text, deepest);
  assertEquals(decodeBatch(deepest).length, 1);
  assertEquals(decodeBatch(`[{"type":"ping"},${deepest}]`).map(({ text }) => text), [
    '{"type":"ping"}',
    deepest,
  ]);
  for (const text of [`[{"data":${nested(64)}}]`, nested(66)]) {
    assertEquals(refusal(() => decodeBatch(text)), "nesting_too_deep");
  }
});

// Exact texts.

Deno.test("memberText() passes a payload through as it was written", () => {
  const payloads = [
    "12345678901234567890.12345678901234567890",
    ...["-0", "1E400", "0.1e-7", "1.0", "true", "null", '""', "{}", "[]"],
    ...['"\\u00e9\\/\\n"', '"é😀"', '"\\ud800"', '"a\\\\"', '"a\\\\\\""', '"{[,:]}"'],
    '{ "z" : 1 , "a":2,"2":3,  "1":4 }',
    '{"a":1,"a":2}',
    '[ 1,\n\t{"b":[ ]}\r, "," ]',
  ];
  for (const payload of payloads) {
    for (const space of ["", " ", "\n\t\r "]) {
      const text =
        `${space}{${space}"type"${space}:"x",${space}"data"${space}:${space}${payload}${space},` +
        `${space}"n":1${space}}${space}`;
      assertEquals(memberText(decodeFrame(text), "data"), payload, text);
    }
    assertEquals(memberText(decodeFrame(`{"data":${payload}}`), "data"), payload);
  }
});

Deno.test("memberText() takes the last of several members of one name, as JSON.parse does", () => {
  const decoded = decodeFrame('{"data":1,"data":{"data":2},"x":3,"data":4.0}');
  assertEquals([memberText(decoded, "data"), decoded.frame.data], ["4.0", 4]);
});

Deno.test("memberText() reads a name however it is spelled, and loses no digit behind it", () => {
  const number = "1.00000000000000000001";
  for (
    const text of [
      `{"d\\u0061ta":${number}}`,
      `{"\\u0074ype":"x","data":${number}}`,
      `{"data":0,"\\u0064\\u0061\\u0074\\u0061":${number}}`,
      `{"d\\u0061ta":0,"data":${number}}`,
      `{"a\\"b":"\\\\","data":${number},"\\\\":0}`,
    ]
  ) assertEquals(memberText(decodeFrame(text), "data"), number, text);
  assertEquals(memberText(decodeFrame('{"a\\nb":7.0}'), "a\nb"), "7.0");
});

Deno.test("memberText() knows a missing member from a null one", () => {
  assertEquals(memberText(decodeFrame('{"x":{"data":1}}'), "data"), undefined);
  assertEquals(memberText(decodeFrame("{}"), "data"), undefined);
  assertEquals(memberText(decodeFrame('{"data":null}'), "data"), "null");
  assertEquals(memberText(decodeFrame('{"data":"data"}'), "data"), '"data"');
});

/** Writes a value in one of the many ways that mean it: white space, escapes, spellings. */
class Printer {
  readonly #random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  space(): string {
    const spaces = ["", "", "", " ", "\n", "\t", "\r\n", "   "];
    return this.#random.pick(spaces);
  }

  string(text: string): string {
    const units = JSON.stringify(text).slice(1, -1).match(/\\u....|\\.|[^]/g) ?? [];
    return `"${
      units.map((unit) => {
        if (unit === "/" && this.#random.below(2) === 0) return "\\/";
        if (unit.length > 1 || this.#random.below(4) > 0) return unit;
        return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
      }).join("")
    }"`;
  }

  print(value: Json): string {
    if (typeof value === "string") return this.string(value);
    if (typeof value === "number") return this.#number(value);
    if (value === null || typeof value === "boolean") return String(value);
    if (Array.isArray(value)) return this.#list("[", value.map((each) => this.print(each)), "]");
    return this.object(value).text;
  }

  /** Text of an object, and the text of each of its members. */
  object(value: { [key: string]: Json }): { text: string; members: Map<string, string> } {
    const members = new Map(Object.entries(value).map(([key, each]) => [key, this.print(each)]));
    const written = [...members].map(([key, text]) =>
      `${this.string(key)}${this.space()}:${this.space()}${text}`
    );
    return { text: this.#list("{", written, "}"), members };
  }

  #number(value: number): string {
    const written = JSON.stringify(value);
    return /^\d+$/.test(written)
      ? this.#random.pick([written, `${written}.0`, `${written}e0`])
      : written;
  }

  #list(open: string, items: string[], close: string): string {
    return open + items.map((item) => this.space() + item + this.space()).join(",") +
      (items.length === 0 ? this.space() : "") + close;
  }
}

const objects = fc.dictionary(
  fc.oneof(fc.string(), fc.constantFrom("data", "type", "a\\b", '"', "é", "__proto__", "\n")),
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>,
  { maxKeys: 6, noNullPrototype: true },
);

Deno.test("memberText() is exactly what was written, for random objects in random spelling", () => {
  fc.assert(
    fc.property(objects, fc.integer(), (value, seed) => {
      const printer = new Printer(seed);
      const { text, members } = printer.object(value);
      const decoded = decodeFrame(printer.space() + text + printer.space());
      assertEquals(Object.keys(decoded.frame).length, members.size);
      for (const [key, written] of members) {
        assertEquals(memberText(decoded, key), written);
        assertEquals(JSON.parse(written), decoded.frame[key]);
      }
    }),
    seeded,
  );
});

Deno.test("decodeBatch() cuts a batch exactly, for random frames in random spelling", () => {
  fc.assert(
    fc.property(fc.array(objects, { maxLength: 5 }), fc.integer(), (values, seed) => {
      const printer = new Printer(seed);
      const written = values.map((value) => printer.object(value).text);
      const items = written.map((text) => printer.space() + text + printer.space());
      const batch = decodeBatch(`${printer.space()}[${items.join(",")}]${printer.space()}`);
      assertEquals(batch.map(({ text }: Decoded) => text), written);
      assertEquals(batch.map(({ frame }) => frame), written.map((text) => JSON.parse(text)));
    }),
    seeded,
  );
});

// What is shown of hostile text.

Deno.test("excerpt() is short, printable, and quoted", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      const shown = excerpt(text);
      assert(shown.length <= 41 * 6 + 2, shown);
      assert(/^"[\x20-\x7e…]*"$/.test(shown), shown);
    }),
    seeded,
  );
  assertEquals(excerpt("a\nb\u202e"), '"a\\nb?"');
});
