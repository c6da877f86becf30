import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PushError } from "../../client/protocol/mod.ts";
import { Gateway } from "../../mod.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { QUIET, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { TcpClient, upgradeRequest, webSocketFrame } from "../support/tcp_client.ts";
import { until, within } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";
import { assertPushError, ON, storeWith } from "./parts.ts";

Deno.test("starting twice is starting once, and so is stopping", async () => {
  const gateway = new Gateway(ON);
  await Promise.all([gateway.start(), gateway.start()]);
  const { port } = gateway.address;
  await gateway.start();
  assertEquals(gateway.address.port, port);
  await Promise.all([gateway.stop(), gateway.stop()]);
  await gateway.stop();
  await gateway[Symbol.asyncDispose]();
  await assertRejects(() => fetch(`http://127.0.0.1:${port}/health`), TypeError);
});

Deno.test("a gateway that never started stops, and one that has stopped does not start again", async () => {
  const gateway = new Gateway(ON);
  await gateway.stop();
  await assertPushError("going_away", () => gateway.start());
  const stopping = new Gateway(ON);
  const stopped = stopping.stop();
  await assertPushError("going_away", () => stopping.start());
  await stopped;
});

Deno.test("a gateway stopped while it starts leaves nothing behind", async () => {
  const opening = Promise.withResolvers<void>();
  let disposed = 0;
  const store = storeWith({
    open: () => opening.promise,
    [Symbol.asyncDispose]: () => Promise.resolve(void disposed++),
  });
  const clock = new ManualClock();
  const gateway = new Gateway(ON, { store, clock });
  const started = gateway.start();
  const { port } = gateway.address;
  const stopped = gateway.stop();
  opening.resolve();
  await Promise.all([started, stopped]);
  assertEquals([disposed, clock.pending], [1, 0]);
  await assertRejects(() => fetch(`http://127.0.0.1:${port}/health`), TypeError);
});

Deno.test("requests that come while the gateway starts wait until it has", async () => {
  const opening = Promise.withResolvers<void>();
  const gateway = new Gateway(ON, { store: storeWith({ open: () => opening.promise }) });
  await using _ = gateway;
  const started = gateway.start();
  const answer = ask(`http://127.0.0.1:${gateway.address.port}/health`);
  opening.resolve();
  assertEquals((await answer).status, 200);
  await started;
});

Deno.test("a store that does not open: the start fails, frees the port, and may be tried again", async () => {
  let fails = true;
  const open = () =>
    fails ? Promise.reject(new PushError("unavailable", "No store today.")) : Promise.resolve();
  const gateway = new Gateway(ON, { store: storeWith({ open }) });
  await using _ = gateway;
  await assertPushError("unavailable", () => gateway.start());
  assertThrows(() => gateway.address, PushError);
  fails = false;
  await gateway.start();
  assertEquals((await gateway.publish("news", 1)).seq, 1);
});

Deno.test("the address is known while the gateway listens", async () => {
  const gateway = new Gateway(ON);
  assertThrows(() => gateway.address, PushError, "does not listen");
  await gateway.start();
  assert(gateway.address.port > 0);
  await gateway.stop();
  assertThrows(() => gateway.address, PushError, "does not listen");
});

Deno.test("a busy port is AddrInUse; once it is free the same gateway starts", async () => {
  const first = await startGateway();
  await using second = new Gateway({ ...ON, port: first.port });
  await assertRejects(() => second.start(), Deno.errors.AddrInUse);
  await first[Symbol.asyncDispose]();
  await second.start();
  assertEquals(second.address.port, first.port);
});

Deno.test("two gateways of one process do not know each other", async () => {
  await using a = await startGateway();
  await using b = await startGateway();
  await a.gateway.publish("news", 1);
  assertEquals((await a.gateway.channels()).length, 1);
  assertEquals((await b.gateway.channels()).length, 0);
});

Deno.test("a stopped gateway leaves no timer", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({}, { clock });
  const [ann] = await WireClient.connect(served.ws, { subscriptions: [{ channel: "news" }] });
  await using bob = await WireClient.open(served.ws);
  await bob.subscribe("news");
  const poller = await PollClient.register(served.http);
  await poller.post("subscribe", { channel: "news" });
  await served.gateway.publish("news", 1);
  await bob.next("channel_message");
  const { event_id } = await ann.next("channel_message");
  ann.send({ type: "message_nack", event_id, delay: 60 });
  await ann.next("nack_received");
  await bob.close(4000);
  assert(clock.pending > 0);
  await served.gateway.stop();
  assertEquals(clock.pending, 0);
  assertEquals((await ann.closed).code, 4000);
});

Deno.test("stopping closes every WebSocket with 4000, whatever it speaks, and answers every poll", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({}, { clock });
  await using silent = await WireClient.open(served.ws);
  await using fixed = await WireClient.open(served.ws);
  await fixed.subscribe("news");
  const [extended] = await WireClient.connect(served.ws);
  await using _ = extended;
  const poller = await PollClient.register(served.http);
  const held = clock.scheduled(29_000);
  const poll = poller.poll(29);
  await held;
  await within(served.gateway.stop(), "the gateway to stop");
  for (const client of [silent, fixed, extended]) {
    const { code, reason } = await client.closed;
    assertEquals([code, reason.split(":")[0]], [4000, "going_away"]);
  }
  assertEquals(await poll, []);
});

Deno.test("stopping answers every one of many polls", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({}, { clock });
  const pollers = await Promise.all(
    Array.from({ length: 60 }, () => PollClient.register(served.http)),
  );
  const before = clock.pending;
  const polls = pollers.map((poller) => poller.post("messages"));
  await until(() => clock.pending === before + polls.length, "every poll waits");
  await within(served.gateway.stop(), "the gateway to stop");
  for (const { status, body } of await Promise.all(polls)) {
    assertEquals([status, body.messages], [200, []]);
  }
});

Deno.test("stopping waits a second, and no longer, for a peer that does not answer the close", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({}, { clock });
  using deaf = await TcpClient.connect(served.port);
  await deaf.write(upgradeRequest("/ws"));
  await deaf.answer();
  await deaf.write(webSocketFrame('{"type":"ping"}'));
  await deaf.read();
  const patient = clock.scheduled(1_000);
  const stopped = served.gateway.stop();
  await patient;
  await clock.advance(1_000);
  await within(stopped, "the gateway to stop");
  await deaf.hungUp();
});

Deno.test("stopping waits two seconds, and no longer, for a request whose body does not end", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({}, { clock });
  using slow = await TcpClient.connect(served.port);
  await slow.write(
    "POST /api/push/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
  );
  // A later request is answered, so the gateway has the earlier one.
  assertEquals((await ask(`${served.http}/health`)).status, 200);
  const patient = clock.scheduled(2_000);
  const stopped = served.gateway.stop();
  await patient;
  await clock.advance(2_000);
  await within(stopped, "the gateway to stop");
  await slow.hungUp();
});

Deno.test("stopping waits two seconds, and no longer, for a client that does not read its answer", async () => {
  const clock = new SocketClock();
  const windowBytes = 2 ** 26;
  await using served = await startGateway({
    push: { delivery: { windowBytes }, polling: { maxBatchSize: 1000 } },
  }, { clock });
  const poller = await PollClient.register(served.http);
  await poller.post("subscribe", { channel: "news" });
  for (let n = 0; n < 400; n++) await served.gateway.publish("news", "x".repeat(60_000));
  using deaf = await TcpClient.connect(served.port);
  const body = JSON.stringify({ poll_token: poller.pollToken });
  await deaf.write(
    `POST /api/push/poll/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await deaf.read();
  const patient = clock.scheduled(2_000);
  const stopped = served.gateway.stop();
  await patient;
  await clock.advance(2_000);
  await within(stopped, "the gateway to stop");
  await deaf.hungUp();
});

for (const websocket of ["deno", "ws"] as const) {
  Deno.test(`stopping waits for no program that has not said who speaks (${websocket})`, async () => {
    const clock = new SocketClock();
    let asked = 0;
    const authenticate = () => {
      asked++;
      return new Promise<null>(() => {});
    };
    await using served = await startGateway({ websocket }, { clock, authenticate });
    await using opening = await WireClient.open(served.ws);
    opening.send({ type: "connect", version: 1, instance: "i", attempt: 1, token: "secret" });
    const upgrading = ask(`${served.http}/ws?token=secret`, {
      headers: {
        upgrade: "websocket",
        connection: "upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      },
    });
    const polling = PollClient.register(served.http, { auth_token: "secret" });
    polling.catch(() => {});
    await until(() => asked === 3, "all are asked for");
    await within(served.gateway.stop(), "the gateway to stop");
    assertEquals(clock.pending, 0);
    assertEquals((await opening.closed).code, 4000);
    assertEquals((await upgrading).body.code, "going_away");
    await assertRejects(() => polling, Error, "going_away");
  });
}

Deno.test("stopping waits two seconds, and no longer, for a program that has not said what somebody may do", async () => {
  const clock = new SocketClock();
  let isAsked = false;
  let isSilent = false;
  const authorize = () => {
    isAsked = isSilent;
    return isSilent ? new Promise<boolean>(() => {}) : true;
  };
  await using served = await startGateway({}, { clock, authorize });
  const subscriptions = [{ channel: "news" }];
  const [before] = await WireClient.connect(served.ws, { client_id: "ann", subscriptions });
  await before.close(4000);
  isSilent = true;
  await using again = await WireClient.open(served.ws);
  again.send({ type: "connect", version: 1, instance: "i", attempt: 1, client_id: "ann" });
  await until(() => isAsked, "the program is asked");
  const patient = clock.scheduled(2_000);
  const stopped = served.gateway.stop();
  await patient;
  await clock.advance(2_000);
  await within(stopped, "the gateway to stop");
  assertEquals((await again.closed).code, 4000);
  assertEquals(clock.pending, 0);
});

Deno.test("who is let in while the gateway stops is sent away before the WebSocket begins", async () => {
  const clock = new SocketClock();
  const asked = Promise.withResolvers<void>();
  const decided = Promise.withResolvers<{ subject: string }>();
  const authenticate = (_: unknown, token?: string) => {
    if (token === "first") return { subject: "ann" };
    asked.resolve();
    return decided.promise;
  };
  await using served = await startGateway({}, { clock, authenticate });
  using deaf = await TcpClient.connect(served.port);
  await deaf.write(upgradeRequest("/ws?token=first"));
  await deaf.answer();
  await deaf.write(webSocketFrame('{"type":"ping"}'));
  await deaf.read();
  using late = await TcpClient.connect(served.port);
  await late.write(upgradeRequest("/ws?token=second"));
  await asked.promise;
  const patient = clock.scheduled(1_000);
  const stopped = served.gateway.stop();
  await patient;
  decided.resolve({ subject: "bob" });
  assertEquals((await late.answer())?.status, 503);
  await clock.advance(1_000);
  await within(stopped, "the gateway to stop");
});

Deno.test("a request to a gateway that has stopped leaves no timer, however late its body comes", async () => {
  const clock = new SocketClock();
  const gateway = new Gateway({ log: QUIET, push: { enabled: true } }, { clock });
  const begun = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request, info) => {
    begun.resolve();
    return gateway.fetch(request, info);
  });
  using slow = await TcpClient.connect(server.addr.port);
  const body = '{"channel":"news","data":1}';
  const head = `Host: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
  await slow.write(`POST /api/push/publish HTTP/1.1\r\n${head}{`);
  await begun.promise;
  assertEquals((await ask(`http://127.0.0.1:${server.addr.port}/health`)).status, 200);
  await within(gateway.stop(), "the gateway to stop");
  await slow.write(body.slice(1));
  assertEquals((await slow.answer())?.status, 503);
  assertEquals(clock.pending, 0);
  await server.shutdown();
});
