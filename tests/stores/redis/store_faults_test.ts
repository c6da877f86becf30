import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { slotOf } from "../../../server/stores/redis/link_slots.ts";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import type { RedisStore } from "../../../server/stores/redis/store.ts";
import type { Page } from "../../../server/stores/store.ts";
import { draft, numbers } from "../../../server/testing/store_trial.ts";
import { ToxicProxy } from "../../../dev/cluster/proxy.ts";
import { startRedis, startRedisCluster, startSentinel } from "../../support/redis.ts";
import { until } from "../../support/within.ts";
import { deafNode, namesOf, revocation } from "./support/revocations.ts";
import { openRedisStore } from "./support/store.ts";

const NOW = Date.UTC(2025, 0, 1);

function append(store: RedisStore, channel: string, n: number | string, id?: string) {
  return store.append(channel, [draft({ payload: JSON.stringify(n), id })]);
}

function payloads({ messages }: Page): unknown[] {
  return messages.map(({ payload }) => JSON.parse(payload));
}

/** Code that something is refused with. */
async function codeOf(work: () => Promise<unknown>): Promise<string> {
  return (await assertRejects(work, PushError)).code;
}

Deno.test("RedisStore: a publish to a stopped Redis has an unknown outcome, and is stored once at most", async () => {
  await using redis = await startRedis();
  await using store = await openRedisStore({ port: redis.port, commandTimeout: 0.3 });
  await append(store, "c", 1, "one");
  await redis.kill("SIGSTOP");
  assertEquals(await codeOf(() => append(store, "c", 2, "two")), "outcome_unknown");
  await until(() => store.trouble !== undefined, "the store says so");
  assertEquals(await codeOf(() => append(store, "c", 3, "three")), "unavailable");
  await redis.kill("SIGCONT");
  await until(() => store.trouble === undefined, "the store is well again");
  // Who asked for the second asks again, under the same id.
  const { appended } = await append(store, "c", 2, "two");
  assertEquals(appended[0].seq, 2);
  assertEquals(payloads(await store.read("c", 0, 10)), [1, 2]);
});

Deno.test("RedisStore: what was answered is there after Redis was killed, as often as it is", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  await using store = await openRedisStore({ port: redis.port });
  const answered: number[] = [];
  for (let round = 0, n = 0; round < 4; round++) {
    let isOver = false;
    const load = (async () => {
      while (!isOver) {
        n++;
        await append(store, "c", n).then(() => answered.push(n)).catch((error) => {
          assert(["unavailable", "outcome_unknown"].includes(error.code), error);
        });
        // While it is refused at once, others must have their turn.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const before = answered.length;
    await until(() => answered.length > before + 20, "some are answered");
    await redis.kill("SIGKILL");
    await redis.restart();
    await until(() => store.trouble === undefined, "the store is well again");
    isOver = true;
    await load;
  }
  const page = await store.read("c", 0, 100_000);
  const kept = payloads(page);
  assertEquals(page.messages.map(({ seq }) => seq), numbers(1, kept.length));
  assertEquals(answered.filter((n) => !kept.includes(n)), []);
  assertEquals(new Set(kept).size, kept.length);
  assertEquals(kept, kept.toSorted((a, b) => Number(a) - Number(b)));
  assert(page.earlier !== undefined && page.earlier.length > 0, "no epoch has ended");
});

Deno.test("RedisStore: a publish whose answer was lost is asked about, and stored once", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port, redis: true });
  await using store = await openRedisStore({ port: proxy.port });
  await append(store, "c", 0);
  for (let n = 1; n <= 5; n++) {
    const swallowed = proxy.swallowAnswer((command) => /evalsha/i.test(command));
    const { appended, head } = await append(store, "c", n);
    await swallowed;
    assertEquals([appended[0], head], [{ seq: n + 1, duplicate: false }, n + 1]);
  }
  assertEquals(payloads(await store.read("c", 0, 10)), numbers(0, 5));
});

Deno.test("RedisStore: SCRIPT FLUSH under load is noticed by nobody", async () => {
  await using redis = await startRedis();
  await using a = await openRedisStore({ port: redis.port });
  await using b = await openRedisStore({ port: redis.port });
  for (let n = 0; n < 200; n++) {
    if (n % 20 === 10) await redis.ask("script", "flush");
    await append(n % 2 === 0 ? a : b, "c", n);
  }
  assertEquals(payloads(await a.read("c", 0, 1000)), numbers(0, 199));
});

Deno.test("RedisStore: over a slow and uneven network order is kept", async () => {
  await using redis = await startRedis();
  await using proxy = await ToxicProxy.start({ target: redis.port, seed: 7 });
  await using store = await openRedisStore({ port: proxy.port });
  proxy.set("both", { latency: 10, jitter: 40, slice: 100 });
  for (let n = 0; n < 10; n++) await append(store, "c", n);
  await Promise.all(numbers(0, 9).map((n) => append(store, "d", n)));
  assertEquals(payloads(await store.read("c", 0, 100)), numbers(0, 9));
  assertEquals((await store.read("d", 0, 100)).messages.map(({ seq }) => seq), numbers(1, 10));
});

Deno.test("RedisStore: while Redis has no memory publishes are refused, and positions are stored", async () => {
  await using redis = await startRedis();
  await using store = await openRedisStore({ port: redis.port });
  const claimed = await store.claim(
    { key: "s", holder: "h", instance: "i", attempt: 1, ttl: 60_000 },
    NOW,
  );
  assert(claimed.ok);
  const { epoch } = await append(store, "c", 1);
  const commit = (floor: number) => {
    const cursor = { epoch, floor, sent: 1, own: 0, settled: [], late: [] };
    return store.commit("s", claimed.generation, [{ channel: "c", cursor }], NOW);
  };
  assertEquals(await commit(0), true);
  await redis.ask("config", "set", "maxmemory", "100kb");
  assertEquals(await codeOf(() => append(store, "c", 2)), "store_full");
  assertEquals(await commit(1), true);
  assertEquals(payloads(await store.read("c", 0, 10)), [1]);
  // Else whoever subscribes to ever other channels could fill what is left.
  assertEquals(await codeOf(() => store.read("other", 0, 10)), "store_full");
  assertEquals(await store.states(["other"]), [undefined]);
  await store.sweep(NOW);
  assertEquals(await store.release("s", claimed.generation), true);
  await redis.ask("config", "set", "maxmemory", "0");
  assertEquals((await append(store, "c", 2)).head, 2);
});

Deno.test("RedisStore: after a Sentinel failover a loss is told, no revocation is lost, and no ticket is taken twice", async () => {
  await using set = await startSentinel();
  const { name: sentinelName } = set;
  await using store = await openRedisStore({ sentinels: set.addresses.join(","), sentinelName });
  const { cluster } = store;
  await using node = await deafNode(store);
  await node.revoke(revocation("before"));
  await cluster.keep("ticket", "text", 60_000);
  const first = await append(store, "c", 1);
  await until(
    async () =>
      Number(await set.replica.ask("exists", new RedisKeys("praison:push:").log("c"))) > 0,
    "the replica has the first",
  );
  // From here on the replica gets nothing, so what is answered is lost with the primary.
  await set.replica.kill("SIGSTOP");
  await set.primary.ask("client", "kill", "type", "replica");
  const last = await append(store, "c", 2);
  assertEquals(last.epoch, first.epoch);
  await node.revoke(revocation("lost"));
  assertEquals(await cluster.take("ticket"), "text");
  await set.primary.kill("SIGKILL");
  await set.replica.kill("SIGCONT");
  await until(() => store.trouble !== undefined, "the loss of the primary is noticed");
  assert(node.isVoid("subject", "lost", 0), "a revocation is not in force while Redis is away");
  await until(() => store.trouble === undefined, "there is a primary again", 30_000);
  // The replica has it still.
  assertEquals(await cluster.kept("ticket"), "text");
  assertEquals(await cluster.take("ticket"), undefined);
  await until(
    async () => `${await namesOf(store)}` === "before,lost",
    "the node has written again what was lost",
  );
  const page = await store.read("c", 0, 10);
  assert(page.epoch !== first.epoch, "the epoch goes on, as if nothing could be lost");
  const [era] = page.earlier!;
  assertEquals(era.epoch, first.epoch);
  // The first stayed what it is; the second is gone, and known to be.
  assertEquals([payloads(page), era.base], [[1], 1]);
  assertEquals((await append(store, "c", 3)).epoch, page.epoch);
});

Deno.test("RedisStore: slots of a Cluster move under load, and one order is kept", async () => {
  await using cluster = await startRedisCluster();
  await using a = await openRedisStore({ cluster: cluster.addresses[0] });
  await using b = await openRedisStore({ cluster: cluster.addresses[1] });
  const heard = new Set<number>();
  await b.cluster.follow("c", ({ messages }) => {
    for (const { payload } of messages) heard.add(JSON.parse(payload));
  });
  const slot = slotOf(new RedisKeys("praison:push:").log("c"));
  let isOver = false;
  let n = 0;
  const load = (async () => {
    while (!isOver) await append(n % 2 === 0 ? a : b, "c", n++);
  })();
  for (let round = 0; round < 3; round++) {
    const before = n;
    await until(() => n > before + 20, "some are stored");
    const owner = await cluster.ownerOf(slot);
    await cluster.moveSlot(slot, cluster.nodes.find((node) => node !== owner)!);
  }
  isOver = true;
  await load;
  assertEquals(payloads(await b.read("c", 0, 100_000)), numbers(0, n - 1));
  await until(async () => {
    await append(a, "c", n);
    return heard.has(n++);
  }, "notices flow from where the channel is now");
});

Deno.test("RedisStore: while a node of a Cluster is away the others' channels go on", async () => {
  await using cluster = await startRedisCluster({ config: ["cluster-require-full-coverage no"] });
  await using store = await openRedisStore({ cluster: cluster.addresses[0], commandTimeout: 0.5 });
  const channels = numbers(1, 30).map((n) => `channel:${n}`);
  for (const channel of channels) await append(store, channel, 0);
  await cluster.nodes[1].kill("SIGKILL");
  await until(() => store.trouble !== undefined, "the loss is noticed");
  const results = await Promise.allSettled(channels.map((channel) => append(store, channel, 1)));
  const stored = results.filter(({ status }) => status === "fulfilled").length;
  assert(stored > 0 && stored < 30, `${stored} are stored`);
  await cluster.nodes[1].restart();
  await until(() => store.trouble === undefined, "the node is back", 30_000);
  await cluster.agreed();
  for (const channel of channels) await append(store, channel, 2);
});

Deno.test("RedisStore: a store that was disposed in the middle of everything leaves nothing behind", async () => {
  await using redis = await startRedis();
  const store = await openRedisStore({ port: redis.port, commandTimeout: 0.5 });
  await store.cluster.listen({ rows: () => {}, note: () => {}, lapse: () => {} });
  await store.cluster.follow("c", () => {});
  await redis.kill("SIGSTOP");
  const hanging = [append(store, "c", 1), store.read("c", 0, 1), store.stats()]
    .map((work) => work.then(() => "done", (error: PushError) => error.code));
  await store[Symbol.asyncDispose]();
  for (const code of await Promise.all(hanging)) {
    assert(["outcome_unknown", "unavailable"].includes(code), code);
  }
  await redis.kill("SIGCONT");
});

Deno.test("RedisStore: where a node of a Cluster dies its replica goes on, for publishes and for notices", async () => {
  await using cluster = await startRedisCluster({ replicas: 1 });
  await using store = await openRedisStore({ cluster: cluster.addresses[0], commandTimeout: 1 });
  const channels = numbers(1, 12).map((n) => `channel:${n}`);
  const heads = new Map<string, number>();
  let lapses = 0;
  await store.cluster.listen({ rows: () => {}, note: () => {}, lapse: () => lapses++ });
  for (const channel of channels) {
    await store.cluster.follow(channel, ({ head }) => heads.set(channel, head));
    await append(store, channel, 0);
  }
  await cluster.nodes[0].kill("SIGKILL");
  await until(() => store.trouble !== undefined, "the loss is noticed");
  await until(() => store.trouble === undefined, "every slot has a primary again", 30_000);
  await until(() => lapses > 0, "the lapse is told");
  for (const channel of channels) {
    // The other nodes agree on the new primary a moment after it answers.
    let head = 0;
    await until(async () => {
      try {
        ({ head } = await append(store, channel, 1));
        return true;
      } catch (error) {
        assert(error instanceof PushError && error.code === "unavailable", `${error}`);
        return false;
      }
    }, `the append to ${channel} is answered`);
    await until(() => heads.get(channel) === head, `the append to ${channel} is told`);
  }
});
