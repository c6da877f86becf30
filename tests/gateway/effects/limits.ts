import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../../server/clock.ts";
import { ask } from "../../support/http_client.ts";
import { TcpClient, upgradeRequest, webSocketFrame } from "../../support/tcp_client.ts";
import { within } from "../../support/within.ts";
import { WireClient } from "../../support/wire_client.ts";
import { type Effects, leave, timed } from "./effect.ts";

/** What the limits do. */
export const LIMITS: Effects = {
  "push.limits.maxFrameBytes": {
    says: "a larger frame ends its connection, a larger body is refused; bytes count, not letters",
    async run() {
      await using gateway = await timed({ limits: { maxFrameBytes: 2048, maxMessageBytes: 2048 } });
      const frame = (fill: string) => ({ type: "ping", fill });
      const head = JSON.stringify(frame("")).length;
      for (const [fill, fits] of [["x", true], ["ü", true], ["x", false], ["ü", false]] as const) {
        await using client = await WireClient.open(gateway.ws);
        const letters = Math.floor((2048 - head) / (fill === "x" ? 1 : 2)) + (fits ? 0 : 1);
        client.send(frame(fill.repeat(letters)));
        if (fits) assertEquals(await client.next(), { type: "pong" });
        else assertEquals((await client.closed).code, 4513);
      }
      const body = { channel: "news", data: "x".repeat(2048) };
      assertEquals((await ask(`${gateway.http}/api/push/publish`, { body })).status, 413);
    },
  },
  "push.limits.maxMessageBytes": {
    says: "a larger payload is refused, whoever publishes it",
    async run() {
      await using gateway = await timed({ limits: { maxMessageBytes: 20 } });
      await using client = await WireClient.open(gateway.ws);
      const publish = (data: string) =>
        client.ask({ type: "channel.publish", channel: "news", data });
      assertEquals((await publish("x".repeat(18))).type, "channel.published");
      assertEquals((await publish("x".repeat(19))).code, "message_too_large");
      assertEquals((await publish("ü".repeat(10))).code, "message_too_large");
      await assertRejects(() => gateway.gateway.publish("news", "x".repeat(19)), Error, "21 bytes");
      const [extended, { max_message_bytes }] = await WireClient.connect(gateway.ws);
      await extended.close();
      assertEquals(max_message_bytes, 20);
    },
  },
  "push.limits.maxNesting": {
    says: "JSON that is nested deeper is refused",
    async run() {
      await using gateway = await timed({ limits: { maxNesting: 3 } });
      await using client = await WireClient.open(gateway.ws);
      const publish = (data: string) =>
        client.ask(`{"type":"channel.publish","channel":"news","data":${data}}`);
      assertEquals((await publish("[[1]]")).type, "channel.published");
      assertEquals((await publish("[[[1]]]")).code, "nesting_too_deep");
      const body = '{"channel":"news","data":[[[1]]]}';
      assertEquals((await ask(`${gateway.http}/api/push/publish`, { body })).status, 400);
    },
  },
  "push.limits.maxMetadataBytes": {
    says: "larger metadata is refused, of a client and of a channel",
    async run() {
      await using gateway = await timed({ limits: { maxMetadataBytes: 10 } });
      await using client = await WireClient.open(gateway.ws);
      const heartbeat = (metadata: object) => client.ask({ type: "presence.heartbeat", metadata });
      assertEquals((await heartbeat({ a: "12" })).ok, true, "ten bytes as JSON");
      assertEquals((await heartbeat({ a: "123" })).code, "metadata_too_large");
      const metadata = { a: "123" };
      const created = await client.ask({ type: "channel.create", channel: "a", metadata });
      assertEquals(created.code, "metadata_too_large");
    },
  },
  "push.limits.maxChannels": {
    says: "a client is subscribed to so many channels at most",
    async run() {
      await using gateway = await timed({ limits: { maxChannels: 2 } });
      await using client = await WireClient.open(gateway.ws);
      for (const channel of ["a", "b"]) await client.subscribe(channel);
      const subscribe = { type: "channel.subscribe", channel: "c" };
      assertEquals((await client.ask(subscribe)).code, "too_many_channels");
      await client.ask({ type: "channel.unsubscribe", channel: "a" });
      assertEquals((await client.ask(subscribe)).ok, true);
    },
  },
  "push.limits.maxConnections": {
    says: "so many clients are connected at most, whatever they speak",
    async run() {
      await using gateway = await timed({ limits: { maxConnections: 1 } });
      const first = await WireClient.open(gateway.ws);
      await assertRejects(() => WireClient.open(gateway.ws));
      await first.close();
      await using second = await WireClient.open(gateway.ws);
      assertEquals(await second.ask({ type: "ping" }), { type: "pong" });
      for (const path of ["poll/register", "sse?channel=news"]) {
        const method = path.startsWith("poll") ? "POST" : "GET";
        const { status, body } = await ask(`${gateway.http}/api/push/${path}`, { method });
        assertEquals([status, body.code], [503, "too_many_connections"]);
      }
    },
  },
  "push.limits.maxSessions": {
    says:
      "so many clients are remembered; of a subject's the one longest away goes, one that is there never",
    async run() {
      await using gateway = await timed({ limits: { maxSessions: 2 } });
      const open = (client_id: string) => WireClient.connect(gateway.ws, { client_id });
      const resumes = async (client_id: string) => {
        const [client, { resumed }] = await open(client_id);
        await leave(gateway, client);
        await gateway.clock.advance(1_000);
        return resumed;
      };
      assertEquals(await resumes("ann"), false);
      assertEquals(await resumes("bob"), false);
      assertEquals(await resumes("cid"), false, "ann is forgotten for cid");
      assertEquals(await resumes("bob"), true);
      const [bob] = await open("bob");
      const [dan] = await open("dan");
      await using _bob = bob;
      await using _dan = dan;
      await using eve = await WireClient.open(gateway.ws);
      eve.send({ type: "connect", version: 1, instance: "i", attempt: 1, client_id: "eve" });
      assertEquals((await eve.next()).code, "too_many_sessions");
      assertEquals((await eve.closed).code, 4431);
      assertEquals(await bob.ask({ type: "ping" }), { type: "pong" });
      const { body } = await ask(`${gateway.http}/health`);
      assertEquals(body.push.store.sessionsForgotten, 2);
    },
  },
  "push.limits.maxSessionsPerSubject": {
    says:
      "so many clients of one subject are remembered; those who share one token have no such limit",
    async run() {
      const authToken = "shared";
      const push = {
        auth: { tokens: [{ name: "ann", token: "ann's" }, { name: "bob", token: "bob's" }] },
        limits: { maxSessionsPerSubject: 2 },
      };
      await using gateway = await timed(push, { authToken });
      const resumes = async (token: string, client_id: string) => {
        const [client, { resumed }] = await WireClient.connect(gateway.ws, { token, client_id });
        await leave(gateway, client);
        await gateway.clock.advance(1_000);
        return resumed;
      };
      assertEquals(await resumes("bob's", "1"), false);
      for (const id of ["1", "2", "3"]) {
        assertEquals(await resumes("ann's", id), false);
        assertEquals(await resumes(authToken, id), false);
      }
      assertEquals(await resumes("ann's", "3"), true);
      assertEquals(await resumes("ann's", "1"), false, "it was forgotten for the third");
      assertEquals(await resumes("bob's", "1"), true);
      for (const id of ["1", "2", "3"]) assertEquals(await resumes(authToken, id), true);
      const [one] = await WireClient.connect(gateway.ws, { token: "ann's", client_id: "1" });
      const [two] = await WireClient.connect(gateway.ws, { token: "ann's", client_id: "2" });
      await using _one = one;
      await using _two = two;
      await using late = await WireClient.open(gateway.ws);
      const who = { instance: "i", attempt: 1, client_id: "3", token: "ann's" };
      late.send({ type: "connect", version: 1, ...who });
      const { code, message } = await late.next();
      assertEquals(code, "too_many_sessions");
      assertStringIncludes(message, "maxSessionsPerSubject");
      assertEquals((await late.closed).code, 4431);
    },
  },
  "push.limits.maxBufferedBytes": {
    says: "a client with more waiting for it is closed as a slow consumer",
    async run() {
      await using gateway = await timed({
        limits: { maxBufferedBytes: 70_000 },
        delivery: { enabled: false },
      });
      const gone = Promise.withResolvers<void>();
      gateway.gateway.on("disconnected", () => gone.resolve());
      using deaf = await TcpClient.connect(gateway.port);
      await deaf.write(upgradeRequest("/ws?client_id=deaf"));
      await deaf.answer();
      await deaf.write(webSocketFrame('{"type":"channel.subscribe","channel":"news"}'));
      await deaf.read();
      // Messages wait in the log once the kernel takes no more; answers have to wait for the client.
      for (let n = 0; n < 300; n++) await gateway.gateway.publish("news", "x".repeat(60_000));
      for (let n = 0; n < 100; n++) await gateway.gateway.publish(`${n}`.padEnd(250, "x"), n);
      for (let n = 0; n < 60; n++) await deaf.write(webSocketFrame('{"type":"channel.list"}'));
      await within(gone.promise, "the deaf client to be closed");
      const { text } = await ask(`${gateway.http}/metrics`);
      assertEquals(/^push_closed_total\{code="slow_consumer"\} 1$/m.test(text), true);
    },
  },
  "push.limits.maxTotalBufferedBytes": {
    says: "when more waits for all together, the one goes that has waited longest with the most",
    async run() {
      await using gateway = await timed({
        limits: { maxTotalBufferedBytes: 300_000 },
        delivery: { enabled: false },
      });
      const gone: string[] = [];
      const first = Promise.withResolvers<void>();
      gateway.gateway.on("disconnected", ({ clientId }) => {
        gone.push(clientId);
        first.resolve();
      });
      const deaf = async (name: string): Promise<TcpClient> => {
        const client = await TcpClient.connect(gateway.port);
        await client.write(upgradeRequest(`/ws?client_id=${name}`));
        await client.answer();
        await client.write(webSocketFrame('{"type":"channel.subscribe","channel":"news"}'));
        await client.read();
        return client;
      };
      const publish = async (isEnough: () => boolean): Promise<void> => {
        for (let n = 0; n < 400 && !isEnough(); n++) {
          await gateway.gateway.publish("news", "x".repeat(60_000));
          // A turn of the event loop, in which it is sent.
          await new Promise<void>((resolve) => systemClock.schedule(0, resolve));
        }
      };
      using clients = new DisposableStack();
      clients.use(await deaf("long"));
      // Until it takes no more: some 100 KB wait for it then.
      await publish(() => false);
      assertEquals(gone, []);
      await gateway.clock.advance(1_000);
      for (let n = 0; n < 5 && gone.length === 0; n++) {
        clients.use(await deaf(`short-${n}`));
        await publish(() => gone.length > 0);
      }
      await within(first.promise, "a deaf client to be closed");
      assertEquals(gone, ["long"]);
      const { text } = await ask(`${gateway.http}/metrics`);
      assertEquals(/^push_closed_total\{code="slow_consumer"\} 1$/m.test(text), true);
    },
  },
  "push.limits.idleTimeout": {
    says: "a client that gives no sign of life for so long is closed",
    async run() {
      await using gateway = await timed({ limits: { idleTimeout: 1 } });
      using silent = await TcpClient.connect(gateway.port);
      await silent.write(upgradeRequest("/ws"));
      await silent.answer();
      await using living = await WireClient.open(gateway.ws);
      // The first to come is a ping; it is not answered, and the close follows.
      const ping = await silent.read();
      assertEquals(ping![0] & 15, 9);
      const close = await silent.read();
      assertEquals(close![0] & 15, 8);
      assertEquals(await living.ask({ type: "ping" }), { type: "pong" });
    },
  },
};
