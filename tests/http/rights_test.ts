import { assertEquals, assertRejects } from "@std/assert";
import { PushClient, PushError } from "@push/client";
import type { GatewayOptions } from "../../mod.ts";
import { EventReader } from "../support/event_reader.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { RoamingPoller, ServedNodes } from "../support/poll_nodes.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const QUIET = { presence: { broadcastChanges: false } };

/** A gateway of four who may do different things. */
function guarded(more: GatewayOptions["push"] = {}): Promise<Served> {
  return startGateway({
    push: {
      ...QUIET,
      ...more,
      auth: {
        tokens: ["ann", "bob", "root", "eve"].map((name) => ({ name, token: `token-of-${name}` })),
        rules: [
          { subjects: ["ann"], channels: ["news"], actions: ["subscribe", "presence", "history"] },
          { subjects: ["bob"], channels: ["news"], actions: ["publish"] },
          { subjects: ["eve"], channels: ["news"], actions: ["subscribe"] },
          { subjects: ["root"], channels: ["**"], actions: ["admin"] },
        ],
      },
    },
  });
}

const token = (name: string) => `token-of-${name}`;

Deno.test("each route asks for its right, and answers 403 without it", async () => {
  await using gateway = await guarded();
  const routes: [who: string, route: string, body?: unknown][] = [
    ["bob", "publish", { channel: "news", data: 1 }],
    ["ann", "presence?channel=news"],
    ["ann", "poll/presence?channel=news"],
    ["root", "channels"],
    ["root", "dead-letters"],
    ["root", "dead-letters/redrive", {}],
  ];
  for (const [allowed, route, body] of routes) {
    const statuses: [string, number][] = [];
    for (const name of ["ann", "bob", "root", "eve"]) {
      const url = `${gateway.http}/api/push/${route}`;
      const { status, body: answer } = await ask(url, { token: token(name), body });
      statuses.push([name, status]);
      if (status === 403) assertEquals([answer.ok, answer.code], [false, "forbidden"]);
    }
    const expected = ["ann", "bob", "root", "eve"]
      .map((name) => [name, name === allowed ? 200 : 403]);
    assertEquals(statuses, expected as typeof statuses, route);
  }
});

Deno.test("a refusal over HTTP is the same whether the channel exists or not", async () => {
  await using gateway = await guarded();
  await gateway.gateway.publish("there", 1);
  for (const route of ["publish", "presence"]) {
    const answers = await Promise.all(["there", "nowhere"].map(async (channel) => {
      const url = `${gateway.http}/api/push/${route}`;
      const { status, text } = route === "publish"
        ? await ask(url, { token: token("eve"), body: { channel, data: 1 } })
        : await ask(`${url}?channel=${channel}`, { token: token("eve") });
      return [status, text.replaceAll(channel, "X")];
    }));
    assertEquals(answers[0], answers[1]);
    assertEquals(answers[0][0], 403);
  }
  assertEquals((await gateway.gateway.channels()).map(({ name }) => name), ["there"]);
});

Deno.test("the list of presence without a channel has what the asker may see", async () => {
  await using gateway = await guarded();
  await using reader = await WireClient.open(`${gateway.ws}?client_id=a&token=${token("ann")}`);
  await reader.subscribe("news");
  const present = async (name: string) =>
    (await ask(`${gateway.http}/api/push/presence`, { token: token(name) })).body.presence
      .map(({ client_id, channels }: Frame) => [client_id, channels]);
  assertEquals([await present("ann"), await present("eve")], [[["ann#a", ["news"]]], []]);
});

Deno.test("metrics, and details of health, are for operators", async () => {
  await using gateway = await guarded();
  for (const name of ["ann", "root"]) {
    const metrics = await ask(`${gateway.http}/metrics`, { token: token(name) });
    assertEquals(metrics.status, name === "root" ? 200 : 403);
    const { status, body } = await ask(`${gateway.http}/health`, { token: token(name) });
    assertEquals([status, body.push.store !== undefined], [200, name === "root"]);
  }
});

Deno.test("plain SSE: without the right it is refused, so that an EventSource stays away", async () => {
  await using gateway = await guarded();
  const url = `${gateway.http}/api/push/sse?channel=news`;
  const headers = { accept: "text/event-stream", authorization: `Bearer ${token("bob")}` };
  const { status, body } = await ask(url, { headers });
  assertEquals([status, body.code], [403, "forbidden"]);
});

Deno.test("plain SSE: an id from before is honoured with 'history', and is a gap without", async () => {
  await using gateway = await guarded();
  const { epoch } = await gateway.gateway.publish("news", 1);
  await gateway.gateway.publish("news", 2);
  for (const [name, expected] of [["ann", [2, 3]], ["eve", ["gap", 3]]] as const) {
    const headers = { authorization: `Bearer ${token(name)}`, "last-event-id": `${epoch}:1:news` };
    const url = `${gateway.http}/api/push/sse?channel=news`;
    await using reader = await EventReader.open(url, { headers });
    if (name === "ann") {
      assertEquals((await reader.next()).data, 2);
      await gateway.gateway.publish("news", 3);
      assertEquals((await reader.next()).data, 3);
      continue;
    }
    const gap = await reader.next();
    await gateway.gateway.publish("news", 3);
    const message = await reader.next();
    assertEquals([gap.code, message.data], [expected[0], expected[1]]);
  }
});

Deno.test("plain SSE: who loses the right is told, the stream ends, and the next is refused", async () => {
  let mayRead = true;
  await using gateway = await startGateway({ push: QUIET }, { authorize: () => mayRead });
  const url = `${gateway.http}/api/push/sse?channel=a&channel=b`;
  await using reader = await EventReader.open(url);
  await reader.read();
  mayRead = false;
  await gateway.gateway.reauthorize();
  const { type, code, channel } = await reader.next();
  assertEquals([type, code, ["a", "b"].includes(channel)], ["error", "forbidden", true]);
  let event = await reader.read();
  while (event !== undefined) event = await reader.read();
  const next = await ask(url, { headers: { accept: "text/event-stream" } });
  assertEquals([next.status, next.body.code], [403, "forbidden"]);
});

Deno.test("a poller is refused what it may not do, and told of what it loses", async () => {
  const rights = new Set(["subscribe a", "publish a"]);
  await using nodes = await ServedNodes.start(1, { push: QUIET }, true, {
    authorize: (_, action, channel) => rights.has(`${action} ${channel}`),
  });
  const [one] = nodes.nodes;
  const poller = await RoamingPoller.register(one);
  for (const [route, channel] of [["subscribe", "b"], ["publish", "b"], ["create", "b"]]) {
    const { status, body } = await poller.post(one, route, { channel, data: 1 });
    assertEquals([status, body.code], [403, "forbidden"], route);
  }
  await poller.must(one, "subscribe", { channel: "a" });
  rights.clear();
  await one.gateway.reauthorize({ subject: "anonymous", clientId: poller.clientId });
  await one.gateway.publish("a", 1);
  const told = await poller.poll(one);
  assertEquals(told.map(({ type, code, channel }) => [type, code, channel]), [
    ["error", "forbidden", "a"],
  ]);
  assertEquals((await poller.post(one, "publish", { channel: "a", data: 1 })).status, 403);
});

Deno.test("a poller that has lost the answer that told of a lost right is told again", async () => {
  const rights = new Set(["subscribe a", "subscribe b"]);
  await using gateway = await startGateway({ push: QUIET }, {
    authorize: (_, action, channel) => rights.has(`${action} ${channel}`),
  });
  const subscriptions = [{ channel: "a" }, { channel: "b" }];
  const connect = { type: "connect", version: 1, instance: "i", attempt: 1, subscriptions };
  const [poller, { connected }] = await PollClient.open(gateway.http, { connect });
  const positions = connected.subscriptions;
  const poll = async (...stated: Frame[]) => {
    const { body } = await poller.post("messages", { timeout: 0, positions: stated });
    return body.messages.map(({ code, channel }: Frame) => `${code} ${channel}`);
  };
  rights.delete("subscribe a");
  await gateway.gateway.reauthorize();
  for (const answer of ["lost", "heard"]) {
    assertEquals(await poll(...positions), ["forbidden a"], answer);
  }
  assertEquals(await poll(positions[1]), []);
  rights.add("subscribe a");
  await gateway.gateway.reauthorize();
  const { body } = await poller.post("send", {
    frames: [{ type: "channel.subscribe", channel: "a" }],
  });
  assertEquals(body.frames[0].type, "channel.subscribed");
  assertEquals(await poll(...positions), []);
});

Deno.test("rights are asked for anew on every node, wherever that was asked for", async () => {
  const rights = new Set(["subscribe a", "subscribe b"]);
  await using nodes = await ServedNodes.start(2, { push: QUIET }, true, {
    authorize: (_, action, channel) => rights.has(`${action} ${channel}`),
  });
  const [one, two] = nodes.nodes;
  await using client = await WireClient.open(two.ws);
  await client.subscribe("a");
  const poller = await RoamingPoller.register(two);
  for (const channel of ["a", "b"]) await poller.must(two, "subscribe", { channel });
  rights.delete("subscribe a");
  await one.gateway.reauthorize();
  const { code, channel } = await client.next("error");
  assertEquals([code, channel], ["forbidden", "a"]);
  assertEquals((await poller.poll(two)).map(({ code }) => code), ["forbidden"]);
  // The right comes back: the poller's next node does not take up what has ended.
  rights.add("subscribe a");
  await one.gateway.reauthorize();
  await one.gateway.publish("a", 1);
  await one.gateway.publish("b", 2);
  assertEquals((await poller.next(one)).map(({ data }) => data), [2]);
  await poller.must(one, "subscribe", { channel: "a" });
  await one.gateway.publish("a", 3);
  assertEquals((await poller.next(two)).map(({ data }) => data), [3]);
});

Deno.test("a node that may have missed the note asks for everybody's rights", async () => {
  const rights = new Set(["subscribe a"]);
  await using nodes = await ServedNodes.start(2, { push: QUIET }, true, {
    authorize: (_, action, channel) => rights.has(`${action} ${channel}`),
  });
  const [one, two] = nodes.nodes;
  await using client = await WireClient.open(two.ws);
  await client.subscribe("a");
  two.node.cut();
  rights.clear();
  await one.gateway.reauthorize();
  await nodes.clock.advance(100);
  assertEquals(await client.settled(), []);
  two.node.heal();
  await nodes.clock.advance(100);
  const { code, channel } = await client.next("error");
  assertEquals([code, channel], ["forbidden", "a"]);
});

Deno.test("what a client of another node loses while it is away stays lost", async () => {
  const rights = new Set(["subscribe a"]);
  await using nodes = await ServedNodes.start(3, { push: QUIET }, true, {
    authorize: (_, action, channel) => rights.has(`${action} ${channel}`),
  });
  const [one, two, three] = nodes.nodes;
  const poller = await RoamingPoller.register(two, { client_id: "p" });
  await poller.must(two, "subscribe", { channel: "a" });
  await poller.must(two, "unregister");
  rights.clear();
  await one.gateway.reauthorize();
  await nodes.clock.advance(100);
  await one.gateway.publish("a", "between");
  rights.add("subscribe a");
  await one.gateway.reauthorize();
  const again = await RoamingPoller.register(three, { client_id: "p" });
  await again.must(three, "subscribe", { channel: "a" });
  await one.gateway.publish("a", "after");
  assertEquals((await again.next(three)).map(({ data }) => data), ["after"]);
});

Deno.test("a poller that comes to another node without a right it had is told, and goes on", async () => {
  const rights = new Set(["subscribe a", "subscribe b"]);
  await using nodes = await ServedNodes.start(2, { push: QUIET }, true, {
    authorize: (_, action, channel) => rights.has(`${action} ${channel}`),
  });
  const [one, two] = nodes.nodes;
  const poller = await RoamingPoller.register(one, { client_id: "p" });
  for (const channel of ["a", "b"]) await poller.must(one, "subscribe", { channel });
  rights.delete("subscribe a");
  for (const channel of ["a", "b"]) await one.gateway.publish(channel, channel);
  const got = await poller.next(two);
  while (got.length < 2) got.push(...await poller.next(two));
  assertEquals(got.map(({ code, data }) => code ?? data), ["forbidden", "b"]);
  rights.add("subscribe a");
  await two.gateway.publish("a", "later");
  await two.gateway.publish("b", "more");
  assertEquals((await poller.next(one)).map(({ data }) => data).filter((it) => it !== "b"), [
    "more",
  ]);
  await poller.must(one, "subscribe", { channel: "a" });
  await one.gateway.publish("a", "anew");
  assertEquals((await poller.next(two)).map(({ data }) => data), ["anew"]);
});

Deno.test("a poller whose right was lost and given back while it was between nodes is told of the gap", async () => {
  const rights = new Set(["subscribe a"]);
  let fails = false;
  await using nodes = await ServedNodes.start(2, { push: QUIET }, true, {
    authorize: (_, action, channel) => {
      if (fails) throw new Error("Nobody knows");
      return rights.has(`${action} ${channel}`);
    },
  });
  const [one, two] = nodes.nodes;
  const poller = await RoamingPoller.register(one, { client_id: "p" });
  await poller.must(one, "subscribe", { channel: "a" });
  fails = true;
  await one.gateway.reauthorize();
  fails = false;
  rights.clear();
  await one.gateway.reauthorize();
  await one.gateway.publish("a", "between");
  rights.add("subscribe a");
  await one.gateway.reauthorize();
  await one.gateway.publish("a", "missed");
  assertEquals((await poller.next(two)).map(({ code, channel }) => [code, channel]), [
    ["gap", "a"],
  ]);
  await one.gateway.publish("a", "after");
  assertEquals((await poller.next(two)).map(({ data }) => data), ["after"]);
});

for (const transports of [["websocket"], ["longpoll"]] as const) {
  Deno.test(`@push/client (${transports}) ends a subscription whose right is lost, and subscribes anew`, async () => {
    const rights = new Set(["subscribe a", "subscribe b"]);
    await using gateway = await startGateway({ push: QUIET }, {
      authorize: (_, action, channel) => rights.has(`${action} ${channel}`),
    });
    await using client = new PushClient(gateway.ws, { transports: [...transports] });
    const told: unknown[] = [];
    client.on("error", ({ error, channel }) => told.push([(error as PushError).code, channel]));
    await client.connect();
    const lost = await client.subscribe("a");
    const kept = (await client.subscribe("b"))[Symbol.asyncIterator]();
    const reading = lost[Symbol.asyncIterator]().next();
    rights.delete("subscribe a");
    await gateway.gateway.reauthorize();
    const error = await assertRejects(() => reading, PushError);
    assertEquals([error.code, lost.active], ["forbidden", false]);
    assertEquals(told, [["forbidden", "a"]]);
    await gateway.gateway.publish("a", "between");
    await gateway.gateway.publish("b", 1);
    assertEquals((await kept.next()).value.data, 1);
    await assertRejects(() => client.subscribe("a"), PushError, "'subscribe' in channel a");
    rights.add("subscribe a");
    await gateway.gateway.reauthorize();
    const again = (await client.subscribe("a"))[Symbol.asyncIterator]();
    await gateway.gateway.publish("a", "after");
    assertEquals((await again.next()).value.data, "after");
  });
}

Deno.test("what the embedding program publishes needs no right; what it asks wrongly is refused", async () => {
  await using gateway = await startGateway({ push: QUIET }, { authorize: () => false });
  assertEquals((await gateway.gateway.publish("a", 1)).seq, 1);
  assertEquals((await gateway.gateway.presence()).length, 0);
  const wrong: unknown[] = [null, 1, "ann", { subject: 1 }, { who: "ann" }];
  for (const whom of wrong) {
    await assertRejects(() => gateway.gateway.reauthorize(whom as { subject: string }), TypeError);
  }
  await assertRejects(() => gateway.gateway.reauthorize({ subject: "" }), RangeError);
});
