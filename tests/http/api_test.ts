import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { until } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

const token = "s3cret";
const QUIET = { presence: { broadcastChanges: false } };

Deno.test("publish: a message reaches its subscribers, and the answer tells its place", async () => {
  await using gateway = await startGateway({ push: QUIET });
  await using ann = await WireClient.open(gateway.ws);
  await ann.subscribe("news");
  const { status, body, headers } = await ask(`${gateway.http}/api/push/publish`, {
    body: { channel: "news", data: { n: 1 } },
  });
  assertEquals(status, 200);
  assertEquals(headers.get("content-type"), "application/json; charset=utf-8");
  assertEquals(headers.get("cache-control"), "no-store");
  const { event_id, epoch, ...rest } = body;
  assertEquals(rest, { channel: "news", seq: 1, delivered: 1, duplicate: false });
  assertEquals(event_id, `${epoch}:1:news`);
  const message = await ann.next();
  assertEquals([message.event_id, message.data, message.source], [event_id, { n: 1 }, null]);
});

Deno.test("publish: a repeated id is stored once and answered with the first result", async () => {
  await using gateway = await startGateway({ push: QUIET });
  await using ann = await WireClient.open(gateway.ws);
  await ann.subscribe("news");
  const url = `${gateway.http}/api/push/publish`;
  const first = await ask(url, { body: { channel: "news", data: 1, id: "p1" } });
  const again = await ask(url, { body: { channel: "news", data: 2, id: "p1" } });
  assertEquals(again.body, { ...first.body, duplicate: true });
  const other = await ask(url, { body: { channel: "news", data: 3, id: "p2" } });
  assertEquals(other.body.seq, 2);
  assertEquals((await ann.take(2)).map(({ data }) => data), [1, 3]);
});

Deno.test("publish: ids of two channels do not meet, nor does a client's id with the operator's", async () => {
  await using gateway = await startGateway({ push: QUIET });
  const url = `${gateway.http}/api/push/publish`;
  const a = await ask(url, { body: { channel: "a", data: 1, id: "p1" } });
  const b = await ask(url, { body: { channel: "b", data: 1, id: "p1" } });
  assertEquals([a.body.duplicate, b.body.duplicate], [false, false]);
});

Deno.test("publish: a payload goes through exactly as it was written", async () => {
  await using gateway = await startGateway({ push: QUIET });
  await using ann = await WireClient.open(gateway.ws);
  await ann.subscribe("news");
  const payload = '{ "big":12345678901234567890,"inf":1e400,"one":1.0,"__proto__":{"a":1},' +
    '"twice":1,"twice":2,"lone":"\\ud800", "uml":"\\u00fcü" }';
  const { status } = await ask(`${gateway.http}/api/push/publish`, {
    body: `{"data":${payload},"channel":"news"}`,
  });
  assertEquals(status, 200);
  await ann.next();
  assertStringIncludes(ann.texts.at(-1)!, `"data":${payload},"event_id"`);
});

Deno.test("publish: what cannot be published is refused with a code, and nothing is stored", async () => {
  await using gateway = await startGateway();
  const url = `${gateway.http}/api/push/publish`;
  const cases: [status: number, code: string, body: unknown][] = [
    [400, "bad_request", {}],
    [400, "bad_request", { channel: "news" }],
    [400, "bad_request", { channel: 5, data: 1 }],
    [400, "invalid_channel", { channel: "a b", data: 1 }],
    [400, "invalid_channel", { channel: "x".repeat(10_000), data: 1 }],
    [400, "bad_request", { channel: "news", data: 1, id: "" }],
    [400, "bad_request", { channel: "news", data: 1, id: "x".repeat(129) }],
    [413, "message_too_large", { channel: "news", data: "x".repeat(65_535) }],
    [413, "message_too_large", { channel: "news", data: "ü".repeat(40_000) }],
    [413, "frame_too_large", { channel: "news", data: "x".repeat(1_048_576) }],
    [400, "bad_frame", "not JSON"],
    [400, "bad_frame", "[]"],
    [400, "bad_frame", "null"],
    [400, "bad_frame", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    [400, "nesting_too_deep", `{"channel":"a","data":${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
    [400, "nesting_too_deep", "[".repeat(10_000)],
  ];
  for (const [status, code, body] of cases) {
    const answer = await ask(url, { body });
    const shown = JSON.stringify(body).slice(0, 80);
    assertEquals([answer.status, answer.body.code, answer.body.ok], [status, code, false], shown);
    assertEquals(Object.keys(answer.body).sort(), ["code", "error", "ok"]);
  }
  assertEquals((await gateway.gateway.channels()).length, 0);
  const { status } = await ask(url, { body: { channel: "news", data: "x".repeat(65_534) } });
  assertEquals(status, 200, "a payload at the limit is published");
});

Deno.test("channels: every channel is listed with its log, its metadata and its subscribers", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway({ push: QUIET }, { clock });
  await using ann = await WireClient.open(gateway.ws);
  await ann.ask({ type: "channel.create", channel: "plan", metadata: { owner: "ann" } });
  await ann.subscribe("news");
  await ask(`${gateway.http}/api/push/publish`, { body: { channel: "news", data: 1 } });
  const { status, body } = await ask(`${gateway.http}/api/push/channels`);
  assertEquals(status, 200);
  const created_at = clock.now() / 1000;
  const [plan, news] = body.channels;
  assertMatch(plan.epoch, /^[a-z0-9]+$/);
  const { epoch } = plan;
  assertEquals(plan, {
    name: "plan",
    epoch,
    head: 0,
    oldest: 1,
    subscribers: 0,
    created_at,
    metadata: { owner: "ann" },
  });
  assertEquals([news.name, news.head, news.oldest, news.subscribers], ["news", 1, 1, 1]);
});

Deno.test("presence: who is there is told to operators too", async () => {
  await using gateway = await startGateway();
  await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await ann.subscribe("news");
  const all = await ask(`${gateway.http}/api/push/presence`);
  assertEquals(all.body.presence.map((it: { client_id: string }) => it.client_id), ["ann"]);
  assertEquals(all.body.clients, all.body.presence);
  assertEquals(all.body.channel, null);
  const news = await ask(`${gateway.http}/api/push/presence?channel=news`);
  assertEquals([news.body.channel, news.body.presence[0].channels], ["news", ["news"]]);
  const none = await ask(`${gateway.http}/api/push/presence?channel=none`);
  assertEquals(none.body.presence, []);
  const wrong = await ask(`${gateway.http}/api/push/presence?channel=a%20b`);
  assertEquals([wrong.status, wrong.body.code], [400, "invalid_channel"]);
});

Deno.test("dead letters: what a subscription gave up is listed, by query, and redriven", async () => {
  await using gateway = await startGateway({ push: { ...QUIET, delivery: { maxRetries: 0 } } });
  const url = `${gateway.http}/api/push/dead-letters`;
  await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await ann.subscribe("news");
  await ann.subscribe("sport");
  assertEquals((await ask(url)).body, { dead_letters: [] });
  for (const channel of ["news", "sport", "news"]) {
    await ask(`${gateway.http}/api/push/publish`, { body: { channel, data: { channel } } });
    const { event_id } = await ann.next();
    await ann.ask({ type: "message_nack", event_id });
  }
  const seqs = async (query: string) => {
    const { status, body } = await ask(url + query);
    assertEquals(status, 200);
    return body.dead_letters.map(({ channel, seq }: Record<string, string>) => channel + seq);
  };
  await until(async () => (await seqs("")).length === 3, "all three are dead letters");
  assertEquals(await seqs("?channel=news"), ["news1", "news2"]);
  assertEquals(await seqs("?channel=news&seq=2"), ["news2"]);
  assertEquals(await seqs("?limit=1"), ["news1"]);
  const [{ session, dead_at, timestamp, event_id, ...letter }] =
    (await ask(`${url}?channel=sport`)).body.dead_letters;
  assertEquals(letter, {
    channel: "sport",
    seq: 1,
    data: { channel: "sport" },
    source: null,
    attempts: 1,
    reason: "nack",
  });
  assert(dead_at >= timestamp);
  assertEquals(await seqs(`?session=${encodeURIComponent(session)}`), ["news1", "sport1", "news2"]);
  assertEquals(await seqs("?session=none"), []);

  const redriven = await ask(`${url}/redrive`, { body: { channel: "sport" } });
  assertEquals([redriven.body.redriven, redriven.body.dead_letters[0].event_id], [1, event_id]);
  const message = await ann.next();
  assertEquals([message.event_id, message._redriven, message._retry_count], [event_id, true, 0]);
  await ann.ask({ type: "message_ack", event_id });
  assertEquals(await seqs(""), ["news1", "news2"]);
  assertEquals((await ask(`${url}/redrive`, { method: "POST" })).body.redriven, 2);
  assertEquals(await seqs(""), []);
});

Deno.test("dead letters: what was redriven and then acknowledged does not come back", async () => {
  await using gateway = await startGateway({ push: { ...QUIET, delivery: { maxRetries: 0 } } });
  const ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await ann.subscribe("news");
  await gateway.gateway.publish("news", 1);
  const { event_id } = await ann.next();
  await ann.ask({ type: "message_nack", event_id });
  const letters = `${gateway.http}/api/push/dead-letters`;
  await until(
    async () => (await ask(letters)).body.dead_letters.length === 1,
    "the message is a dead letter",
  );
  await ask(`${letters}/redrive`, { body: {} });
  assertEquals((await ann.next())._redriven, true);
  assertEquals((await ann.ask({ type: "message_ack", event_id })).ok, true);
  await ann.close(4000);

  await using again = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await again.subscribe("news");
  assertEquals(await again.settled(), []);
});

Deno.test("dead letters: a query that is none is refused", async () => {
  await using gateway = await startGateway();
  const url = `${gateway.http}/api/push/dead-letters`;
  for (
    const query of ["channel=", "channel=a%20b", "seq=0", "seq=x", "seq=", "limit=0", "limit=1001"]
  ) {
    const { status, body } = await ask(`${url}?${query}`);
    assertEquals([status, body.ok], [400, false], query);
  }
  for (const body of [{ channel: 5 }, { session: "" }, { seq: "1" }, { limit: 1.5 }]) {
    assertEquals((await ask(`${url}/redrive`, { body })).status, 400, JSON.stringify(body));
  }
});

const PROTECTED: [method: string, path: string][] = [
  ["POST", "/api/push/publish"],
  ["GET", "/api/push/channels"],
  ["GET", "/api/push/presence"],
  ["GET", "/api/push/dead-letters"],
  ["POST", "/api/push/dead-letters/redrive"],
  ["GET", "/api/push/poll/presence"],
  ["GET", "/metrics"],
];

Deno.test("every operator route asks for the bearer token", async () => {
  await using gateway = await startGateway({ authToken: token });
  for (const [method, path] of PROTECTED) {
    const body = method === "POST" ? { channel: "news", data: 1 } : undefined;
    const url = gateway.http + path;
    const refused: [string, string, Record<string, string>, string][] = [
      ["token_required", "no header", {}, ""],
      ["token_required", "another scheme", { authorization: `Basic ${token}` }, ""],
      ["token_required", "no token", { authorization: "Bearer " }, ""],
      ["token_required", "the address", {}, `?token=${token}`],
      ["token_invalid", "another token", { authorization: "Bearer wrong" }, ""],
      ["token_invalid", "a longer token", { authorization: `Bearer ${token}x` }, ""],
    ];
    for (const [code, what, headers, query] of refused) {
      const answer = await ask(url + query, { method, body, headers });
      assertEquals([answer.status, answer.body.code], [401, code], `${path} with ${what}`);
      assertStringIncludes(answer.headers.get("www-authenticate")!, "Bearer");
    }
    assertEquals((await ask(url, { method, body, token })).status, 200, path);
  }
  assertEquals((await gateway.gateway.channels()).length, 1);
});

Deno.test("every route refuses other methods with 405 and says which it takes", async () => {
  await using gateway = await startGateway({ authToken: token });
  const routes: [path: string, allow: string][] = [
    ["/ws", "GET"],
    ["/health", "GET, HEAD"],
    ["/metrics", "GET, HEAD"],
    ...PROTECTED.filter(([, path]) => path !== "/metrics").map((
      [method, path],
    ): [string, string] => [
      path,
      method,
    ]),
    ...["register", "messages", "subscribe", "unsubscribe", "ack", "nack", "heartbeat", "create"]
      .concat("publish", "send", "unregister")
      .map((name): [string, string] => [`/api/push/poll/${name}`, "POST"]),
  ];
  for (const [path, allow] of routes) {
    for (const method of ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      if (allow.split(", ").includes(method)) continue;
      const answer = await ask(gateway.http + path, { method, token });
      assertEquals([answer.status, answer.headers.get("allow")], [405, allow], `${method} ${path}`);
    }
  }
});

Deno.test("what is no route is 404, with a code", async () => {
  await using gateway = await startGateway();
  for (
    const path of [
      "/",
      "/api",
      "/api/push",
      "/api/push/",
      "/api/push/publish/",
      "/api/push/poll/",
      "/api/push/poll/toString",
      "/api/push/poll/__proto__",
      "/api/push/__proto__",
      "/health/",
      "/metrics2",
      "/%2e%2e/etc/passwd",
      `/${"x".repeat(1000)}`,
    ]
  ) {
    const { status, body, text } = await ask(gateway.http + path);
    assertEquals([status, body.ok, body.code], [404, false, "not_found"], path);
    assert(text.length < 300, "the answer repeats a long address");
  }
});
