import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { Gateway, type GatewayOptions } from "../../mod.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { openStore } from "../../server/stores/open.ts";
import { seededRandom } from "../../server/testing/mod.ts";
import { Interposed } from "../core/interposed.ts";
import { EventReader } from "../support/event_reader.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { exchange, TcpClient } from "../support/tcp_client.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";
import { until, within } from "../support/within.ts";

const QUIET: GatewayOptions = { push: { presence: { broadcastChanges: false } } };
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => i + from);

function open(
  { http }: { http: string },
  query: string,
  headers?: Record<string, string>,
): Promise<EventReader> {
  return EventReader.open(`${http}/api/push/sse?${query}`, { headers });
}

async function take(reader: EventReader, count: number): Promise<Frame[]> {
  const frames: Frame[] = [];
  while (frames.length < count) frames.push(await reader.next());
  return frames;
}

async function connections({ http }: Served): Promise<Frame> {
  return (await ask(`${http}/health`)).body.push;
}

Deno.test("plain SSE: a reader gets each message of the fixed wire, with the place it has reached", async () => {
  await using gateway = await startGateway(QUIET);
  await using reader = await open(gateway, "channel=news");
  const { status, headers } = reader.response;
  assertEquals(status, 200);
  assertEquals(headers.get("content-type"), "text/event-stream");
  assertEquals(headers.get("cache-control"), "no-store, no-transform");
  assertEquals(headers.get("x-accel-buffering"), "no");
  const first = await reader.read();
  assertEquals([first!.data, first!.isComment], [undefined, false]);
  assert(first!.retry! >= 1000 && first!.retry! <= 3000, `${first!.retry}`);
  assertMatch(first!.id, /^[a-z0-9]+:0:news$/);
  for (const n of numbers(3)) await gateway.gateway.publish("news", { n });
  for (const n of numbers(3)) {
    const event = await reader.read();
    const frame = JSON.parse(event!.data!);
    assertEquals([event!.id, event!.retry], [frame.event_id, undefined]);
    assertEquals(Object.keys(frame), [
      ...["type", "channel", "data", "event_id", "timestamp", "source", "target"],
    ]);
    assertEquals(
      [frame.type, frame.channel, frame.data, frame.source, frame.target],
      ["channel_message", "news", { n }, null, null],
    );
  }
});

Deno.test("plain SSE: an id holds the places in all channels, and every channel goes on from there", async () => {
  await using gateway = await startGateway(QUIET);
  const query = "channel=a&channel=b&channel=c&channel=a";
  await using first = await open(gateway, query);
  for (const channel of ["a", "b", "b"]) await gateway.gateway.publish(channel, channel);
  assertEquals((await take(first, 3)).map(({ data }) => data).sort(), ["a", "b", "b"]);
  assertMatch(first.lastId, /^\w+:1:a,\w+:2:b,\w+:0:c$/);
  await first.close();
  for (const channel of ["c", "b", "a"]) await gateway.gateway.publish(channel, `late ${channel}`);
  const late = ["late a", "late b", "late c"];
  for (const way of ["header", "query", "both"]) {
    const id = encodeURIComponent(way === "both" ? "x:9:a" : first.lastId);
    await using again = await open(
      gateway,
      way === "header" ? query : `${query}&last_event_id=${id}`,
      way === "query" ? {} : { "last-event-id": first.lastId },
    );
    const frames = await take(again, 3);
    assertEquals(frames.map(({ data }) => data).sort(), late, way);
    assert(frames.every((frame) => !("_redelivered" in frame)));
  }
  // Channels of an id that are not asked for are passed over; others start at the head.
  await using other = await open(gateway, "channel=b&channel=d", { "last-event-id": first.lastId });
  await gateway.gateway.publish("d", "d");
  assertEquals((await take(other, 2)).map(({ data }) => data).sort(), ["d", "late b"]);
  assertMatch(other.lastId, /^\w+:3:b,\w+:1:d$/);
});

Deno.test("plain SSE: what was written counts as acknowledged: no window stops the flow, nothing comes twice", async () => {
  const clock = new SocketClock();
  const push = { ...QUIET.push, delivery: { window: 8 } };
  await using gateway = await startGateway({ push }, { clock });
  await using reader = await open(gateway, "channel=news");
  await Promise.all(numbers(500).map((n) => gateway.gateway.publish("news", n)));
  assertEquals((await take(reader, 500)).map(({ data }) => data), numbers(500));
  for (let i = 0; i < 12; i++) await clock.advance(10_000);
  await gateway.gateway.publish("news", "last");
  assertEquals((await reader.next()).data, "last");
  const { text } = await ask(`${gateway.http}/metrics`);
  for (const counter of ["redelivered_total", "timed_out_total", "dead_lettered_total"]) {
    assertMatch(text, new RegExp(`^push_${counter} 0$`, "m"));
  }
});

Deno.test("plain SSE: without tracking of deliveries it goes just so", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET.push, delivery: { enabled: false } },
  });
  await using reader = await open(gateway, "channel=news");
  for (const n of [1, 2]) await gateway.gateway.publish("news", n);
  assertEquals((await take(reader, 2)).map(({ data }) => data), [1, 2]);
  const id = reader.lastId;
  await reader.close();
  await gateway.gateway.publish("news", 3);
  await using again = await open(gateway, "channel=news", { "last-event-id": id });
  assertEquals((await again.next()).data, 3);
});

Deno.test("plain SSE: a gap is told as an error frame, once: the id goes on behind it", async () => {
  await using gateway = await startGateway({
    push: {
      ...QUIET.push,
      limits: { maxMessageBytes: 1024 },
      delivery: { maxChannelBytes: 3000, historyBytes: 1024 },
    },
  });
  const before = await open(gateway, "channel=news");
  await before.read();
  await before.close();
  for (const n of numbers(5)) await gateway.gateway.publish("news", `${n}`.padEnd(900));
  const after = await open(gateway, "channel=news", { "last-event-id": before.lastId });
  await after.read();
  const event = await after.read();
  const gap = JSON.parse(event!.data!);
  assertEquals([gap.type, gap.code, gap.channel], ["error", "gap", "news"]);
  assertMatch(event!.id, /^\w+:2:news$/);
  await after.close();
  await using again = await open(gateway, "channel=news", { "last-event-id": event!.id });
  assertEquals((await take(again, 3)).map(({ data }) => parseInt(data)), [3, 4, 5]);
});

Deno.test("plain SSE: a log that was lost is told as a gap, and the next id is one of the new log", async () => {
  await using gateway = await startGateway(QUIET);
  await gateway.gateway.publish("news", 1);
  await using reader = await open(gateway, "channel=news", { "last-event-id": "gone:7:news" });
  assertEquals((await reader.next()).code, "gap");
  assertEquals((await reader.next()).data, 1);
  assertMatch(reader.lastId, /^\w+:1:news$/);
  assert(!reader.lastId.startsWith("gone"));
});

Deno.test("plain SSE: a payload can neither end a line nor make a field of an event", async () => {
  await using gateway = await startGateway(QUIET);
  await using reader = await open(gateway, "channel=news");
  const values = [
    '{"text":"\\n\\nid: 9\\ndata: x\\r\\u2028\\u2029","event_id":"a:1:b"}',
    '[1,\n2,\r\n3,\r\r\n"\\"event_id\\":\\"x:5:news\\""]',
    '"\u2028 \u0085 \u{1f600} \\u0000"',
    "0.10",
  ];
  for (const value of values) {
    const body = `{"channel":"news","data":${value}}`;
    assertEquals((await ask(`${gateway.http}/api/push/publish`, { body })).status, 200);
  }
  for (const [i, value] of values.entries()) {
    const { data, id, retry } = (i === 0 && await reader.read(), await reader.read())!;
    assertEquals(JSON.parse(data!).data, JSON.parse(value));
    assertEquals([JSON.parse(data!).event_id, retry], [id, undefined]);
    assert(data!.includes(`"data":${value.replace(/[\r\n]/g, " ")},`), "as it was written");
  }
});

Deno.test("plain SSE: presence events come without an id, and the reader counts as present", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway({}, { clock });
  await using reader = await open(gateway, "channel=chat");
  const { id } = (await reader.read())!;
  await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await ann.subscribe("chat");
  await clock.advance(1_000);
  const event = await reader.read();
  const join = JSON.parse(event!.data!);
  assertEquals([join.type, join.data.client_id], ["presence_join", "ann"]);
  assertEquals(event!.id, id);
  // It cannot send heartbeats, and need not.
  for (let i = 0; i < 9; i++) {
    await clock.advance(10_000);
    await ann.ask({ type: "presence.heartbeat" });
  }
  assertEquals(gateway.gateway.settings.push.presence.offlineTimeout, 45_000);
  assertEquals((await gateway.gateway.presence("chat")).length, 2);
  const gone = Promise.withResolvers<void>();
  gateway.gateway.on("disconnected", () => gone.resolve());
  await reader.close();
  await within(gone.promise, "the gateway to notice");
  assertEquals((await gateway.gateway.presence("chat")).map(({ clientId }) => clientId), ["ann"]);
});

Deno.test("plain SSE: in silence a comment comes at least every 10 seconds", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  await using reader = await open(gateway, "channel=news");
  await reader.read();
  for (let i = 0; i < 5; i++) {
    for (let passed = 0; passed < 10; passed++) await clock.advance(1_000);
    const event = await within(reader.read(), "a comment");
    assertEquals([event!.isComment, event!.data], [true, undefined]);
  }
});

Deno.test("plain SSE: an EventSource comes back by itself, with nothing lost, after a gateway drained", async () => {
  const first = await startGateway(QUIET);
  const { port } = first;
  let source: EventSource | undefined;
  const got: unknown[] = [];
  const errors: string[] = [];
  try {
    const came = Promise.withResolvers<void>();
    source = new EventSource(`${first.http}/api/push/sse?channel=news`);
    source.onopen = () => came.resolve();
    source.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "error") errors.push(frame.code);
      else got.push(frame.data);
    };
    await within(came.promise, "the stream to open");
    await first.gateway.publish("news", 1);
    await until(() => got.length === 1, "the first message");
  } finally {
    await first.gateway.stop();
  }
  await using second = await startGateway({ ...QUIET, port });
  try {
    await until(() => errors.includes("gap"), "the loss of the log to be told");
    await second.gateway.publish("news", 2);
    await until(() => got.length === 2, "the next message");
    assertEquals([got, source.readyState], [[1, 2], EventSource.OPEN]);
  } finally {
    source.close();
    await until(async () => (await connections(second)).connections.sse === 0, "it has gone");
  }
});

Deno.test("plain SSE: a reader goes on after a restart of a gateway whose store lasts, with nothing lost", async () => {
  const folder = await Deno.makeTempDir();
  const delivery = { storeBackend: "kv", kvPath: `${folder}/push.db` } as const;
  const options: GatewayOptions = { push: { ...QUIET.push, delivery } };
  try {
    let id = "";
    for (let round = 0; round < 3; round++) {
      await using gateway = await startGateway(options);
      if (round > 0) await gateway.gateway.publish("news", `before ${round}`);
      await using reader = await open(gateway, "channel=news", { "last-event-id": id });
      await gateway.gateway.publish("news", `while ${round}`);
      const frames = await take(reader, round === 0 ? 1 : 3);
      assertEquals(frames.map(({ data, code }) => data ?? code), [
        ...round === 0 ? [] : [`after ${round - 1}`, `before ${round}`],
        `while ${round}`,
      ]);
      id = reader.lastId;
      await reader.close();
      await gateway.gateway.publish("news", `after ${round}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("plain SSE: a gateway that drains ends every stream, and sends readers away for later", async () => {
  const clock = new SocketClock();
  const served = await startGateway(QUIET, { clock });
  await using reader = await open(served, "channel=news");
  await reader.read();
  await served.gateway.publish("news", "last");
  assertEquals((await reader.next()).data, "last");
  const stopped = served.gateway.stop();
  const { fetch } = served.gateway;
  const url = `${served.http}/api/push/sse?channel=news`;
  const plain = await fetch(new Request(url));
  assertEquals([plain.status, (await plain.json()).code], [503, "going_away"]);
  const source = await fetch(new Request(url, { headers: { accept: "text/event-stream" } }));
  assertEquals(source.status, 200);
  assertMatch(
    await source.text(),
    /^retry: \d+\ndata: \{"type":"error","code":"going_away",.*\}\n\n$/,
  );
  assertEquals(await reader.rest(), []);
  await stopped;
});

Deno.test("plain SSE: what is wrong with a request is answered with a code", async () => {
  await using gateway = await startGateway({
    authToken: "right",
    push: { ...QUIET.push, limits: { maxChannels: 3 } },
  });
  const at = (query: string) => `${gateway.http}/api/push/sse${query}`;
  const token = "right";
  const cases: [string, number, string, Record<string, string>?][] = [
    ["", 400, "bad_request"],
    ["?channel=", 400, "invalid_channel"],
    ["?channel=a%20b", 400, "invalid_channel"],
    [`?channel=${"x".repeat(256)}`, 400, "invalid_channel"],
    ["?channel=a&channel=b&channel=c&channel=d", 409, "too_many_channels"],
    ["?channel=a&last_event_id=nonsense", 400, "bad_request"],
    ["?channel=a&last_event_id=x:1:a,x:1:a", 400, "bad_request"],
    ["?channel=a&last_event_id=x:-1:a", 400, "bad_request"],
    ["?channel=a&last_event_id=x:1e3:a", 400, "bad_request"],
    ["?channel=a&last_event_id=x:99999999999999999:a", 400, "bad_request"],
    ["?channel=a&last_event_id=x:9007199254740992:a", 400, "bad_request"],
    ["?channel=a&last_event_id=X:1:a", 400, "bad_request"],
    ["?channel=a&last_event_id=x:1:a,", 400, "bad_request"],
    ["?channel=a&last_event_id=x:1:__pro%20to__", 400, "bad_request"],
    [`?channel=a&last_event_id=${"x".repeat(33)}:1:a`, 400, "bad_request"],
    ["?channel=a", 400, "bad_request", { "last-event-id": "a".repeat(60_000) }],
    ["?channel=a", 400, "bad_request", { "last-event-id": ":".repeat(5_000) }],
    ["?channel=a", 400, "bad_request", { "last-event-id": "[]" }],
  ];
  for (const [query, status, code, headers] of cases) {
    const answer = await ask(at(query), { token, headers });
    assertEquals([answer.status, answer.body.code], [status, code], `${query} ${answer.text}`);
    assert(answer.text.length < 300, answer.text);
  }
  for (const method of ["HEAD", "PUT", "DELETE", "OPTIONS"]) {
    const { status, headers } = await ask(at("?channel=a"), { method, token });
    assertEquals([status, headers.get("allow")], [405, "GET, POST"], method);
  }
  assertEquals((await ask(at("?channel=a"))).body.code, "token_required");
  for (const query of ["?channel=a&token=wrong", "?channel=a&token="]) {
    assertEquals((await ask(at(query))).status, 401);
  }
  assertEquals((await ask(at("?channel=a&token=right"), { token: "wrong" })).status, 401);
  const { connections: open, sessions } =
    (await ask(`${gateway.http}/health`, { token })).body.push;
  assertEquals([open, sessions], [{ websocket: 0, sse: 0, longpoll: 0 }, 0]);
  for (const [query, headers] of [["&token=right", {}], ["", { authorization: "Bearer right" }]]) {
    await using reader = await EventReader.open(at(`?channel=a${query}`), { headers } as never);
    assertMatch((await reader.read())!.id, /:0:a$/);
  }
});

Deno.test("plain SSE: whatever a request says, it gets a stream, or an error with a code", async () => {
  await using gateway = new Gateway({ push: { enabled: true } });
  const words = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("a", "b", "x:1:a", "x:1:a,y:2:b", "x:0:a", ":::", "a,b", "\u0000", "%00", "ä"),
  );
  const query = fc.array(
    fc.tuple(fc.constantFrom("channel", "last_event_id", "token", "x"), words),
  );
  const header = fc.option(fc.stringMatching(/^[\x21-\x7e\x80-\xff]*$/));
  await fc.assert(
    fc.asyncProperty(query, header, async (query, id) => {
      const url = `http://push/api/push/sse?${new URLSearchParams(query)}`;
      const headers: HeadersInit = id === null ? {} : { "last-event-id": id };
      const response = await gateway.fetch(new Request(url, { headers }));
      if (response.status === 200) {
        const reader = response.body!.getReader();
        const { value } = await reader.read();
        assertMatch(new TextDecoder().decode(value), /^retry: \d+\nid: [\w:.,-]+\n\n$/);
        return await reader.cancel();
      }
      const { ok, code } = await response.json();
      assert(response.status < 500 && ok === false, `${response.status} ${code}`);
    }),
    { numRuns: 500 },
  );
  const { push } = await (await gateway.fetch(new Request("http://push/health"))).json();
  assertEquals([push.connections.sse, push.sessions], [0, 0]);
});

Deno.test("plain SSE: a place that nobody can have is met with a gap or the head, never with a failure", async () => {
  await using gateway = await startGateway(QUIET);
  await gateway.gateway.publish("news", 1);
  await using probe = await open(gateway, "channel=news");
  const [epoch] = (await probe.read())!.id.split(":");
  const far = Number.MAX_SAFE_INTEGER;
  await using ahead = await open(gateway, "channel=news", {
    "last-event-id": `${epoch}:${far}:news`,
  });
  assertEquals((await ahead.read())!.id, `${epoch}:1:news`);
  await using odd = await open(gateway, "channel=__proto__&channel=constructor", {
    "last-event-id": `x:1:__proto__,x:${far}:constructor`,
  });
  await gateway.gateway.publish("constructor", 2);
  const frames = await take(odd, 3);
  assertEquals(frames.map(({ code, data }) => code ?? data).sort(), [2, "gap", "gap"]);
});

Deno.test("plain SSE: streams count among all connections", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET.push, limits: { maxConnections: 3 } },
  });
  await using _ann = await WireClient.open(gateway.ws);
  await using one = await open(gateway, "channel=news");
  await using _two = await open(gateway, "channel=news");
  const url = `${gateway.http}/api/push/sse?channel=news`;
  const refused = await ask(url);
  assertEquals([refused.status, refused.body.code], [503, "too_many_connections"]);
  await using later = await open(gateway, "channel=news", { accept: "text/event-stream" });
  assertEquals((await later.rest()).map((frame) => (frame as Frame).code), [
    "too_many_connections",
  ]);
  await one.close();
  await until(async () => (await connections(gateway)).connections.sse === 1, "it has gone");
  await using again = await open(gateway, "channel=news");
  await again.read();
});

Deno.test("plain SSE: a request that fails on its way holds nothing", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET.push, limits: { maxSessions: 1 } },
  });
  await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await ann.subscribe("news");
  const { status, body } = await ask(`${gateway.http}/api/push/sse?channel=news`);
  assertEquals([status, body.code], [503, "too_many_sessions"]);
  assertEquals((await connections(gateway)).connections.sse, 0);
});

Deno.test("plain SSE: a reader that stands still is forgotten as a slow consumer; others notice nothing", async () => {
  const clock = new SocketClock();
  const push = { ...QUIET.push, limits: { maxBufferedBytes: 70_000 } };
  await using gateway = await startGateway({ push }, { clock });
  const gone = Promise.withResolvers<void>();
  await using reader = await open(gateway, "channel=news");
  gateway.gateway.on("disconnected", () => gone.resolve());
  using deaf = await TcpClient.connect(gateway.port);
  await deaf.write("GET /api/push/sse?channel=news HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await deaf.read();
  // More than the kernel takes for it.
  for (let n = 0; n < 300; n++) {
    await gateway.gateway.publish("news", `${n}:`.padEnd(60_000, "x"));
    assertEquals(parseInt((await reader.next()).data), n);
  }
  for (let i = 0; i < 8; i++) await clock.advance(5_000);
  await within(gone.promise, "the deaf reader to be forgotten");
  const { text } = await ask(`${gateway.http}/metrics`);
  assertMatch(text, /^push_closed_total\{code="slow_consumer"\} 1$/m);
  assertMatch(text, /^push_sessions_attached 1$/m);
  assertMatch(text, /^push_connections_total\{transport="sse"\} 2$/m);
});

Deno.test("plain SSE: a stop does not wait for ever for a reader that stands still", async () => {
  const clock = new SocketClock();
  const delivery = { windowBytes: 2 ** 26, window: 1000 };
  const served = await startGateway({ push: { ...QUIET.push, delivery } }, { clock });
  using deaf = await TcpClient.connect(served.port);
  await deaf.write("GET /api/push/sse?channel=news HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await deaf.read();
  for (let n = 0; n < 200; n++) await served.gateway.publish("news", "x".repeat(60_000));
  const stopping = clock.scheduled(2_000);
  const stopped = served.gateway.stop();
  await stopping;
  await clock.advance(2_000);
  await within(stopped, "the gateway to stop");
});

Deno.test("plain SSE: thousands of readers that come and hang up leave nothing behind", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const idle = clock.pending;
  const rounds = 20;
  for (let round = 0; round < rounds; round++) {
    const clients = await Promise.all(numbers(100).map(() => TcpClient.connect(gateway.port)));
    await Promise.all(clients.map(async (client, i) => {
      await client.write("GET /api/push/sse?channel=news HTTP/1.1\r\nHost: localhost\r\n\r\n");
      // Some hang up before they are answered.
      if (i % 3 > 0) await client.read();
      client[Symbol.dispose]();
    }));
    await gateway.gateway.publish("news", round);
  }
  await until(async () => (await connections(gateway)).connections.sse === 0, "all have gone");
  await until(async () => (await connections(gateway)).sessions === 0, "no session is attached");
  const { store } = await connections(gateway);
  assertEquals(store.sessions, 0);
  await clock.advance(10_000);
  assertEquals(clock.pending, idle);
});

Deno.test("plain SSE: switched off, or with push off, there is nothing", async () => {
  await using off = await startGateway({ push: { sse: { enabled: false } } });
  for (const body of [undefined, { poll_token: "x" }]) {
    const answer = await ask(`${off.http}/api/push/sse?channel=a`, { body });
    assertEquals([answer.status, answer.body.code], [404, "not_found"]);
    assert(answer.body.error.includes("push.sse.enabled"));
  }
  await using none = await startGateway({ push: { enabled: false } });
  assertEquals((await ask(`${none.http}/api/push/sse?channel=a`)).status, 404);
  await using alone = await startGateway({ push: { polling: { enabled: false } } });
  await using reader = await open(alone, "channel=a");
  await reader.read();
  const poller = await ask(`${alone.http}/api/push/sse`, { body: { poll_token: "x" } });
  assertEquals(poller.status, 404);
  assert(poller.body.error.includes("push.polling.enabled"));
});

Deno.test("plain SSE: HTTP/1.0 is answered, too, until the connection ends", async () => {
  const served = await startGateway(QUIET);
  const answer = exchange(
    served.port,
    "GET /api/push/sse?channel=a HTTP/1.0\r\nHost: localhost\r\n\r\n",
  );
  assertEquals((await answer)!.status, 200);
  await assertRejects(() => open(served, "channel=a", { "last-event-id": "?" }), Error, "400");
  await served.gateway.stop();
});

Deno.test("plain SSE: many long names make an event larger, not what waits for one reader", async () => {
  await using gateway = await startGateway(QUIET);
  const names = numbers(128).map((n) => `${n}`.padEnd(255, "x"));
  const url = `${gateway.http}/api/push/sse?channel=${names.join("&channel=")}`;
  const { body } = await gateway.gateway.fetch(new Request(url));
  const reader = body!.getReader();
  await reader.read();
  await Promise.all(numbers(1000).map((n) => gateway.gateway.publish(names[0], n)));
  let text = "";
  const decoder = new TextDecoder();
  while (!text.includes('"data":1000,')) {
    const { value } = await reader.read();
    const { maxBufferedBytes } = gateway.gateway.settings.push.limits;
    assert(value!.length < maxBufferedBytes, `${value!.length}`);
    text += decoder.decode(value);
  }
  const data = [...text.matchAll(/^data: .*?"data":(\d+),/gm)].map(([, n]) => Number(n));
  assertEquals(data, numbers(1000));
  await reader.cancel();
});

Deno.test("plain SSE: channels whose places make no id that servers take are refused at once", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET.push, limits: { maxChannels: 5000 } },
  });
  const query = numbers(2000).map((n) => `channel=${n}`).join("&");
  const { status, body } = await ask(`${gateway.http}/api/push/sse?${query}`);
  assertEquals([status, body.code], [409, "too_many_channels"]);
  assertEquals((await connections(gateway)).connections.sse, 0);
});

Deno.test("plain SSE: a reader whose stream was being opened when the gateway drained comes back", async () => {
  const { push } = resolveOptions({ push: { enabled: true } });
  const interposed = new Interposed(await openStore(push, seededRandom(1).bytes));
  const served = await startGateway(QUIET, { store: interposed.store });
  const reached = Promise.withResolvers<void>();
  interposed.before = ({ operation }) => operation === "commit" ? reached.resolve() : undefined;
  const open = interposed.hold("commit");
  const url = `${served.http}/api/push/sse?channel=news`;
  const source = ask(url, { headers: { accept: "text/event-stream" } });
  await within(reached.promise, "the subscription to be stored");
  const stopped = served.gateway.stop();
  open();
  const { status, text } = await source;
  assertEquals(status, 200);
  assertMatch(text, /^retry: \d+\ndata: \{"type":"error","code":"going_away",.*\}\n\n$/);
  await stopped;
});
