import { assert, assertEquals, assertMatch } from "@std/assert";
import { ask, PollClient } from "../../support/http_client.ts";
import { TcpClient, upgradeRequest } from "../../support/tcp_client.ts";
import { type Frame, WireClient } from "../../support/wire_client.ts";
import { type Effects, type Timed, timed } from "./effect.ts";

const BEHIND_PROXY = { trustProxy: ["loopback"] };
const from = (address: string) => ({ "x-forwarded-for": address });

/** The status that an upgrade from an address is answered with. */
async function upgrade(
  gateway: Timed,
  address: string,
): Promise<[socket: TcpClient, status: number | undefined]> {
  const socket = await TcpClient.connect(gateway.port);
  await socket.write(upgradeRequest("/ws", { "X-Forwarded-For": address }));
  return [socket, (await socket.answer())?.status];
}

/** How often a limit was hit, as the metrics say. */
async function hits(gateway: Timed, limit: string, token?: string): Promise<number> {
  const { text } = await ask(`${gateway.http}/metrics`, { token });
  return Number(
    new RegExp(`^push_limit_hits_total\\{limit="${limit}"\\} (\\d+)$`, "m").exec(text)?.[1],
  );
}

const publish = { type: "channel.publish", channel: "news", data: 1 };

/** What the limits of addresses and of rates do. */
export const RATES: Effects = {
  "push.limits.maxConnectionsPerAddress": {
    says: "so many connections from one address, of IPv6 from one /64; this machine's do not count",
    async run() {
      const limits = { maxConnectionsPerAddress: 2 };
      await using gateway = await timed({ limits }, BEHIND_PROXY);
      const status = async (address: string) => {
        const [socket, status] = await upgrade(gateway, address);
        sockets.push(socket);
        return status;
      };
      const sockets: TcpClient[] = [];
      try {
        assertEquals(await status("2001:db8::1"), 101);
        const register = { body: {}, headers: from("2001:db8::2") };
        assertEquals((await ask(`${gateway.http}/api/push/poll/register`, register)).status, 200);
        assertEquals(await status("2001:db8::3"), 429);
        const refused = await ask(`${gateway.http}/api/push/sse?channel=a`, {
          headers: from("2001:db8::4"),
        });
        assertEquals([refused.status, refused.body.code], [429, "too_many_from_address"]);
        assertMatch(refused.body.error, /2 connections .*maxConnectionsPerAddress/);
        assertEquals(await status("2001:db8:0:1::1"), 101);
        for (let i = 0; i < 3; i++) assertEquals(await status("127.0.0.1"), 101);
        assertEquals(await hits(gateway, "maxConnectionsPerAddress"), 2);
      } finally {
        for (const socket of sockets) socket[Symbol.dispose]();
      }
    },
  },
  "push.limits.maxHandshakes": {
    says: "so many connections may be there that have not said who they are",
    async run() {
      await using gateway = await timed({ limits: { maxHandshakes: 1 } }, { authToken: "right" });
      await using silent = await WireClient.open(gateway.ws);
      const [other, status] = await upgrade(gateway, "127.0.0.1");
      other[Symbol.dispose]();
      assertEquals(status, 503);
      await using known = await WireClient.open(`${gateway.ws}?token=right`);
      assertEquals(await known.ask({ type: "ping" }), { type: "pong" });
      silent.send({ type: "connect", version: 1, instance: "i", attempt: 1, token: "right" });
      assertEquals((await silent.next()).type, "connected");
      await using next = await WireClient.open(gateway.ws);
      await next.close();
      assertEquals(await hits(gateway, "maxHandshakes", "right"), 1);
    },
  },
  "push.limits.handshakeTimeout": {
    says: "a connection that has not said who it is after so long is closed",
    async run() {
      await using gateway = await timed({ limits: { handshakeTimeout: 3 } }, {
        authToken: "right",
      });
      await using silent = await WireClient.open(gateway.ws);
      await gateway.clock.advance(2_999);
      await using known = await WireClient.open(`${gateway.ws}?token=right`);
      await gateway.clock.advance(1);
      assertEquals((await silent.closed).code, 4002);
      assertMatch((await silent.closed).reason, /3 seconds \(handshakeTimeout\)/);
      assertEquals(await known.ask({ type: "ping" }), { type: "pong" });
    },
  },
  "push.limits.frameRate": {
    says: "who goes on sending faster is closed with a code to come back",
    async run() {
      await using gateway = await timed({ limits: { frameRate: 5, frameBurst: 1 } });
      await using client = await WireClient.open(gateway.ws);
      const ping = { type: "ping" };
      assertEquals(await client.ask(ping), { type: "pong" });
      await gateway.clock.advance(200);
      assertEquals(await client.ask(ping), { type: "pong" });
      await gateway.clock.advance(199);
      client.send(ping);
      const { code, reason } = await client.closed;
      assertEquals(code, 4432);
      assertMatch(reason, /^too_many_frames: .* 5 frames a second \(frameRate\)/);
      assertEquals(await hits(gateway, "frameRate"), 1);
    },
  },
  "push.limits.frameBurst": {
    says:
      "so many frames at once; what acknowledges a message does not count, what does not counts",
    async run() {
      await using gateway = await timed({ limits: { frameRate: 1, frameBurst: 10 } });
      await using client = await WireClient.open(gateway.ws);
      await client.subscribe("news");
      for (let n = 0; n < 20; n++) {
        await gateway.gateway.publish("news", n);
        const { event_id } = await client.next();
        assertEquals((await client.ask({ type: "message_ack", event_id })).ok, true);
      }
      const [, ...left] = Array(10).fill({ type: "message_ack", event_id: "nothing" });
      for (const ack of left) assertEquals((await client.ask(ack)).ok, false);
      client.send({ type: "ping" });
      assertEquals((await client.closed).code, 4432);
      // A long frame counts as several.
      await using other = await WireClient.open(gateway.ws);
      other.send({ type: "ping", fill: "x".repeat(9 * 4096) });
      assertEquals(await other.next(), { type: "pong" });
      other.send({ type: "ping" });
      assertEquals((await other.closed).code, 4432);
      // Each frame of a batch counts, and each request of a poller.
      const [batches] = await WireClient.connect(gateway.ws);
      batches.send(Array(10).fill({ type: "ping" }));
      assertEquals((await batches.closed).code, 4432);
      const poller = await PollClient.register(gateway.http);
      const answers: number[] = [];
      for (let n = 0; n < 11; n++) answers.push((await poller.post("heartbeat")).status);
      assertEquals(answers, [...Array(10).fill(200), 429]);
    },
  },
  "push.limits.publishRate": {
    says: "who publishes faster is refused, and told how long to wait",
    async run() {
      await using gateway = await timed({ limits: { publishRate: 2, publishBurst: 1 } });
      await using client = await WireClient.open(gateway.ws);
      assertEquals((await client.ask(publish)).type, "channel.published");
      const refused = await client.ask(publish);
      assertEquals([refused.code, refused.retry_after], ["too_many_publishes", 0.5]);
      assertMatch(refused.message, /2 publishes a second \(publishRate\)/);
      await gateway.clock.advance(500);
      assertEquals((await client.ask(publish)).type, "channel.published");
      assertEquals(await hits(gateway, "publishRate"), 1);
    },
  },
  "push.limits.publishBurst": {
    says: "so many messages at once, of each client and of each subject over HTTP",
    async run() {
      await using gateway = await timed({ limits: { publishRate: 1, publishBurst: 3 } });
      // A channel that has to be made costs more.
      await gateway.gateway.publish("news", 0);
      await using client = await WireClient.open(gateway.ws);
      const types = async (n: number) => {
        const answers: Frame[] = [];
        while (answers.length < n) answers.push(await client.ask(publish));
        return answers.map(({ code }) => code);
      };
      assertEquals(await types(4), [undefined, undefined, undefined, "too_many_publishes"]);
      const body = { channel: "news", data: 1 };
      const statuses: number[] = [];
      for (let n = 0; n < 4; n++) {
        const answer = await ask(`${gateway.http}/api/push/publish`, { body });
        statuses.push(answer.status);
        if (answer.status === 429) assertEquals(answer.headers.get("retry-after"), "1");
      }
      assertEquals(statuses, [200, 200, 200, 429]);
      // The program that embeds the gateway is not held back.
      for (let n = 0; n < 10; n++) await gateway.gateway.publish("news", n);
    },
  },
  "push.limits.pollRate": {
    says: "who polls faster is refused, and told how long to wait",
    async run() {
      await using gateway = await timed({ limits: { pollRate: 2, pollBurst: 1 } });
      const client = await PollClient.register(gateway.http);
      await client.poll(0);
      const { status, body } = await client.post("messages");
      assertEquals([status, body.code, body.retry_after], [429, "too_many_polls", 0.5]);
      await gateway.clock.advance(500);
      await client.poll(0);
      assertEquals(await hits(gateway, "pollRate"), 1);
    },
  },
  "push.limits.pollBurst": {
    says: "so many polls at once, and other requests as before",
    async run() {
      await using gateway = await timed({ limits: { pollRate: 1, pollBurst: 3 } });
      const client = await PollClient.register(gateway.http);
      for (let n = 0; n < 3; n++) await client.poll(0);
      assertEquals((await client.post("messages")).status, 429);
      assertEquals((await client.post("heartbeat")).status, 200);
      const stream = await ask(`${gateway.http}/api/push/sse`, {
        body: { poll_token: client.pollToken },
      });
      assertEquals([stream.status, stream.body.code], [429, "too_many_polls"]);
    },
  },
  "push.limits.maxStoredChannels": {
    says: "no further channel is created; those that exist go on",
    async run() {
      await using gateway = await timed({ limits: { maxStoredChannels: 2 } });
      await using client = await WireClient.open(gateway.ws);
      assertEquals((await client.ask({ ...publish, channel: "a" })).type, "channel.published");
      assertEquals(await client.subscribe("b").then(({ ok }) => ok), true);
      const full = "too_many_stored_channels";
      assertEquals((await client.ask({ ...publish, channel: "c" })).code, full);
      for (const type of ["channel.subscribe", "channel.create"]) {
        assertEquals((await client.ask({ type, channel: "c" })).code, full);
      }
      const refused = await ask(`${gateway.http}/api/push/publish`, {
        body: { channel: "c", data: 1 },
      });
      assertEquals([refused.status, refused.body.code], [507, full]);
      // Long after they were used here.
      await gateway.clock.advance(20_000);
      for (const channel of ["a", "b"]) {
        assertEquals((await client.ask({ ...publish, channel })).type, "channel.published");
      }
      const { body } = await ask(`${gateway.http}/api/push/channels`);
      assertEquals(body.channels.map(({ name }: Frame) => name).sort(), ["a", "b"]);
      assertEquals(await hits(gateway, "maxStoredChannels"), 4);
    },
  },
  "push.limits.maxChannelName": {
    says: "a channel with a longer name is refused, whatever is wanted of it",
    async run() {
      await using gateway = await timed({ limits: { maxChannelName: 5 } });
      await using client = await WireClient.open(gateway.ws);
      assertEquals((await client.ask({ ...publish, channel: "right" })).type, "channel.published");
      for (const type of ["channel.publish", "channel.subscribe", "channel.create"]) {
        const { code, message } = await client.ask({ ...publish, type, channel: "longer" });
        assertEquals(code, "channel_name_too_long");
        assertMatch(message, /at most 5 characters \(maxChannelName\)/);
      }
      const body = { channel: "longer", data: 1 };
      const refused = await ask(`${gateway.http}/api/push/publish`, { body });
      assertEquals([refused.status, refused.body.code], [400, "channel_name_too_long"]);
      assertEquals(await hits(gateway, "maxChannelName"), 4);
    },
  },
  "push.limits.maxTakeovers": {
    says:
      "a session goes from one client object to another so often a minute; the last one keeps it",
    async run() {
      await using gateway = await timed({ limits: { maxTakeovers: 2 } });
      const clients: WireClient[] = [];
      const connect = async (instance: string, attempt = 1) => {
        const client = await WireClient.open(gateway.ws);
        clients.push(client);
        client.send({ type: "connect", version: 1, instance, attempt, client_id: "ann" });
        return [client, await client.next()] as const;
      };
      try {
        for (const instance of ["a", "b", "c"]) {
          assertEquals((await connect(instance))[1].type, "connected");
        }
        const [holder, { type }] = await connect("c", 2);
        assertEquals(type, "connected", "its own reconnect is no takeover");
        const [refused, { code }] = await connect("d");
        assertEquals(code, "too_many_takeovers");
        assertEquals((await refused.closed).code, 4433);
        assertEquals(await holder.ask({ type: "ping" }), { type: "pong" });
        await gateway.clock.advance(30_000);
        assertEquals((await connect("e"))[1].type, "connected");
        assertEquals(await hits(gateway, "maxTakeovers"), 1);
      } finally {
        for (const client of clients) await client.close();
      }
    },
  },
  "push.limits.maxFailures": {
    says:
      "an address that showed too many wrong tokens is refused, even with a right one, for a while",
    async run() {
      await using gateway = await timed({ limits: { maxFailures: 1 } }, {
        ...BEHIND_PROXY,
        authToken: "right",
      });
      const status = async (token: string, address: string) => {
        const url = `${gateway.http}/api/push/channels`;
        return (await ask(url, { token, headers: from(address) })).status;
      };
      const bad = "192.0.2.1";
      for (let n = 0; n < 5; n++) assertEquals(await status("wrong", bad), 401);
      const fixed = new Set<string>();
      for (const token of ["wrong", "right"]) {
        const answer = await ask(`${gateway.http}/api/push/channels`, {
          token,
          headers: from(bad),
        });
        assertEquals([answer.status, answer.body.code], [429, "too_many_failures"]);
        fixed.add(answer.text);
      }
      assertEquals(fixed.size, 1, "the answer shows nothing of the token");
      const [socket, refusal] = await upgrade(gateway, bad);
      socket[Symbol.dispose]();
      assertEquals(refusal, 429);
      assertEquals(await status("right", "192.0.2.2"), 200);
      for (let n = 0; n < 9; n++) assertEquals(await status("wrong", "127.0.0.1"), 401);
      await gateway.clock.advance(1_000);
      assertEquals(await status("right", bad), 200);
      assert(await hits(gateway, "maxFailures", "right") >= 3);
    },
  },
};
