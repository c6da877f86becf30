import { assertEquals } from "@std/assert";
import type { Gap, PushError } from "@push/client";
import type { Era } from "@push/client/protocol";
import { type FakeGateway, type Frame, numbersOf } from "./fake_gateway.ts";
import { connected, gate, setUp } from "./setup.ts";

/** The frame that says how the log of `a` goes on. */
function change(epoch: string, ...earlier: unknown[]): Frame {
  return { type: "channel.epoch", channel: "a", epoch, earlier };
}

/** What a gap of a change of epoch is told with. */
function loss(epoch: string, seq: number): Frame {
  return { type: "channel.gap", channel: "a", epoch, seq, reason: "epoch" };
}

/** What was acknowledged so far, by epoch. */
function acknowledged(gateway: FakeGateway): { [epoch: string]: number[] } {
  const numbers: { [epoch: string]: number[] } = {};
  for (const { epoch, ranges = [] } of gateway.of("ack").flatMap(({ acks }) => acks)) {
    (numbers[epoch] ??= []).push(...numbersOf(ranges));
  }
  return numbers;
}

Deno.test("of an epoch that goes on nothing is handled again, however much there was and without ids", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.window = 100_000;
  await client.connect();
  let count = 0;
  await client.subscribe("a", () => void count++);
  const all = (epoch: string) =>
    Array.from({ length: 3000 }, (_, i) => gateway.messageFrame("a", i + 1, { epoch }));
  gateway.send(...all("e1"));
  await clock.advance(1000);
  gateway.clear();
  gateway.send(change("e2", { epoch: "e1", base: 3000 }), ...all("e2"));
  gateway.message("a", 3001, { epoch: "e2" });
  await clock.advance(1000);
  assertEquals(count, 3001);
  assertEquals(acknowledged(gateway).e2.length, 3001);
  await client.disconnect();
});

Deno.test("what waits, runs, has failed or is not acknowledged goes on in the next epoch", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  const running = gate();
  await client.subscribe<string>("a", async ({ data }) => {
    got.push(data);
    if (data === "a 2" && got.length === 2) throw new Error("no");
    if (data === "a 3") await running.promise;
  });
  for (const seq of [1, 2, 3, 4]) gateway.message("a", seq);
  await clock.advance(100);
  assertEquals([got, acknowledged(gateway)], [["a 1", "a 2", "a 3"], {}]);
  gateway.send(change("e2", { epoch: "e1", base: 4 }));
  for (const seq of [1, 3, 4]) gateway.message("a", seq, { epoch: "e2", redelivered: true });
  await clock.advance(200);
  gateway.message("a", 2, { epoch: "e2", redelivered: true, retryCount: 1 });
  running.open();
  await clock.advance(1000);
  assertEquals(got, ["a 1", "a 2", "a 3", "a 4", "a 2"]);
  assertEquals(Object.keys(acknowledged(gateway)), ["e2"]);
  assertEquals(new Set(acknowledged(gateway).e2), new Set([1, 2, 3, 4]));
  gateway.drop();
  await clock.advance(1000);
  assertEquals(gateway.last("connect").subscriptions[0].position, { epoch: "e2", seq: 4 });
  await client.disconnect();
});

Deno.test("what nobody has taken is handed out in the order in which it came, whatever its epoch", async () => {
  for (const [base, hasId] of [[0, true], [1, true], [0, false], [1, false]] as const) {
    const { client, gateway, clock } = await connected();
    const subscription = await client.subscribe("a");
    const send = (data: string, seq: number, epoch: string) =>
      gateway.message("a", seq, { epoch, data, id: hasId ? data : undefined });
    for (const seq of [1, 2, 3]) send(`x ${seq}`, seq, "e1");
    await clock.advance(0);
    gateway.send(change("e2", { epoch: "e1", base }));
    send("y", base + 1, "e2");
    await clock.advance(0);
    const got: unknown[] = [];
    for await (const { data } of subscription) {
      got.push(data);
      if (data === "y") break;
    }
    assertEquals(got, ["x 1", "x 2", "x 3", "y"], `base ${base}, ids: ${hasId}`);
    await client.disconnect();
  }
});

Deno.test("a refusal that was not told is told with the epoch that its number has now", async () => {
  const { client, gateway, clock } = await connected();
  const handled = gate();
  await client.subscribe("a", () => handled.promise);
  gateway.message("a", 1);
  gateway.message("a", 2);
  await clock.advance(0);
  gateway.send(change("e2", { epoch: "e1", base: 2 }));
  await clock.advance(0);
  handled.fail(new Error("no"));
  await clock.advance(0);
  assertEquals(gateway.of("nack").map(({ epoch, seq }) => [epoch, seq]), [["e2", 1], ["e2", 2]]);
  gateway.drop();
  await clock.advance(500);
  const { position } = gateway.last("connect").subscriptions[0];
  assertEquals(position, { epoch: "e2", seq: 2, open: [1, 2] });
  await client.disconnect();
});

Deno.test("what waits for its handler is renewed under the next epoch", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("a");
  gateway.message("a", 1);
  gateway.message("a", 2);
  gateway.send(change("e2", { epoch: "e1", base: 1 }));
  await clock.advance(10_000);
  assertEquals(gateway.last("renew").renew, [{ channel: "a", epoch: "e2", ranges: [1, 1] }]);
  await client.disconnect();
});

Deno.test("above the base numbers mean other messages, and a handler that still runs settles none of them", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  const gates = new Map([["a 3", gate()], ["new 3", gate()]]);
  await client.subscribe<string>("a", async ({ data }) => {
    got.push(data);
    await gates.get(data)?.promise;
  }, { concurrency: 9 });
  for (const seq of [1, 2, 3, 4]) gateway.message("a", seq);
  await clock.advance(100);
  gateway.send(change("e2", { epoch: "e1", base: 2 }), loss("e2", 0));
  for (const seq of [3, 4]) gateway.message("a", seq, { epoch: "e2", data: `new ${seq}` });
  await clock.advance(1000);
  gates.get("a 3")!.open();
  await clock.advance(1000);
  assertEquals(got, ["a 1", "a 2", "a 3", "a 4", "new 3", "new 4"]);
  assertEquals(acknowledged(gateway), { e2: [1, 2, 4] });
  gates.get("new 3")!.open();
  await clock.advance(1000);
  assertEquals(acknowledged(gateway), { e2: [1, 2, 4, 3] });
  await client.disconnect();
});

Deno.test("what was settled of a lost number is not acknowledged for the message that has it now", async () => {
  const { client, gateway, clock } = await connected();
  await client.subscribe("a", () => {});
  for (const seq of [1, 2, 3]) gateway.message("a", seq);
  await clock.advance(100);
  gateway.send(change("e2", { epoch: "e1", base: 1 }), loss("e2", 0));
  await clock.advance(1000);
  assertEquals(acknowledged(gateway), { e2: [1] });
  await client.disconnect();
});

Deno.test("a refusal of a message that is lost says nothing of the one that has its number now", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  const handled = gate();
  await client.subscribe("a", ({ data }) => {
    got.push(data);
    return got.length === 1 ? handled.promise : undefined;
  });
  gateway.message("a", 1);
  await clock.advance(0);
  gateway.send(change("e2", { epoch: "e1", base: 0 }), loss("e2", 0));
  gateway.message("a", 1, { epoch: "e2", data: "new" });
  await clock.advance(0);
  handled.fail(new Error("no"));
  await clock.advance(1000);
  assertEquals([got, gateway.of("nack")], [["a 1", "new"], []]);
  assertEquals(acknowledged(gateway), { e2: [1] });
  await client.disconnect();
});

Deno.test("a position above the base becomes the base, and the gap is told once", async () => {
  const { client, gateway, clock } = await connected();
  const gaps: Gap[] = [];
  client.on("gap", (gap) => gaps.push(gap));
  await client.subscribe("a", ({ data }) => data === "a 5" ? undefined : Promise.reject("no"));
  for (const seq of [2, 4, 5, 7]) gateway.message("a", seq);
  await clock.advance(0);
  gateway.send(change("e2", { epoch: "e1", base: 5 }));
  await clock.advance(0);
  // The connection is lost before the notice comes.
  gateway.drop();
  await clock.advance(500);
  const { position } = gateway.last("connect").subscriptions[0];
  assertEquals(position, { epoch: "e2", seq: 5, open: [2, 2, 4, 4] });
  gateway.clear();
  gateway.send(change("e2", { epoch: "e1", base: 5 }), loss("e2", 2), loss("e2", 2));
  await clock.advance(0);
  assertEquals(gaps, [{ channel: "a", epoch: "e2", seq: 5, reason: "epoch" }]);
  const acks = [{ channel: "a", epoch: "e2", upto: 2 }];
  assertEquals(gateway.of("ack"), [{ type: "ack", acks }, { type: "ack", acks }]);
  gateway.message("a", 2, { epoch: "e2", redelivered: true, retryCount: 1 });
  gateway.drop();
  await clock.advance(60_000);
  assertEquals(gateway.last("connect").subscriptions[0].position.open, [2, 2, 4, 4]);
  await client.disconnect();
});

Deno.test("a gap that only the gateway knows of is told, below what has arrived too", async () => {
  const { client, gateway, clock } = await connected();
  const gaps: Gap[] = [];
  client.on("gap", (gap) => gaps.push(gap));
  await client.subscribe("a", () => {});
  for (const seq of [1, 2, 3]) gateway.message("a", seq);
  gateway.send(change("e2", { epoch: "e1", base: 5 }), loss("e2", 1));
  await clock.advance(0);
  assertEquals(gaps, [{ channel: "a", epoch: "e2", seq: 1, reason: "epoch" }]);
  assertEquals(gateway.last("ack").acks, [{ channel: "a", epoch: "e2", upto: 1 }]);
  await client.disconnect();
});

Deno.test("gaps of retention that were told stay told in the next epoch", async () => {
  const { client, gateway, clock } = await connected();
  const gaps: Gap[] = [];
  client.on("gap", (gap) => gaps.push(gap));
  await client.subscribe("a", () => {});
  const gone = (epoch: string, seq: number): Frame => ({
    ...loss(epoch, seq),
    reason: "retention",
  });
  gateway.message("a", 9);
  gateway.send(gone("e1", 12), gone("e1", 7), gone("e1", 8));
  gateway.send(change("e2", { epoch: "e1", base: 12 }), gone("e2", 12), gone("e2", 7));
  await clock.advance(0);
  assertEquals(gaps.map(({ epoch, seq }) => [epoch, seq]), [["e1", 12], ["e1", 7], ["e1", 8]]);
  gateway.send(change("e3", { epoch: "e2", base: 7 }), loss("e3", 7), gone("e3", 8));
  await clock.advance(0);
  assertEquals(gaps.slice(3).map(({ epoch, seq }) => [epoch, seq]), [["e3", 7], ["e3", 8]]);
  await client.disconnect();
});

for (const way of ["connected", "channel.subscribed"] as const) {
  Deno.test(`two changes of epoch while offline are told by ${way}`, async () => {
    const { client, gateway, clock } = await connected();
    const got: unknown[] = [];
    await client.subscribe("a", ({ data }) => got.push(data));
    for (const seq of [1, 2, 3]) gateway.message("a", seq);
    await clock.advance(1000);
    gateway.drop();
    const earlier: Era[] = [{ epoch: "e2", base: 8 }, { epoch: "e1", base: 5 }];
    const subscribed = { type: "channel.subscribed", channel: "a", ok: true, epoch: "e3", seq: 0 };
    const refused = { type: "error", code: "unavailable", message: "later", channel: "a" };
    gateway.subscribed = ({ request_id }) =>
      way === "connected" || request_id !== undefined ? { ...subscribed, earlier } : refused;
    await clock.advance(60_000);
    for (const seq of [1, 2, 3, 4]) {
      gateway.message("a", seq, { epoch: "e3", redelivered: seq < 4 });
    }
    await clock.advance(1000);
    assertEquals(got, ["a 1", "a 2", "a 3", "a 4"]);
    assertEquals(acknowledged(gateway), { e1: [1, 2, 3], e3: [1, 2, 3, 4] });
    await client.disconnect();
  });
}

Deno.test("over HTTP a change of epoch that overtakes the answer counts behind it", async () => {
  const setup = setUp({ transports: ["longpoll"] });
  const { client, gateway, clock } = setup;
  await client.connect();
  const got: unknown[] = [];
  gateway.answers["channel.subscribe"] = (frame, connection) => {
    connection.send([
      change("e2", { epoch: "e1", base: 4 }),
      gateway.messageFrame("a", 5, { epoch: "e2" }),
    ]);
    return gateway.subscribed({ ...frame, since: { epoch: "e1", seq: 4 } } as Frame);
  };
  const answered = gate();
  gateway.beforeSendAnswer = answered.promise;
  const subscribing = client.subscribe("a", ({ data }) => got.push(data));
  await clock.advance(100);
  answered.open();
  await subscribing;
  gateway.message("a", 6, { epoch: "e2" });
  await clock.advance(1000);
  assertEquals(got, ["a 5", "a 6"]);
  const [position] = gateway.last("poll").positions;
  assertEquals([position.epoch, position.seq], ["e2", 6]);
  await client.disconnect();
});

Deno.test("a change of epoch that is repeated, late or of other epochs does no harm", async () => {
  const { client, gateway, clock, errors } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1);
  const second = change("e2", { epoch: "e1", base: 1 });
  const third = change("e3", { epoch: "e2", base: 1 }, { epoch: "e1", base: 1 });
  gateway.send(change("e9", { epoch: "e8", base: 0 }), change("e9"), second, second);
  gateway.message("a", 2, { epoch: "e2" });
  gateway.send(second, third, second, third, change("e1", { epoch: "e3", base: 0 }));
  gateway.send(change("e3", { epoch: "e3", base: 0 }));
  gateway.send({ ...third, channel: "other" });
  for (const seq of [1, 2]) gateway.message("a", seq, { epoch: "e3" });
  await clock.advance(1000);
  // Of number 2 the third epoch has another.
  assertEquals([got, errors], [["a 1", "a 2", "a 2"], []]);
  assertEquals(acknowledged(gateway), { e3: [1, 2] });
  await client.disconnect();
});

Deno.test("a change of epoch that makes no sense is told and ignored", async () => {
  const { client, gateway, clock, errors } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1);
  const era = { epoch: "e1", base: 0 };
  const wrong = [
    ...[-1, 0.5, 2 ** 53, 1e300, "0", null, undefined, {}].map((base) => [{ ...era, base }]),
    ...["", "E", "x".repeat(33), 5, null, "__proto__"].map((epoch) => [{ ...era, epoch }]),
    [era, null],
    [[]],
    Array.from({ length: 17 }, () => era),
    Array.from({ length: 10_000 }, () => era),
  ].map((earlier) => change("e2", ...earlier));
  wrong.push({ ...change("e2"), earlier: { length: 0 } }, { type: "channel.epoch" });
  wrong.push({ ...change("e2", era), channel: 5 }, { ...change("e2", era), epoch: "__proto__" });
  gateway.send(...wrong);
  gateway.current!.raw!(
    `{"type":"channel.epoch","channel":"a","epoch":"e2","earlier":[{"__proto__":{"epoch":"e1","base":0}}]}`,
  );
  await clock.advance(0);
  const codes = errors.map(({ error }) => (error as PushError).code);
  assertEquals(codes, Array(wrong.length + 1).fill("bad_frame"));
  gateway.message("a", 1, { redelivered: true });
  gateway.message("a", 2);
  await clock.advance(1000);
  assertEquals([got, acknowledged(gateway)], [["a 1", "a 2"], { e1: [1, 2] }]);
  await client.disconnect();
});

Deno.test("earlier epochs in an answer that make no sense are told, and the rest of it counts", async () => {
  const { client, gateway, clock, errors } = setUp();
  gateway.subscribed = () =>
    ({
      ...{ type: "channel.subscribed", channel: "a", ok: true, epoch: "e1", seq: 0 },
      earlier: "e0",
    }) as Frame;
  await client.connect();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1);
  await clock.advance(0);
  assertEquals(errors.map(({ error }) => (error as PushError).code), ["bad_frame"]);
  assertEquals(got, ["a 1"]);
  await client.disconnect();
});

Deno.test("an id that is kept may be used again, and one that is lost and comes again is known", async () => {
  const { client, gateway, clock } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1, { id: "daily" });
  gateway.message("a", 2, { id: "lost" });
  await clock.advance(0);
  gateway.send(change("e2", { epoch: "e1", base: 1 }), loss("e2", 1));
  gateway.message("a", 2, { epoch: "e2", id: "daily", data: "the next day" });
  gateway.message("a", 3, { epoch: "e2", id: "lost", data: "published again" });
  await clock.advance(1000);
  assertEquals(got, ["a 1", "a 2", "the next day"]);
  assertEquals(acknowledged(gateway), { e2: [1, 2, 3] });
  // Where nothing goes on, every id counts.
  gateway.message("a", 1, { epoch: "e3", id: "daily", data: "again" });
  await clock.advance(1000);
  assertEquals(got.length, 3);
  await client.disconnect();
});
