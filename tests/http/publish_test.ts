import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const QUIET = { presence: { broadcastChanges: false } };
const NDJSON = { "content-type": "application/x-ndjson" };

/** What became of each message: its number, or a code. */
function outcomes(answers: readonly Frame[]): unknown[] {
  return answers.map(({ seq, code }) => code ?? seq);
}

function linesOf(text: string): Frame[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

Deno.test("publish: an array is answered with an array, each message with its place, in order", async () => {
  await using gateway = await startGateway({ push: QUIET });
  await using ann = await WireClient.open(gateway.ws);
  await ann.subscribe("a");
  const body = [
    { channel: "a", data: 1 },
    { channel: "b", data: 2, id: "x" },
    { channel: "a", data: 3 },
    { channel: "b", data: 4, id: "x" },
  ];
  const { status, body: answer, headers } = await ask(`${gateway.http}/api/push/publish`, { body });
  assertEquals([status, headers.get("content-type")], [200, "application/json; charset=utf-8"]);
  const receipts = answer as unknown as Frame[];
  const [{ epoch: a }, { epoch: b }] = receipts;
  const receipt = (channel: string, epoch: unknown, seq: number, more: Frame) => ({
    event_id: `${epoch}:${seq}:${channel}`,
    channel,
    epoch,
    seq,
    ...more,
  });
  assertEquals(receipts, [
    receipt("a", a, 1, { delivered: 1, duplicate: false }),
    receipt("b", b, 1, { delivered: 0, duplicate: false }),
    receipt("a", a, 2, { delivered: 1, duplicate: false }),
    receipt("b", b, 1, { delivered: 0, duplicate: true }),
  ]);
  assertEquals((await ann.take(2)).map(({ data }) => data), [1, 3]);
});

Deno.test("publish: NDJSON is answered with NDJSON, whatever ends its lines", async () => {
  await using gateway = await startGateway({ push: QUIET });
  const url = `${gateway.http}/api/push/publish`;
  const line = (n: number) => `{"channel":"news","data":${n}}`;
  const bodies = [
    `${line(1)}\n${line(2)}\n`,
    `${line(1)}\r\n${line(2)}`,
    `\n \n${line(1)}\n\r\n\t${line(2)} \n\n`,
  ];
  let seq = 0;
  for (const body of bodies) {
    const { status, text, headers } = await ask(url, { body, headers: NDJSON });
    assertEquals([status, headers.get("content-type")], [200, NDJSON["content-type"]]);
    assertMatch(text, /^[^\n]+\n[^\n]+\n$/);
    assertEquals(outcomes(linesOf(text)), [++seq, ++seq]);
  }
  const typed = { "content-type": "Application/X-NDJSON; charset=utf-8" };
  const single = await ask(url, { body: line(7), headers: typed });
  assertEquals(outcomes(linesOf(single.text)), [7]);
});

Deno.test("publish: in an array and in NDJSON a payload goes through exactly as it was written", async () => {
  await using gateway = await startGateway({ push: QUIET });
  await using ann = await WireClient.open(gateway.ws);
  await ann.subscribe("news");
  const url = `${gateway.http}/api/push/publish`;
  const payload = '{ "big":12345678901234567890,"one":1.0,"x":"],{\\"", "uml":"ü" }';
  const text = `{"data":${payload},"channel":"news"}`;
  await ask(url, { body: `[ ${text} ,\n${text}]` });
  await ask(url, { body: text, headers: NDJSON });
  await ann.take(3);
  const messages = ann.texts.filter((each) => each.includes("channel_message"));
  assertEquals(messages.length, 3);
  for (const each of messages) assertStringIncludes(each, `"data":${payload},"event_id"`);
});

Deno.test("publish: what is wrong with one message is its own answer, and the others are stored", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET, limits: { maxChannelName: 200 } },
  });
  const url = `${gateway.http}/api/push/publish`;
  const good = '{"channel":"news","data":0}';
  const deep = `{"channel":"news","data":${"[".repeat(70)}${"]".repeat(70)}}`;
  const bad: [code: string, item: string][] = [
    ["bad_frame", "[]"],
    ["bad_frame", '[{"channel":"news","data":0}]'],
    ["bad_frame", "null"],
    ["bad_frame", '"text"'],
    ["bad_request", "{}"],
    ["bad_request", '{"channel":"news"}'],
    ["bad_request", '{"channel":7,"data":1}'],
    ["invalid_channel", '{"channel":"a b","data":1}'],
    ["bad_request", '{"channel":"news","data":1,"id":""}'],
    ["message_too_large", `{"channel":"news","data":"${"x".repeat(65_535)}"}`],
    ["channel_name_too_long", `{"channel":"${"x".repeat(201)}","data":1}`],
  ];
  let seq = 0;
  for (const [code, item] of bad) {
    const array = await ask(url, { body: `[${good},${item},${good}]` });
    assertEquals(array.status, 200);
    const [, refused] = array.body as unknown as Frame[];
    assertEquals(outcomes(array.body as unknown as Frame[]), [++seq, code, ++seq], item);
    assertEquals(Object.keys(refused).sort(), ["code", "error", "ok"]);
    const lines = await ask(url, { body: `${good}\n${item}\n${good}`, headers: NDJSON });
    assertEquals(outcomes(linesOf(lines.text)), [++seq, code, ++seq], item);
  }
  // A line may be no JSON at all; of an array that is no JSON nothing is known.
  for (
    const [code, item] of [["bad_frame", "{"], ["bad_frame", "a b"], ["nesting_too_deep", deep]]
  ) {
    const lines = await ask(url, { body: `${good}\n${item}\n${good}`, headers: NDJSON });
    assertEquals(outcomes(linesOf(lines.text)), [++seq, code, ++seq], item);
    const array = await ask(url, { body: `[${good},${item},${good}]` });
    assertEquals([array.status, array.body.code], [400, code]);
  }
  const [{ head }] = await gateway.gateway.channels();
  assertEquals(head, seq, "of a body that is refused as a whole nothing is stored");
});

Deno.test("publish: one that the store has no room for costs the messages of others nothing", async () => {
  const limits = { maxMessageBytes: 2048 };
  const delivery = { maxChannelBytes: 2048, historyBytes: 2048 };
  await using gateway = await startGateway({ push: { ...QUIET, limits, delivery } });
  // With what each message counts beside its payload.
  const large = "x".repeat(2046);
  const url = `${gateway.http}/api/push/publish`;
  const publish = async (...data: unknown[]): Promise<unknown[]> => {
    const body = data.map((each) => ({ channel: "a", data: each }));
    return outcomes((await ask(url, { body })).body as unknown as Frame[]);
  };
  const full = "store_full";
  assertEquals(await publish(1, large, 2, large, large, 3), [1, full, 2, full, full, 3]);
  assertEquals(await publish(large, large, large, 4), [full, full, full, full], "it seems full");
  assertEquals(await publish(5), [4]);
});

Deno.test("publish: a body of several messages that is refused as a whole stores none of them", async () => {
  await using gateway = await startGateway({ push: QUIET });
  const url = `${gateway.http}/api/push/publish`;
  const good = '{"channel":"news","data":0}';
  const many = Array(1001).fill(good);
  const large = `{"channel":"news","data":"${"x".repeat(65_000)}"}`;
  const utf8 = new Uint8Array([...new TextEncoder().encode(`${good}\n`), 0x22, 0xff, 0x22]);
  const cases: [status: number, code: string, body: unknown, headers?: Record<string, string>][] = [
    [400, "bad_frame", "[]"],
    [400, "bad_frame", " [ ] "],
    [400, "bad_frame", "", NDJSON],
    [400, "bad_frame", "\n \r\n", NDJSON],
    [400, "bad_frame", `[${good},]`],
    [400, "bad_frame", `[${good}`],
    [400, "bad_frame", `${good}\n${good}`],
    [400, "bad_frame", utf8, NDJSON],
    [413, "frame_too_large", `[${many.join(",")}]`],
    [413, "frame_too_large", many.join("\n"), NDJSON],
    [413, "frame_too_large", Array(17).fill(large).join("\n"), NDJSON],
    [413, "frame_too_large", `[${Array(17).fill(large).join(",")}]`],
  ];
  for (const [status, code, body, headers] of cases) {
    const answer = await ask(url, { body, headers });
    const shown = `${body}`.slice(0, 60);
    assertEquals([answer.status, answer.body.code, answer.body.ok], [status, code, false], shown);
  }
  assertEquals((await gateway.gateway.channels()).length, 0);
  const most = await ask(url, { body: many.slice(1).join("\n"), headers: NDJSON });
  assertEquals(outcomes(linesOf(most.text)), many.slice(1).map((_, i) => i + 1));
});

Deno.test("publish: each message of several pays for itself; behind one that must wait none is stored", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET, limits: { publishRate: 1, publishBurst: 20 } },
  });
  // Making the channel costs as much as seven more.
  const body = Array.from({ length: 20 }, (_, n) => ({ channel: "news", data: n }));
  const { status, body: answer } = await ask(`${gateway.http}/api/push/publish`, { body });
  assertEquals(status, 200);
  const answers = answer as unknown as Frame[];
  const stored = answers.findIndex(({ code }) => code !== undefined);
  assert(stored >= 13 && stored < 16, `${stored} were stored`);
  assertEquals(
    outcomes(answers),
    body.map((_, i) => i < stored ? i + 1 : "too_many_publishes"),
  );
  assert(answers.slice(stored).every(({ retry_after }) => retry_after as number > 0));
});

Deno.test("publish: what names no channel pays for its refusal among others", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET, limits: { publishRate: 1, publishBurst: 20 } },
  });
  const body = Array.from({ length: 100 }, (_, n) => n % 2 === 0 ? n : { channel: "a b", data: n });
  const { body: answer } = await ask(`${gateway.http}/api/push/publish`, { body });
  const codes = outcomes(answer as unknown as Frame[]);
  const refused = codes.indexOf("too_many_publishes");
  assert(refused >= 20 && refused < 24, `${refused} were read`);
  assertEquals(
    codes,
    body.map((_, i) =>
      i >= refused ? "too_many_publishes" : i % 2 === 0 ? "bad_frame" : "invalid_channel"
    ),
  );
});

Deno.test("publish: rights are those of each channel", async () => {
  await using gateway = await startGateway({
    push: {
      ...QUIET,
      auth: {
        tokens: [{ token: "token-of-ann", name: "ann" }],
        rules: [{ subjects: ["ann"], channels: ["mine:*"], actions: ["publish"] }],
      },
    },
  });
  const body = ["mine:1", "other", "mine:1", "other", "mine:2"].map((channel, n) => ({
    channel,
    data: n,
  }));
  const { body: answer } = await ask(`${gateway.http}/api/push/publish`, {
    body,
    token: "token-of-ann",
  });
  const forbidden = "forbidden";
  assertEquals(outcomes(answer as unknown as Frame[]), [1, forbidden, 2, forbidden, 1]);
  assertEquals((await gateway.gateway.channels()).map(({ name }) => name), ["mine:1", "mine:2"]);
});

Deno.test("publish: a channel that may not be made costs the messages of others nothing", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET, limits: { maxStoredChannels: 1 } },
  });
  const url = `${gateway.http}/api/push/publish`;
  await ask(url, { body: { channel: "a", data: 0 } });
  const body = [{ channel: "a", data: 1 }, { channel: "b", data: 2 }, { channel: "a", data: 3 }];
  const { body: answer } = await ask(url, { body });
  assertEquals(outcomes(answer as unknown as Frame[]), [2, "too_many_stored_channels", 3]);
});
