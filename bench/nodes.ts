/**
 * How long a message takes from its publisher to a subscriber: on two gateways over one Redis, on one
 * of them, and beside a bare `PUBLISH` of the same Redis, in turns. Publisher and subscriber are in
 * this process, so that one clock measures both; messages are sent when they are due, whether or not
 * earlier ones have come. A run in which not every message came once and in order has no figure, and
 * fails.
 *
 * `deno task bench:nodes`
 *
 * @module
 */
import { Redis } from "ioredis";
import { startGateways } from "../dev/cluster/gateways.ts";
import { startRedis } from "../dev/cluster/redis.ts";
import { printMachine, quantile, show, table } from "./figures.ts";
import { readFlags } from "./flags.ts";
import { redisVersion } from "./redis_stats.ts";

const RATES = [100, 500];
const PADDING = "x".repeat(64);

const { seconds, rounds } = readFlags(
  `\
Measures how long a message takes from a publisher on one gateway to a
subscriber on another, on the same one, and through a bare Redis.

Usage: deno task bench:nodes [flags]

  --seconds N   Seconds for each rate and way in a round. Default 3.
  --rounds N    Rounds, beside a first one that does not count. Default 3.
  -h, --help    Print this text.
`,
  { seconds: 3, rounds: 3 },
);

/** A publisher, and a subscriber that hears it. */
interface Way extends Disposable {
  readonly name: string;
  /** Publishes a message; it carries its number. */
  send(text: string): void;
  /** Hears what comes. */
  hear: (text: string) => void;
}

await using stack = new AsyncDisposableStack();
const redis = stack.use(await startRedis());
printMachine(await redisVersion(redis));
const gateways = await startGateways(2, () => ({
  args: ["--store", "redis", "--redis-url", redis.url],
}));
for (const gateway of gateways) stack.use(gateway);
const [first, second] = gateways;
const ways = [
  await bareWay(),
  await gatewayWay("one gateway", first.ws, first.ws),
  await gatewayWay("two gateways", first.ws, second.ws),
];
for (const way of ways) stack.use(way);

const sent = new Map(ways.map((way) => [way, 0]));
for (const rate of RATES) {
  const took = new Map(ways.map((way): [Way, number[][]] => [way, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const way of ways) {
      const times = await measure(way, rate, round === 0 ? 1 : seconds);
      // The first round is for the compiler.
      if (round > 0) took.get(way)!.push(times);
    }
  }
  console.log(
    `${rate} messages/s, milliseconds from publish to receive, the median of ${rounds} rounds:`,
  );
  table([
    ["", "p50", "p99", "p99 of each round", "messages"],
    ...ways.map((way) => row(way.name, took.get(way)!)),
  ]);
}

/** Publishes at this rate; resolves to how long each message took, in milliseconds. */
async function measure(way: Way, rate: number, seconds: number): Promise<number[]> {
  const count = rate * seconds;
  const start = sent.get(way)! + 1;
  sent.set(way, start + count - 1);
  const sentAt: number[] = [];
  const times: number[] = [];
  const { promise: complete, resolve, reject } = Promise.withResolvers<void>();
  way.hear = (text) => {
    const now = performance.now();
    for (const [, number] of text.matchAll(/"n":(\d+)/g)) {
      const n = Number(number);
      if (n !== start + times.length) {
        return reject(new Error(`${way.name}: ${n} came instead of ${start + times.length}.`));
      }
      times.push(now - sentAt[n - start]);
    }
    if (times.length === count) resolve();
  };
  const began = performance.now();
  for (let i = 0; i < count; i++) {
    const wait = began + i * 1000 / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    sentAt.push(performance.now());
    way.send(JSON.stringify({ n: start + i, p: PADDING }));
  }
  const timer = setTimeout(() => {
    reject(new Error(`${way.name}: ${times.length} of ${count} came.`));
  }, 10_000);
  await complete;
  clearTimeout(timer);
  // Whatever comes too often comes now, and is not the next one that is expected.
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (times.length !== count) throw new Error(`${way.name}: ${times.length} instead of ${count}.`);
  return times;
}

function row(name: string, rounds: readonly number[][]): string[] {
  const at = (share: number) => rounds.map((times) => quantile(times, share));
  const middle = (figures: readonly number[]) => quantile(figures, 0.5).toFixed(2);
  return [
    name,
    middle(at(0.5)),
    middle(at(0.99)),
    at(0.99).map((time) => time.toFixed(2)).join(" "),
    show(rounds.reduce((sum, { length }) => sum + length, 0)),
  ];
}

async function bareWay(): Promise<Way> {
  const publisher = new Redis(redis.port, "127.0.0.1");
  const subscriber = new Redis(redis.port, "127.0.0.1");
  await subscriber.subscribe("bare");
  const way: Way = {
    name: "bare PUBLISH",
    hear: () => {},
    send: (text) => void publisher.publish("bare", text),
    [Symbol.dispose]() {
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
  subscriber.on("message", (_, text: string) => way.hear(text));
  return way;
}

/** A publisher at one address and a subscriber at another, both as `@push/client` speaks. */
async function gatewayWay(name: string, from: string, to: string): Promise<Way> {
  const channel = `bench:${name.replace(" ", "-")}`;
  const way: Way = {
    name,
    hear: () => {},
    send: (data) =>
      publisher.send(`{"type":"channel.publish","channel":"${channel}","data":${data}}`),
    [Symbol.dispose]() {
      for (const socket of [publisher, subscriber]) {
        socket.onclose = null;
        socket.close();
      }
    },
  };
  const subscriber = await connect(to, [{ channel }], (text) => {
    way.hear(text);
    const places = [...text.matchAll(/"event_id":"(\w+):(\d+):/g)];
    if (places.length === 0) return;
    const ranges = [Number(places[0][2]), Number(places.at(-1)![2])];
    const ack = { channel, epoch: places[0][1], ranges };
    subscriber.send(JSON.stringify({ type: "ack", acks: [ack] }));
  });
  const publisher = await connect(from, [], (text) => {
    if (text.includes('"error"')) throw new Error(`${name}: ${text}`);
  });
  return way;
}

function connect(
  url: string,
  subscriptions: readonly { readonly channel: string }[],
  onText: (text: string) => void,
): Promise<WebSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const socket = new WebSocket(url);
  socket.onerror = () => reject(new Error(`Cannot connect to ${url}.`));
  socket.onclose = ({ code, reason }) => {
    throw new Error(`A connection was closed: ${code} ${reason}`);
  };
  socket.onopen = () => {
    const instance = crypto.randomUUID();
    socket.send(
      JSON.stringify({ type: "connect", version: 1, instance, attempt: 1, subscriptions }),
    );
  };
  socket.onmessage = ({ data }) => {
    if (data.includes('"connected"')) resolve(socket);
    else onText(data);
  };
  return promise;
}
