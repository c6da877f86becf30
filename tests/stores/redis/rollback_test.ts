/**
 * A Redis that has gone back a moment, as a promoted replica does that was behind.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { systemClock, systemRandom } from "../../../server/clock.ts";
import { Hub } from "../../../server/hub.ts";
import { resolveOptions } from "../../../server/options/options.ts";
import { MemoryConnection } from "../../../server/testing/mod.ts";
import { startGateway } from "../../support/gateway.ts";
import { ask } from "../../support/http_client.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { until } from "../../support/within.ts";
import type { Frame } from "../../support/wire_client.ts";
import { openRedisStore } from "./support/store.ts";

/** Keys of a type that hold what is looked for. */
async function keysOf(redis: RedisServer, type: string, part: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of (await redis.ask("KEYS", "*") as unknown[]).map(String)) {
    if (await redis.ask("TYPE", key) === type && key.includes(part)) found.push(key);
  }
  return found;
}

/** Remembers a session; what is returned puts it back. */
async function remembered(redis: RedisServer): Promise<() => Promise<void>> {
  const hashes = await keysOf(redis, "hash", "");
  const holders = await Promise.all(hashes.map((key) => redis.ask("HEXISTS", key, "holder")));
  const key = hashes[holders.indexOf(1)];
  assert(key !== undefined);
  const fields = (await redis.ask("HGETALL", key) as unknown[]).map(String);
  return async () => {
    await redis.ask("DEL", key);
    await redis.ask("HSET", key, ...fields);
  };
}

Deno.test("a claim that is taken back takes no position with it that is stored", async () => {
  await using redis = await startRedis();
  await using store = await openRedisStore({ port: redis.port });
  const { push } = resolveOptions({ push: { enabled: true } });
  const hub = new Hub({ settings: push, store, clock: systemClock, random: systemRandom });
  await hub.start();
  const who = { identity: { subject: "anonymous" }, name: "bob", ttl: 3_600_000, instance: "i" };
  const request = { ...who, wire: "extended" } as const;
  const first = new MemoryConnection();
  const { session } = await hub.attach({ ...request, attempt: 1 }, first);
  for (const channel of ["c", "d"]) (await session.subscribe(channel, {}, first)).start();
  for (let n = 1; n <= 5; n++) await hub.publish("d", `${n}`, {});
  const messages = (from: MemoryConnection) =>
    (from.frames.flat() as Frame[]).filter(({ type }) => type === "channel_message");
  await until(() => messages(first).length === 5, "five messages");
  session.ack("d", messages(first)[0].epoch, 5, [], first);
  await hub.detach(session, first, "lost");
  const goBack = await remembered(redis);
  const second = new MemoryConnection();
  const { session: again } = await hub.attach({ ...request, attempt: 2 }, second);
  (await again.subscribe("c", {}, second)).start();
  await goBack();
  const { generation } = again;
  assertEquals(await hub.holds(again), true);
  assert(again.generation !== generation);
  const { start, stored } = await again.subscribe("d", {}, second);
  start();
  await hub.publish("d", "6", {});
  await until(() => messages(second).length > 0, "the next message");
  assertEquals([stored, messages(second).map(({ data }) => data)], [true, [6]]);
  const types = (second.frames.flat() as Frame[]).map(({ type }) => type);
  assertEquals(types.includes("channel.gap"), false);
  await hub.drain();
  hub.stop();
});

Deno.test("a poller whose move was taken back keeps what it has subscribed to since", async () => {
  await using redis = await startRedis();
  await using stack = new AsyncDisposableStack();
  const start = async () =>
    stack.use(
      await startGateway({
        push: {
          presence: { broadcastChanges: false },
          delivery: { storeBackend: "redis" },
          redis: { url: redis.url },
        },
      }),
    );
  const [one, two] = [await start(), await start()];
  const poll = (at: typeof one, route: string, body: Frame) =>
    ask(`${at.http}/api/push/poll/${route}`, { body });
  const { poll_token } = (await poll(one, "register", { client_id: "ann" })).body;
  await poll(one, "subscribe", { poll_token, channel: "news" });
  const goBack = await remembered(redis);
  const [record] = await keysOf(redis, "string", "poller");
  const text = String(await redis.ask("GET", record));
  assertEquals((await poll(two, "subscribe", { poll_token, channel: "x" })).status, 200);
  await goBack();
  await redis.ask("SET", record, text, "KEEPTTL");
  const received: unknown[] = [];
  for (const channel of ["news", "x"]) await one.gateway.publish(channel, channel);
  await until(async () => {
    const { status, body } = await poll(two, "messages", { poll_token, timeout: 0.2 });
    assertEquals(status, 200);
    received.push(...body.messages.map((message: Frame) => message.data));
    return received.length >= 2;
  }, "a message of each channel");
  assertEquals(received.sort(), ["news", "x"]);
});
