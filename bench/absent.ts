/**
 * What a message costs a store by the number of its subscribers: appends, and room. A gateway over
 * each store takes the same messages one after the other, for nobody, for subscribers that listen, and
 * for subscribers that are known and away. The store's size is taken while nobody has it open.
 *
 * `deno task bench:absent`
 *
 * @module
 */
import { Gateway } from "../mod.ts";
import { type RedisServer, startRedis } from "../dev/cluster/redis.ts";
import { systemRandom } from "../server/clock.ts";
import { type GatewayOptions, resolveOptions } from "../server/options/options.ts";
import { type KvAtomic, type KvDatabase, openDatabase } from "../server/stores/kv/engine.ts";
import { TABLES } from "../server/stores/kv/keys.ts";
import { KvStore } from "../server/stores/kv/store.ts";
import { retentionOf, storeLimitsOf } from "../server/stores/open.ts";
import type { Store } from "../server/stores/store.ts";
import { Crowd } from "./crowds.ts";
import { kib, printMachine, show, table } from "./figures.ts";
import { readFlags } from "./flags.ts";
import { redisCalls, redisMemory, redisVersion } from "./redis_stats.ts";

const CHANNEL = "bench";
const PADDING = "x".repeat(64);
/** Subscribers that come back in the end, to see that they get all. */
const RETURNING = 100;

const { absent, live, messages } = readFlags(
  `\
Counts what messages cost Deno KV and Redis by the number of subscribers.

Usage: deno task bench:absent [flags]

  --absent N     Subscribers that are away. Default 10000.
  --live N       Subscribers that listen. Default 1000.
  --messages N   Messages, 1000 at most. Default 1000.
  -h, --help     Print this text.
`,
  { absent: 10_000, live: 1000, messages: 1000 },
);

/** A store that starts empty, and how it is looked at. */
interface Subject extends AsyncDisposable {
  readonly name: string;
  /** What the gateway needs to use it. */
  readonly options: GatewayOptions["push"];
  /** Opens it; without this the gateway does, by the options. */
  readonly newStore?: () => Store;
  /** How often messages were added to a log. */
  appends(): Promise<number>;
  /** Bytes of all that is in it, while nobody has it open. */
  size(): Promise<number>;
}

printMachine();
for (const open of [kv, redis]) {
  const rows = [["", "appends", "before", "a subscriber", "after", "growth", "a message"]];
  let name = "";
  let empty = 0;
  for (
    const [who, clients, areLive] of [
      ["nobody", 0, false],
      [`${show(live)} that listen`, live, true],
      [`${show(absent)} that are away`, absent, false],
    ] as const
  ) {
    await using subject = await open();
    name = subject.name;
    const { appends, before, after } = await publishTo(subject, clients, areLive);
    const growth = after - before;
    if (clients === 0) empty = before;
    rows.push([
      who,
      show(appends),
      kib(before),
      clients === 0 ? "" : `${show((before - empty) / clients)} bytes`,
      kib(after),
      kib(growth),
      `${show(growth / messages)} bytes`,
    ]);
  }
  console.log(`${name}, ${show(messages)} messages to`);
  table(rows);
}

async function publishTo(
  subject: Subject,
  clients: number,
  areLive: boolean,
): Promise<{ appends: number; before: number; after: number }> {
  let gateway = await startGateway(subject);
  const { port } = gateway.address;
  const url = `ws://127.0.0.1:${port}/ws`;
  await using crowd = new Crowd({ url, wire: "extended", clients, channel: CHANNEL });
  await crowd.come();
  await crowd.leave();
  await gateway.stop();
  const before = await subject.size();

  gateway = await startGateway(subject, port);
  if (areLive) await crowd.come();
  const appended = await subject.appends();
  for (let n = 1; n <= messages; n++) {
    const { seq } = await gateway.publish(CHANNEL, { n, p: PADDING });
    if (seq !== n) throw new Error(`Message ${n} has the number ${seq}.`);
  }
  if (areLive) await crowd.wait(messages);
  const appends = await subject.appends() - appended;
  await crowd.leave();
  await gateway.stop();
  const after = await subject.size();

  gateway = await startGateway(subject, port);
  await check(gateway, clients);
  if (!areLive && clients > 0) {
    await crowd.come(Math.min(clients, RETURNING));
    await crowd.wait(messages);
    await crowd.leave();
  }
  await gateway.stop();
  return { appends, before, after };
}

/** Nothing was forgotten that the figures are to be about. */
async function check(gateway: Gateway, clients: number): Promise<void> {
  const log = (await gateway.channels()).find(({ name }) => name === CHANNEL);
  if (log?.head !== messages || log.oldest !== 1) {
    throw new Error(`The log has ${log?.oldest} to ${log?.head}, not 1 to ${messages}.`);
  }
  const metrics = await (await gateway.fetch(new Request("http://bench/metrics"))).text();
  const sessions = Number(/^push_sessions (\d+)$/m.exec(metrics)?.[1]);
  if (sessions !== clients) throw new Error(`The store knows ${sessions} of ${clients}.`);
}

async function startGateway({ options, newStore }: Subject, port = 0): Promise<Gateway> {
  const gateway = new Gateway({ port, push: { enabled: true, ...options } }, {
    store: newStore?.(),
  });
  await gateway.start();
  return gateway;
}

async function kv(): Promise<Subject> {
  const folder = await Deno.makeTempDir({ prefix: "push-bench-" });
  const path = `${folder}/push.db`;
  const { push } = resolveOptions({ push: {} });
  let appends = 0;
  return {
    name: "Deno KV",
    options: {},
    newStore: () =>
      new KvStore({
        path,
        retention: retentionOf(push),
        limits: storeLimitsOf(push),
        random: systemRandom,
        openDatabase: async (path) => counting(await openDatabase(path), () => appends++),
      }),
    appends: () => Promise.resolve(appends),
    async size() {
      let bytes = 0;
      for (const end of ["", "-wal"]) {
        bytes += await Deno.stat(path + end).then(({ size }) => size, () => 0);
      }
      return bytes;
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** The same database; it tells of each commit that writes messages into a log. */
function counting(database: KvDatabase, told: () => void): KvDatabase {
  return {
    get: (key) => database.get(key),
    getMany: (keys) => database.getMany(keys),
    list: (selector, options) => database.list(selector, options),
    close: () => database.close(),
    atomic() {
      const inner = database.atomic();
      let hasMessages = false;
      const outer: KvAtomic = {
        check: (check) => (inner.check(check), outer),
        delete: (key) => (inner.delete(key), outer),
        set(key, value) {
          hasMessages ||= key[1] === TABLES.messages;
          inner.set(key, value);
          return outer;
        },
        commit() {
          if (hasMessages) told();
          return inner.commit();
        },
      };
      return outer;
    },
  };
}

async function redis(): Promise<Subject> {
  const server: RedisServer = await startRedis();
  return {
    name: await redisVersion(server),
    options: {
      delivery: { storeBackend: "redis" },
      redis: { host: "127.0.0.1", port: server.port },
    },
    appends: () => redisCalls(server, "xadd"),
    size: () => redisMemory(server),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
