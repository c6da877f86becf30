import { assertEquals } from "@std/assert";
import type { GatewayOptions } from "../../mod.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { until } from "../support/within.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const BASE = "base:";
/** What an operator may make of a key. */
const WAYS = [
  "string",
  "list",
  "hash",
  "set",
  "zset",
  "stream",
  "gone",
  "garbage",
  "numbers",
] as const;
type Way = typeof WAYS[number];
/** Each key is spoiled in so many of them, in turns: the next key in others. */
const TURNS = 2;

function options(redis: RedisServer, prefix: string): GatewayOptions {
  return {
    push: {
      redis: { url: redis.url, prefix, lease: 1 },
      delivery: { storeBackend: "redis", ackTimeout: 0.05, maxRetries: 0 },
      polling: { longPollTimeout: 0.05 },
    },
  };
}

/** Fills a store with one of everything; resolves to the token of a poller. */
async function fill(redis: RedisServer): Promise<string> {
  await using served = await startGateway(options(redis, BASE));
  await using ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await ann.subscribe("news");
  const [bob] = await WireClient.connect(served.ws, {
    client_id: "bob",
    subscriptions: [{ channel: "news" }],
  });
  await using _ = bob;
  await ann.ask({ type: "channel.create", channel: "plan", metadata: { a: 1 } });
  await bob.publish("news", 1, { id: "p1" });
  const poller = await PollClient.register(served.http, { client_id: "pol" });
  await poller.post("subscribe", { channel: "news" });
  await until(async () => (await served.gateway.deadLetters()).length > 0, "a letter is dead");
  return poller.pollToken;
}

/** Makes something else of a key; false if there is nothing to make of it in this way. */
async function spoil(redis: RedisServer, key: string, way: Way): Promise<boolean> {
  const type = await redis.ask("TYPE", key);
  if (way === "garbage" || way === "numbers") {
    const value = way === "garbage" ? "\u0000}{[ %zz" : "1e400";
    if (type === "hash") {
      const fields = await redis.ask("HKEYS", key) as string[];
      for (const field of fields) await redis.ask("HSET", key, field, value);
      await redis.ask("HSET", key, `foreign${value}`, value);
    } else if (type === "zset") {
      await redis.ask("ZADD", key, "-inf", "", "0", value, "inf", "%zz");
    } else if (type === "stream") {
      await redis.ask("XADD", key, "*", "m", value, "p", value);
    } else {
      await redis.ask("SET", key, value);
    }
    return true;
  }
  if (type === way) return false;
  await redis.ask("DEL", key);
  if (way === "string") await redis.ask("SET", key, "x");
  if (way === "list") await redis.ask("RPUSH", key, "x");
  if (way === "hash") await redis.ask("HSET", key, "x", "y");
  if (way === "set") await redis.ask("SADD", key, "x");
  if (way === "zset") await redis.ask("ZADD", key, "1", "x");
  if (way === "stream") await redis.ask("XADD", key, "7-7", "x", "y");
  return true;
}

/** What those are answered whose entries may be spoiled. */
async function touch({ ws, http }: Served, pollToken: string, n: number): Promise<Frame[]> {
  const answers: Frame[] = [];
  await using ann = await WireClient.open(`${ws}?client_id=ann`);
  answers.push(await ann.ask({ type: "channel.subscribe", channel: "news" }));
  if (ann.isOpen) {
    ann.send({ type: "message_ack", event_id: "abcdefghij:1:news" });
    answers.push(await ann.next("ack_received"));
  }
  const [bob, connected] = await WireClient.connect(ws, {
    client_id: "bob",
    subscriptions: [{ channel: "news" }],
  });
  await using _ = bob;
  answers.push(connected, ...connected.subscriptions ?? []);
  for (const id of bob.isOpen ? ["p1", `n${n}`] : []) {
    bob.send({ type: "channel.publish", channel: "news", data: n, id, request_id: 1 });
    let frame: Frame;
    do frame = await bob.next(); while (frame.request_id !== 1);
    answers.push(frame);
  }
  const asked = await Promise.all([
    ask(`${http}/api/push/channels`),
    ask(`${http}/api/push/presence?channel=news`),
    ask(`${http}/api/push/dead-letters?channel=news`),
    ask(`${http}/api/push/dead-letters/redrive`, { body: { channel: "news" } }),
    ask(`${http}/api/push/poll/messages`, { body: { poll_token: pollToken, timeout: 0 } }),
    ask(`${http}/metrics`),
    ask(`${http}/health`),
  ]);
  return [...answers, ...asked.map(({ body, text, status }) => ({ ...body, status, text }))];
}

/** Somebody with whose entries all is well notices nothing. */
async function assertServed({ ws }: Served, name: string): Promise<void> {
  await using reader = await WireClient.open(`${ws}?client_id=${name}`);
  await reader.subscribe(name);
  await using writer = await WireClient.open(ws);
  await writer.publish(name, 7);
  const { data, event_id } = await reader.next("channel_message");
  assertEquals(data, 7);
  reader.send({ type: "message_ack", event_id });
  assertEquals((await reader.next("ack_received")).ok, true);
}

Deno.test("an entry in Redis that an operator has spoiled is refused or put aside, and all else is served", async (t) => {
  await using redis = await startRedis({ appendonly: false });
  const pollToken = await fill(redis);
  const keys = (await redis.ask("KEYS", `${BASE}*`) as string[]).sort();
  let n = 0;
  for (const [index, key] of keys.entries()) {
    const name = key.slice(BASE.length).replace(/[0-9a-f]{32,}/, "…");
    // Data of another format is none of ours, and a gateway that finds it does not start.
    if (name === "{index}:format") continue;
    await t.step(name, async () => {
      for (let turn = 0; turn < TURNS; turn++) {
        const way = WAYS[(index * TURNS + turn) % WAYS.length];
        const prefix = `p${++n}:`;
        for (const each of keys) await redis.ask("COPY", each, prefix + each.slice(BASE.length));
        const spoilt = () => spoil(redis, prefix + key.slice(BASE.length), way);
        // Before a gateway knows it, and while one works with it.
        const isLive = n % 2 === 0;
        if (!isLive && !await spoilt()) continue;
        await using served = await startGateway(options(redis, prefix));
        if (isLive) await touch(served, pollToken, 1);
        if (isLive && !await spoilt()) continue;
        for (const round of [2, 3]) {
          const answers = await touch(served, pollToken, round);
          const failed = answers.filter(({ code, status }) => code === "internal" || status >= 500);
          assertEquals(failed, [], `${way}, round ${round}`);
          await assertServed(served, `well-${round}`);
        }
      }
    });
  }
  await t.step("what the nodes say of themselves", async () => {
    for (const way of WAYS) {
      const prefix = `p${++n}:`;
      await using served = await startGateway(options(redis, prefix));
      await touch(served, pollToken, 1);
      const nodes = await redis.ask("KEYS", `${prefix}{nodes}*`) as string[];
      for (const key of nodes) await spoil(redis, key, way);
      const answers = await touch(served, pollToken, 2);
      const failed = answers.filter(({ code, status }) => code === "internal" || status >= 500);
      assertEquals([nodes.length > 0, failed], [true, []], way);
      await assertServed(served, "well");
    }
  });
});
