import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { startRedis } from "../support/redis.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

/** Names that no channel has. */
const FORBIDDEN: readonly (readonly [what: string, name: string])[] = [
  ["nothing", ""],
  ["a blank", " "],
  ["a blank behind", "news "],
  ["10 000 characters", "x".repeat(10_000)],
  ["256 characters", "x".repeat(256)],
  ["a Cyrillic letter", "n\u0435ws"],
  ["a wide letter", "\uff4eews"],
  ["a ligature", "\ufb01nance"],
  ["a letter in two parts", "cafe\u0301"],
  ["a letter with an accent", "caf\u00e9"],
  ["a space of no width", "new\u200bs"],
  ["a mark that turns the direction", "\u202eswen"],
  ["an emoji", "\ud83d\ude00"],
  ["half of a pair", "news\ud800"],
  ["a mark of the byte order", "\ufeffnews"],
  ["a zero byte", "news\u0000"],
  ["a line break", "news\n"],
  ["a line of a log", "news\r\n2026-01-01 fake"],
  ["a bell", "\u0007"],
  ["delete", "news\u007f"],
  ["a tab", "a\tb"],
  ["a hash tag", "{index}"],
  ["a hash tag of another channel", "x}:log{c:news"],
  ["an empty hash tag", "{}news"],
  ["a percent sign", "%007b"],
  ["a path upwards", "../../etc/passwd"],
  ["a path", "a/b"],
  ["a path of Windows", "..\\a"],
  ["a star", "*"],
  ["a pattern", "news:*"],
  ["a pattern of Redis", "new[s]"],
  ["a question mark", "news?"],
  ["a quote", 'news"'],
  ["an apostrophe", "news'"],
  ["markup", "<script>"],
  ["a comma", "a,b"],
  ["a plus", "a+b"],
  ["an at sign", "a@b"],
  ["a dollar", "${news}"],
  ["a subject to be filled in", "{subject}"],
  ["a word of all frames", "news&channel=x"],
];

/** Names that a channel may have, though a program might trip over them. */
const ALLOWED = [
  "news",
  "NEWS",
  "news:",
  ":news",
  "news:log",
  "news:meta",
  "c:news",
  "c:news:log",
  "index",
  "index:channels",
  "nodes",
  "s:n:ann:anonymous",
  "revoked",
  ":",
  "::",
  ".",
  "..",
  "-",
  "-1",
  "_",
  "0",
  "1e3",
  "null",
  "NaN",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "then",
  "x".repeat(255),
];

Deno.test("a name that no channel can have is refused by every frame and route that takes one", async (t) => {
  await using served = await startGateway();
  const { http } = served;
  const [client] = await WireClient.connect(served.ws);
  await using _ = client;
  const poller = await PollClient.register(http);
  const plain = { headers: { accept: "text/event-stream" } };
  for (const [what, channel] of FORBIDDEN) {
    await t.step(what, async () => {
      for (const type of ["create", "subscribe", "unsubscribe", "publish"]) {
        const { code } = await client.ask({ type: `channel.${type}`, channel, data: 1 });
        assertEquals(code, "invalid_channel", type);
      }
      assertEquals(
        (await client.ask({ type: "presence.query", channel })).code,
        "invalid_channel",
      );
      const ack = { channel, epoch: "abcdefghij", upto: 1 };
      assertEquals((await client.ask({ type: "ack", acks: [ack] })).code, "invalid_channel");
      const asked = [
        await ask(`${http}/api/push/publish`, { body: { channel, data: 1 } }),
        await ask(`${http}/api/push/dead-letters/redrive`, { body: { channel } }),
        await poller.post("subscribe", { channel }),
        await poller.post("publish", { channel, data: 1 }),
      ];
      const query = new URLSearchParams({ channel });
      for (const route of ["presence", "poll/presence", "dead-letters"]) {
        asked.push(await ask(`${http}/api/push/${route}?${query}`));
      }
      asked.push(await ask(`${http}/api/push/sse?${query}`, plain));
      for (const { status, body } of asked) {
        assertEquals([status, body.code], [400, "invalid_channel"]);
        assert(body.error.length < 200 && /^[\x20-\x7e…]*$/.test(body.error), body.error);
      }
    });
  }
  assertEquals(await served.gateway.channels(), []);
});

Deno.test("a channel in an opening or a stated position that cannot be is refused", async () => {
  await using served = await startGateway();
  for (const [what, channel] of FORBIDDEN) {
    const connect = { subscriptions: [{ channel: "news" }, { channel }] };
    const [client, answer] = await WireClient.connect(served.ws, connect);
    await using _ = client;
    assertEquals(answer.code, "invalid_channel", what);
  }
  assertEquals(await served.gateway.channels(), []);
});

/** Each channel has a reader of its own, who gets what is published there, and nothing else. */
async function assertApart(served: Served): Promise<void> {
  const readers = await Promise.all(ALLOWED.map(async (channel) => {
    const reader = await WireClient.open(served.ws);
    await reader.subscribe(channel);
    return reader;
  }));
  try {
    for (const channel of ALLOWED) await served.gateway.publish(channel, `to ${channel}`);
    for (const [i, reader] of readers.entries()) {
      const { channel, data, event_id } = await reader.next("channel_message");
      assertEquals([channel, data], [ALLOWED[i], `to ${ALLOWED[i]}`]);
      const ack: Frame = { type: "message_ack", event_id };
      reader.send(ack);
      assertEquals((await reader.next("ack_received")).ok, true, channel);
      const rest = await reader.settled();
      assertEquals(rest.filter(({ type }) => type === "channel_message"), [], channel);
    }
    const names = (await served.gateway.channels()).map(({ name }) => name);
    assertEquals(names.sort(), [...ALLOWED].sort());
  } finally {
    for (const reader of readers) await reader[Symbol.asyncDispose]();
  }
}

const QUIET = { presence: { broadcastChanges: false } };

Deno.test("names that a program might trip over are channels of their own", async () => {
  await using served = await startGateway({ push: QUIET });
  await assertApart(served);
});

Deno.test("names that a program might trip over are channels of their own in Redis, each with one hash tag", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using served = await startGateway({
    push: {
      ...QUIET,
      redis: { url: redis.url, prefix: "p{x}:" },
      delivery: { storeBackend: "redis" },
    },
  });
  await assertApart(served);
  for (const key of await redis.ask("KEYS", "*") as string[]) {
    assertMatch(key, /^p%007bx%007d:\{(c:|s:|n:|k:|index|nodes|revoked)[^{}]*\}[^{}]*$/);
  }
});
