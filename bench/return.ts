/**
 * What it costs when many clients come back at once, each with the same messages missed: beside a
 * bare server that has them ready and sends them to whoever connects. The clients are known to the
 * store, leave, miss the messages, the gateway is restarted so that it has nothing in memory, and
 * they come back with their positions.
 *
 * `deno task bench:return` (Linux: CPU time comes from /proc).
 *
 * @module
 */
import { GatewayNode } from "../dev/cluster/gateways.ts";
import { type RedisServer, startRedis } from "../dev/cluster/redis.ts";
import { Crowd } from "./crowds.ts";
import { printMachine, show, table } from "./figures.ts";
import { readFlags } from "./flags.ts";
import { cpuSecondsOf, Measured } from "./process.ts";
import { redisCalls, redisVersion } from "./redis_stats.ts";

const CHANNEL = "bench";
const PADDING = "x".repeat(64);

const { clients, messages } = readFlags(
  `\
Brings many clients back that have all missed the same messages, to a gateway
that was restarted: over Deno KV, over Redis, and beside a bare server.

Usage: deno task bench:return [flags]

  --clients N    Clients. Default 5000.
  --messages N   Messages that each has missed, 1000 at most. Default 100.
  -h, --help     Print this text.
`,
  { clients: 5000, messages: 100 },
);

interface Cost {
  /** Until each had everything. */
  readonly seconds: number;
  /** Of the server. */
  readonly cpu: number;
  /** Pages of the log that the gateway read. */
  readonly reads?: number;
  /** Reads of streams that Redis was asked for. */
  readonly ranges?: number;
}

await using redis = await startRedis();
printMachine(await redisVersion(redis));
console.log(`${show(clients)} clients come back, ${show(messages)} messages missed by each.`);
const folder = await Deno.makeTempDir({ prefix: "push-bench-" });
try {
  const costs: readonly (readonly [name: string, cost: Cost])[] = [
    ["bare", await fromBare()],
    ["Deno KV", await fromGateway(["--store", "kv", "--kv-path", `${folder}/push.db`])],
    ["Redis", await fromGateway(["--store", "redis", "--redis-url", redis.url], redis)],
  ];
  const [[, bare]] = costs;
  table([
    ["", "seconds", "messages/s", "CPU s", "×", "log reads", "XRANGE"],
    ...costs.map(([name, { seconds, cpu, reads = "", ranges = "" }]) => [
      name,
      seconds.toFixed(2),
      show(clients * messages / seconds),
      cpu.toFixed(2),
      (cpu / bare.cpu).toFixed(2),
      `${reads}`,
      `${ranges}`,
    ]),
  ]);
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function fromBare(): Promise<Cost> {
  await using server = Measured.start(new URL("late.ts", import.meta.url).pathname, `${messages}`);
  const url = `ws://127.0.0.1:${await server.lineAfter("port ")}/`;
  await using crowd = new Crowd({ url, wire: "bare", clients, channel: CHANNEL });
  // The gateway's clients have been there before, too; its process was started anew.
  const before = await server.cpuSeconds();
  await crowd.come();
  const seconds = await crowd.wait(messages);
  return { seconds, cpu: await server.cpuSeconds() - before };
}

async function fromGateway(args: readonly string[], redis?: RedisServer): Promise<Cost> {
  await using gateway = await GatewayNode.start({ args });
  await using crowd = new Crowd({ url: gateway.ws, wire: "extended", clients, channel: CHANNEL });
  await crowd.come();
  await crowd.leave();
  for (let n = 1; n <= messages; n++) await publish(gateway, n);
  await gateway.restart();
  const before = await counts(gateway);
  const calls = redis && await redisCalls(redis, "xrange");
  const cpu = await cpuSecondsOf(gateway.pid);
  await crowd.come();
  const seconds = await crowd.wait(messages);
  const after = await counts(gateway);
  const told = [after.delivered - before.delivered, after.redelivered - before.redelivered];
  if (told[0] !== clients * messages || told[1] !== 0) {
    throw new Error(`The gateway says that it sent ${told[0]} messages, and ${told[1]} again.`);
  }
  const reads = after.log_reads - before.log_reads;
  if (reads > Math.max(10, clients / 100)) throw new Error(`The log was read ${reads} times.`);
  return {
    seconds,
    cpu: await cpuSecondsOf(gateway.pid) - cpu,
    reads,
    ranges: redis && await redisCalls(redis, "xrange") - calls!,
  };
}

async function publish(gateway: GatewayNode, n: number): Promise<void> {
  const response = await fetch(`${gateway.http}/api/push/publish`, {
    method: "POST",
    body: JSON.stringify({ channel: CHANNEL, data: { n, p: PADDING } }),
  });
  const answer = await response.json();
  if (answer.seq !== n) throw new Error(`Message ${n} got: ${JSON.stringify(answer)}`);
}

/** The gateway's counters by their names, without what all of these have in common. */
async function counts(gateway: GatewayNode): Promise<Record<string, number>> {
  const text = await (await fetch(`${gateway.http}/metrics`)).text();
  return Object.fromEntries(
    text.matchAll(/^push_(\w+)_total (\d+)$/gm).map(([, name, value]) => [name, Number(value)]),
  );
}
