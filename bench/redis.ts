/**
 * What the Redis store takes: accepted publishes a second, beside bare pipelined scripts of one `XADD`
 * and one `PUBLISH` each on the same server, in turns. Trust the ratio: the figures vary with the
 * machine. A run in which not everything was stored once and in order has no figure, and fails.
 *
 * `deno task bench:redis`
 *
 * @module
 */
import { Redis } from "ioredis";
import { startRedis } from "../dev/cluster/redis.ts";
import { systemRandom } from "../server/clock.ts";
import { type GatewayOptions, resolveOptions } from "../server/options/options.ts";
import { Publisher } from "../server/channel/publisher.ts";
import { retentionOf, storeLimitsOf } from "../server/stores/open.ts";
import { RedisStore } from "../server/stores/redis/store.ts";
import { median, printMachine, show } from "./figures.ts";
import { readFlags } from "./flags.ts";
import { redisVersion } from "./redis_stats.ts";

const PUBLISHERS = 64;
const IN_FLIGHT = 32;
const CHANNELS = 16;
const PADDING = "x".repeat(64);

const BARE = `
redis.call('XADD', KEYS[1], '*', 'p', ARGV[1])
return redis.call('PUBLISH', KEYS[2], ARGV[1])`;

const { seconds, rounds } = readFlags(
  `\
Measures the Redis store beside bare pipelined scripts on the same server.

Usage: deno task bench:redis [flags]

  --seconds N   Seconds of a round for each of the two. Default 1.
  --rounds N    Rounds, beside a first one that does not count. Default 5.
  -h, --help    Print this text.
`,
  { seconds: 1, rounds: 5 },
);

await using redis = await startRedis();
printMachine(await redisVersion(redis));
await publishes("the options' history", {});
await publishes("all of it kept", { historySize: 1_000_000, historyBytes: 2 ** 30 }, true);
await publishes("each publish with an id", {}, false, true);

async function publishes(
  what: string,
  keep: NonNullable<NonNullable<GatewayOptions["push"]>["delivery"]>,
  isWhole = false,
  hasIds = false,
): Promise<void> {
  await redis.ask("FLUSHALL");
  const { push } = resolveOptions({
    push: {
      delivery: { maxStoreBytes: 2 ** 40, maxChannelBytes: 2 ** 40, ...keep },
      redis: { host: "127.0.0.1", port: redis.port },
    },
  });
  const store = new RedisStore({
    settings: push.redis!,
    retention: retentionOf(push),
    limits: storeLimitsOf(push),
    random: systemRandom,
  });
  await store.open();
  const bare = new Redis(redis.port, "127.0.0.1");
  const sha = await bare.script("LOAD", BARE) as string;

  /** By channel and number: who published, and which of the publisher's it was. */
  const accepted = Array.from({ length: CHANNELS }, () => [] as [publisher: number, n: number][]);
  const publishers = Array.from(
    { length: CHANNELS },
    (_, i) =>
      new Publisher({ append: (drafts) => store.append(`bench:${i}`, drafts), failed() {} }),
  );
  let published = 0;
  let sets = 0;

  async function setOn(publisher: number, end: number): Promise<void> {
    const channel = publisher % CHANNELS;
    const payload = JSON.stringify({ by: publisher, n: 1, p: PADDING });
    while (performance.now() < end) {
      await bare.evalsha(sha, 2, `bare:{${channel}}:log`, `bare:{${channel}}:topic`, payload);
      sets++;
    }
  }

  const next = new Array<number>(PUBLISHERS).fill(0);
  async function publishOn(publisher: number, end: number): Promise<void> {
    const channel = publisher % CHANNELS;
    while (performance.now() < end) {
      const n = next[publisher]++;
      const [outcome] = await publishers[channel].publish([{
        id: hasIds ? `bench-${publisher}-${n}` : undefined,
        subject: "anonymous",
        origin: `n:client-${publisher}:anonymous`,
        source: `client-${publisher}`,
        payload: JSON.stringify({ by: publisher, n, p: PADDING }),
      }]);
      if (outcome instanceof Error) throw outcome;
      const { seq, duplicate } = outcome;
      if (duplicate || accepted[channel][seq] !== undefined) {
        throw new Error(`Number ${seq} of channel ${channel} was given twice.`);
      }
      accepted[channel][seq] = [publisher, n];
      published++;
    }
  }

  const inFlight = (work: (publisher: number, end: number) => Promise<void>, end: number) =>
    Promise.all(
      Array.from({ length: PUBLISHERS * IN_FLIGHT }, (_, i) => work(i % PUBLISHERS, end)),
    );
  const figures: { bare: number; ours: number }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const before = [sets, published];
    const took = [
      await timed((end) => inFlight(setOn, end)),
      await timed((end) => inFlight(publishOn, end)),
    ];
    // The first round is for the compiler.
    if (round === 0) continue;
    figures.push({ bare: (sets - before[0]) / took[0], ours: (published - before[1]) / took[1] });
  }
  await check(store, accepted, isWhole);
  bare.disconnect();
  await store[Symbol.asyncDispose]();

  const ratios = figures.map(({ bare, ours }) => ours / bare);
  console.log(
    `${PUBLISHERS} publishers × ${IN_FLIGHT} in flight to ${CHANNELS} channels, ${what}: ` +
      `${show(median(figures.map(({ ours }) => ours)))} publishes/s, bare ` +
      `${show(median(figures.map(({ bare }) => bare)))} scripts/s, ` +
      `${median(ratios).toFixed(2)} × (${Math.min(...ratios).toFixed(2)} to ` +
      `${Math.max(...ratios).toFixed(2)})`,
  );
}

/** Everything accepted has a number of its own without a gap, in each publisher's order, and is read so. */
async function check(
  store: RedisStore,
  accepted: readonly (readonly [publisher: number, n: number])[][],
  isWhole: boolean,
): Promise<void> {
  for (const [channel, numbers] of accepted.entries()) {
    const last = new Map<number, number>();
    for (let seq = 1; seq < numbers.length; seq++) {
      if (numbers[seq] === undefined) throw new Error(`Number ${seq} of ${channel} is nobody's.`);
      const [publisher, n] = numbers[seq];
      if (n !== (last.get(publisher) ?? -1) + 1) {
        throw new Error(`Publisher ${publisher}'s ${n} is number ${seq}, out of order.`);
      }
      last.set(publisher, n);
    }
    const { oldest, head } = (await store.states([`bench:${channel}`]))[0]!;
    if (head !== numbers.length - 1) {
      throw new Error(`Of ${numbers.length - 1} ${head} are stored.`);
    }
    if (isWhole && oldest !== 1) throw new Error(`Only ${oldest} and above are kept.`);
    for (let after = oldest - 1; after < head;) {
      const { messages } = await store.read(`bench:${channel}`, after, 10_000);
      for (const { seq, payload } of messages) {
        const { by, n } = JSON.parse(payload);
        const isTold = numbers[seq][0] === by && numbers[seq][1] === n;
        if (seq !== ++after || !isTold) throw new Error(`Number ${seq} is not what was accepted.`);
      }
    }
  }
}

/** Runs this for some seconds; resolves to how many it took. */
async function timed(work: (end: number) => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work(began + seconds * 1000);
  return (performance.now() - began) / 1000;
}
