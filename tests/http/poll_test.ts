import { assert, assertEquals, assertRejects } from "@std/assert";
import type { GatewayOptions } from "../../mod.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import { seededRandom } from "../../server/testing/mod.ts";
import { startGateway } from "../support/gateway.ts";
import { type Answer, ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { TcpClient } from "../support/tcp_client.ts";
import { until, within } from "../support/within.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const QUIET: GatewayOptions = { push: { presence: { broadcastChanges: false } } };

/** Registers a poller of the fixed wire, and subscribes it. */
async function subscribed(http: string, channel: string, client_id?: string): Promise<PollClient> {
  const client = await PollClient.register(http, client_id === undefined ? {} : { client_id });
  await client.post("subscribe", { channel });
  return client;
}

/** Registers a poller of the extended wire, subscribed to a channel; tells the channel's epoch. */
async function extended(
  http: string,
  channel: string,
): Promise<[client: PollClient, epoch: string]> {
  const connect = { type: "connect", version: 1, instance: "i1", attempt: 1, client_id: "ann" };
  const client = await PollClient.register(http, { connect });
  const frames = [{ type: "channel.subscribe", channel }];
  const { body } = await client.post("send", { frames });
  return [client, body.frames[0].epoch];
}

/** Polls for some seconds, no two polls of a test the same; resolves once the gateway holds it. */
async function hold(
  clock: SocketClock,
  client: PollClient,
  timeout: number,
  signal?: AbortSignal,
): Promise<{ answer: Promise<Answer> }> {
  const held = clock.scheduled(timeout * 1000);
  const answer = client.post("messages", { timeout }, signal);
  answer.catch(() => {});
  await held;
  return { answer };
}

const data = (messages: Frame[]) => messages.map((message) => message.data);

Deno.test("a poll without news waits, and is answered as soon as something comes", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news");
  const { answer } = await hold(clock, ann, 29);
  await gateway.gateway.publish("news", "at last");
  const { status, body } = await within(answer, "the poll's answer");
  assertEquals([status, data(body.messages), body.poll_interval_hint], [200, ["at last"], 0]);
});

Deno.test("a poll is answered empty after its timeout, and after longPollTimeout at the latest", async () => {
  const clock = new SocketClock();
  const push = { ...QUIET.push, polling: { longPollTimeout: 20 } };
  await using gateway = await startGateway({ push }, { clock });
  const ann = await subscribed(gateway.http, "news");
  const short = await hold(clock, ann, 7);
  await clock.advance(7_000);
  assertEquals((await within(short.answer, "the answer")).body.messages, []);

  for (const timeout of [undefined, 3600]) {
    const held = clock.scheduled(20_000);
    const answer = ann.poll(timeout);
    await held;
    await clock.advance(20_000);
    assertEquals(await within(answer, "the answer"), []);
  }
});

Deno.test("messages come with the next poll, also where a notice has come before it", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway({}, { clock });
  const ann = await subscribed(gateway.http, "lobby");
  await using bob = await WireClient.open(`${gateway.ws}?client_id=bob`);
  await bob.subscribe("lobby");
  await clock.advance(1_000);
  assertEquals((await ann.poll()).map(({ type }) => type), ["presence_join"]);
  await using zoe = await WireClient.open(`${gateway.ws}?client_id=zoe`);
  await zoe.subscribe("lobby");
  await clock.advance(1_000);
  await bob.next("presence_join");
  await gateway.gateway.publish("lobby", "hello");
  const came = await ann.poll();
  assertEquals(came.map(({ type }) => type), ["presence_join", "channel_message"]);
});

Deno.test("a poll that does not want to wait gets what is there, also from the log", async () => {
  await using gateway = await startGateway(QUIET);
  const ann = await subscribed(gateway.http, "news", "ann");
  await ann.post("unregister");
  for (let n = 1; n <= 3; n++) await gateway.gateway.publish("news", n);
  const again = await subscribed(gateway.http, "news", "ann");
  assertEquals(data(await again.poll(0)), [1, 2, 3]);
  assertEquals(await again.poll(0), []);
});

/** A store that waits with what it is asked to read; where a log begins and ends it tells at once. */
function slowStore() {
  const { push } = resolveOptions(QUIET);
  const random = seededRandom(1).bytes;
  const store = new MemoryStore({
    retention: retentionOf(push),
    limits: storeLimitsOf(push),
    random,
  });
  const reading = Promise.withResolvers<void>();
  const isRead = Promise.withResolvers<void>();
  const read = store.read.bind(store);
  store.read = async (channel, after, ...more) => {
    if (after === Number.MAX_SAFE_INTEGER) return await read(channel, after, ...more);
    reading.resolve();
    await isRead.promise;
    return await read(channel, after, ...more);
  };
  return { store, reading, isRead };
}

Deno.test("a poll that does not want to wait gets what is there, also from a store that is slow to read", async () => {
  const clock = new SocketClock();
  const { store, reading, isRead } = slowStore();
  await using gateway = await startGateway(QUIET, { clock, store });
  const ann = await subscribed(gateway.http, "news", "ann");
  await ann.post("unregister");
  await gateway.gateway.publish("news", 1);
  const again = await subscribed(gateway.http, "news", "ann");
  const answer = again.poll(0);
  await reading.promise;
  // The poll is held, and held again.
  await clock.scheduled(50);
  isRead.resolve();
  assertEquals(data(await answer), [1]);
  assertEquals(await again.poll(0), []);
});

Deno.test("a poll that does not want to wait gets what is to come again, also from a store that is slow to read", async () => {
  const clock = new SocketClock();
  const { store, reading, isRead } = slowStore();
  await using gateway = await startGateway(QUIET, { clock, store });
  const ann = await subscribed(gateway.http, "news", "ann");
  await gateway.gateway.publish("news", 1);
  const [{ event_id }] = await ann.poll(0);
  await ann.post("nack", { event_id });
  await ann.post("unregister");
  const again = await subscribed(gateway.http, "news", "ann");
  const answer = again.poll(0);
  await reading.promise;
  // The poll is held, and held again.
  await clock.scheduled(50);
  isRead.resolve();
  assertEquals(data(await answer), [1]);
  assertEquals(await again.poll(0), []);
});

Deno.test("what has to be read comes with the next poll, also where a notice has come before it", async () => {
  const clock = new SocketClock();
  const { store, reading, isRead } = slowStore();
  await using gateway = await startGateway({}, { clock, store });
  const ann = await subscribed(gateway.http, "lobby", "ann");
  await ann.post("unregister");
  await gateway.gateway.publish("lobby", 1);
  const again = await subscribed(gateway.http, "lobby", "ann");
  await using bob = await WireClient.open(`${gateway.ws}?client_id=bob`);
  await bob.subscribe("lobby");
  await clock.advance(1_000);
  await using zoe = await WireClient.open(`${gateway.ws}?client_id=zoe`);
  await zoe.subscribe("lobby");
  await clock.advance(1_000);
  await bob.next("presence_join");
  const answer = again.poll();
  await reading.promise;
  isRead.resolve();
  const came = (await answer).map(({ type }) => type);
  assertEquals([came.at(0), came.at(-1)], ["presence_join", "channel_message"]);
});

Deno.test("a second poll of one token wins: the first is answered empty at once", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news");
  const first = await hold(clock, ann, 29);
  const second = await hold(clock, ann, 28);
  assertEquals((await within(first.answer, "the first answer")).body.messages, []);
  await gateway.gateway.publish("news", 1);
  assertEquals(data((await within(second.answer, "the second answer")).body.messages), [1]);
});

Deno.test("a poll brings at most maxBatchSize messages, and the next one the rest in order", async () => {
  await using gateway = await startGateway({
    push: { ...QUIET.push, polling: { maxBatchSize: 4 } },
  });
  const ann = await subscribed(gateway.http, "a");
  await ann.post("subscribe", { channel: "b" });
  for (let n = 0; n < 5; n++) {
    await gateway.gateway.publish("a", `a${n}`);
    await gateway.gateway.publish("b", `b${n}`);
  }
  const got: string[] = [];
  for (const size of [4, 4, 2]) {
    const messages = await ann.poll(5);
    assertEquals(messages.length, size);
    got.push(...data(messages));
  }
  for (const channel of ["a", "b"]) {
    const ordered = Array.from({ length: 5 }, (_, n) => channel + n);
    assertEquals(got.filter((it) => it.startsWith(channel)), ordered);
  }
  assertEquals(await ann.poll(0), []);
});

Deno.test("fixed wire: a poll brings what was never sent or is overdue, never what is on its way", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news");
  await gateway.gateway.publish("news", 1);
  assertEquals(data(await ann.poll(5)), [1]);
  await clock.advance(25_000);
  await gateway.gateway.publish("news", 2);
  assertEquals(data(await ann.poll(5)), [2], "the first is not acknowledged yet, nor overdue");
  await clock.advance(21_000);
  const [overdue, ...rest] = await ann.poll(5);
  assertEquals([overdue.data, overdue._redelivered, overdue._retry_count], [1, true, 1]);
  assertEquals(rest, []);
  for (const { event_id } of [overdue]) {
    assertEquals((await ann.post("ack", { event_id })).body, { ok: true });
  }
});

Deno.test("fixed wire: a lost answer is made up for after ackTimeout", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news");
  await gateway.gateway.publish("news", 1);
  await ann.poll(5);
  const { answer } = await hold(clock, ann, 600 / 21);
  await clock.advance(46_000);
  await within(answer, "an empty answer");
  assertEquals(data(await ann.poll(5)), [1]);
});

Deno.test("extended wire: a poll states its positions, so a lost answer costs nothing", async () => {
  await using gateway = await startGateway(QUIET);
  const [ann, epoch] = await extended(gateway.http, "news");
  const poll = async (seq: number, open?: number[]) => {
    const positions = [{ channel: "news", epoch, seq, open }];
    const timeout = seq === 5 ? 0 : 5;
    const { body } = await ann.post("messages", { timeout, positions });
    return body.messages.map((it: Frame) => [it.data, it._redelivered ?? false]);
  };
  for (let n = 1; n <= 3; n++) await gateway.gateway.publish("news", n);
  assertEquals(await poll(0), [[1, false], [2, false], [3, false]]);
  assertEquals(await poll(0), [[1, true], [2, true], [3, true]], "the answer was lost");
  await gateway.gateway.publish("news", 4);
  assertEquals(await poll(3, [2, 2]), [[4, false]], "the second is still open in the client");
  await gateway.gateway.publish("news", 5);
  assertEquals(await poll(3, [2, 2]), [[4, true], [5, false]], "the answer was lost again");
  assertEquals(await poll(5, [2, 2]), [], "what waits in the client is not sent again");
});

Deno.test("extended wire: a gap that a lost answer told is told again", async () => {
  await using gateway = await startGateway({
    push: {
      ...QUIET.push,
      limits: { maxMessageBytes: 1024 },
      delivery: { maxChannelBytes: 2000, historyBytes: 1024 },
    },
  });
  const [ann, epoch] = await extended(gateway.http, "news");
  for (let n = 1; n <= 4; n++) await gateway.gateway.publish("news", `${n}`.padEnd(900));
  const positions = [{ channel: "news", epoch, seq: 0 }];
  const poll = async () => {
    const { body } = await ann.post("messages", { timeout: 5, positions });
    return body.messages.map(({ type, seq }: Frame) => `${type} ${seq}`);
  };
  const told = ["channel.gap 2", "channel_message 3", "channel_message 4"];
  assertEquals(await poll(), told);
  assertEquals(await poll(), told, "the answer was lost");
  positions[0].seq = 3;
  assertEquals(await poll(), ["channel_message 4"], "the answer was read in part");
});

Deno.test("extended wire: positions of another epoch, or beyond the log, change nothing", async () => {
  await using gateway = await startGateway(QUIET);
  const [ann, epoch] = await extended(gateway.http, "news");
  await gateway.gateway.publish("news", 1);
  const got: unknown[] = [];
  for (
    const position of [
      { channel: "news", epoch: "other", seq: 1 },
      { channel: "none", epoch, seq: 1 },
    ]
  ) {
    const { body } = await ann.post("messages", { timeout: 0, positions: [position] });
    got.push(...data(body.messages));
  }
  assertEquals(got, [1]);
  const beyond = [{ channel: "news", epoch, seq: 900 }];
  assertEquals((await ann.post("messages", { timeout: 0, positions: beyond })).body.messages, []);
  await gateway.gateway.publish("news", 2);
  const { body } = await ann.post("messages", { timeout: 5 });
  assertEquals(data(body.messages), [2]);
});

Deno.test("extended wire: positions that are none are refused", async () => {
  await using gateway = await startGateway(QUIET);
  const [ann] = await extended(gateway.http, "news");
  for (
    const positions of [
      5,
      [5],
      [{ channel: "news" }],
      [{ channel: "news", epoch: "", seq: 1 }],
      [{ channel: "news", epoch: "a", seq: -1 }],
      [{ channel: "news", epoch: "a", seq: 1, open: [3, 1] }],
      Array.from({ length: 129 }, () => ({ channel: "news", epoch: "a", seq: 1 })),
    ]
  ) {
    const { status, body } = await ann.post("messages", { positions });
    assertEquals([status, body.code], [400, "bad_request"]);
  }
});

Deno.test("a client that gives up its poll loses nothing", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news");
  const before = clock.pending;
  const aborted = new AbortController();
  const { answer } = await hold(clock, ann, 29, aborted.signal);
  assertEquals(clock.pending, before + 1);
  aborted.abort();
  await assertRejects(() => answer);
  await until(() => clock.pending === before, "the gateway has heard of it");
  await gateway.gateway.publish("news", 1);
  assertEquals(data(await ann.poll(5)), [1]);
});

Deno.test("a client that vanishes takes its waiting poll with it", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news");
  const before = clock.pending;
  {
    using client = await TcpClient.connect(gateway.port);
    const body = JSON.stringify({ poll_token: ann.pollToken, timeout: 29 });
    const held = clock.scheduled(29_000);
    await client.write(
      `POST /api/push/poll/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await held;
  }
  await until(() => clock.pending === before, "the gateway has heard of it");
  await gateway.gateway.publish("news", 1);
  assertEquals(data(await ann.poll(5)), [1]);
});

Deno.test("taken over, a poller is told so, and its poll does not hang", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news", "ann");
  const { answer } = await hold(clock, ann, 29);
  await using thief = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await thief.subscribe("news");
  assertEquals((await within(answer, "the poll's answer")).body.messages, []);
  for (const route of ["messages", "ack", "heartbeat", "publish", "subscribe"]) {
    const body = { event_id: "a:1:news", channel: "news", data: 1 };
    const { status, body: { ok, code } } = await ann.post(route, body);
    assertEquals([status, ok, code], [409, false, "replaced"], route);
  }
  await gateway.gateway.publish("news", 1);
  assertEquals((await thief.next()).data, 1);
});

Deno.test("a WebSocket that is taken over by a poller is closed as replaced", async () => {
  await using gateway = await startGateway(QUIET);
  await using socket = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await socket.subscribe("news");
  await gateway.gateway.publish("news", 1);
  assertEquals((await socket.next()).data, 1);
  const ann = await subscribed(gateway.http, "news", "ann");
  assertEquals((await socket.closed).code, 4510);
  const [message] = await ann.poll(5);
  assertEquals([message.data, message._redelivered], [1, true]);
});

Deno.test("two clients of one name over polling: the newer one has the session", async () => {
  await using gateway = await startGateway(QUIET);
  const first = await subscribed(gateway.http, "news", "ann");
  const second = await subscribed(gateway.http, "news", "ann");
  assertEquals((await first.post("messages")).body.code, "replaced");
  await gateway.gateway.publish("news", 1);
  assertEquals(data(await second.poll(5)), [1]);
});

Deno.test("a poller without a name ends after twice longPollTimeout without a request", async () => {
  const clock = new SocketClock();
  const push = { presence: { enabled: false }, polling: { longPollTimeout: 50 } };
  await using gateway = await startGateway({ push }, { clock });
  const ann = await subscribed(gateway.http, "news");
  for (let n = 0; n < 4; n++) {
    await clock.advance(90_000);
    assertEquals((await ann.post("heartbeat")).status, 200, "each request begins the time anew");
  }
  await clock.advance(120_000);
  const { status, body } = await ann.post("messages");
  assertEquals([status, body.code], [404, "unknown_session"]);
  const health = await ask(`${gateway.http}/health`);
  assertEquals([health.body.push.sessions, health.body.push.store.sessions], [0, 0]);
});

Deno.test("a poller without a name has a minute at least", async () => {
  const clock = new SocketClock();
  const push = { presence: { enabled: false }, polling: { longPollTimeout: 1 } };
  await using gateway = await startGateway({ push }, { clock });
  const ann = await subscribed(gateway.http, "news");
  await clock.advance(55_000);
  assertEquals((await ann.post("heartbeat")).status, 200);
  await clock.advance(71_000);
  assertEquals((await ann.post("heartbeat")).status, 404);
});

Deno.test("a poller with a name goes on later where it stopped", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway({ push: { presence: { enabled: false } } }, { clock });
  await subscribed(gateway.http, "news", "ann");
  await clock.advance(120_000);
  await gateway.gateway.publish("news", 1);
  await clock.advance(3_600_000);
  const again = await subscribed(gateway.http, "news", "ann");
  assertEquals(data(await again.poll(5)), [1]);
});

Deno.test("a waiting poll is a sign of life, however long it waits", async () => {
  const clock = new SocketClock();
  const push = { presence: { enabled: false }, polling: { longPollTimeout: 600 } };
  await using gateway = await startGateway({ push }, { clock });
  const ann = await subscribed(gateway.http, "news");
  const { answer } = await hold(clock, ann, 599);
  await clock.advance(598_000);
  await gateway.gateway.publish("news", 1);
  assertEquals(data((await within(answer, "the answer")).body.messages), [1]);
});

Deno.test("a poller unregistered while it polls gets an empty answer", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news");
  const { answer } = await hold(clock, ann, 29);
  await ann.post("unregister");
  assertEquals((await within(answer, "the answer")).body.messages, []);
  assertEquals((await ann.post("messages")).status, 404);
});

Deno.test("the gateway stops: a waiting poll is answered at once, the next one with 503", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway(QUIET, { clock });
  const ann = await subscribed(gateway.http, "news");
  const { answer } = await hold(clock, ann, 29);
  const stopped = gateway.gateway.stop();
  const { status, body } = await within(answer, "the answer");
  assertEquals([status, body.messages], [200, []]);
  await stopped;
  const request = new Request(`${gateway.http}/api/push/poll/messages`, {
    method: "POST",
    body: JSON.stringify({ poll_token: ann.pollToken }),
  });
  const next = await gateway.gateway.fetch(request);
  assertEquals([next.status, (await next.json()).code], [503, "going_away"]);
  assertEquals(next.headers.has("retry-after"), true);
});

Deno.test("who subscribes while the gateway stops is told to come back, not that the channel is refused", async () => {
  const connect = {
    type: "connect",
    version: 1,
    instance: "i1",
    attempt: 1,
    client_id: "ann",
    subscriptions: [{ channel: "news" }],
  };
  const settings = resolveOptions({ push: { enabled: true } }).push;
  for (const isNew of [true, false]) {
    const store = new MemoryStore({
      retention: retentionOf(settings),
      limits: storeLimitsOf(settings),
      random: seededRandom(1).bytes,
    });
    const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const commit = store.commit.bind(store);
    let isHeld = isNew;
    store.commit = async (...args) => {
      if (isHeld) {
        reached.resolve();
        await go.promise;
      }
      return await commit(...args);
    };
    await using gateway = await startGateway(QUIET, { store });
    const register = (body: Frame) =>
      ask(`${gateway.http}/api/push/poll/register`, { body: { connect: body } });
    let answer: Promise<Answer>;
    if (isNew) answer = register(connect);
    else {
      const { poll_token } = (await register({ ...connect, subscriptions: [] })).body;
      isHeld = true;
      const frames = [{ type: "channel.subscribe", channel: "news", request_id: 1 }];
      answer = ask(`${gateway.http}/api/push/poll/send`, { body: { poll_token, frames } });
    }
    await reached.promise;
    const stopped = gateway.gateway.stop();
    go.resolve();
    const { status, body } = await within(answer, "the answer");
    const code = isNew ? body.code : body.frames[0].code;
    assertEquals([status, code], [isNew ? 503 : 200, "going_away"]);
    await stopped;
  }
});

Deno.test("polling switched off: no poll route answers", async () => {
  await using gateway = await startGateway({ push: { polling: { enabled: false } } });
  for (
    const route of ["register", "messages", "subscribe", "unsubscribe", "ack", "nack", "heartbeat"]
      .concat("publish", "create", "send", "unregister")
  ) {
    const { status, body } = await ask(`${gateway.http}/api/push/poll/${route}`, { body: {} });
    assertEquals([status, body.code], [404, "not_found"], route);
  }
  assertEquals((await ask(`${gateway.http}/api/push/poll/presence`)).status, 404);
  await using socket = await WireClient.open(gateway.ws);
  assertEquals(await socket.ask({ type: "ping" }), { type: "pong" });
});

Deno.test("polling asks for the token once: the poll token stands for it", async () => {
  await using gateway = await startGateway({ ...QUIET, authToken: "s3cret" });
  const ann = await PollClient.register(gateway.http, {}, { token: "s3cret" });
  assertEquals((await ann.post("subscribe", { channel: "news" })).body.ok, true);
  assertEquals((await ann.post("publish", { channel: "news", data: 1 })).body.ok, true);
});

Deno.test("poll tokens are long, random, and not kept in clear", async () => {
  await using gateway = await startGateway(QUIET);
  const tokens = await Promise.all(
    Array.from({ length: 20 }, async () => (await PollClient.register(gateway.http)).pollToken),
  );
  assertEquals(new Set(tokens).size, 20);
  for (const token of tokens) assert(/^[0-9a-f]{32}$/.test(token), token);
  const { text } = await ask(`${gateway.http}/health`);
  for (const token of tokens) assert(!text.includes(token));
});

Deno.test("a message of a size near the limit comes through a poll", async () => {
  await using gateway = await startGateway(QUIET);
  const ann = await subscribed(gateway.http, "news");
  const bob = await PollClient.register(gateway.http);
  const payload = "ü".repeat(32_767);
  assertEquals((await bob.post("publish", { channel: "news", data: payload })).status, 200);
  assertEquals(data(await ann.poll(5)), [payload]);
});

Deno.test("payloads go through the poll routes exactly as they were written", async () => {
  await using gateway = await startGateway(QUIET);
  const ann = await subscribed(gateway.http, "news");
  const bob = await PollClient.register(gateway.http);
  const payload =
    '{"big":12345678901234567890,"inf":-1e400,"one":1.0,"__proto__":[],"l":"\\udc00"}';
  await ask(`${gateway.http}/api/push/poll/publish`, {
    body: `{"poll_token":"${bob.pollToken}","channel":"news","data":${payload}}`,
  });
  await ask(`${gateway.http}/api/push/poll/send`, {
    body: `{"poll_token":"${bob.pollToken}","frames":[{"type":"ping"},` +
      `{"type":"channel.publish","channel":"news","data":${payload}}]}`,
  });
  const { text } = await ann.post("messages", { timeout: 5 });
  assertEquals(text.split(`"data":${payload},"event_id"`).length, 3);
});
