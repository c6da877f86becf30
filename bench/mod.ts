/**
 * The project's own benchmark: what a delivered message and an idle connection cost the gateway,
 * beside a bare broadcast loop in the same run. Trust the ratios: the figures vary with the machine.
 *
 * Every run checks that every message arrived, once and in order; one where that fails has no
 * figure, and the command fails.
 *
 * `deno task bench` (Linux: CPU time and memory come from /proc).
 *
 * @module
 */
import { median, printMachine, show } from "./figures.ts";
import { readFlags } from "./flags.ts";
import { Measured } from "./process.ts";

interface Peer {
  readonly name: string;
  readonly server: readonly string[];
  readonly wire: "bare" | "fixed" | "extended";
  readonly acknowledge: boolean;
}

const PEERS: readonly Peer[] = [
  { name: "bare loop", server: ["bare.ts"], wire: "bare", acknowledge: false },
  {
    name: "fixed wire, no acks outstanding",
    server: ["gateway.ts", "no-delivery"],
    wire: "fixed",
    acknowledge: false,
  },
  {
    name: "fixed wire, delivery on",
    server: ["gateway.ts"],
    wire: "fixed",
    acknowledge: false,
  },
  {
    name: "@push/client's wire, delivery off",
    server: ["gateway.ts", "no-delivery"],
    wire: "extended",
    acknowledge: false,
  },
  {
    name: "@push/client's wire, acks from all",
    server: ["gateway.ts"],
    wire: "extended",
    acknowledge: true,
  },
  {
    name: "the same over npm:ws",
    server: ["gateway.ts", "ws"],
    wire: "extended",
    acknowledge: true,
  },
  {
    name: "fixed wire over npm:ws, delivery on",
    server: ["gateway.ts", "ws"],
    wire: "fixed",
    acknowledge: false,
  },
];

// Fewer messages than a window, so that subscribers that do not acknowledge get them all.
const { subscribers, messages, idle, rounds } = readFlags(
  `\
Measures the gateway with the memory store beside a bare broadcast loop.

Usage: deno task bench [flags]

  --subscribers N   Subscribers of the one channel. Default 1000.
  --messages N      Messages, 1024 at most. Default 1000.
  --idle N          Connections of which none does anything. Default 10000.
  --rounds N        Rounds of messages. Default 1; the medians of 3 tell more.
  -h, --help        Print this text.
`,
  { subscribers: 1000, messages: 1000, idle: 10_000, rounds: 1 },
);

printMachine();
console.log(
  `Fan-out: ${messages} messages of 1 publisher (32 in flight) to ${subscribers} subscribers.`,
);
const costs = PEERS.map(() => [] as { microseconds: number; rate: number }[]);
for (let round = 0; round < rounds; round++) {
  for (const [i, peer] of PEERS.entries()) costs[i].push(await fanOut(peer));
}
for (const [i, { name }] of PEERS.entries()) {
  const ratios = costs[i].map(({ microseconds }, round) => (
    microseconds / costs[0][round].microseconds
  ));
  console.log(
    `  ${name.padEnd(36)}` +
      ` ${median(costs[i].map(({ microseconds }) => microseconds)).toFixed(2).padStart(6)}` +
      ` µs CPU a message  ${median(ratios).toFixed(2).padStart(5)} ×` +
      `  ${show(median(costs[i].map(({ rate }) => rate))).padStart(9)} messages/s`,
  );
}

console.log(`Idle: ${idle} connections with one subscription each.`);
let base = NaN;
for (const peer of PEERS.filter(({ acknowledge, wire }) => acknowledge || wire !== "extended")) {
  if (peer.server.includes("no-delivery")) continue;
  const bytes = await idleMemory(peer);
  if (Number.isNaN(base)) base = bytes;
  console.log(
    `  ${peer.name.padEnd(36)} ${(bytes / 1024).toFixed(1).padStart(6)} KiB a connection` +
      `  ${(bytes / base).toFixed(2).padStart(5)} ×`,
  );
}

async function fanOut(peer: Peer): Promise<{ microseconds: number; rate: number }> {
  await using server = startServer(peer);
  const port = Number(await server.lineAfter("port "));
  const { wire, acknowledge } = peer;
  const plan = { wire, port, subscribers, messages, inFlight: 32, acknowledge };
  await using load = Measured.start(path("load.ts"), JSON.stringify(plan));
  await load.lineAfter("ready");
  const before = await server.cpuSeconds();
  await load.go();
  const result = JSON.parse(await load.lineAfter("done "));
  const cpu = await server.cpuSeconds() - before;
  const { received, expected, wrong, seconds } = result;
  if (received !== expected || wrong > 0) {
    throw new Error(`${peer.name}: ${received} of ${expected} arrived, ${wrong} out of order.`);
  }
  return { microseconds: cpu * 1e6 / expected, rate: expected / seconds };
}

async function idleMemory(peer: Peer): Promise<number> {
  await using server = startServer(peer);
  const port = Number(await server.lineAfter("port "));
  const { wire } = peer;
  const before = await server.memory();
  const plan = { wire, port, subscribers: idle, messages: 0, inFlight: 0, acknowledge: false };
  await using load = Measured.start(path("load.ts"), JSON.stringify(plan));
  await load.lineAfter("ready");
  return (await server.memory() - before) / idle;
}

function startServer({ server: [program, ...args] }: Peer): Measured {
  return Measured.start(path(program), ...args);
}

function path(name: string): string {
  return new URL(name, import.meta.url).pathname;
}
