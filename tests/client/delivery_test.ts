import { assert, assertEquals } from "@std/assert";
import type { Message } from "@push/client";
import { numbersOf } from "./fake_gateway.ts";
import { connected, gate, setUp } from "./setup.ts";
import type { FakeGateway } from "./fake_gateway.ts";

/** Numbers that the gateway was told are settled, in order of the telling. */
function acknowledged(gateway: FakeGateway, channel = "a"): number[] {
  return gateway.of("ack").flatMap(({ acks }) => acks)
    .filter((ack) => ack.channel === channel && ack.ranges)
    .flatMap(({ ranges }) => numbersOf(ranges));
}

Deno.test("a message has all that the wire carries", async () => {
  const { client, gateway, settle } = await connected();
  const got: Message[] = [];
  await client.subscribe("a", (message) => got.push(message));
  gateway.message("a", 1, { data: { n: [1] }, id: "x", redelivered: true, retryCount: 2 });
  gateway.message("a", 2, { data: null, redriven: true });
  await settle();
  const [first, second] = got;
  assertEquals(
    { ...first },
    {
      channel: "a",
      data: { n: [1] },
      eventId: "e1:1:a",
      timestamp: 1700000000.5,
      source: "someone",
      id: "x",
      redelivered: true,
      retryCount: 2,
      redriven: false,
    },
  );
  const { data, id, redelivered, retryCount, redriven } = second;
  assertEquals([data, id, redelivered, retryCount, redriven], [null, undefined, false, 0, true]);
  await client.disconnect();
});

Deno.test("a handler gets one message at a time, in order", async () => {
  const { client, gateway, settle } = await connected();
  const log: string[] = [];
  const gates = [gate(), gate(), gate()];
  await client.subscribe<number>("a", async ({ data }) => {
    log.push(`begin ${data}`);
    await gates[data].promise;
    log.push(`end ${data}`);
  });
  gateway.send(...[0, 1, 2].map((data) => gateway.messageFrame("a", data + 1, { data })));
  await settle();
  assertEquals(log, ["begin 0"]);
  gates[1].open();
  gates[0].open();
  await settle();
  assertEquals(log, ["begin 0", "end 0", "begin 1", "end 1", "begin 2"]);
  await client.disconnect();
});

Deno.test("concurrency lets so many messages be handled at a time", async () => {
  const { client, gateway, settle } = await connected();
  const running = new Set<number>();
  const gates = [1, 2, 3, 4, 5].map(() => gate());
  await client.subscribe<number>("a", async ({ data }) => {
    running.add(data);
    await gates[data].promise;
    running.delete(data);
  }, { concurrency: 3 });
  for (const data of [0, 1, 2, 3, 4]) gateway.message("a", data + 1, { data });
  await settle();
  assertEquals([...running], [0, 1, 2]);
  gates[1].open();
  await settle();
  assertEquals([...running], [0, 2, 3]);
  await client.disconnect();
});

Deno.test("messages are acknowledged together, 0.2 s after the first was handled", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("a", () => {});
  await client.subscribe("b", () => {});
  gateway.message("a", 1);
  gateway.message("a", 2);
  gateway.message("b", 7);
  await clock.advance(199);
  assertEquals(gateway.of("ack"), []);
  gateway.message("a", 4);
  await clock.advance(1);
  assertEquals(gateway.of("ack"), [{
    type: "ack",
    acks: [
      { channel: "a", epoch: "e1", ranges: [1, 2, 4, 4] },
      { channel: "b", epoch: "e1", ranges: [7, 7] },
    ],
  }]);
  await client.disconnect();
});

Deno.test("with a short ackTimeout messages are acknowledged after a quarter of it", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.ack_timeout = 0.4;
  await client.connect();
  await client.subscribe("a", () => {});
  gateway.message("a", 1);
  await clock.advance(99);
  assertEquals(acknowledged(gateway), []);
  await clock.advance(1);
  assertEquals(acknowledged(gateway), [1]);
  await client.disconnect();
});

Deno.test("half a window is acknowledged at once", async () => {
  const { client, gateway, settle } = setUp();
  gateway.terms.window = 8;
  await client.connect();
  await client.subscribe("a", () => {});
  for (const seq of [1, 2, 3]) gateway.message("a", seq);
  await settle();
  assertEquals(acknowledged(gateway), []);
  gateway.message("a", 4);
  await settle();
  assertEquals(acknowledged(gateway), [1, 2, 3, 4]);
  await client.disconnect();
});

Deno.test("an eighth of a window's bytes is acknowledged at once", async () => {
  const { client, gateway, settle } = setUp();
  gateway.terms.window_bytes = 800;
  await client.connect();
  await client.subscribe("a", () => {});
  gateway.message("a", 1, { data: "x".repeat(50) });
  await settle();
  assertEquals(acknowledged(gateway), []);
  gateway.message("a", 2, { data: { list: ["x".repeat(30), 5, { y: "x".repeat(10) }] } });
  await settle();
  assertEquals(acknowledged(gateway), [1, 2]);
  await client.disconnect();
});

Deno.test("a payload that its handler ties to itself, or to anything else, is acknowledged", async () => {
  const { client, gateway, clock } = await connected();
  interface Tree {
    children: { parent?: Tree }[];
    page?: object;
  }
  await client.subscribe<Tree>("a", ({ data }) => {
    for (const child of data.children) child.parent = data;
    data.page = {
      get gone() {
        throw new Error("nobody may read this");
      },
    };
  });
  gateway.message("a", 1, { data: { children: [{}, {}, {}] } });
  await clock.advance(200);
  assertEquals(acknowledged(gateway), [1]);
  await client.disconnect();
});

Deno.test("a message is not acknowledged before its handler has finished", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  await client.subscribe("a", () => handled.promise);
  gateway.message("a", 1);
  await clock.advance(5000);
  assertEquals(acknowledged(gateway), []);
  handled.open();
  await clock.advance(200);
  assertEquals(acknowledged(gateway), [1]);
  await client.disconnect();
});

Deno.test("a settled message that comes again is acknowledged again and not handled", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1);
  await clock.advance(200);
  gateway.message("a", 1, { redelivered: true });
  await clock.advance(200);
  assertEquals([got, acknowledged(gateway)], [["a 1"], [1, 1]]);
  await client.disconnect();
});

Deno.test("a message that comes again while it is handled, or waits, is left alone", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  const handled = gate();
  await client.subscribe("a", ({ data }) => {
    got.push(data);
    return handled.promise;
  });
  gateway.message("a", 1);
  gateway.message("a", 2);
  await clock.advance(1000);
  gateway.message("a", 1, { redelivered: true, retryCount: 1 });
  gateway.message("a", 2, { redelivered: true, retryCount: 1 });
  await clock.advance(1000);
  assertEquals([got, acknowledged(gateway)], [["a 1"], []]);
  handled.open();
  await clock.advance(1000);
  assertEquals([got, acknowledged(gateway)], [["a 1", "a 2"], [1, 2]]);
  await client.disconnect();
});

Deno.test("a message never seen is handled, whatever its number", async () => {
  const { client, gateway, settle } = await connected();
  const got: unknown[] = [];
  gateway.head = 10;
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 12);
  gateway.message("a", 4, { redelivered: true, retryCount: 1 });
  gateway.message("a", 11, { redelivered: true });
  await settle();
  assertEquals(got, ["a 12", "a 4", "a 11"]);
  await client.disconnect();
});

Deno.test("a handler that throws refuses the message, for longer each time", async () => {
  const { client, gateway, settle, errors } = await connected();
  let failing = true;
  await client.subscribe("a", ({ retryCount }) => {
    if (failing) throw new Error(`attempt ${retryCount}`);
  });
  gateway.message("a", 1);
  await settle();
  for (const retryCount of [1, 2, 3]) {
    gateway.message("a", 1, { redelivered: true, retryCount });
    await settle();
  }
  assertEquals(
    gateway.of("nack"),
    [1, 2, 4, 8].map((delay) => (
      { type: "nack", channel: "a", epoch: "e1", seq: 1, delay }
    )),
  );
  assertEquals(
    errors.map(({ error, origin, channel, message }) => [
      String(error),
      origin,
      channel,
      message?.eventId,
    ]),
    [0, 1, 2, 3].map((n) => [`Error: attempt ${n}`, "handler", "a", "e1:1:a"]),
  );
  failing = false;
  gateway.message("a", 1, { redelivered: true, retryCount: 4 });
  await settle();
  await client.disconnect();
  assertEquals(acknowledged(gateway), [1]);
});

Deno.test("the wait after a throw grows with the gateway's retryBackoff, to an hour at most", async () => {
  const { client, gateway, settle } = setUp();
  gateway.terms.retry_backoff = 10;
  await client.connect();
  await client.subscribe("a", () => Promise.reject(new Error("no")));
  for (const retryCount of [0, 1, 3, 4, 1000]) {
    gateway.message("a", 1, { redelivered: true, retryCount });
    await settle();
  }
  assertEquals(gateway.of("nack").map(({ delay }) => delay), [1, 10, 1000, 3600, 3600]);
  await client.disconnect();
});

Deno.test("nack() inside a handler refuses the message, with the delay that it names", async () => {
  const { client, gateway, settle } = await connected();
  await client.subscribe<number>("a", (message) => {
    message.nack(message.data === 1 ? {} : { delay: 5 });
  });
  gateway.message("a", 1, { data: 1 });
  gateway.message("a", 2, { data: 2 });
  await settle();
  const place = { type: "nack", channel: "a", epoch: "e1" };
  assertEquals(gateway.of("nack"), [{ ...place, seq: 1 }, { ...place, seq: 2, delay: 5 }]);
  await client.disconnect();
  assertEquals(acknowledged(gateway), []);
});

Deno.test("with manual acknowledgement only ack() settles, once, and frees the place", async () => {
  const { client, gateway, clock } = await connected();
  const got: Message[] = [];
  await client.subscribe("a", (message) => void got.push(message), { ack: "manual" });
  gateway.message("a", 1);
  gateway.message("a", 2);
  gateway.message("a", 3);
  await clock.advance(1000);
  assertEquals([got.length, acknowledged(gateway), got[0].settled], [1, [], false]);
  got[0].ack();
  got[0].nack();
  got[0].ack();
  await clock.advance(1000);
  assertEquals([got.length, acknowledged(gateway), got[0].settled], [2, [1], true]);
  got[1].nack({ delay: 2 });
  await clock.advance(1000);
  assertEquals([got.length, gateway.last("nack").seq], [3, 2]);
  await client.disconnect();
});

Deno.test("a handler with manual acknowledgement that throws refuses the message", async () => {
  const { client, gateway, settle } = await connected();
  await client.subscribe("a", () => {
    throw new Error("no");
  }, { ack: "manual" });
  gateway.message("a", 1);
  await settle();
  assertEquals(gateway.last("nack").delay, 1);
  await client.disconnect();
});

Deno.test("what waits for its handler is renewed, what is handled is not", async () => {
  const { client, gateway, clock } = await connected();
  const gates = [gate(), gate(), gate()];
  await client.subscribe<number>("a", ({ data }) => gates[data].promise);
  for (const data of [0, 1, 2]) gateway.message("a", data + 1, { data });
  await clock.advance(10_000);
  assertEquals(gateway.of("renew"), [
    { type: "renew", renew: [{ channel: "a", epoch: "e1", ranges: [2, 3] }] },
  ]);
  gates[0].open();
  gates[1].open();
  await clock.advance(10_000);
  assertEquals(gateway.last("renew").renew, [{ channel: "a", epoch: "e1", ranges: [] }]);
  await clock.advance(30_000);
  assertEquals(gateway.of("renew").length, 2);
  await client.disconnect();
});

Deno.test("without delivery guarantees nothing is acknowledged, refused or renewed", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.delivery = false;
  await client.connect();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => {
    got.push(data);
    if (data === "a 1") throw new Error("no");
  });
  gateway.message("a", 1);
  gateway.message("a", 2);
  await client.subscribe("b");
  gateway.message("b", 1);
  await clock.advance(60_000);
  assertEquals(got, ["a 1", "a 2"]);
  assertEquals(gateway.heard.filter(({ type }) => /^(ack|nack|renew)$/.test(type)), []);
  await client.disconnect();
});

Deno.test("two subscriptions of a channel both get a message, and it is acknowledged after both", async () => {
  const { client, gateway, clock } = await connected();
  const slow = gate();
  let count = 0;
  await client.subscribe("a", () => void count++);
  await client.subscribe("a", () => slow.promise);
  assertEquals(gateway.of("channel.subscribe").length, 1);
  gateway.message("a", 1);
  await clock.advance(1000);
  assertEquals([count, acknowledged(gateway)], [1, []]);
  slow.open();
  await clock.advance(1000);
  assertEquals([count, acknowledged(gateway)], [1, [1]]);
  await client.disconnect();
});

Deno.test("a refused message comes again only to the handler that failed", async () => {
  const { client, gateway, clock } = await connected();
  const log: string[] = [];
  await client.subscribe("a", () => log.push("good"));
  await client.subscribe("a", ({ retryCount }) => {
    log.push("bad");
    if (retryCount === 0) throw new Error("no");
  });
  gateway.message("a", 1);
  await clock.advance(100);
  gateway.message("a", 1, { redelivered: true, retryCount: 1 });
  await clock.advance(1000);
  assertEquals([log, acknowledged(gateway)], [["good", "bad", "bad"], [1]]);
  await client.disconnect();
});

Deno.test("a redriven message is handled if it had failed, and not if it was settled", async () => {
  const { client, gateway, clock } = await connected();
  const log: unknown[] = [];
  let failing = true;
  await client.subscribe("a", ({ data }) => {
    log.push(data);
    if (failing && data === "a 1") throw new Error("no");
  });
  gateway.message("a", 1);
  gateway.message("a", 2);
  await clock.advance(1000);
  failing = false;
  gateway.message("a", 1, { redelivered: true, redriven: true });
  gateway.message("a", 2, { redelivered: true, redriven: true });
  await clock.advance(1000);
  assertEquals([log, acknowledged(gateway)], [["a 1", "a 2", "a 1"], [2, 1, 2]]);
  await client.disconnect();
});

Deno.test("listeners of channel_message handle every channel, and a message waits for them", async () => {
  const { client, gateway, clock } = await connected();
  const heard: string[] = [];
  const slow = gate();
  const off = client.on("channel_message", async ({ channel, data }) => {
    heard.push(`${channel}: ${data}`);
    if (channel === "a") await slow.promise;
  });
  await client.subscribe("a");
  await client.subscribe("b", () => {});
  gateway.message("a", 1);
  gateway.message("b", 1);
  await clock.advance(1000);
  assertEquals(heard, ["a: a 1", "b: b 1"]);
  assertEquals([acknowledged(gateway, "a"), acknowledged(gateway, "b")], [[], [1]]);
  slow.open();
  await clock.advance(1000);
  assertEquals(acknowledged(gateway, "a"), [1]);
  off();
  off();
  gateway.message("a", 2);
  gateway.message("b", 2);
  await clock.advance(1000);
  assertEquals(heard.length, 2);
  assertEquals([acknowledged(gateway, "a"), acknowledged(gateway, "b")], [[1], [1, 2]]);
  await client.disconnect();
});

Deno.test("messages that nobody handles yet wait, and are renewed", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("a");
  gateway.message("a", 1);
  gateway.message("a", 2);
  await clock.advance(10_000);
  assertEquals(gateway.last("renew").renew[0].ranges, [1, 2]);
  const heard: unknown[] = [];
  client.on("channel_message", ({ data }) => heard.push(data));
  await clock.advance(200);
  assertEquals([heard, acknowledged(gateway)], [["a 1", "a 2"], [1, 2]]);
  await client.disconnect();
});

Deno.test("a gap is told, acknowledged by its number, and delivery goes on behind it", async () => {
  const { client, gateway, clock } = await connected();
  const log: unknown[] = [];
  client.on("gap", (gap) => log.push(gap));
  await client.subscribe("a", ({ data }) => log.push(data));
  gateway.message("a", 1);
  gateway.send({ type: "channel.gap", channel: "a", epoch: "e1", seq: 50, reason: "retention" });
  gateway.message("a", 51);
  await clock.advance(0);
  const gap = { channel: "a", epoch: "e1", seq: 50, reason: "retention" };
  assertEquals(log, [gap, "a 1", "a 51"]);
  assertEquals(gateway.of("ack"), [
    { type: "ack", acks: [{ channel: "a", epoch: "e1", upto: 50 }] },
  ]);
  await client.disconnect();
});

Deno.test("a gap that is told twice is told to the program once, and acknowledged both times", async () => {
  const { client, gateway, clock } = await connected();
  const gaps: number[] = [];
  client.on("gap", ({ seq }) => gaps.push(seq));
  await client.subscribe("a", () => {});
  for (const epoch of ["e1", "e1", "e2", "e2"]) {
    gateway.send({ type: "channel.gap", channel: "a", epoch, seq: 50, reason: "retention" });
  }
  await clock.advance(0);
  assertEquals(gaps, [50, 50]);
  assertEquals(gateway.of("ack").length, 4);
  await client.disconnect();
});

Deno.test("a gap of a single message that was to come again is told once, and settles nothing else", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  const gaps: number[] = [];
  client.on("gap", ({ seq }) => gaps.push(seq));
  await client.subscribe<string>("a", ({ data }) => {
    if (data === "a 2") throw new Error("no");
    return data === "a 3" ? handled.promise : undefined;
  });
  for (const seq of [1, 2, 3, 4]) gateway.message("a", seq);
  await clock.advance(1000);
  gateway.clear();
  gateway.send({ type: "channel.gap", channel: "a", epoch: "e1", seq: 2, reason: "retention" });
  gateway.send({ type: "channel.gap", channel: "a", epoch: "e1", seq: 2, reason: "retention" });
  await clock.advance(1000);
  const acks = [{ channel: "a", epoch: "e1", ranges: [2, 2] }];
  assertEquals([gaps, gateway.of("ack")], [[2], [{ type: "ack", acks }, { type: "ack", acks }]]);
  gateway.drop();
  await clock.advance(300);
  assertEquals(gateway.last("connect").subscriptions[0].position, {
    epoch: "e1",
    seq: 4,
    open: [3, 4],
  });
  await client.disconnect();
});

Deno.test("after an epoch change messages with known ids are acknowledged and not handled", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  for (const seq of [1, 2, 3]) gateway.message("a", seq, { id: `id ${seq}` });
  await clock.advance(0);
  gateway.send({ type: "channel.gap", channel: "a", epoch: "e2", seq: 0, reason: "epoch" });
  gateway.message("a", 1, { epoch: "e2", id: "id 3", data: "again" });
  gateway.message("a", 2, { epoch: "e2", id: "id 4", data: "new" });
  gateway.message("a", 3, { epoch: "e2", data: "without an id" });
  await clock.advance(1000);
  assertEquals(got, ["a 1", "a 2", "a 3", "new", "without an id"]);
  const acks = gateway.of("ack").flatMap(({ acks }) => acks);
  assertEquals(acks, [
    { channel: "a", epoch: "e2", upto: 0 },
    { channel: "a", epoch: "e2", ranges: [1, 3] },
  ]);
  await client.disconnect();
});

Deno.test("1000 ids are remembered across an epoch change, the newest ones", async () => {
  const { client, gateway, clock } = await connected();
  let count = 0;
  await client.subscribe("a", () => void count++);
  for (let seq = 1; seq <= 1001; seq++) gateway.message("a", seq, { id: `id ${seq}` });
  await clock.advance(0);
  assertEquals(count, 1001);
  for (let seq = 1; seq <= 1001; seq++) gateway.message("a", seq, { epoch: "e2", id: `id ${seq}` });
  await clock.advance(0);
  assertEquals(count, 1002);
  await client.disconnect();
});

Deno.test("within one epoch an application may use an id again", async () => {
  const { client, gateway, clock } = await connected();
  let count = 0;
  await client.subscribe("a", () => void count++);
  gateway.message("a", 1, { id: "daily" });
  gateway.message("a", 2, { id: "daily" });
  await clock.advance(0);
  assertEquals(count, 2);
  await client.disconnect();
});

Deno.test("a message that is handled while the epoch changes is settled at its new place", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => {
    got.push(data);
    return handled.promise;
  });
  gateway.message("a", 7, { id: "x", data: "running" });
  gateway.message("a", 8, { id: "y", data: "waiting" });
  await clock.advance(0);
  gateway.message("a", 2, { epoch: "e2", id: "x", data: "running again" });
  gateway.message("a", 3, { epoch: "e2", id: "y", data: "waiting again" });
  await clock.advance(0);
  handled.open();
  await clock.advance(1000);
  assertEquals(got, ["running", "waiting"]);
  assertEquals(gateway.of("ack").flatMap(({ acks }) => acks), [
    { channel: "a", epoch: "e2", ranges: [2, 3] },
  ]);
  await client.disconnect();
});

Deno.test("a message that failed before the epoch changed is handled again after it", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data, retryCount }) => {
    got.push(data);
    if (got.length === 1) throw new Error(`no ${retryCount}`);
  });
  gateway.message("a", 7, { id: "x", data: "first" });
  await clock.advance(0);
  gateway.message("a", 2, { epoch: "e2", id: "x", data: "second" });
  await clock.advance(1000);
  assertEquals(got, ["first", "second"]);
  assertEquals(gateway.last("ack").acks, [{ channel: "a", epoch: "e2", ranges: [2, 2] }]);
  await client.disconnect();
});

Deno.test("a message of an epoch that has ended is told and ignored", async () => {
  const { client, gateway, clock, errors } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1);
  gateway.message("a", 1, { epoch: "e2", data: "new" });
  gateway.message("a", 2);
  await clock.advance(0);
  assertEquals(got, ["a 1", "new"]);
  assertEquals(errors.map(({ origin }) => origin), ["gateway"]);
  await client.disconnect();
});

Deno.test("a reconnect states the highest number received, and what is open", async () => {
  const { client, gateway, clock } = await connected();
  const gates = [0, 1, 2, 3, 4].map(() => gate());
  await client.subscribe<number>("a", async ({ data }) => {
    if (data === 3) throw new Error("no");
    await gates[data].promise;
  }, { concurrency: 4 });
  await client.subscribe("b", { since: { epoch: "e1", seq: 9 } });
  await client.subscribe("c");
  for (const data of [0, 1, 2, 3, 4]) gateway.message("a", 10 + 2 * data, { data });
  gates[1].open();
  await clock.advance(1000);
  gateway.drop();
  await clock.advance(1000);
  assertEquals(gateway.last("connect").subscriptions, [
    { channel: "a", position: { epoch: "e1", seq: 18, open: [10, 10, 14, 14, 16, 16, 18, 18] } },
    { channel: "b", position: { epoch: "e1", seq: 9 } },
    { channel: "c", position: { epoch: "e1", seq: 0 } },
  ]);
  await client.disconnect();
});

Deno.test("acknowledgements that had not left are told by the position, not twice", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("a", () => {});
  gateway.message("a", 1);
  await clock.advance(100);
  gateway.drop();
  await clock.advance(1000);
  assertEquals(gateway.last("connect").subscriptions[0].position, { epoch: "e1", seq: 1 });
  assertEquals(gateway.of("ack"), []);
  await client.disconnect();
});

Deno.test("what is settled without a connection is settled for the next one", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  await client.subscribe("a", () => handled.promise);
  gateway.message("a", 1);
  await clock.advance(0);
  gateway.drop();
  await clock.advance(100);
  handled.open();
  await clock.advance(1000);
  assertEquals(gateway.last("connect").subscriptions[0].position, { epoch: "e1", seq: 1 });
  await client.disconnect();
});

Deno.test("a refusal made without a connection is told at once on the next", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  await client.subscribe("a", () => handled.promise);
  gateway.message("a", 1);
  await clock.advance(0);
  gateway.drop();
  await clock.advance(50);
  handled.fail(new Error("no"));
  await clock.advance(250);
  assertEquals(client.state, "connected");
  assertEquals(gateway.of("nack").map(({ seq, delay }) => [seq, delay < 1 && delay > 0.7]), [
    [1, true],
  ]);
  await client.disconnect();
});

Deno.test("a refusal that a lost connection may have swallowed is told again once its wait is over", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("a", () => Promise.reject(new Error("no")));
  gateway.message("a", 1);
  gateway.message("a", 2);
  await clock.advance(0);
  gateway.drop();
  gateway.clear();
  await clock.advance(500);
  gateway.message("a", 2, { redelivered: true, retryCount: 1 });
  await clock.advance(100);
  gateway.clear();
  await clock.advance(10_000);
  assertEquals(gateway.of("nack"), [{ type: "nack", channel: "a", epoch: "e1", seq: 1 }]);
  await clock.advance(30_000);
  assertEquals(gateway.of("nack").length, 1);
  await client.disconnect();
});

Deno.test("no more refused messages are remembered than the gateway's window", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.window = 3;
  await client.connect();
  await client.subscribe("a", () => Promise.reject(new Error("no")));
  for (const seq of [1, 2, 3, 4, 5]) gateway.message("a", seq);
  await clock.advance(0);
  gateway.drop();
  await clock.advance(500);
  assertEquals(gateway.last("connect").subscriptions[0].position.open, [3, 5]);
  await client.disconnect();
});

Deno.test("an acknowledgement after the subscription has ended says nothing", async () => {
  const { client, gateway, clock } = await connected();
  const got: Message[] = [];
  const subscription = await client.subscribe("a", (message) => void got.push(message), {
    ack: "manual",
  });
  gateway.message("a", 1);
  await clock.advance(0);
  await subscription.unsubscribe();
  got[0].ack();
  await clock.advance(1000);
  assertEquals(gateway.of("ack"), []);
  assert(got[0].settled);
  await client.disconnect();
});

Deno.test("a message that was handled while the epoch changed, and comes after it, is not handled again", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => {
    got.push(data);
    return handled.promise;
  });
  gateway.message("a", 7, { id: "x" });
  gateway.message("a", 8);
  await clock.advance(0);
  gateway.send({ type: "channel.gap", channel: "a", epoch: "e2", seq: 3, reason: "epoch" });
  await clock.advance(0);
  handled.open();
  await clock.advance(1000);
  gateway.message("a", 4, { epoch: "e2", id: "x" });
  await clock.advance(1000);
  assertEquals([got, acknowledged(gateway)], [["a 7", "a 8"], [4]]);
  await client.disconnect();
});

Deno.test("a message whose failed handler is gone is settled when it comes again", async () => {
  const { client, gateway, clock } = await connected();
  let count = 0;
  await client.subscribe("a", () => void count++);
  const failing = await client.subscribe("a", () => Promise.reject(new Error("no")));
  gateway.message("a", 1);
  await clock.advance(0);
  await failing.unsubscribe();
  gateway.message("a", 1, { redelivered: true, retryCount: 1 });
  await clock.advance(1000);
  assertEquals([count, acknowledged(gateway)], [1, [1]]);
  await client.disconnect();
});

Deno.test("what a removed listener had not begun goes to the others, or waits", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  const got: unknown[] = [];
  const off = client.on("channel_message", ({ data }) => {
    got.push(data);
    return handled.promise;
  });
  await client.subscribe("a");
  for (const seq of [1, 2, 3]) gateway.message("a", seq);
  await clock.advance(0);
  off();
  handled.open();
  await clock.advance(1000);
  assertEquals([got, acknowledged(gateway)], [["a 1"], [1]]);
  client.on("channel_message", ({ data }) => got.push(data));
  await clock.advance(1000);
  assertEquals([got, acknowledged(gateway)], [["a 1", "a 2", "a 3"], [1, 2, 3]]);
  await client.disconnect();
});

Deno.test("of numbers with gaps between them the newest thousands are remembered", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.window = 100_000;
  await client.connect();
  let count = 0;
  await client.subscribe("a", () => void count++);
  const frames = Array.from({ length: 4097 }, (_, i) => gateway.messageFrame("a", 2 * i + 1));
  gateway.send(...frames);
  await clock.advance(0);
  assertEquals(count, 4097);
  gateway.message("a", 8193, { redelivered: true });
  gateway.message("a", 6001, { redelivered: true });
  await clock.advance(0);
  assertEquals(count, 4097);
  gateway.message("a", 1, { redelivered: true });
  await clock.advance(0);
  assertEquals(count, 4098);
  await client.disconnect();
});

Deno.test("no list of ranges is longer than a gateway reads", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.window = 100_000;
  await client.connect();
  const subscription = await client.subscribe("a");
  const frames = Array.from({ length: 5000 }, (_, i) => gateway.messageFrame("a", 2 * i + 1));
  gateway.send(...frames);
  await clock.advance(10_000);
  assertEquals(gateway.last("renew").renew[0].ranges.length, 8192);
  gateway.drop();
  await clock.advance(500);
  const { open } = gateway.last("connect").subscriptions[0].position;
  assertEquals([open.length, open.at(-2), open.at(-1)], [8192, 8191, 9999]);
  gateway.clear();
  client.on("channel_message", () => {});
  await clock.advance(1000);
  const lengths = gateway.of("ack").map(({ acks }) => acks[0].ranges.length);
  assertEquals(lengths, [8192, 1808]);
  assert(subscription.active);
  await client.disconnect();
});
