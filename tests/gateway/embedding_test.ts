import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PushError } from "../../client/protocol/mod.ts";
import { Gateway } from "../../mod.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { QUIET, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { exchange, upgradeRequest } from "../support/tcp_client.ts";
import { within } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";
import { assertPushError, memoryStore, ON, storeWith } from "./parts.ts";

Deno.test("mounted in another server, a store that does not open is answered with 503", async () => {
  const open = () => Promise.reject(new Error("no such file"));
  await using gateway = new Gateway(ON, { store: storeWith({ open }) });
  const response = await gateway.fetch(new Request("http://a/health"));
  assertEquals([response.status, (await response.json()).code], [503, "unavailable"]);
});

Deno.test("mounted in another server it serves WebSockets, polling and the rest", async () => {
  const clock = new SocketClock();
  const gateway = new Gateway({
    authToken: "s3cret",
    log: QUIET,
    push: { enabled: true, presence: { broadcastChanges: false } },
  }, { clock });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) =>
      new URL(request.url).pathname === "/mine" ? new Response("mine") : gateway.fetch(request),
  );
  const http = `http://127.0.0.1:${server.addr.port}`;
  assertThrows(() => gateway.address, PushError);
  assertEquals((await ask(`${http}/mine`)).text, "mine");
  assertEquals((await ask(`${http}/health`)).body.push, { enabled: true });
  assertEquals((await exchange(server.addr.port, upgradeRequest("/ws?token=x")))?.status, 401);
  await using socket = await WireClient.open(`ws://127.0.0.1:${server.addr.port}/ws?token=s3cret`);
  await socket.subscribe("news");
  const poller = await PollClient.register(http, { auth_token: "s3cret" });
  await poller.post("subscribe", { channel: "news" });
  const { delivered } = await gateway.publish("news", 1);
  assertEquals(delivered, 2);
  assertEquals((await socket.next()).data, 1);
  assertEquals((await poller.poll(5)).map(({ data }) => data), [1]);

  const held = clock.scheduled(29_000);
  const waiting = poller.poll(29);
  await held;
  await gateway.stop();
  assertEquals((await socket.closed).code, 4000);
  assertEquals(await within(waiting, "the waiting poll"), []);
  assertEquals((await ask(`${http}/mine`)).text, "mine", "the other server goes on");
  assertEquals((await ask(`${http}/ws`)).body.code, "going_away");
  await server.shutdown();
});

Deno.test("what is published before the start is there after it", async () => {
  await using gateway = new Gateway({ ...ON, push: { enabled: true } });
  const { eventId, epoch, seq, delivered, duplicate } = await gateway.publish("news", { n: 1 });
  assertEquals([eventId, seq, delivered, duplicate], [`${epoch}:1:news`, 1, 0, false]);
  await gateway.start();
  const [client] = await WireClient.connect(`ws://127.0.0.1:${gateway.address.port}/ws`);
  await using _ = client;
  await client.subscribe("news", { all: true });
  assertEquals((await client.next("channel_message")).data, { n: 1 });
});

Deno.test("after the stop nothing is published, answered or told", async () => {
  const gateway = new Gateway(ON);
  await gateway.start();
  await gateway.publish("news", 1);
  await gateway.stop();
  for (
    const task of [
      () => gateway.publish("news", 2),
      () => gateway.channels(),
      () => gateway.presence(),
      () => gateway.deadLetters(),
      () => gateway.redrive(),
    ]
  ) await assertPushError("going_away", task);
  for (
    const [method, path] of [["GET", "/ws"], ["POST", "/api/push/publish"], [
      "GET",
      "/api/push/channels",
    ], ["POST", "/api/push/poll/register"]]
  ) {
    const response = await gateway.fetch(new Request(`http://a${path}`, { method }));
    assertEquals([response.status, (await response.json()).code], [503, "going_away"], path);
  }
});

Deno.test("publish: what cannot be published is refused with what was expected and found", async () => {
  await using gateway = new Gateway({
    ...ON,
    push: { enabled: true, limits: { maxMessageBytes: 16 } },
  });
  // deno-lint-ignore no-explicit-any
  const publish = (channel: any, data: any, options?: any) => () =>
    gateway.publish(channel, data, options);
  for (const channel of ["", "a b", "x".repeat(256), "ü", 5, null, undefined, ["news"]]) {
    const kind = typeof channel === "string" ? RangeError : TypeError;
    await assertRejects(publish(channel, 1), kind, "Cannot publish as 'channel' must be ");
  }
  for (const data of [undefined, () => {}, Symbol("x")]) {
    await assertRejects(publish("news", data), TypeError, "Cannot publish as 'data' must be ");
  }
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  for (const data of [circle, 10n]) {
    await assertRejects(publish("news", data), TypeError, "'data' must be what JSON can carry");
  }
  for (const id of ["", "x".repeat(129), 5, null]) {
    const kind = typeof id === "string" ? RangeError : TypeError;
    await assertRejects(publish("news", 1, { id }), kind, "Cannot publish as 'id' must be ");
  }
  for (const options of [null, 5, "p1", []]) {
    await assertRejects(publish("news", 1, options), TypeError, "'options' must be an object");
  }
  await assertRejects(
    publish("news", 1, { Id: "p1" }),
    TypeError,
    `Cannot publish as 'options' has no member "Id": it may have id`,
  );
  await assertPushError("message_too_large", publish("news", "x".repeat(15)));
  assertEquals(await gateway.channels(), []);
});

Deno.test("publish: a repeated id within five minutes is stored once, then anew", async () => {
  const clock = new SocketClock();
  await using gateway = new Gateway(ON, { clock });
  const first = await gateway.publish("news", 1, { id: "p1" });
  await clock.advance(299_000);
  const again = await gateway.publish("news", 2, { id: "p1" });
  assertEquals(again, { ...first, duplicate: true });
  await clock.advance(2_000);
  assertEquals((await gateway.publish("news", 3, { id: "p1" })).seq, 2);
});

Deno.test("push switched off: nothing is opened, no timer runs, nothing is published", async () => {
  const clock = new ManualClock();
  const opened: string[] = [];
  const store = storeWith({ open: () => Promise.resolve(void opened.push("store")) });
  const gateway = new Gateway({ port: 0 }, { clock, store });
  await gateway.start();
  const http = `http://127.0.0.1:${gateway.address.port}`;
  assertEquals((await ask(`${http}/health`)).body, {
    status: "ok",
    uptime: 0,
    push: { enabled: false },
  });
  for (const path of ["/ws", "/metrics", "/api/push/presence", "/api/push/poll/presence", "/"]) {
    assertEquals((await ask(http + path)).status, 404, path);
  }
  assertEquals((await exchange(gateway.address.port, upgradeRequest("/ws")))?.status, 404);
  await assertPushError("not_found", () => gateway.publish("news", 1));
  assertEquals([opened, clock.pending, gateway.store], [[], 0, undefined]);
  await gateway.stop();
});

Deno.test("a store of one's own is used, and let go of at the end", async () => {
  let disposed = 0;
  const store = storeWith({
    name: "mine",
    [Symbol.asyncDispose]: () => Promise.resolve(void disposed++),
  });
  const served = await startGateway({}, { store });
  assertEquals(served.gateway.store?.name, "mine");
  assertEquals((await ask(`${served.http}/health`)).body.push.store.name, "mine");
  await served.gateway.stop();
  assertEquals(disposed, 1);
});

Deno.test("a store that fails: publishing is refused, health says so, and both recover", async () => {
  let fails = false;
  const memory = memoryStore();
  const unless = <A extends unknown[], R>(operation: (...args: A) => Promise<R>) => (...args: A) =>
    fails ? Promise.reject(new PushError("unavailable")) : operation.apply(memory, args);
  const store = storeWith({
    open: () => memory.open(),
    append: unless(memory.append),
    create: unless(memory.create),
    read: unless(memory.read),
    claim: unless(memory.claim),
    commit: unless(memory.commit),
    stats: unless(memory.stats),
    sweep: unless(memory.sweep),
    [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
  });
  await using served = await startGateway(
    { push: { presence: { broadcastChanges: false } } },
    { store },
  );
  await using client = await WireClient.open(served.ws);
  await client.subscribe("news");
  fails = true;
  const publish = { type: "channel.publish", channel: "news", data: 1 };
  assertEquals((await client.ask(publish)).code, "unavailable");
  assertEquals((await client.ask({ type: "channel.subscribe", channel: "b" })).code, "unavailable");
  await assertPushError("unavailable", () => served.gateway.publish("news", 1));
  const api = await ask(`${served.http}/api/push/publish`, { body: publish });
  assertEquals([api.status, api.body.code], [503, "unavailable"]);
  const sick = await ask(`${served.http}/health`);
  assertEquals([sick.status, sick.body.status, sick.body.push.store.available], [
    503,
    "degraded",
    false,
  ]);
  const { text } = await ask(`${served.http}/metrics`);
  assert(/^push_store_up\{store="memory"\} 0$/m.test(text), text);

  fails = false;
  assertEquals((await served.gateway.publish("news", 2)).delivered, 1);
  assertEquals((await client.next()).data, 2);
  assertEquals((await ask(`${served.http}/health`)).status, 200);
});

Deno.test("publish: what has no index signature is accepted, as by a client", async () => {
  interface Reading {
    celsius: number;
    at: Date;
  }
  await using gateway = new Gateway(ON);
  const published = Promise.withResolvers<unknown>();
  gateway.on("published", ({ data }) => published.resolve(data));
  const reading: Reading = { celsius: 21.5, at: new Date(0) };
  await gateway.publish("readings", reading);
  assertEquals(await published.promise, { celsius: 21.5, at: "1970-01-01T00:00:00.000Z" });
});

Deno.test("a program that embeds a gateway sees channels, presence and dead letters, and redrives", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({
    push: { presence: { broadcastChanges: false }, delivery: { maxRetries: 0 } },
  }, { clock });
  const { gateway } = served;
  await using ann = await WireClient.open(`${served.ws}?client_id=a:nn`);
  await ann.subscribe("news");
  await ann.ask({ type: "presence.heartbeat", status: "busy", metadata: { desk: 7 } });
  const died = Promise.withResolvers<void>();
  gateway.on("deadLettered", () => died.resolve());
  const born = clock.now() / 1000;
  const { eventId, epoch } = await gateway.publish("news", { n: 1 });
  const { event_id } = await ann.next();
  await clock.advance(1_000);
  await ann.ask({ type: "message_nack", event_id });
  await within(died.promise, "the message to be given up");

  const log = { name: "news", epoch, head: 1, oldest: 1, subscribers: 1 };
  assertEquals(await gateway.channels(), [{ ...log, createdAt: born, metadata: {} }]);
  const [present] = await gateway.presence();
  assertEquals(present, {
    clientId: "a:nn",
    status: "busy",
    lastSeen: present.lastSeen,
    metadata: { desk: 7 },
    channels: ["news"],
  });
  assert(present.lastSeen >= born && present.lastSeen <= born + 1, String(present.lastSeen));
  assertEquals(await gateway.presence("news"), [present]);
  assertEquals(await gateway.presence("none"), []);

  const [letter] = await gateway.deadLetters({ channel: "news" });
  assertEquals(letter, {
    channel: "news",
    clientId: "a:nn",
    session: letter.session,
    eventId,
    seq: 1,
    data: { n: 1 },
    source: null,
    timestamp: born,
    attempts: 1,
    reason: "nack",
    deadAt: born + 1,
  });
  assertEquals(await gateway.deadLetters({ channel: "none" }), []);
  assertEquals(await gateway.deadLetters({ session: "none" }), []);
  assertEquals(await gateway.deadLetters({ session: letter.session, limit: 1 }), [letter]);
  assertEquals(await gateway.redrive({ seq: 2 }), []);
  assertEquals(await gateway.redrive({ seq: 1 }), [letter]);
  assertEquals((await ann.next())._redriven, true);
  assertEquals(await gateway.deadLetters(), []);
});

Deno.test("a program that asks for the impossible is told which argument, and what it was", async () => {
  await using gateway = new Gateway(ON);
  // deno-lint-ignore no-explicit-any
  const wrong: [any, typeof TypeError | typeof RangeError, string][] = [
    [null, TypeError, "'query' must be an object: current value is null"],
    [[], TypeError, "'query' must be an object: current value is an array"],
    ["news", TypeError, "'query' must be an object: current value is \"news\""],
    [{ chanel: "a" }, TypeError, "'query' has no member \"chanel\": it may have channel, session"],
    [{ channel: 5 }, TypeError, "'channel' must be a string: current value is 5"],
    [{ channel: "a b" }, RangeError, "'channel' must be 1 to 255 of A-Z a-z 0-9 _ : . -: current"],
    [{ session: 5 }, TypeError, "'session' must be a string: current value is 5"],
    [{ session: "" }, RangeError, "'session' must be 1 to 1024 characters: current value is \"\""],
    [{ seq: "1" }, TypeError, "'seq' must be an integer from 1 to "],
    [{ seq: 0 }, RangeError, "'seq' must be an integer from 1 to "],
    [
      { limit: "5" },
      TypeError,
      "'limit' must be an integer from 1 to 1000: current value is \"5\"",
    ],
    ...[0, -1, 1.5, 1001, NaN, Infinity].map((limit) =>
      [
        { limit },
        RangeError,
        `'limit' must be an integer from 1 to 1000: current value is ${limit}`,
      ] as [unknown, typeof RangeError, string]
    ),
  ];
  for (const [query, kind, says] of wrong) {
    const list = () => gateway.deadLetters(query);
    const redrive = () => gateway.redrive(query);
    await assertRejects(list, kind, `Cannot list dead letters as ${says}`);
    await assertRejects(redrive, kind, `Cannot redrive as ${says}`);
  }
  for (const limit of [1, 1000, undefined]) assertEquals(await gateway.deadLetters({ limit }), []);
  // deno-lint-ignore no-explicit-any
  const presence = (channel: any) => () => gateway.presence(channel);
  const says = "Cannot list presence as 'channel' must be ";
  for (const name of ["", "a b"]) await assertRejects(presence(name), RangeError, says);
  for (const name of [null, 5, {}]) await assertRejects(presence(name), TypeError, says);
  // deno-lint-ignore no-explicit-any
  const on = (event: any, handler: any = () => {}) => () => gateway.on(event, handler);
  const events = "Cannot listen as 'event' must be one of connected, disconnected, published, ";
  for (const event of ["", "toString", 5, undefined]) assertThrows(on(event), TypeError, events);
  assertThrows(on("publish"), TypeError, "\"publish\", did you mean 'published'?");
  for (const handler of [null, "f", {}]) {
    assertThrows(on("published", handler), TypeError, "'handler' must be a function: current");
  }
});
