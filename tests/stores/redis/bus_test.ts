import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { Bus } from "../../../server/stores/redis/bus.ts";
import { RedisLink } from "../../../server/stores/redis/link.ts";
import { slotOf } from "../../../server/stores/redis/link_slots.ts";
import { ToxicProxy } from "../../../dev/cluster/proxy.ts";
import { startRedis, startRedisCluster } from "../../support/redis.ts";
import { until } from "../../support/within.ts";
import { redisSettings } from "./support/settings.ts";

/** A bus on a link of its own, and the lapses that it has told. */
class Party implements AsyncDisposable {
  readonly link: RedisLink;
  readonly bus: Bus;
  lapses = 0;

  private constructor(link: RedisLink, probeInterval: number) {
    this.link = link;
    this.bus = new Bus({
      link,
      probeTopic: (n) => `{probe ${n}}`,
      probeInterval,
      onLapse: () => this.lapses++,
    });
  }

  static async open(
    options: Parameters<typeof redisSettings>[0],
    probeInterval = 60_000,
  ): Promise<Party> {
    const link = new RedisLink({ settings: redisSettings(options) });
    await link.open();
    return new Party(link, probeInterval);
  }

  /** Listens to a topic; what has been heard. */
  async hear(topic: string): Promise<string[]> {
    const heard: string[] = [];
    await this.bus.subscribe(topic, (text) => heard.push(text));
    return heard;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bus[Symbol.asyncDispose]();
    await this.link[Symbol.asyncDispose]();
  }
}

Deno.test("Bus hears everything from the moment that it listens, once for each listener", async () => {
  await using redis = await startRedis();
  await using a = await Party.open({ port: redis.port });
  await using b = await Party.open({ port: redis.port });
  const first = await a.hear("t");
  await b.bus.publish("t", "1");
  await until(() => first.length === 1, "the first is heard");
  const [second, other] = await Promise.all([a.hear("t"), a.hear("u")]);
  const third: string[] = [];
  const stop = await a.bus.subscribe("t", (text) => third.push(text));
  await b.bus.publish("t", "2");
  await b.bus.publish("u", "ä{😀}");
  await until(() => other.length === 1, "the last is heard");
  assertEquals([first, second, third, other], [["1", "2"], ["2"], ["2"], ["ä{😀}"]]);
  assertEquals(await redis.ask("pubsub", "numsub", "t"), ["t", 1]);
  stop();
  stop();
  await b.bus.publish("t", "3");
  await until(() => second.length === 2, "the others still hear");
  assertEquals([first.length, third.length, a.lapses], [3, 1, 0]);
});

Deno.test("Bus gives up a subscription with its last listener", async () => {
  await using redis = await startRedis();
  await using a = await Party.open({ port: redis.port });
  const stops = await Promise.all([1, 2].map(() => a.bus.subscribe("t", () => {})));
  stops[0]();
  assertEquals(await redis.ask("pubsub", "channels"), ["t"]);
  stops[1]();
  // The same topic at once again: the order of the two commands keeps it.
  const heard = await a.hear("t");
  await a.bus.publish("t", "1");
  await until(() => heard.length === 1, "it is heard");
  const stop = await a.bus.subscribe("u", () => {});
  stop();
  await until(
    async () => (await redis.ask("pubsub", "channels") as string[]).length === 1,
    "u ends",
  );
});

Deno.test("Bus subscribes again after its connection was killed, then tells a lapse", async () => {
  await using redis = await startRedis();
  await using a = await Party.open({ port: redis.port });
  const topics = Array.from({ length: 600 }, (_, i) => `topic ${i}`);
  const heard = await Promise.all(topics.map((topic) => a.hear(topic)));
  for (let round = 1; round <= 5; round++) {
    await redis.ask("client", "kill", "type", "pubsub");
    await until(() => a.lapses === round, "the lapse is told");
    for (const topic of topics) await redis.ask("publish", topic, `${round}`);
    await until(() => heard.every(({ length }) => length === round), "every topic is heard");
  }
  assertEquals(a.bus.trouble, undefined);
});

Deno.test("Bus subscribes again after Redis was killed and started anew", async () => {
  await using redis = await startRedis();
  await using a = await Party.open({ port: redis.port });
  const heard = await a.hear("t");
  await redis.kill("SIGKILL");
  await until(() => a.bus.trouble !== undefined && a.link.trouble !== undefined, "it is noticed");
  const error = await assertRejects(() => a.bus.subscribe("u", () => {}), PushError);
  assertEquals(error.code, "unavailable");
  await assertRejects(() => a.bus.publish("t", "lost"), PushError);
  await redis.restart();
  await until(() => a.lapses > 0, "the lapse is told");
  await redis.ask("publish", "t", "1");
  await until(() => heard.length === 1, "it is heard");
  assertEquals(await redis.ask("pubsub", "channels"), ["t"]);
});

Deno.test("Bus notices that its connection is alive and deaf, and makes another", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
  await using a = await Party.open({ port: proxy.port }, 50);
  const heard = await a.hear("t");
  proxy.set("down", { deaf: true });
  await until(() => proxy.unheard >= 2, "probes are lost");
  await redis.ask("publish", "t", "lost");
  const { accepted } = proxy;
  await until(() => proxy.accepted > accepted, "the connection is renewed");
  proxy.heal();
  await until(() => a.lapses > 0, "the lapse is told");
  await redis.ask("publish", "t", "1");
  await until(() => heard.includes("1"), "it hears again");
});

Deno.test("Bus leaves a connection alone that hears its probes", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
  proxy.set("both", { latency: 5, jitter: 30 });
  await using a = await Party.open({ port: proxy.port }, 150);
  await a.hear("t");
  const connections = proxy.accepted;
  let probes = 0;
  await a.bus.subscribe("{probe 0}", () => probes++);
  await until(() => probes >= 8, "many probes are heard");
  assertEquals([proxy.accepted, a.lapses], [connections, 0]);
});

Deno.test("Bus misses no move of a slot that comes while it subscribes again for another", async () => {
  await using cluster = await startRedisCluster();
  await using a = await Party.open({ cluster: cluster.addresses[0] });
  const target = cluster.nodes[0];
  const topics: string[] = [];
  for (let i = 0; topics.length < 12; i++) {
    if (await cluster.ownerOf(slotOf(`{t${i}}`)) !== target) topics.push(`{t${i}}`);
  }
  // Many topics, so that to subscribe again takes a while.
  for (let i = 0; i < 500; i++) await a.hear(`${topics[0]}${i}`);
  const heard = await Promise.all(topics.map((topic) => a.hear(topic)));
  await Promise.all(topics.map((topic) => cluster.moveSlot(slotOf(topic), target)));
  // Nothing else brings them back: no look is due, and no probe.
  await until(
    async () => {
      for (const topic of topics) await a.bus.publish(topic, "1");
      return heard.every(({ length }) => length > 0);
    },
    "every topic is heard again",
    10_000,
  );
});

Deno.test("Bus takes its subscriptions along when a slot of a Cluster moves", async () => {
  await using cluster = await startRedisCluster();
  await using a = await Party.open({ cluster: cluster.addresses[0] }, 200);
  await using b = await Party.open({ cluster: cluster.addresses[2] });
  const topics = Array.from({ length: 30 }, (_, i) => `{t${i}}`);
  const heard = await Promise.all(topics.map((topic) => a.hear(topic)));
  for (const topic of topics) await b.bus.publish(topic, "1");
  await until(() => heard.every(({ length }) => length === 1), "every topic is heard");
  assert(a.lapses === 0);

  const slot = slotOf(topics[0]);
  const owner = await cluster.ownerOf(slot);
  await cluster.moveSlot(slot, cluster.nodes.find((node) => node !== owner)!);
  await until(() => a.lapses > 0, "the lapse is told");
  for (const topic of topics) await b.bus.publish(topic, "2");
  await until(() => heard.every((texts) => texts.includes("2")), "every topic is heard again");
});
