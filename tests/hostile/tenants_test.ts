import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { GatewayOptions } from "../../mod.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { type Answer, ask, PollClient } from "../support/http_client.ts";
import { startRedis } from "../support/redis.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const QUIET = { presence: { broadcastChanges: false } };
const ANN = "ann-secret";
const EVE = "eve-secret";
/** Two subjects that no rule tells apart: each may do everything that takes no rule. */
const TOKENS = [{ name: "ann", token: ANN }, { name: "eve", token: EVE }];
/** Two subjects with channels of their own, and one that both share. */
const OWN = (name: string, token: string) => ({
  name,
  token,
  allow: [
    { channels: [`${name}:**`], actions: ["subscribe", "publish", "presence", "history"] as const },
    { channels: ["shared"], actions: ["subscribe", "publish"] as const },
  ],
});
const EPOCH = "abcdefghij";

/** A client of the extended wire. */
async function connect(served: Served, token: string, more: object = {}) {
  const instance = crypto.randomUUID();
  return await WireClient.connect(served.ws, { token, instance, ...more });
}

/** All that somebody learns from an answer. */
function told({ status, text, headers }: Answer): unknown {
  return [status, text, [...headers].filter(([name]) => name !== "date")];
}

/** Asks over HTTP as Eve. */
function asEve({ http }: Served) {
  return (path: string, body?: unknown) => ask(`${http}/api/push/${path}`, { body, token: EVE });
}

/** The text of the answer to one frame, as it was written. */
async function textOf(client: WireClient, frame: Frame): Promise<string> {
  const before = client.texts.length;
  await client.ask(frame);
  return client.texts[before];
}

const stores: readonly (readonly [name: string, run: (t: Run) => Promise<void>])[] = [
  ["memory", (run) => run({})],
  ["redis", async (run) => {
    await using redis = await startRedis({ appendonly: false });
    await run({ redis: { url: redis.url }, delivery: { storeBackend: "redis" } });
  }],
];
type Run = (push: GatewayOptions["push"]) => Promise<void>;

for (const [store, over] of stores) {
  Deno.test(`a client id of one subject is none of another's: nobody is drained, acknowledged for or evicted (${store})`, async () => {
    await over(async (push) => {
      await using served = await startGateway({
        push: { ...QUIET, ...push, auth: { tokens: TOKENS } },
      });
      const [ann] = await connect(served, ANN, {
        client_id: "desk",
        instance: "same",
        subscriptions: [{ channel: "news" }],
      });
      await using _ann = ann;
      await served.gateway.publish("news", 1);
      const message = await ann.next("channel_message");

      // The same name, the same instance, a higher attempt: what takes a session within a subject.
      const claim = { client_id: "desk", instance: "same", attempt: 1e9 };
      const [eve, connected] = await connect(served, EVE, claim);
      await using _eve = eve;
      assertEquals([connected.type, connected.resumed], ["connected", false]);
      const { event_id, epoch, seq } = message;
      const unknown = `${EPOCH}:7:news`;
      for (const type of ["message_ack", "message_nack"]) {
        const shown = await textOf(eve, { type, event_id });
        assertEquals(
          shown,
          (await textOf(eve, { type, event_id: unknown })).replace(unknown, event_id),
        );
        assert(shown.includes('"ok":false'), shown);
      }
      eve.send({ type: "ack", acks: [{ channel: "news", epoch, upto: seq }] });
      eve.send({ type: "channel.unsubscribe", channel: "news" });
      await eve.next("channel.unsubscribed");
      eve.send({ type: "disconnect", forget: true });
      await eve.closed;
      const poller = await PollClient.register(served.http, { client_id: "desk" }, { token: EVE });
      assertEquals(await poller.poll(0), [], "nothing of Ann's waits for Eve");
      await poller.post("unregister", { forget: true });

      await served.gateway.publish("news", 2);
      assertEquals((await ann.next("channel_message")).data, 2, "Ann is subscribed as before");
      ann.send({ type: "message_ack", event_id });
      assertEquals((await ann.next("ack_received")).ok, true, "the message was Ann's to settle");
    });
  });

  Deno.test(`a minted id and its secret are worth nothing to another subject, as if they had never been (${store})`, async () => {
    await over(async (push) => {
      await using served = await startGateway({
        push: { ...QUIET, ...push, auth: { tokens: TOKENS } },
      });
      const [ann, { client_id, secret }] = await connect(served, ANN, {
        subscriptions: [{ channel: "news" }],
      });
      await using _ann = ann;
      const seen = async (client_id: string, secret: string) => {
        const [eve, answer] = await connect(served, EVE, { client_id, secret });
        await using _ = eve;
        return JSON.stringify(answer).replaceAll(client_id, "ID").replaceAll(secret, "SECRET");
      };
      const never = client_id.replace(/./g, "0");
      assertEquals(await seen(client_id, secret), await seen(never, "1".repeat(secret.length)));
      await served.gateway.publish("news", 1);
      assertEquals((await ann.next("channel_message")).data, 1);
    });
  });

  Deno.test(`a subject that opens sessions without end neither ends another's away ones nor learns of them (${store})`, async () => {
    const tell = async (push: GatewayOptions["push"], isAnnThere: boolean) => {
      await using served = await startGateway({
        push: {
          ...QUIET,
          ...push,
          auth: { tokens: TOKENS },
          limits: { maxSessions: 12, maxSessionsPerSubject: 5 },
        },
      });
      const mine = ["desk", "phone"];
      for (const client_id of isAnnThere ? mine : []) {
        const [ann] = await connect(served, ANN, {
          client_id,
          subscriptions: [{ channel: "news" }],
        });
        await ann.close();
      }
      await served.gateway.publish("news", "kept");
      const learnt: unknown[] = [];
      const open = async (token: string, more: object) => {
        const [client, { type, resumed, code, message }] = await connect(served, token, more);
        learnt.push([type, resumed, code, message]);
        return client;
      };
      const client = (i: number) => i % 2 === 0 ? { client_id: `e${i}` } : {};
      for (let i = 0; i < 30; i++) await (await open(EVE, client(i))).close();
      for (const client_id of mine) await (await open(EVE, { client_id })).close();
      {
        await using held = new AsyncDisposableStack();
        for (let i = 0; i < 7; i++) held.use(await open(EVE, client(i)));
        for (const line of learnt.slice(-2).map((line) => JSON.stringify(line))) {
          assert(line.includes("too_many_sessions"), line);
          assert(line.includes("maxSessionsPerSubject"), line);
        }
        // Over every way to have one.
        const polled = await ask(`${served.http}/api/push/poll/register`, {
          method: "POST",
          token: EVE,
        });
        const streamed = await ask(`${served.http}/api/push/sse?channel=news`, { token: EVE });
        for (const { status, body } of [polled, streamed]) {
          learnt.push([status, body]);
          assertEquals([status, body.code], [503, "too_many_sessions"]);
        }
      }
      for (const client_id of isAnnThere ? mine : []) {
        const [ann, { resumed }] = await connect(served, ANN, {
          client_id,
          subscriptions: [{ channel: "news" }],
        });
        await using _ = ann;
        assertEquals(resumed, true, client_id);
        assertEquals((await ann.next("channel_message")).data, "kept");
      }
      return learnt;
    };
    const seen: unknown[][] = [];
    for (const isAnnThere of [true, false]) {
      await over(async (push) => void seen.push(await tell(push, isAnnThere)));
    }
    assertEquals(seen[0], seen[1]);
    assertEquals(seen[0].length, 30 + 2 + 7 + 2);
  });

  Deno.test(`publish ids of two subjects do not meet (${store})`, async () => {
    await over(async (push) => {
      await using served = await startGateway({
        push: { ...QUIET, ...push, auth: { tokens: TOKENS } },
      });
      const publish = (token: string, data: number) =>
        ask(`${served.http}/api/push/publish`, {
          token,
          body: { channel: "news", data, id: "p1" },
        });
      const answers = [await publish(ANN, 1), await publish(EVE, 2), await publish(ANN, 3)];
      assertEquals(answers.map(({ body }) => [body.seq, body.duplicate]), [
        [1, false],
        [2, false],
        [1, true],
      ]);
    });
  });
}

Deno.test("without the right 'admin' dead letters, channels, revocations and figures are refused alike, whatever there is", async () => {
  await using served = await startGateway({
    push: { ...QUIET, auth: { tokens: TOKENS }, delivery: { ackTimeout: 0.05, maxRetries: 0 } },
  });
  const [ann] = await connect(served, ANN, {
    client_id: "desk",
    subscriptions: [{ channel: "news" }],
  });
  await using _ = ann;
  await served.gateway.publish("news", "lost");
  while ((await served.gateway.deadLetters()).length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const [{ session }] = await served.gateway.deadLetters();
  const eve = asEve(served);
  const pairs: readonly (readonly [there: string, not: string, body?: object, other?: object])[] = [
    ["dead-letters", "dead-letters?channel=nothing"],
    ["dead-letters?channel=news", "dead-letters?channel=nothing"],
    [`dead-letters?session=${encodeURIComponent(session)}`, "dead-letters?session=x"],
    ["dead-letters/redrive", "dead-letters/redrive", { session }, { session: "x" }],
    ["channels", "revocations"],
    ["revoke", "revoke", { subject: "ann" }, { subject: "nobody" }],
    ["revoke", "revoke", { token: ANN }, { token: "nobody's" }],
    ["revoke", "revoke", { subject: "ann", client_id: "desk" }, { subject: "x", client_id: "y" }],
  ];
  for (const [there, not, body, other] of pairs) {
    const answer = await eve(there, body);
    assertEquals([answer.status, answer.body.code], [403, "forbidden"], there);
    assertEquals(told(answer), told(await eve(not, other)), there);
  }
  assertEquals((await served.gateway.deadLetters()).length, 1);
  const metrics = await ask(`${served.http}/metrics`, { token: EVE });
  assertEquals([metrics.status, metrics.body.code], [403, "forbidden"]);
  const health = await ask(`${served.http}/health`, { token: EVE });
  assertEquals([health.status, health.body.push], [200, { enabled: true }]);
  await ann.settled();
  assert(ann.isOpen, "nobody was revoked");
});

/** A gateway where Ann's channel is there, with a message and a subscriber. */
async function apart(): Promise<readonly [Served, WireClient]> {
  const served = await startGateway({
    push: { ...QUIET, auth: { tokens: [OWN("ann", ANN), OWN("eve", EVE)] } },
  });
  const [ann] = await connect(served, ANN, {
    client_id: "desk",
    subscriptions: [{ channel: "ann:desk" }, { channel: "shared" }],
  });
  await served.gateway.publish("ann:desk", "secret");
  await ann.next("channel_message");
  return [served, ann];
}

Deno.test("a channel that somebody may not use answers alike whether it is there or not, over every way", async (t) => {
  const [gateway, ann] = await apart();
  await using served = gateway;
  await using _ann = ann;
  const state = await served.gateway.channels();
  const [eve] = await connect(served, EVE, { client_id: "eve" });
  await using _eve = eve;
  const poller = await PollClient.register(served.http, {}, { token: EVE });
  const asked = asEve(served);
  const { epoch } = state.find(({ name }) => name === "ann:desk")!;
  const ways: Record<string, (channel: string) => Promise<unknown>> = {
    subscribe: (channel) => textOf(eve, { type: "channel.subscribe", channel }),
    "subscribe from before": (channel) =>
      textOf(eve, { type: "channel.subscribe", channel, all: true }),
    "subscribe from a position": (channel) =>
      textOf(eve, { type: "channel.subscribe", channel, position: { epoch, seq: 0 } }),
    "publish": (channel) => textOf(eve, { type: "channel.publish", channel, data: 1 }),
    "create": (channel) => textOf(eve, { type: "channel.create", channel }),
    "presence": (channel) => textOf(eve, { type: "presence.query", channel }),
    "unsubscribe": (channel) => textOf(eve, { type: "channel.unsubscribe", channel }),
    "nack": (channel) => textOf(eve, { type: "message_nack", event_id: `${epoch}:1:${channel}` }),
    "poll and subscribe": async (channel) => told(await poller.post("subscribe", { channel })),
    "poll and publish": async (channel) => told(await poller.post("publish", { channel, data: 1 })),
    "publish over HTTP": async (channel) => told(await asked("publish", { channel, data: 1 })),
    "presence over HTTP": async (channel) => told(await asked(`presence?channel=${channel}`)),
    "presence of pollers": async (channel) => told(await asked(`poll/presence?channel=${channel}`)),
    "listen": async (channel) => told(await asked(`sse?channel=${channel}`)),
    "open with it": async (channel) => {
      const [client, answer] = await connect(served, EVE, { subscriptions: [{ channel }] });
      await using _ = client;
      return JSON.stringify(answer.subscriptions);
    },
  };
  // Names of one length: what an answer repeats of the question is no news.
  const plain = (value: unknown) => JSON.stringify(value).replaceAll(/ann:(desk|none)/g, "ann:…");
  for (const [way, go] of Object.entries(ways)) {
    await t.step(way, async () => {
      const there = plain(await go("ann:desk"));
      assertEquals(there, plain(await go("ann:none")));
      assert(!there.includes("secret"), there);
      if (["unsubscribe", "nack"].includes(way)) assert(there.includes("false"), there);
      else assert(there.includes("forbidden") && !there.includes(epoch), there);
    });
  }
  assertEquals(await served.gateway.channels(), state, "nothing was made and nothing published");
  assertEquals(eve.unread, []);
});

Deno.test("lists hold only what may be seen: channels, and who is where", async () => {
  const [gateway, ann] = await apart();
  await using served = gateway;
  await using _ann = ann;
  const [eve] = await connect(served, EVE, { client_id: "eve" });
  await using _eve = eve;
  for (const channel of ["shared", "eve:inbox"]) await eve.subscribe(channel);
  assertEquals((await eve.ask({ type: "channel.list" })).channels.sort(), ["eve:inbox", "shared"]);
  const { presence } = await eve.ask({ type: "presence.query" });
  assertEquals(presence.map(({ client_id, channels }: Frame) => [client_id, channels]), [
    ["eve#eve", ["eve:inbox"]],
  ]);
  const { body } = await asEve(served)("presence");
  assertEquals(body.presence.map(({ client_id }: Frame) => client_id), ["eve#eve"]);
});

Deno.test("an answer that Eve gets for a stranger's poll token, ticket or session is the one for none", async () => {
  const [gateway, ann] = await apart();
  await using served = gateway;
  await using _ann = ann;
  const { http } = served;
  const poller = await PollClient.register(http, { client_id: "poller" }, { token: ANN });
  const { body: { ticket } } = await ask(`${http}/api/push/ticket`, { method: "POST", token: ANN });
  const first = await WireClient.open(`${served.ws}?ticket=${ticket}`);
  await first.ask({ type: "ping" });
  await first.close();
  const redeem = async (ticket: string) =>
    told(
      await ask(`${http}/ws?ticket=${ticket}`, {
        headers: {
          upgrade: "websocket",
          connection: "upgrade",
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
      }),
    );
  assertNotEquals(ticket, undefined);
  assertEquals(await redeem(ticket), await redeem("0".repeat(ticket.length)), "it was used");
  const nearly = poller.pollToken.slice(0, -1) + (poller.pollToken.endsWith("0") ? "1" : "0");
  const eve = asEve(served);
  const polled = (poll_token: string) => eve("poll/messages", { poll_token, timeout: 0 });
  assertEquals(told(await polled(nearly)), told(await polled("0".repeat(32))));
});
