import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import type { RedisOptions } from "../../../mod.ts";
import { onFreePort } from "../../../dev/cluster/ports.ts";
import { RedisServer } from "../../../dev/cluster/redis.ts";
import { startRedis } from "../../support/redis.ts";
import { type Served, startGateway } from "../../support/gateway.ts";
import { until } from "../../support/within.ts";
import type { Effects } from "./effect.ts";

/** A gateway over Redis. */
function over(redis: RedisOptions): Promise<Served> {
  return startGateway({ push: { delivery: { storeBackend: "redis" }, redis } });
}

/** Publishes, and looks whether that is in this Redis. */
async function publishesTo({ gateway }: Served, { ask }: Asked): Promise<void> {
  await gateway.publish("news", "here");
  assert((await ask("keys", "*")).some((key) => key.includes("{c:news}")), "it is elsewhere");
}

/** Asks a Redis for a list. */
interface Asked {
  ask(...words: (string | number)[]): Promise<string[]>;
}

function asking(redis: RedisServer): Asked {
  return { ask: async (...words) => await redis.ask(...words) as string[] };
}

async function refused(redis: RedisOptions): Promise<string> {
  return (await assertRejects(() => over(redis), PushError)).message;
}

/** A Sentinel that watches one primary. */
async function sentinelOf(
  { port }: RedisServer,
  name: string,
  ...lines: string[]
): Promise<RedisServer> {
  const config = [`sentinel monitor ${name} 127.0.0.1 ${port} 1`, ...lines];
  return await onFreePort((free) => RedisServer.open(free, config, { flags: ["--sentinel"] }));
}

/** A Cluster of one primary. */
async function smallCluster(): Promise<RedisServer> {
  const redis = await startRedis({ config: ["cluster-enabled yes"] });
  await redis.ask("cluster", "addslotsrange", 0, 16_383);
  await until(
    async () => String(await redis.ask("cluster", "info")).includes("cluster_state:ok"),
    "the Cluster is whole",
  );
  return redis;
}

/** What the options of Redis do. */
export const REDIS: Effects = {
  "push.redis.url": {
    says: "it is there, and wins over host, port, db, username and password",
    async run() {
      await using redis = await startRedis();
      await redis.ask("config", "set", "requirepass", "s3cret");
      const url = `redis://default:s3cret@127.0.0.1:${redis.port}/2`;
      const other = { host: "nowhere.example", port: 1, db: 1, username: "x", password: "y" };
      await using gateway = await over({ url, ...other });
      await gateway.gateway.publish("news", 1);
      await using same = await over({
        host: "127.0.0.1",
        port: redis.port,
        db: 2,
        password: "s3cret",
      });
      assertEquals((await same.gateway.channels()).map(({ name }) => name), ["news"]);
    },
  },
  "push.redis.host": {
    says: "Redis is sought there",
    async run() {
      await using redis = await startRedis();
      await using gateway = await over({ host: "127.0.0.1", port: redis.port });
      await publishesTo(gateway, asking(redis));
      assertMatch(await refused({ host: "127.0.0.2", port: redis.port }), /Redis at 127\.0\.0\.2:/);
    },
  },
  "push.redis.port": {
    says: "Redis is sought there",
    async run() {
      await using redis = await startRedis();
      await using gateway = await over({ port: redis.port });
      await publishesTo(gateway, asking(redis));
      assertMatch(await refused({ port: 1 }), /Redis at localhost:1 .*refuses connections/);
    },
  },
  "push.redis.db": {
    says: "everything is in that database",
    async run() {
      await using redis = await startRedis();
      await using gateway = await over({ port: redis.port, db: 5 });
      await gateway.gateway.publish("news", 1);
      assertEquals(await redis.ask("keys", "*"), []);
      assertMatch(String(await redis.ask("info", "keyspace")), /^db5:/m);
    },
  },
  "push.redis.username": {
    says: "it is that user",
    async run() {
      await using redis = await startRedis();
      await redis.ask("acl", "setuser", "ann", "on", ">s3cret", "~*", "&*", "+@all");
      await using gateway = await over({ port: redis.port, username: "ann", password: "s3cret" });
      await publishesTo(gateway, asking(redis));
      assertMatch(String(await redis.ask("client", "list")), /user=ann/);
      const wrong = { port: redis.port, username: "bob", password: "s3cret" };
      assertMatch(await refused(wrong), /does not accept the user name or password/);
    },
  },
  "push.redis.password": {
    says: "it opens a Redis that asks for it",
    async run() {
      await using redis = await startRedis();
      await redis.ask("config", "set", "requirepass", "s3cret");
      await using gateway = await over({ port: redis.port, password: "s3cret" });
      await gateway.gateway.publish("news", 1);
      assertMatch(await refused({ port: redis.port }), /asks for a password/);
    },
  },
  "push.redis.prefix": {
    says: "every key begins with it, and gateways with another one know nothing of these",
    async run() {
      await using redis = await startRedis();
      await using gateway = await over({ port: redis.port, prefix: "mine:" });
      await publishesTo(gateway, asking(redis));
      const keys = await redis.ask("keys", "*") as string[];
      assertEquals(keys.filter((key) => !key.startsWith("mine:")), []);
      await using other = await over({ port: redis.port, prefix: "other:" });
      assertEquals(await other.gateway.channels(), []);
    },
  },
  "push.redis.maxConnections": {
    says: "it opens no more, and refuses a number that is too small",
    async run() {
      await using redis = await startRedis();
      await using gateway = await over({ port: redis.port, maxConnections: 2 });
      await Promise.all(Array.from({ length: 50 }, (_, i) => gateway.gateway.publish("news", i)));
      // What asks is a connection, too.
      const clients = String(await redis.ask("client", "list")).trim().split("\n");
      assert(clients.length <= 3, clients.join("\n"));
      await using cluster = await smallCluster();
      const small = { cluster: `127.0.0.1:${cluster.port}`, maxConnections: 2 };
      await assertRejects(() => over(small), TypeError, "push.redis.maxConnections");
      await using enough = await over({ ...small, maxConnections: 3 });
      await publishesTo(enough, asking(cluster));
    },
  },
  "push.redis.sentinels": {
    says: "these know where Redis is",
    async run() {
      await using redis = await startRedis();
      await using sentinel = await sentinelOf(redis, "mymaster");
      const sentinels = `127.0.0.1:1, 127.0.0.1:${sentinel.port}`;
      await using gateway = await over({ sentinels, port: 1 });
      await publishesTo(gateway, asking(redis));
    },
  },
  "push.redis.sentinelName": {
    says: "they are asked for the Redis of that name",
    async run() {
      await using redis = await startRedis();
      await using sentinel = await sentinelOf(redis, "push");
      const sentinels = `127.0.0.1:${sentinel.port}`;
      await using gateway = await over({ sentinels, sentinelName: "push" });
      await publishesTo(gateway, asking(redis));
      assertMatch(await refused({ sentinels }), /no Sentinel knows 'mymaster'/);
    },
  },
  "push.redis.sentinelPassword": {
    says: "it opens Sentinels that ask for it",
    async run() {
      await using redis = await startRedis();
      await using sentinel = await sentinelOf(redis, "mymaster");
      await sentinel.ask("acl", "setuser", "default", "resetpass", ">s3cret");
      const sentinels = `127.0.0.1:${sentinel.port}`;
      await using gateway = await over({ sentinels, sentinelPassword: "s3cret" });
      await publishesTo(gateway, asking(redis));
      assertMatch(await refused({ sentinels }), /no Sentinel knows 'mymaster'/);
    },
  },
  "push.redis.cluster": {
    says: "Redis is a Cluster, which these nodes know",
    async run() {
      await using redis = await smallCluster();
      const cluster = `127.0.0.1:1, 127.0.0.1:${redis.port}`;
      await using gateway = await over({ cluster, port: 1 });
      await publishesTo(gateway, asking(redis));
      const alone = { port: redis.port };
      await assertRejects(() => over(alone), TypeError, "Name it in 'push.redis.cluster'");
    },
  },
  "push.redis.commandTimeout": {
    says: "an answer is not waited for longer",
    async run() {
      await using redis = await startRedis();
      await using hasty = await over({ port: redis.port, commandTimeout: 0.1 });
      await using patient = await over({ port: redis.port, commandTimeout: 600 });
      for (const { gateway } of [hasty, patient]) await gateway.publish("news", 1);
      await redis.kill("SIGSTOP");
      const waiting = patient.gateway.publish("news", 2);
      const error = await assertRejects(() => hasty.gateway.publish("news", 3), PushError);
      assertEquals(error.code, "outcome_unknown");
      await redis.kill("SIGCONT");
      await waiting;
    },
  },
  "push.redis.lease": {
    says: "for that long the others count it as alive",
    async run() {
      await using redis = await startRedis();
      await using _ = await over({ port: redis.port, prefix: "p:", lease: 3600 });
      const leases = async () => await redis.ask("zrange", "p:{nodes}:leases", 0, -1, "withscores");
      await until(async () => (await leases() as string[]).length === 2, "the node has a lease");
      const [seconds] = await redis.ask("time") as string[];
      const left = Number((await leases() as string[])[1]) / 1000 - Number(seconds);
      // The others look once in a quarter of the lease; Redis keeps it for the rest.
      assert(left > 2600 && left <= 2701, `${left} seconds are left`);
    },
  },
};
