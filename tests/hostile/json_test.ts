import { assert, assertEquals } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { WireClient } from "../support/wire_client.ts";

const PING = '{"type":"ping"}';
const LONG = "9".repeat(900_000);

/** Texts that are no frame, and the code that each is answered with wherever it arrives. */
const HORRORS: readonly (readonly [what: string, text: string, code: string])[] = [
  ["a word", "hello", "bad_frame"],
  ["an open object", "{", "bad_frame"],
  ["an object cut short", '{"type":"ping"', "bad_frame"],
  ["a string cut in an escape", '{"type":"ping\\', "bad_frame"],
  ["one brace too many", `${PING}}`, "bad_frame"],
  ["two objects", `${PING} ${PING}`, "bad_frame"],
  ["two lines", `${PING}\n${PING}`, "bad_frame"],
  ["single quotes", "{'type':'ping'}", "bad_frame"],
  ["no quotes", "{type:1}", "bad_frame"],
  ["a comma too many", '{"type":"ping",}', "bad_frame"],
  ["a comment", '{"type":"ping"/* */}', "bad_frame"],
  ["NaN", '{"type":"ping","n":NaN}', "bad_frame"],
  ["Infinity", '{"type":"ping","n":-Infinity}', "bad_frame"],
  ["undefined", '{"type":"ping","n":undefined}', "bad_frame"],
  ["a number with a zero before", '{"type":"ping","n":01}', "bad_frame"],
  ["a number with a plus", '{"type":"ping","n":+1}', "bad_frame"],
  ["a number in hexadecimal", '{"type":"ping","n":0x10}', "bad_frame"],
  ["a number that ends in a point", '{"type":"ping","n":1.}', "bad_frame"],
  ["a line break in a string", '{"type":"pi\nng"}', "bad_frame"],
  ["a zero byte behind", `${PING}\u0000`, "bad_frame"],
  ["a zero byte alone", "\u0000", "bad_frame"],
  ["a zero byte in a string", '{"type":"ping\u0000"}', "bad_frame"],
  ["a bad escape", '{"type":"\\x70ing"}', "bad_frame"],
  ["half an escape", '{"type":"\\u00"}', "bad_frame"],
  ["a space that is none in JSON", `\u00a0${PING}`, "bad_frame"],
  ["a vertical tab", `\u000b${PING}`, "bad_frame"],
  ["blanks", " \t\r\n ", "bad_frame"],
  ["null", "null", "bad_frame"],
  ["true", "true", "bad_frame"],
  ["a number", "12", "bad_frame"],
  ["a number of 900 000 digits", LONG, "bad_frame"],
  ["a string", '"ping"', "bad_frame"],
  ["a string that reads like a frame", JSON.stringify(PING), "bad_frame"],
  ["an array of null", "[null]", "bad_frame"],
  ["an array of arrays", "[[]]", "bad_frame"],
  ["an array of a frame and a number", `[${PING},1]`, "bad_frame"],
  ["a million brackets", "[".repeat(1_000_000), "nesting_too_deep"],
  ["500 000 brackets, closed", "[".repeat(5e5) + "]".repeat(5e5), "nesting_too_deep"],
  ["objects 150 000 deep", '{"a":'.repeat(150_000) + "1", "nesting_too_deep"],
  ["a frame with objects 100 deep", `{"a":${'{"a":'.repeat(100)}`, "nesting_too_deep"],
];

/** Frames that nobody writes, and what they are answered with on the fixed wire. */
const ODD: readonly (readonly [what: string, text: string, answer: object])[] = [
  ["an empty object", "{}", { type: "error", code: "bad_request" }],
  ["no type", '{"channel":"a"}', { type: "error", code: "bad_request" }],
  ["a type that is an array", '{"type":["ping"]}', { type: "error", code: "bad_request" }],
  ["a type that is a number", '{"type":1e400}', { type: "error", code: "bad_request" }],
  ["an unknown type", '{"type":"pong"}', { type: "error", code: "unknown_type" }],
  ["a type in capitals", '{"type":"PING"}', { type: "error", code: "unknown_type" }],
  ["half a pair as type", '{"type":"\\ud800"}', { type: "error", code: "unknown_type" }],
  ["a type that all objects have", '{"type":"toString"}', { type: "error", code: "unknown_type" }],
  ["__proto__ as type", '{"type":"__proto__"}', { type: "error", code: "unknown_type" }],
  ["constructor as type", '{"type":"constructor"}', { type: "error", code: "unknown_type" }],
  ["a type of a megabyte", `{"type":"${LONG}"}`, { type: "error", code: "unknown_type" }],
  ["a type that is inherited", `{"__proto__":${PING}}`, { type: "error", code: "bad_request" }],
  ["blanks around", ` \t\r\n${PING}\n `, { type: "pong" }],
  ["an escape in the type", '{"type":"\\u0070ing"}', { type: "pong" }],
  ["an escape in the name", '{"t\\u0079pe":"ping"}', { type: "pong" }],
  ["the type twice", '{"type":"x","type":"ping"}', { type: "pong" }],
  ["a number beyond all", `{"type":"ping","n":${LONG}}`, { type: "pong" }],
  ["a name of a megabyte", `{"type":"ping","${LONG}":1}`, { type: "pong" }],
  ["100 000 members", `{${'"a":1,'.repeat(100_000)}"type":"ping"}`, { type: "pong" }],
  [
    "members that objects have",
    '{"type":"ping","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},' +
    '"prototype":1,"toString":null,"valueOf":1,"hasOwnProperty":0,"toJSON":1,"then":{}}',
    { type: "pong" },
  ],
];

const prototypes = () =>
  [Object, Array, String, Number, Map, Set, Promise].map(({ prototype }) =>
    Object.getOwnPropertyNames(prototype)
  );

Deno.test("what is no JSON object is answered with one short error, over both wires and HTTP", async (t) => {
  await using served = await startGateway();
  await using witness = await WireClient.open(served.ws);
  await using fixed = await WireClient.open(served.ws);
  await fixed.ask({ type: "ping" });
  const [extended] = await WireClient.connect(served.ws);
  await using _ = extended;
  const before = prototypes();
  for (const [what, text, code] of HORRORS) {
    await t.step(what, async () => {
      for (const client of [fixed, extended]) {
        const answer = await client.ask(text);
        assertEquals([answer.type, answer.code], ["error", code]);
        assert(answer.message.length < 200, answer.message);
        assertEquals(await client.ask(PING), { type: "pong" });
      }
      for (const route of ["publish", "poll/register", "poll/messages", "dead-letters/redrive"]) {
        const { status, body } = await ask(`${served.http}/api/push/${route}`, { body: text });
        // Several messages may be published at once: each of them has its own answer.
        if (route === "publish" && Array.isArray(body)) {
          assert(status === 200 && body.every(({ ok }) => ok === false), what);
        } else assertEquals([status, body.code], [400, code], route);
      }
    });
  }
  assertEquals(await witness.ask(PING), { type: "pong" });
  assertEquals((await served.gateway.channels()).length, 0);
  assertEquals(prototypes(), before);
});

Deno.test("a mark of the byte order is none of JSON in a frame, and none of the body of a request", async () => {
  await using served = await startGateway();
  await using client = await WireClient.open(served.ws);
  assertEquals((await client.ask(`\ufeff${PING}`)).code, "bad_frame");
  const body = new TextEncoder().encode('\ufeff{"channel":"a","data":1}');
  assertEquals((await ask(`${served.http}/api/push/publish`, { body })).status, 200);
});

Deno.test("frames that nobody writes are answered like others, and change no prototype", async (t) => {
  await using served = await startGateway();
  await using client = await WireClient.open(served.ws);
  const before = prototypes();
  for (const [what, text, expected] of ODD) {
    await t.step(what, async () => {
      const { message, ...answer } = await client.ask(text);
      assertEquals(answer, expected);
      assert(message === undefined || message.length < 200, message);
    });
  }
  assertEquals(prototypes(), before);
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("one part of a batch that is no frame spoils the batch, and nothing of it is done", async () => {
  await using served = await startGateway();
  const [client] = await WireClient.connect(served.ws);
  await using _ = client;
  const publish = '{"type":"channel.publish","channel":"news","data":1}';
  for (const batch of [`[${publish},null]`, `[${publish},[${publish}]]`, `[${publish},1e400]`]) {
    assertEquals((await client.ask(batch)).code, "bad_frame");
  }
  client.send("[]");
  assertEquals(await client.ask(PING), { type: "pong" });
  assertEquals(await served.gateway.channels(), []);
});
