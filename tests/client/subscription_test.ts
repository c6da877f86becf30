import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Message, PushError } from "@push/client";
import type { Frame } from "./fake_gateway.ts";
import { connected, gate, setUp } from "./setup.ts";

Deno.test("subscribe() says where to start, once", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("a");
  await client.subscribe("b", { since: { epoch: "e9", seq: 4 } });
  await client.subscribe("c", { since: "e9:5:c" });
  await client.subscribe("d", () => {}, { last: 0 });
  await client.subscribe("e", { all: true });
  await client.subscribe("f", { all: false });
  assertEquals(
    gateway.of("channel.subscribe").map(({ type: _, request_id: __, ...rest }) => rest),
    [
      { channel: "a" },
      { channel: "b", since: { epoch: "e9", seq: 4 } },
      { channel: "c", since: { epoch: "e9", seq: 5 } },
      { channel: "d", last: 0 },
      { channel: "e", all: true },
      { channel: "f" },
    ],
  );
  gateway.drop();
  await clock.advance(500);
  assert(gateway.last("connect").subscriptions.every((each: object) => "position" in each));
  await client.disconnect();
});

Deno.test("subscriptions made before connect() travel with it", async () => {
  const { client, gateway } = setUp();
  const got: unknown[] = [];
  const subscribing = client.subscribe("a", ({ data }) => got.push(data), { last: 5 });
  await client.connect();
  await subscribing;
  assertEquals(gateway.heard.map(({ type }) => type), ["connect"]);
  assertEquals(gateway.last("connect").subscriptions, [{ channel: "a", last: 5 }]);
  await client.disconnect();
});

Deno.test("a great many subscriptions made before connect() follow it", async () => {
  const { client, gateway } = setUp();
  const names = Array.from({ length: 100 }, (_, i) => `c${i}`);
  const all = names.map((name) => client.subscribe(name));
  await client.connect();
  await Promise.all(all);
  assertEquals(gateway.last("connect").subscriptions.length, 64);
  assertEquals(gateway.of("channel.subscribe").length, 36);
  await client.disconnect();
});

Deno.test("subscribe() rejects with the gateway's refusal, and nothing is left of it", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["channel.subscribe"] = () => ({
    type: "error",
    code: "forbidden",
    message: "no",
  });
  const error = await assertRejects(() => client.subscribe("a"), PushError, "no");
  assertEquals(error.code, "forbidden");
  gateway.clear();
  gateway.drop();
  await clock.advance(500);
  assertEquals(gateway.last("connect").subscriptions, []);
  assertEquals(gateway.of("channel.unsubscribe"), []);
  await client.disconnect();
});

Deno.test("subscribe() refused in the answer to connect rejects alone", async () => {
  const { client, gateway } = setUp();
  gateway.answers.connect = (frame) => ({
    ...gateway.connected(frame),
    subscriptions: [
      gateway.subscribed({ type: "", channel: "a" }),
      { type: "error", code: "forbidden", message: "not b", channel: "b" },
    ],
  });
  const a = client.subscribe("a");
  const b = assertRejects(() => client.subscribe("b"), PushError, "not b");
  gateway.current = { transport: "websocket", isOpen: false, send() {}, close() {} };
  await client.connect();
  await a;
  await b;
  await client.disconnect();
});

Deno.test("subscribe() without an answer rejects with disconnected after requestTimeout", async () => {
  const { client, gateway, clock } = await connected({ requestTimeout: 2 });
  gateway.answers["channel.subscribe"] = () => undefined;
  const refused = assertRejects(() => client.subscribe("a"), PushError);
  await clock.advance(2000);
  assertEquals((await refused).code, "disconnected");
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  await client.disconnect();
});

Deno.test("a channel that is refused after a reconnect ends its subscriptions, and is told", async () => {
  const { client, gateway, clock, errors } = await connected();
  const subscription = await client.subscribe("a");
  const reading = subscription[Symbol.asyncIterator]().next();
  gateway.answers.connect = (frame) => ({
    ...gateway.connected(frame),
    subscriptions: [{ type: "error", code: "forbidden", message: "no more", channel: "a" }],
  });
  const refused = assertRejects(() => reading, PushError, "no more");
  gateway.drop();
  await clock.advance(500);
  await refused;
  assertEquals(subscription.active, false);
  assertEquals(errors.map(({ channel, origin }) => [channel, origin]), [["a", "gateway"]]);
  await client.disconnect();
});

Deno.test("a channel whose right is lost ends its subscriptions, and is asked for no more", async () => {
  const { client, gateway, clock, errors } = await connected();
  const subscription = await client.subscribe("a");
  const kept = await client.subscribe("b");
  const reading = subscription[Symbol.asyncIterator]().next();
  const refused = assertRejects(() => reading, PushError, "no more");
  gateway.send({ type: "error", code: "forbidden", message: "no more", channel: "a" });
  await clock.advance(0);
  await refused;
  assertEquals([subscription.active, kept.active], [false, true]);
  assertEquals(errors.map(({ channel, origin }) => [channel, origin]), [["a", "gateway"]]);
  gateway.message("a", 1);
  gateway.clear();
  gateway.drop();
  await clock.advance(500);
  const { subscriptions } = gateway.last("connect");
  assertEquals(subscriptions?.map(({ channel }: { channel: string }) => channel), ["b"]);
  assertEquals(gateway.of("channel.unsubscribe"), []);
  // A refusal of what does not flow is told, and ends nothing.
  gateway.send({ type: "error", code: "forbidden", message: "not c", channel: "c" });
  await clock.advance(0);
  assertEquals(errors.map(({ channel }) => channel), ["a", "c"]);
  assertEquals(kept.active, true);
  await client.disconnect();
});

Deno.test("a channel that cannot be had just now after a reconnect is asked for again", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 3);
  await clock.advance(1000);
  let asked = 0;
  const refuse = () => ({ type: "error", code: "unavailable", message: "", channel: "a" });
  gateway.answers["channel.subscribe"] = (frame) =>
    ++asked < 3 ? refuse() : gateway.subscribed(frame);
  const usual = (frame: Parameters<typeof gateway.connected>[0]) => gateway.connected(frame);
  gateway.answers.connect = (frame, connection) => {
    gateway.current = connection;
    return { ...usual(frame), subscriptions: [refuse()] };
  };
  gateway.drop();
  await clock.advance(10_000);
  assertEquals(gateway.last("channel.subscribe").position, { epoch: "e1", seq: 3 });
  gateway.message("a", 4);
  await clock.advance(0);
  assertEquals([got, asked], [["a 3", "a 4"], 3]);
  await client.disconnect();
});

Deno.test("unsubscribe() ends every subscription of the channel, at the gateway too", async () => {
  const { client, gateway, settle } = await connected();
  const got: unknown[] = [];
  const one = await client.subscribe("a", ({ data }) => got.push(data));
  const two = await client.subscribe("a", ({ data }) => got.push(data));
  await client.unsubscribe("a");
  await client.unsubscribe("a");
  await client.unsubscribe("never");
  assertEquals([one.active, two.active], [false, false]);
  assertEquals(gateway.of("channel.unsubscribe").map(({ channel }) => channel), ["a"]);
  gateway.message("a", 1);
  await settle();
  assertEquals(got, []);
  await client.disconnect();
});

Deno.test("the last of two subscriptions ends the channel at the gateway", async () => {
  const { client, gateway, settle } = await connected();
  const got: unknown[] = [];
  {
    await using _one = await client.subscribe("a", () => got.push(1));
    const two = await client.subscribe("a", () => got.push(2));
    await two.unsubscribe();
    await two.unsubscribe();
    assertEquals(gateway.of("channel.unsubscribe"), []);
    gateway.message("a", 1);
    await settle();
    assertEquals(got, [1]);
  }
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  await client.disconnect();
});

Deno.test("unsubscribe() drops what waits and does not wait for a handler that runs", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  const got: unknown[] = [];
  const subscription = await client.subscribe("a", ({ data }) => {
    got.push(data);
    return handled.promise;
  });
  client.on("channel_message", ({ data }) => {
    got.push(`listener: ${data}`);
    return handled.promise;
  });
  gateway.message("a", 1);
  gateway.message("a", 2);
  await clock.advance(0);
  await subscription.unsubscribe();
  handled.open();
  await clock.advance(1000);
  assertEquals(got, ["a 1", "listener: a 1"]);
  assertEquals(gateway.of("ack"), []);
  await client.disconnect();
});

Deno.test("unsubscribe() without a connection fulfills at once, and the gateway is told later", async () => {
  const { client, gateway, clock } = await connected();
  const subscription = await client.subscribe("a");
  gateway.drop();
  await subscription.unsubscribe();
  await clock.advance(500);
  assertEquals(gateway.last("connect").subscriptions, []);
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  gateway.drop();
  await clock.advance(5000);
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  await client.disconnect();
});

Deno.test("an unsubscribe that lost its answer is said again, before a new subscription", async () => {
  const { client, gateway, clock, settle } = await connected();
  const first = await client.subscribe("a");
  gateway.answers["channel.unsubscribe"] = () => undefined;
  const left = first.unsubscribe();
  await settle();
  gateway.drop();
  await left;
  delete gateway.answers["channel.unsubscribe"];
  gateway.clear();
  const second = client.subscribe("a");
  await clock.advance(500);
  await second;
  assertEquals(gateway.heard.map(({ type }) => type).slice(0, 3), [
    "connect",
    "channel.unsubscribe",
    "channel.subscribe",
  ]);
  await client.disconnect();
});

Deno.test("unsubscribe() gives up waiting for the answer after requestTimeout", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("a");
  gateway.answers["channel.unsubscribe"] = () => undefined;
  const left = client.unsubscribe("a");
  await clock.advance(10_000);
  await left;
  await client.disconnect();
});

Deno.test("a message of the old subscription does not reach a new one of the same channel", async () => {
  const { client, gateway, clock } = await connected();
  const first = await client.subscribe("a", () => {});
  gateway.head = 5;
  const got: unknown[] = [];
  void first.unsubscribe();
  gateway.message("a", 4);
  const second = client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 5);
  await second;
  gateway.message("a", 6);
  await clock.advance(0);
  assertEquals(got, ["a 6"]);
  await client.disconnect();
});

Deno.test("the signal of subscribe() ends the wait, and later the subscription", async () => {
  const { client, gateway, settle } = await connected();
  const abort = new AbortController();
  const { signal } = abort;
  const subscription = await client.subscribe("a", { signal });
  gateway.answers["channel.subscribe"] = () => undefined;
  const waiting = client.subscribe("b", { signal });
  abort.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(() => client.subscribe("c", { signal }), Error, "enough");
  await settle();
  assertEquals(subscription.active, false);
  assertEquals(gateway.of("channel.unsubscribe").map(({ channel }) => channel), ["a", "b"]);
  await client.disconnect();
});

Deno.test("for await reads messages in order, and asking for the next acknowledges the last", async () => {
  const { client, gateway, clock } = await connected();
  const subscription = await client.subscribe<number>("a");
  for (const data of [1, 2, 3]) gateway.message("a", data, { data });
  const got: number[] = [];
  const second = gate();
  const reading = (async () => {
    for await (const { data } of subscription) {
      got.push(data);
      if (data === 2) await second.promise;
    }
  })();
  await clock.advance(1000);
  assertEquals([got, gateway.last("ack").acks[0].ranges], [[1, 2], [1, 1]]);
  second.open();
  await clock.advance(1000);
  assertEquals([got, gateway.last("ack").acks[0].ranges], [[1, 2, 3], [2, 3]]);
  await client.disconnect();
  await reading;
  assertEquals(got, [1, 2, 3]);
});

Deno.test("messages that came before the loop are not lost, also while nothing reads them", async () => {
  const { client, gateway, settle } = await connected();
  const subscription = await client.subscribe<number>("a");
  gateway.message("a", 1, { data: 1 });
  await settle();
  const iterator = subscription[Symbol.asyncIterator]();
  gateway.message("a", 2, { data: 2 });
  await settle();
  assertEquals((await iterator.next()).value?.data, 1);
  assertEquals((await iterator.next()).value?.data, 2);
  await client.disconnect();
});

Deno.test("leaving the loop early leaves the message in hand to the next loop, and tells the gateway nothing", async () => {
  const { client, gateway, clock } = await connected();
  const subscription = await client.subscribe<number>("a");
  for (const data of [1, 2, 3]) gateway.message("a", data, { data });
  for await (const { data } of subscription) {
    if (data === 2) break;
  }
  await clock.advance(1000);
  assertEquals(subscription.active, true);
  assertEquals(gateway.last("ack").acks[0].ranges, [1, 1]);
  const got: number[] = [];
  for await (const message of subscription) {
    got.push(message.data);
    if (got.length < 2) continue;
    message.ack();
    break;
  }
  await clock.advance(1000);
  assertEquals([got, gateway.of("nack")], [[2, 3], []]);
  assertEquals(gateway.last("ack").acks[0].ranges, [2, 3]);
  await client.disconnect();
});

Deno.test("the message in hand may be acknowledged after the loop, and is not handed out again", async () => {
  const { client, gateway, clock } = await connected();
  const subscription = await client.subscribe<number>("a");
  for (const data of [1, 2]) gateway.message("a", data, { data });
  for await (const message of subscription) {
    queueMicrotask(() => message.ack());
    break;
  }
  await clock.advance(1000);
  assertEquals(gateway.last("ack").acks[0].ranges, [1, 1]);
  const { value } = await subscription[Symbol.asyncIterator]().next();
  assertEquals(value?.data, 2);
  await client.disconnect();
});

Deno.test("a loop that is left after the subscription has ended hands nothing on", async () => {
  const { client, gateway, clock } = await connected();
  const first = await client.subscribe<number>("a");
  gateway.message("a", 1, { data: 1 });
  for await (const _ of first) {
    await client.disconnect({ forget: true });
    break;
  }
  await client.connect();
  const got: number[] = [];
  await client.subscribe<number>("a", ({ data }) => got.push(data));
  await clock.advance(1000);
  assertEquals([got, gateway.of("nack")], [[], []]);
  await client.disconnect();
});

Deno.test("a loop with manual acknowledgement acknowledges nothing by itself", async () => {
  const { client, gateway, clock } = await connected();
  const subscription = await client.subscribe<number>("a", { ack: "manual" });
  for (const data of [1, 2, 3]) gateway.message("a", data, { data });
  const kept: Message<number>[] = [];
  for await (const message of subscription) {
    kept.push(message);
    if (kept.length === 3) {
      kept[0].ack();
      kept[1].nack();
      message.ack();
      break;
    }
  }
  await clock.advance(1000);
  assertEquals(gateway.last("ack").acks[0].ranges, [1, 1, 3, 3]);
  assertEquals(gateway.of("nack").map(({ seq }) => seq), [2]);
  await client.disconnect();
});

Deno.test("several calls of next() at a time are answered in order", async () => {
  const { client, gateway, settle } = await connected();
  const iterator = (await client.subscribe<number>("a"))[Symbol.asyncIterator]();
  const asked = [iterator.next(), iterator.next(), iterator.next()];
  for (const data of [1, 2]) gateway.message("a", data, { data });
  await settle();
  assertEquals((await asked[0]).value?.data, 1);
  assertEquals((await asked[1]).value?.data, 2);
  await client.disconnect();
  assertEquals(await asked[2], { done: true, value: undefined });
});

Deno.test("a loop ends when the subscription does, and when the client is disconnected", async () => {
  const { client } = await connected();
  const a = await client.subscribe("a");
  const b = await client.subscribe("b");
  const count = async (messages: AsyncIterable<unknown>): Promise<number> => {
    let seen = 0;
    for await (const _ of messages) seen++;
    return seen;
  };
  const reading = [count(a), count(b)];
  await a.unsubscribe();
  await client.disconnect();
  assertEquals(await Promise.all(reading), [0, 0]);
  assertEquals(await count(a), 0);
});

Deno.test("a loop throws when the gateway closes the client", async () => {
  const { client, gateway, settle } = await connected();
  const subscription = await client.subscribe("a");
  const iterator = subscription[Symbol.asyncIterator]();
  const refused = assertRejects(() => iterator.next(), PushError);
  const idle = subscription[Symbol.asyncIterator]();
  gateway.drop(4510);
  await settle();
  assertEquals((await refused).code, "replaced");
  await assertRejects(() => idle.next(), PushError);
  assertEquals(await idle.next(), { done: true, value: undefined });
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

Deno.test("a subscription with a handler cannot be iterated", async () => {
  const { client } = await connected();
  const subscription = await client.subscribe("a", () => {});
  assertThrows(() => subscription[Symbol.asyncIterator](), TypeError, "handler");
  await client.disconnect();
});

Deno.test("a subscription lives on when the client is connected again, and what waited is handled", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => {
    got.push(data);
    return handled.promise;
  });
  gateway.message("a", 1);
  gateway.message("a", 2);
  await clock.advance(0);
  await client.disconnect();
  handled.open();
  await clock.advance(1000);
  assertEquals(got, ["a 1"]);
  await client.connect();
  assertEquals(gateway.last("connect").subscriptions[0].position.seq, 2);
  gateway.message("a", 3);
  await clock.advance(1000);
  assertEquals(got, ["a 1", "a 2", "a 3"]);
  await client.disconnect();
});

Deno.test("after disconnect({ forget: true }) a subscription starts anew", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  const handled = gate();
  await client.subscribe("a", ({ data }) => {
    got.push(data);
    return handled.promise;
  });
  gateway.message("a", 1);
  gateway.message("a", 2);
  await clock.advance(0);
  await client.disconnect({ forget: true });
  await client.connect();
  const { client_id, subscriptions } = gateway.last("connect");
  assertEquals([client_id, subscriptions], [undefined, [{ channel: "a" }]]);
  handled.open();
  gateway.message("a", 1, { data: "of another log" });
  await clock.advance(1000);
  assertEquals(got, ["a 1", "of another log"]);
  await client.disconnect();
});

Deno.test("waitFor() subscribes, gives the first message, acknowledges it and unsubscribes", async () => {
  const { client, gateway, settle } = await connected();
  const waiting = client.waitFor<number>("a");
  await settle();
  gateway.message("a", 1, { data: 41 });
  gateway.message("a", 2, { data: 42 });
  assertEquals((await waiting).data, 41);
  await settle();
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  await client.disconnect();
});

Deno.test("unsubscribe() ends waitFor(), is told once, and leaves no timer", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["channel.unsubscribe"] = () => undefined;
  const waiting = assertRejects(() => client.waitFor("a"), PushError);
  await clock.advance(0);
  const left = client.unsubscribe("a");
  await clock.advance(0);
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  await client.disconnect();
  await Promise.all([waiting, left]);
  assertEquals(clock.pending, 0);
});

Deno.test("waitFor() of a named client keeps a backlog, which a later subscription gets in order", async () => {
  const { client, gateway, clock } = await connected({ clientId: "shop" });
  gateway.answers["channel.subscribe"] = (frame) => ({
    ...gateway.subscribed(frame),
    stored: true,
  });
  const waiting = client.waitFor("a");
  await clock.advance(0);
  for (const seq of [1, 2, 3]) gateway.message("a", seq);
  assertEquals((await waiting).data, "a 1");
  assertEquals((await client.waitFor("a")).data, "a 2");
  await clock.advance(1000);
  assertEquals(gateway.of("channel.unsubscribe"), []);
  assertEquals(gateway.last("ack").acks[0].ranges, [1, 2]);
  const got: unknown[] = [];
  const subscription = await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 4);
  await clock.advance(1000);
  assertEquals([got, gateway.of("channel.subscribe").length], [["a 3", "a 4"], 1]);
  await subscription.unsubscribe();
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  await client.disconnect();
});

Deno.test("a backlog kept by waitFor() gives way to a start", async () => {
  const { client, gateway, clock } = await connected({ clientId: "shop" });
  gateway.answers["channel.subscribe"] = (frame) => ({
    ...gateway.subscribed(frame),
    stored: true,
  });
  const waiting = client.waitFor("a");
  await clock.advance(0);
  gateway.message("a", 1);
  await waiting;
  await client.subscribe("a", { all: true });
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  assertEquals(gateway.last("channel.subscribe").all, true);
  await client.disconnect();
});

for (const stored of [true, undefined]) {
  const does = stored ? "keeps a backlog" : "unsubscribes where there was no backlog";
  Deno.test(`waitFor() of a named client that ends before the answer ${does}`, async () => {
    const { client, gateway, clock } = await connected({ clientId: "shop" });
    gateway.answers["channel.subscribe"] = () => undefined;
    const abort = new AbortController();
    const waiting = client.waitFor("a", { signal: abort.signal });
    await clock.advance(0);
    abort.abort(new Error("enough"));
    await assertRejects(() => waiting, Error, "enough");
    assertEquals(gateway.of("channel.unsubscribe"), []);
    const { request_id } = gateway.last("channel.subscribe");
    gateway.send({ ...gateway.subscribed({ type: "", channel: "a" }), request_id, stored });
    await clock.advance(0);
    assertEquals(gateway.of("channel.unsubscribe").length, stored ? 0 : 1);
    await client.disconnect();
    await client.connect();
    assertEquals(gateway.last("connect").subscriptions, []);
    await client.disconnect();
  });
}

Deno.test("waitFor() passes over what does not match", async () => {
  const { client, gateway, settle } = await connected();
  const waiting = client.waitFor<number>("a", { match: ({ data }) => data > 2 });
  await settle();
  for (const data of [1, 2, 3, 4]) gateway.message("a", data, { data });
  assertEquals((await waiting).data, 3);
  await client.disconnect();
});

Deno.test("waitFor() leaves a subscription that was there alone", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  const waiting = client.waitFor("a");
  gateway.message("a", 1);
  await waiting;
  gateway.message("a", 2);
  await clock.advance(200);
  assertEquals([got, gateway.last("ack").acks[0].ranges], [["a 1", "a 2"], [1, 2]]);
  assertEquals(gateway.of("channel.unsubscribe"), []);
  await client.disconnect();
});

Deno.test("waitFor() rejects with a TimeoutError, after 60 seconds by default", async () => {
  for (const timeout of [undefined, 2.5]) {
    const { client, gateway, clock } = await connected();
    let error: Error | undefined;
    client.waitFor("a", { timeout }).catch((it) => error = it);
    await clock.advance(1000 * (timeout ?? 60) - 1);
    assertEquals(error, undefined);
    await clock.advance(1);
    assertEquals(error?.name, "TimeoutError");
    assert(error instanceof DOMException);
    assertEquals(gateway.of("channel.unsubscribe").length, 1);
    await client.disconnect();
  }
});

Deno.test("waitFor() rejects with the signal's reason, the gateway's refusal, what match throws, and at the end", async () => {
  const { client, gateway, settle } = await connected();
  const abort = new AbortController();
  const aborted = client.waitFor("a", { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assertRejects(() => aborted, Error, "enough");

  gateway.answers["channel.subscribe"] = () => ({
    type: "error",
    code: "forbidden",
    message: "no",
  });
  await assertRejects(() => client.waitFor("b"), PushError, "no");
  delete gateway.answers["channel.subscribe"];

  const failing = client.waitFor("c", {
    match: () => {
      throw new Error("mine");
    },
  });
  await settle();
  gateway.message("c", 1);
  await assertRejects(() => failing, Error, "mine");

  const ended = client.waitFor("d");
  await settle();
  await Promise.all([assertRejects(() => ended, PushError), client.disconnect()]);
  await assertRejects(() => client.waitFor("e"), PushError, "not connected");
});

Deno.test("a signal that aborts in the turn of the gateway's answer ends the subscription", async () => {
  const { client, gateway, settle } = setUp();
  const abort = new AbortController();
  client.on("state", ({ state }) => {
    if (state === "connected") abort.abort();
  });
  const subscribing = client.subscribe("a", () => {}, { signal: abort.signal });
  await client.connect();
  assertEquals((await subscribing).active, false);
  await settle();
  assertEquals(gateway.of("channel.unsubscribe").length, 1);
  await client.disconnect();
});

Deno.test("an end that the gateway cannot follow now is asked for again", async () => {
  const { client, gateway, clock } = await connected();
  const subscription = await client.subscribe("a");
  const message = "The store does not answer.";
  gateway.answers["channel.unsubscribe"] = () => ({ type: "error", code: "unavailable", message });
  await subscription.unsubscribe();
  delete gateway.answers["channel.unsubscribe"];
  for (let i = 0; i < 2; i++) {
    gateway.drop();
    await clock.advance(1000);
  }
  assertEquals([client.state, gateway.of("channel.unsubscribe").length], ["connected", 2]);
  await client.disconnect();
});

Deno.test("an end that the gateway could not follow is not asked for once the channel is wanted again", async () => {
  const { client, gateway, clock } = await connected();
  const subscription = await client.subscribe("a");
  const message = "The store does not answer.";
  gateway.answers["channel.unsubscribe"] = () => ({ type: "error", code: "unavailable", message });
  await subscription.unsubscribe();
  await client.subscribe("a");
  gateway.drop();
  await clock.advance(1000);
  assertEquals([client.state, gateway.of("channel.unsubscribe").length], ["connected", 1]);
  assertEquals(gateway.last("connect").subscriptions.length, 1);
  await client.disconnect();
});

Deno.test("a whole window that overtakes the answer to a subscription is handled", async () => {
  const { client, gateway, clock, settle } = await connected({ transports: ["longpoll"] });
  gateway.answers["channel.subscribe"] = () => undefined;
  const got: unknown[] = [];
  const subscribing = client.subscribe("a", ({ data }) => got.push(data), { all: true });
  await settle();
  const { request_id, ...asked } = gateway.last("channel.subscribe");
  const messages = Array.from({ length: 1024 }, (_, i) => gateway.messageFrame("a", 10 + i));
  gateway.send(
    { type: "channel.gap", channel: "a", epoch: "e1", seq: 9, reason: "retention" },
    ...messages,
    { ...gateway.subscribed(asked as Frame), request_id },
  );
  await subscribing;
  await clock.advance(1000);
  assertEquals(got, messages.map(({ data }) => data));
  await client.disconnect();
});

Deno.test("a gateway that sends without an end, and never answers, is left", async () => {
  const { client, gateway, settle } = await connected();
  gateway.answers["channel.subscribe"] = () => undefined;
  const subscribing = assertRejects(() => client.subscribe("a"), PushError);
  await settle();
  gateway.send(...Array.from({ length: 4000 }, (_, i) => gateway.messageFrame("a", i + 1)));
  await settle();
  assertEquals(client.state, "reconnecting");
  await Promise.all([client.disconnect(), subscribing]);
});
