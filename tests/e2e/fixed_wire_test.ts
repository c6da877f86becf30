import { assert, assertEquals, assertMatch } from "@std/assert";
import type { GatewayOptions } from "../../mod.ts";
import { startGateway } from "../support/gateway.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const QUIET: GatewayOptions = { push: { presence: { broadcastChanges: false } } };
const TOKEN = "s3cret";
const KEYS = ["type", "channel", "data", "event_id", "timestamp", "source", "target"];

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, n) => n + from);

Deno.test("fixed wire: a token in the header or in the address is enough, no handshake is needed", async () => {
  await using served = await startGateway({ ...QUIET, authToken: TOKEN });
  await using header = await WireClient.open(served.ws, { authorization: `Bearer ${TOKEN}` });
  await using query = await WireClient.open(`${served.ws}?token=${TOKEN}`);
  for (const client of [header, query]) {
    assertEquals(await client.subscribe("news"), {
      type: "channel.subscribed",
      channel: "news",
      ok: true,
    });
  }
  assertEquals((await header.publish("news", 1)).delivered, 1);
  assertEquals((await query.next()).data, 1);
});

Deno.test("fixed wire: without a token, where one is asked for, a client is told and closed for good", async () => {
  await using served = await startGateway({ authToken: TOKEN });
  for (const frame of [{ type: "ping" }, { type: "channel.subscribe", channel: "news" }]) {
    await using client = await WireClient.open(served.ws);
    client.send(frame);
    client.send(frame);
    assertEquals((await client.next()).code, "token_required");
    assertEquals((await client.closed).code, 4500);
    assertEquals(client.unread, []);
  }
  assertEquals(await served.gateway.channels(), []);
});

Deno.test("fixed wire: a client that shows no token in time is closed", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({ authToken: TOKEN }, { clock });
  const opened = clock.scheduled(10_000);
  await using client = await WireClient.open(served.ws);
  await opened;
  await clock.advance(10_000);
  assertEquals((await client.closed).code, 4002);
});

Deno.test("fixed wire: nothing is sent that was not asked for", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({}, { clock });
  await using silent = await WireClient.open(served.ws);
  await using other = await WireClient.open(`${served.ws}?client_id=other`);
  await using busy = await WireClient.open(`${served.ws}?client_id=busy`);
  await other.subscribe("other");
  await busy.subscribe("news");
  await busy.publish("news", 1);
  await busy.ask({ type: "presence.heartbeat", status: "busy", metadata: {} });
  await clock.advance(40_000);
  for (const client of [silent, other]) assertEquals(await client.settled(), []);
  assertEquals(silent.texts, ['{"type":"pong"}']);
});

Deno.test("fixed wire: under load each frame is one message, in order, with just its keys", async () => {
  await using served = await startGateway(QUIET);
  await using ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await using bob = await WireClient.open(`${served.ws}?client_id=bob`);
  for (const client of [ann, bob]) await client.subscribe("news");
  const total = 4000;
  const listen = async (client: WireClient) => {
    const got: Frame[] = [];
    while (got.length < total) {
      const frame = await client.next();
      if (frame.type !== "channel_message") {
        assertEquals([frame.type, frame.ok], ["ack_received", true]);
        continue;
      }
      got.push(frame);
      client.send({ type: "message_ack", event_id: frame.event_id });
    }
    return got;
  };
  const listening = [listen(ann), listen(bob)];
  for (const n of numbers(total / 100, 0)) {
    await Promise.all(numbers(100, n * 100).map((i) => served.gateway.publish("news", { i })));
  }
  const [first, second] = await Promise.all(listening);
  assertEquals(first, second);
  assertEquals(first.map(({ data }) => data.i), numbers(total, 0));
  for (const frame of first) assertEquals(Object.keys(frame), KEYS);
  for (const client of [ann, bob]) {
    for (const text of client.texts) assert(text.startsWith("{"), text);
  }
});

Deno.test("fixed wire: a message is acknowledged by its event id, once, in any order, and by its client alone", async () => {
  const clock = new SocketClock();
  await using served = await startGateway(QUIET, { clock });
  await using ann = await WireClient.open(served.ws);
  await using bob = await WireClient.open(served.ws);
  for (const client of [ann, bob]) await client.subscribe("news");
  for (const n of numbers(20)) await served.gateway.publish("news", n);
  const [byAnn] = [await ann.take(20), await bob.take(20)];
  const ack = async (client: WireClient, event_id: string) =>
    (await client.ask({ type: "message_ack", event_id })).ok;
  for (const { event_id } of byAnn.toReversed()) assertEquals(await ack(ann, event_id), true);
  for (const { event_id } of byAnn) assertEquals(await ack(ann, event_id), false);
  await clock.advance(46_000);
  assertEquals(await ann.settled(), []);
  const again = await bob.take(20);
  assertEquals(again.map(({ event_id }) => event_id), byAnn.map(({ event_id }) => event_id));
});

Deno.test("fixed wire: what is sent twice is sent with the same event id, and marked", async () => {
  const clock = new SocketClock();
  await using served = await startGateway(QUIET, { clock });
  await using ann = await WireClient.open(served.ws);
  await ann.subscribe("news");
  await served.gateway.publish("news", 1);
  const first = await ann.next();
  await clock.advance(46_000);
  const { _redelivered, _retry_count, ...again } = await ann.next();
  assertEquals(again, first);
  assertEquals([_redelivered, _retry_count], [true, 1]);
});

Deno.test("fixed wire: a client that names itself goes on where it was, whoever closed", async () => {
  await using served = await startGateway(QUIET);
  const url = `${served.ws}?client_id=ann`;
  let n = 0;
  for (const code of [1000, 4000, undefined]) {
    const before = await WireClient.open(url);
    await before.subscribe("news");
    await served.gateway.publish("news", ++n);
    const { event_id } = await before.next();
    await before.ask({ type: "message_ack", event_id });
    await served.gateway.publish("news", ++n);
    assertEquals((await before.next()).data, n);
    if (code !== undefined) await before.close(code);
    await served.gateway.publish("news", ++n);

    await using after = await WireClient.open(url);
    await after.ask({ type: "ping" });
    assertEquals(await after.settled(), [], "a channel flows only once it is subscribed");
    await after.subscribe("news");
    const got = await after.take(2);
    assertEquals(got.map(({ data }) => data), [n - 1, n]);
    assertEquals(got[0]._redelivered, true);
    for (const { event_id } of got) await after.ask({ type: "message_ack", event_id });
    await after.close();
    await before[Symbol.asyncDispose]();
  }
});

Deno.test("fixed wire: a client without a name starts at the head after each reconnect", async () => {
  await using served = await startGateway(QUIET);
  for (const round of numbers(3)) {
    await using client = await WireClient.open(served.ws);
    await client.subscribe("news");
    assertEquals(await client.settled(), []);
    await served.gateway.publish("news", `seen ${round}`);
    assertEquals((await client.next()).data, `seen ${round}`);
    await client.close(4000);
    await served.gateway.publish("news", `missed ${round}`);
  }
});

Deno.test("fixed wire: the newest connection of a name has the session, the older is told to stay away", async () => {
  await using served = await startGateway(QUIET);
  await using older = await WireClient.open(`${served.ws}?client_id=ann`);
  await older.subscribe("news");
  await using newer = await WireClient.open(`${served.ws}?client_id=ann`);
  await newer.subscribe("news");
  assertEquals((await older.closed).code, 4510);
  await served.gateway.publish("news", 1);
  assertEquals((await newer.next()).data, 1);
});

Deno.test("fixed wire: presence comes as single events to the others; acknowledging them is no error", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({}, { clock });
  await using ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await ann.subscribe("news");
  await clock.advance(1_100);
  await using bob = await WireClient.open(`${served.ws}?client_id=bob`);
  await bob.subscribe("news");
  const join = await ann.next();
  assertEquals(Object.keys(join), ["type", "channel", "data", "event_id", "timestamp", "source"]);
  assertEquals([join.type, join.data], ["presence_join", { client_id: "bob", status: "online" }]);
  assertMatch(join.event_id, /./);
  assertEquals(await ann.ask({ type: "message_ack", event_id: join.event_id }), {
    type: "ack_received",
    event_id: join.event_id,
    ok: false,
  });
  assertEquals(await bob.settled(), [], "a client is not told of itself");
});

Deno.test("fixed wire: a batch is no frame, whoever has spoken the extended wire before", async () => {
  await using served = await startGateway(QUIET);
  await using client = await WireClient.open(served.ws);
  assertEquals((await client.ask('[{"type":"ping"},{"type":"ping"}]')).code, "bad_frame");
  await client.ask({ type: "ping" });
  assertEquals((await client.ask('[{"type":"ping"}]')).code, "bad_frame");
  assertEquals(await client.settled(), []);
});

Deno.test("fixed wire: publishes of one connection are stored in the order they were sent", async () => {
  await using served = await startGateway(QUIET);
  await using ann = await WireClient.open(served.ws);
  await using bob = await WireClient.open(served.ws);
  await ann.subscribe("news");
  for (const n of numbers(500)) bob.send({ type: "channel.publish", channel: "news", data: n });
  assertEquals((await ann.take(500)).map(({ data }) => data), numbers(500));
  assertEquals((await bob.take(500)).map(({ delivered }) => delivered), numbers(500).fill(1));
});
