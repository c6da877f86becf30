import { assert, assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import type { GatewayOptions } from "../../mod.ts";
import { seededRandom } from "../../server/testing/mod.ts";
import { ask } from "../support/http_client.ts";
import { RoamingPoller, type ServedNode, ServedNodes } from "../support/poll_nodes.ts";
import { until } from "../support/within.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const QUIET: GatewayOptions = { push: { presence: { broadcastChanges: false } } };

/** Keeps a node from writing down pollers, from its next write until it may go on. */
function holdRecord({ node }: ServedNode): { reached: Promise<void>; writes: number; go(): void } {
  const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const held = { reached: reached.promise, writes: 0, go: go.resolve };
  const keep = node.keep.bind(node);
  node.keep = async (...args) => {
    if (args[0].startsWith("poller:")) {
      held.writes++;
      reached.resolve();
      await go.promise;
    }
    return await keep(...args);
  };
  return held;
}

const data = (messages: Frame[]) => messages.map((message) => message.data);

Deno.test("a poller's requests may go to any node: each goes on where the last one stood", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  for (const body of [{}, { client_id: "ann" }]) {
    const channel = `news-${body.client_id ?? "unnamed"}`;
    const poller = await RoamingPoller.register(one, body);
    assertEquals(await poller.must(two, "subscribe", { channel }), { ok: true, channel });
    assertEquals(await poller.must(one, "subscribe", { channel }), { ok: false, channel });
    for (let n = 1; n <= 6; n++) {
      await [one, two][n % 2].gateway.publish(channel, n);
      const [message, ...rest] = await poller.next([two, one][n % 2]);
      assertEquals([message.data, message._redelivered, rest], [n, undefined, []]);
      assertEquals(await poller.ack([one, two][n % 2], message), true);
      assertEquals(await poller.ack([two, one][n % 2], message), false);
    }
    await poller.must(two, "subscribe", { channel: "more" });
    const published = await poller.must(one, "publish", { channel, data: "own" });
    assertEquals([published.ok, published.channel], [true, channel]);
    assertEquals(await poller.must(one, "heartbeat", { status: "busy" }), { ok: true });
    await two.gateway.publish("more", "more");
    assertEquals(data(await poller.next(one)), ["more"]);
    await poller.must(two, "unsubscribe", { channel: "more" });
    await two.gateway.publish("more", "not heard");
    await two.gateway.publish(channel, "heard");
    assertEquals(data(await poller.next(one)), ["heard"]);
    assertEquals(await poller.must(two, "unregister"), { ok: true });
    for (const node of [one, two]) assertEquals((await poller.post(node, "messages")).status, 404);
  }
  const stats = await ask(`${one.http}/health`);
  assertEquals([stats.body.push.sessions, stats.body.push.connections.longpoll], [0, 0]);
  assertEquals(stats.body.push.cluster.nodes.sort(), [one.node.node, two.node.node].sort());
  assertEquals(stats.body.push.cluster.node, one.node.node);
});

Deno.test("a poll that waits is answered empty at once when the poller comes to another node", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  await ann.must(one, "subscribe", { channel: "news" });
  const held = nodes.clock.scheduled(29_000);
  const waiting = ann.next(one);
  await held;
  await ann.must(two, "heartbeat");
  assertEquals(await waiting, []);
  await one.gateway.publish("news", 1);
  assertEquals(data(await ann.next(one)), [1]);
});

Deno.test("what was sent over one node comes over another only when it is overdue", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  await ann.must(one, "subscribe", { channel: "news" });
  for (const n of [1, 2, 3]) await two.gateway.publish("news", n);
  const sent = await ann.next(one);
  assertEquals(data(sent), [1, 2, 3]);
  assertEquals(await ann.ack(two, sent[1]), true);
  for (const node of [one, two, one]) assertEquals(await ann.poll(node), []);
  const { ackTimeout } = one.gateway.settings.push.delivery;
  await nodes.clock.advance(ackTimeout * 0.9);
  assertEquals(await ann.poll(two), []);
  await nodes.clock.advance(ackTimeout * 0.8);
  const again = await ann.next(one);
  assertEquals(again.map(({ data, _redelivered }) => [data, _redelivered]), [[1, true], [3, true]]);
  for (const message of again) assertEquals(await ann.ack(two, message), true);
  await nodes.clock.advance(ackTimeout * 1.6);
  for (const node of [one, two]) assertEquals(await ann.poll(node), []);
});

Deno.test("a poller goes on at another node when its own was killed, named or not", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const [one, two, three] = nodes.nodes;
  const pollers = [
    await RoamingPoller.register(one),
    await RoamingPoller.register(one, { client_id: "ann" }),
  ];
  for (const poller of pollers) await poller.must(one, "subscribe", { channel: "news" });
  await two.gateway.publish("news", 1);
  for (const poller of pollers) {
    const [message] = await poller.next(one);
    assertEquals([message.data, await poller.ack(one, message)], [1, true]);
  }
  // Its positions are stored within a second.
  await nodes.clock.advance(1_000);
  one.node.kill();
  await three.gateway.publish("news", 2);
  for (const poller of pollers) {
    const patience = nodes.clock.scheduled(250);
    const next = poller.next(two);
    await patience;
    await nodes.clock.advance(250);
    const [message] = await next;
    assertEquals([message.data, await poller.ack(three, message)], [2, true]);
  }
  // Those who come only when the lease is over find their sessions, too.
  await nodes.clock.advance(1_000);
  three.node.kill();
  await nodes.clock.advance(15_000);
  await two.gateway.publish("news", 3);
  for (const poller of pollers) assertEquals(data(await poller.next(two)), [3]);
});

Deno.test("a token is good though the node that took its session died before it wrote that down", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const [one, two, three] = nodes.nodes;
  for (const client_id of [undefined, "ann"]) {
    const ann = await RoamingPoller.register(one, { client_id });
    await ann.must(one, "subscribe", { channel: "news" });
    const keep = two.node.keep.bind(two.node);
    two.node.keep = async (...args) => {
      if (args[0].startsWith("poller:")) throw new PushError("unavailable");
      return await keep(...args);
    };
    assertEquals((await ann.post(two, "messages")).status, 503);
    two.node.keep = keep;
    await one.gateway.publish("news", 1);
    assertEquals(data(await nodes.awaits(ann.next(three))), [1]);
    assertEquals((await ann.post(one, "subscribe", { channel: "more" })).status, 200);
  }
});

Deno.test("a node that did not notice that a poller has gone takes nothing back", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const [one, two, three] = nodes.nodes;
  await nodes.clock.advance(1_000);
  const ann = await RoamingPoller.register(one);
  await ann.must(one, "subscribe", { channel: "news" });
  await nodes.clock.advance(29_200);
  nodes.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
  for (const node of [two, three]) assertEquals(await nodes.awaits(ann.poll(node)), []);
  // Meanwhile the first would say anew that it has the poller.
  await nodes.clock.advance(6_000);
  nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
  for (const [i, node] of [two, one, three].entries()) {
    await three.gateway.publish("news", i);
    const [message] = await nodes.awaits(ann.next(node));
    assertEquals([message.data, await ann.ack(node, message)], [i, true]);
  }
});

Deno.test("a record that was overwritten by an older one is written anew", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const [one, two, three] = nodes.nodes;
  const records: Parameters<typeof one.node.keep>[] = [];
  const keep = one.node.keep.bind(one.node);
  one.node.keep = async (...args) => {
    if (args[0].startsWith("poller:")) records.push(args);
    return await keep(...args);
  };
  const ann = await RoamingPoller.register(one);
  await ann.must(one, "subscribe", { channel: "news" });
  for (const node of [two, three]) assertEquals(await ann.poll(node), []);
  await keep(...records.at(-1)!);
  assertEquals(await ann.poll(three), []);
  await ann.must(three, "subscribe", { channel: "more" });
  for (const channel of ["news", "more"]) await one.gateway.publish(channel, channel);
  const received = await nodes.awaits(ann.next(one));
  received.push(...received.length < 2 ? await nodes.awaits(ann.next(two)) : []);
  assertEquals(data(received).sort(), ["more", "news"]);
});

Deno.test("a request elsewhere waits until a subscription is done, and both are answered", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  const record = holdRecord(one);
  const subscribed = ann.must(one, "subscribe", { channel: "news" });
  await record.reached;
  // It asks for the poller, hears that it is busy, and goes on waiting.
  const patience = nodes.clock.scheduled(2_000);
  const beat = ann.must(two, "heartbeat");
  await patience;
  await nodes.clock.advance(1_000);
  record.go();
  assertEquals(await subscribed, { ok: true, channel: "news" });
  assertEquals(await beat, { ok: true });
  assertEquals(record.writes, 1);
  await one.gateway.publish("news", 1);
  assertEquals(data(await ann.next(two)), [1]);
});

Deno.test("a subscription that other nodes never leave in peace is refused for now", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  nodes.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
  const keep = one.node.keep.bind(one.node);
  let isOn = true;
  let beats = 0;
  one.node.keep = async (...args) => {
    const isKept = await keep(...args);
    if (!isOn || !args[0].startsWith("poller:")) return isKept;
    beats++;
    await ann.must(two, "heartbeat");
    return isKept;
  };
  const refused = await nodes.awaits(ann.post(one, "subscribe", { channel: "news" }));
  isOn = false;
  assertEquals([refused.status, refused.body.code], [503, "unavailable"]);
  assert(beats >= 20, `${beats}`);
  nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
  const again = await nodes.awaits(ann.must(one, "subscribe", { channel: "news" }));
  assertEquals(again.channel, "news");
});

Deno.test("a subscription that is answered goes along, though the poller was taken at that moment", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  nodes.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
  const [first, second] = [holdRecord(one), holdRecord(two)];
  const subscribed = ann.post(one, "subscribe", { channel: "news" });
  await first.reached;
  const beat = nodes.awaits(ann.must(two, "heartbeat"));
  // It has read the record that does not name the channel, and is about to write its own.
  await second.reached;
  first.go();
  second.go();
  await beat;
  nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
  assertEquals((await nodes.awaits(subscribed)).status, 200);
  await one.gateway.publish("news", 1);
  assertEquals(data(await nodes.awaits(ann.next(two))), [1]);
});

Deno.test("what a node writes late of a poller that was taken from it is not kept", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const [one, two, three] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  await ann.must(one, "subscribe", { channel: "news" });
  const record = holdRecord(one);
  const first = ann.must(one, "subscribe", { channel: "x" });
  await record.reached;
  await nodes.awaits(ann.must(two, "subscribe", { channel: "y" }));
  record.go();
  await nodes.awaits(first);
  for (const channel of ["news", "x", "y"]) await three.gateway.publish(channel, channel);
  const received: Frame[] = [];
  for (const node of [one, two, three, one]) {
    received.push(...await nodes.awaits(ann.poll(node)));
  }
  assertEquals(data(received).sort(), ["news", "x", "y"]);
});

Deno.test("a poller that has ended is brought back by no request, whichever node that reaches", async () => {
  for (const where of [0, 1]) {
    await using nodes = await ServedNodes.start(2, QUIET);
    const [one] = nodes.nodes;
    const ann = await RoamingPoller.register(one, { client_id: "ann" });
    await ann.must(one, "subscribe", { channel: "news" });
    const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const keep = one.node.keep.bind(one.node);
    one.node.keep = async (...args) => {
      const isKept = await keep(...args);
      if (args[1].includes('"ended"')) {
        reached.resolve();
        await go.promise;
      }
      return isKept;
    };
    const left = ann.must(one, "unregister");
    await reached.promise;
    const late = ann.post(nodes.nodes[where], "messages", { timeout: 0 });
    // At the node that ends it the session is still there for a moment.
    assertEquals((await nodes.awaits(late)).status, [200, 404][where]);
    go.resolve();
    await left;
    for (const node of nodes.nodes) assertEquals((await ann.post(node, "messages")).status, 404);
  }
});

Deno.test("a poller that another node is taking while it ends has ended there, too", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one, { client_id: "ann" });
  await ann.must(one, "subscribe", { channel: "news" });
  const record = holdRecord(one);
  const subscribed = ann.post(one, "subscribe", { channel: "more" });
  await record.reached;
  // It waits for the subscription; the goodbye waits for it.
  const patience = nodes.clock.scheduled(2_000);
  const beat = ann.post(two, "heartbeat");
  await patience;
  const left = ann.must(one, "unregister", { forget: true });
  record.go();
  await nodes.awaits(Promise.all([left, beat, subscribed]));
  for (const node of [two, one]) {
    assertEquals((await nodes.awaits(ann.post(node, "messages", { timeout: 0 }))).status, 404);
  }
  const { push } = (await ask(`${one.http}/health`)).body;
  assertEquals(push.sessions, 0);
});

Deno.test("a poller that moves is no newer for that: who came since takes its session", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const [one, two, three] = nodes.nodes;
  const ann = await RoamingPoller.register(one, { client_id: "ann" });
  await ann.must(one, "subscribe", { channel: "news" });
  await nodes.clock.advance(30_000);
  const [asked, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const send = two.node.send.bind(two.node);
  let notes = 0;
  two.node.send = async (to, note) => {
    if (note.type === "yield" && notes++ === 0) {
      asked.resolve();
      await go.promise;
    }
    await send(to, note);
  };
  const opening = nodes.awaits((async () => {
    const socket = await WireClient.open(`${two.ws}?client_id=ann`);
    await socket.subscribe("news");
    return socket;
  })());
  await asked.promise;
  await nodes.clock.advance(20);
  await ann.must(three, "messages", { timeout: 0 });
  go.resolve();
  await using _socket = await opening;
  assertEquals((await nodes.awaits(ann.post(three, "messages", { timeout: 0 }))).status, 409);
});

Deno.test("requests of one poller that reach several nodes at once all work", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const ann = await RoamingPoller.register(nodes.nodes[0]);
  for (let round = 0; round < 10; round++) {
    const channels = nodes.nodes.flatMap((_, i) => [`c${round}${i}a`, `c${round}${i}b`]);
    const answers = await Promise.all(
      channels.map((channel, i) => ann.post(nodes.nodes[i % 3], "subscribe", { channel })),
    );
    assertEquals(answers.map(({ status }) => status), channels.map(() => 200));
    for (const channel of channels) await nodes.nodes[round % 3].gateway.publish(channel, channel);
    const received: Frame[] = [];
    await until(async () => {
      received.push(...await ann.poll(nodes.nodes[round % 3]));
      return received.length >= channels.length;
    }, "every channel's message");
    assertEquals(data(received).sort(), channels);
    const acked = await Promise.all(
      received.map((message, i) => ann.ack(nodes.nodes[i % 3], message)),
    );
    assertEquals(acked, received.map(() => true));
  }
});

Deno.test("a token is over, on every node, once somebody else has the session", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const poller = await RoamingPoller.register(one, { client_id: "ann" });
  await poller.must(one, "subscribe", { channel: "news" });
  await using socket = await WireClient.open(`${two.ws}?client_id=ann`);
  await socket.subscribe("news");
  for (const node of [one, two, one]) {
    const { status, body } = await poller.post(node, "messages", { timeout: 0 });
    assertEquals([status, body.code], [409, "replaced"]);
  }
  await one.gateway.publish("news", 1);
  assertEquals((await socket.next("channel_message")).data, 1);
});

Deno.test("a poller without a request for long is over, on every node", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const unnamed = await RoamingPoller.register(one);
  const named = await RoamingPoller.register(one, { client_id: "ann" });
  for (const poller of [unnamed, named]) await poller.must(two, "subscribe", { channel: "news" });
  const { push } = (await ask(`${one.http}/health`)).body;
  assertEquals(push.store.sessions, 2);
  await nodes.clock.advance(50_000);
  assertEquals(await unnamed.poll(one), []);
  await nodes.clock.advance(59_000);
  assertEquals(await unnamed.poll(one), []);
  assertEquals((await named.post(one, "messages")).status, 404);
  await nodes.clock.advance(80_000);
  for (const node of [one, two]) {
    for (const poller of [unnamed, named]) {
      assertEquals((await poller.post(node, "messages")).status, 404);
    }
  }
  // The named client may come back with another token.
  assertEquals((await ask(`${one.http}/health`)).body.push.store.sessions, 1);
});

Deno.test("a poller that polls for long keeps what other nodes know of it", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  await ann.must(one, "subscribe", { channel: "news" });
  for (let i = 0; i < 12; i++) {
    await nodes.clock.advance(25_000);
    assertEquals(await ann.poll(one), []);
  }
  await one.gateway.publish("news", 1);
  assertEquals(data(await ann.next(two)), [1]);
});

Deno.test("@push/client's wire: subscriptions, acknowledgements and positions go along", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  for (const client_id of [undefined, "ann"]) {
    const channel = `news-${client_id}`;
    const connect = {
      type: "connect",
      version: 1,
      instance: `i-${client_id}`,
      attempt: 1,
      client_id,
      subscriptions: [{ channel }],
    };
    const ann = await RoamingPoller.register(one, { connect });
    const { frames } = await ann.must(two, "send", {
      frames: [
        { type: "channel.subscribe", channel: "more", request_id: 1 },
        { type: "channel.publish", channel: "elsewhere", data: 1, id: "p", request_id: 2 },
      ],
    });
    assertEquals(frames.map(({ type, ok }: Frame) => [type, ok]), [
      ["channel.subscribed", true],
      ["channel.published", undefined],
    ]);
    for (const n of [1, 2]) await one.gateway.publish(channel, n);
    await two.gateway.publish("more", 3);
    const received: Frame[] = [];
    for (let i = 0; received.length < 3; i++) received.push(...await ann.next([one, two][i % 2]));
    assertEquals(data(received).sort(), [1, 2, 3]);
    const { epoch } = received.find((message) => message.channel === channel)!;
    // The answer was lost: the client says what it has, and gets the rest.
    const positions = [{ channel, epoch, seq: 1, open: [1, 1] }];
    const { messages } = await ann.must(two, "messages", { timeout: 29, positions });
    assertEquals(messages.map(({ data, seq }: Frame) => [data, seq]), [[2, 2]]);
    await ann.must(one, "send", { frames: [{ type: "ack", acks: [{ channel, epoch, upto: 2 }] }] });
    await ann.must(two, "send", { frames: [{ type: "disconnect", forget: true }] });
    for (const node of nodes.nodes) {
      assertEquals((await ann.post(node, "messages")).status, 404);
    }
  }
});

Deno.test("where each node has sessions of its own, a token is known to its node only", async () => {
  await using nodes = await ServedNodes.start(2, QUIET, false);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  assertEquals((await ann.post(two, "messages")).status, 404);
  assertEquals(await ann.poll(one), []);
});

Deno.test("a node that is cut off answers 503, and its health says why; another one goes on", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one, { client_id: "ann" });
  await ann.must(one, "subscribe", { channel: "news" });
  await nodes.clock.advance(1_000);
  one.node.cut();
  const { status, body } = await ask(`${one.http}/health`);
  assertEquals([status, body.status, body.push.store.available], [503, "degraded", false]);
  assertEquals(typeof body.push.store.trouble, "string");
  assertEquals((await ask(`${one.http}/health?probe=live`)).status, 200);
  assert((await ask(`${one.http}/metrics`)).text.includes('push_store_up{store="memory"} 0\n'));

  await two.gateway.publish("news", 1);
  const patience = nodes.clock.scheduled(250);
  const next = ann.next(two);
  await patience;
  await nodes.clock.advance(250);
  const [message] = await next;
  assertEquals([message.data, await ann.ack(two, message)], [1, true]);

  one.node.heal();
  // The one that was cut off learns that the session is not its own.
  await nodes.clock.advance(6_000);
  assertEquals(await ann.poll(one), []);
  await one.gateway.publish("news", 2);
  assertEquals(data(await ann.next(one)), [2]);
  assertEquals((await ask(`${one.http}/health`)).status, 200);
  assert((await ask(`${one.http}/metrics`)).text.includes("push_nodes 2\n"));
});

Deno.test("whoever shares a channel with a poller that roams hears of it once", async () => {
  await using nodes = await ServedNodes.start(2);
  const [one, two] = nodes.nodes;
  await using ann = await WireClient.open(`${one.ws}?client_id=ann`);
  await ann.subscribe("room");
  const bob = await RoamingPoller.register(two, { client_id: "bob" });
  await bob.must(two, "subscribe", { channel: "room" });
  const changes: string[] = [];
  for (let i = 0; i < 10; i++) {
    await bob.must([one, two][i % 2], "heartbeat", { status: "here" });
    await nodes.clock.advance(2_000);
    for (const { gateway } of nodes.nodes) {
      const present = (await gateway.presence("room")).map(({ clientId }) => clientId);
      assertEquals(present.sort(), ["ann", "bob"]);
    }
  }
  await bob.must(one, "unregister");
  await nodes.clock.advance(2_000);
  while (changes.at(-1) !== "presence_leave") {
    const { type, data } = await ann.next();
    if (data?.client_id === "bob") changes.push(type);
  }
  assertEquals(changes.filter((type) => type !== "presence_update"), [
    "presence_join",
    "presence_leave",
  ]);
  assertEquals(changes.length <= 3, true);
});

Deno.test("a node that did not hear that a poller has gone hands out nothing of it", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const ann = await RoamingPoller.register(one);
  await ann.must(one, "subscribe", { channel: "news" });
  await one.gateway.publish("news", 1);
  const [first] = await ann.next(one);
  assertEquals(await ann.ack(one, first), true);
  await nodes.clock.advance(1_000);
  nodes.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
  await two.gateway.publish("news", 2);
  const [second] = await nodes.awaits(ann.next(two));
  assertEquals([second.data, await ann.ack(two, second)], [2, true]);
  await nodes.clock.advance(1_000);
  await one.gateway.publish("news", 3);
  assertEquals(data(await nodes.awaits(ann.next(one))), [3]);
});

Deno.test("nothing is lost, doubled or out of order for a poller that roams while nodes die", async () => {
  for (let seed = 1; seed <= 3; seed++) await roam(seed);
});

/** A poller of the fixed wire whose every request goes to a random node. */
async function roam(seed: number): Promise<void> {
  const random = seededRandom(seed);
  await using nodes = await ServedNodes.start(3, QUIET);
  const dead = new Set<ServedNode>();
  const any = () => random.pick(nodes.nodes.filter((node) => !dead.has(node)));
  const ann = await RoamingPoller.register(any());
  await ann.must(any(), "subscribe", { channel: "news" });
  const { ackTimeout } = any().gateway.settings.push.delivery;
  const sentAt = new Map<number, number>();
  const acked = new Set<number>();
  let published = 0;
  let highest = 0;
  const poll = async (ackRate: number) => {
    for (const { data, event_id } of await nodes.awaits(ann.poll(any()))) {
      const n = data as number;
      assert(!acked.has(n), `seed ${seed}: ${n} was acknowledged`);
      const before = sentAt.get(n);
      if (before === undefined) assertEquals(n, ++highest, `seed ${seed}: out of order`);
      else {
        const age = nodes.clock.now() - before;
        assert(age >= ackTimeout * 0.99, `seed ${seed}: ${n} came again after ${age} ms`);
      }
      sentAt.set(n, nodes.clock.now());
      if (random.next() >= ackRate) continue;
      assertEquals(await nodes.awaits(ann.ack(any(), { event_id })), true, `seed ${seed}: ${n}`);
      acked.add(n);
    }
  };
  for (let step = 0; step < 100; step++) {
    const what = random.below(10);
    if (what < 4) await any().gateway.publish("news", ++published);
    else if (what === 4) await nodes.clock.advance(random.below(ackTimeout / 4));
    else await poll(0.75);
    if (step % 40 !== 39) continue;
    // A crash may forget the acknowledgements of its last second.
    await nodes.clock.advance(1_000);
    const victim = any();
    victim.node.kill();
    dead.add(victim);
    await nodes.add();
  }
  for (let i = 0; acked.size < published && i < 100; i++) {
    await poll(1);
    await nodes.clock.advance(ackTimeout / 3);
  }
  assertEquals(acked.size, published, `seed ${seed}`);
}
