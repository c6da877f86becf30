import { assert, assertEquals } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { type Answer, ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const ROUTES: readonly (readonly [route: string, body: object])[] = [
  ["messages", { timeout: 0 }],
  ["send", { frames: [{ type: "ping" }] }],
  ["subscribe", { channel: "news" }],
  ["unsubscribe", { channel: "news" }],
  ["publish", { channel: "news", data: 1 }],
  ["create", { channel: "news" }],
  ["ack", { event_id: "abcdefghij:1:news" }],
  ["nack", { event_id: "abcdefghij:1:news" }],
  ["heartbeat", {}],
  ["unregister", { forget: true }],
];

/** All that somebody learns from an answer. */
function told({ status, text, headers }: Answer): unknown {
  const fields = [...headers].filter(([name]) => name !== "date");
  return [status, text, fields];
}

Deno.test("a poll token that never was, was ended, timed out or is nearly right is answered alike, byte for byte", async (t) => {
  const clock = new SocketClock();
  await using served = await startGateway({ push: { polling: { longPollTimeout: 1 } } }, { clock });
  const { http } = served;
  const ended = await PollClient.register(http, { client_id: "ended" });
  await ended.post("unregister");
  const idle = await PollClient.register(http, { client_id: "idle" });
  await clock.advance(130_000);
  const { pollToken: living } = await PollClient.register(http, { client_id: "ann" });
  const last = living.at(-1) === "0" ? "1" : "0";
  const tokens: readonly (readonly [what: string, token: string])[] = [
    ["one of an ended poller", ended.pollToken],
    ["one of a poller that timed out", idle.pollToken],
    ["a living one with another end", living.slice(0, -1) + last],
    ["the first half of a living one", living.slice(0, 16)],
    [
      "a living one in capitals",
      living.toUpperCase() === living ? `${living}A` : living.toUpperCase(),
    ],
    ["a living one with a blank", `${living} `],
    ["a living one with a zero byte", `${living}\u0000`],
    ["the client's name", "ann"],
    ["a name that all objects have", "__proto__"],
    ["half of a pair", "\ud800"],
  ];
  for (const [route, body] of ROUTES) {
    await t.step(route, async () => {
      const asked = (poll_token: string) =>
        ask(`${http}/api/push/poll/${route}`, { body: { poll_token, ...body } });
      const unknown = await asked(TOKEN);
      assertEquals([unknown.status, unknown.body.code], [404, "unknown_session"]);
      for (const [what, token] of tokens) {
        assertEquals(told(await asked(token)), told(unknown), what);
      }
    });
  }
  await t.step("sse", async () => {
    const asked = (poll_token: string) => ask(`${http}/api/push/sse`, { body: { poll_token } });
    const unknown = await asked(TOKEN);
    for (const [what, token] of tokens) assertEquals(told(await asked(token)), told(unknown), what);
  });
  const { status } = await ask(`${http}/api/push/poll/heartbeat`, { body: { poll_token: living } });
  assertEquals(status, 200, "the living one lives");
});

Deno.test("a poll token is no other kind of token, and is in no answer but its own", async () => {
  await using served = await startGateway({ authToken: "s3cret" });
  const { http } = served;
  const { pollToken } = await PollClient.register(http, { client_id: "ann" }, { token: "s3cret" });
  assert(/^[0-9a-f]{32,}$|^[\w-]{22,}$/.test(pollToken), "128 bits at least");
  const body = { channel: "news", data: 1 };
  const published = await ask(`${http}/api/push/publish`, { body, token: pollToken });
  assertEquals([published.status, published.body.code], [401, "token_invalid"]);
  const polled = await ask(`${http}/api/push/poll/messages`, { body: { poll_token: "s3cret" } });
  assertEquals([polled.status, polled.body.code], [404, "unknown_session"]);
  for (const path of ["channels", "presence", "dead-letters"]) {
    const { text } = await ask(`${http}/api/push/${path}`, { token: "s3cret" });
    assert(!text.includes(pollToken), path);
  }
  assert(!(await ask(`${http}/metrics`, { token: "s3cret" })).text.includes(pollToken));
});
