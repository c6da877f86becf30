/**
 * What it costs to receive with `@push/client`: beside a bare loop of `WebSocket` and `JSON.parse`
 * over the same frames. Its memory over many messages, and what it adds to a page.
 *
 * `deno task bench:client` (Linux: CPU time comes from /proc).
 *
 * @module
 */
import { printSize } from "./client_size.ts";
import { median, printMachine, show, table } from "./figures.ts";
import { readFlags } from "./flags.ts";
import { Measured } from "./process.ts";

const { messages, endless, rounds } = readFlags(
  `\
Measures @push/client: receiving, memory, and size.

Usage: deno task bench:client [flags]

  --messages N   Messages to receive. Default 100000.
  --endless N    Messages over which the heap is looked at, a multiple of 10. Default 1000000.
  --rounds N     Rounds of receiving. Default 5.
  -h, --help     Print this text.
`,
  { messages: 100_000, endless: 1_000_000, rounds: 5 },
);
/** Bytes that the heap may grow by from the first tenth of the messages to the last. */
const MAX_GROWTH = 1_048_576;

printMachine();
// Receivers look at the heap after a collection.
Deno.env.set("DENO_V8_FLAGS", "--expose-gc");
await using replay = start("replay.ts", String(messages));
const address = `ws://127.0.0.1:${await replay.lineAfter("port ")}`;

console.log(`Receiving ${show(messages)} messages, one handler, ${rounds} rounds:`);
const rows = [["", "CPU µs a message", "ratio", "seconds", "ratio"]];
for (const shape of ["single", "batch"]) {
  await using bare = start("receive.ts", "bare", `${address}/${shape}/ws`, String(messages));
  await using push = start("receive.ts", "push", `${address}/${shape}/ws`, String(messages));
  const costs = { bare: [] as Cost[], push: [] as Cost[] };
  for (let round = 0; round < rounds; round++) {
    costs.bare.push(await receive(bare));
    costs.push.push(await receive(push));
  }
  const words = shape === "single" ? "one a frame" : "as a busy gateway sends them";
  for (const [kind, name] of [["bare", "bare loop"], ["push", "@push/client"]] as const) {
    rows.push([
      `${name}, ${words}`,
      median(costs[kind].map(({ cpu }) => 1e6 * cpu / messages)).toFixed(2),
      median(costs[kind].map(({ cpu }, i) => cpu / costs.bare[i].cpu)).toFixed(2),
      median(costs[kind].map(({ seconds }) => seconds)).toFixed(2),
      median(costs[kind].map(({ seconds }, i) => seconds / costs.bare[i].seconds)).toFixed(2),
    ]);
  }
}
table(rows);

console.log(`The heap over ${show(endless)} messages, after each tenth, in KiB:`);
const heaps: number[] = [];
await using endlessly = start(
  "receive.ts",
  "push",
  `${address}/endless/ws`,
  String(endless),
  "heap",
);
await endlessly.go();
while (heaps.length < 10) heaps.push(Number(await endlessly.lineAfter("heap ")));
await endlessly.lineAfter("done ");
console.log(`  ${heaps.map((bytes) => show(bytes / 1024)).join("  ")}`);
if (heaps[9] - heaps[0] > MAX_GROWTH) throw new Error("The heap grows with the messages.");

await printSize();

interface Cost {
  /** CPU seconds. */
  readonly cpu: number;
  readonly seconds: number;
}

function start(program: string, ...args: string[]): Measured {
  return Measured.start(new URL(program, import.meta.url).pathname, ...args);
}

async function receive(receiver: Measured): Promise<Cost> {
  const before = await receiver.cpuSeconds();
  await receiver.go();
  const seconds = Number(await receiver.lineAfter("done "));
  return { cpu: await receiver.cpuSeconds() - before, seconds };
}
