/** Clients that come and go while messages flow: what is lost, and what grows. */
import { Measured } from "../process.ts";
import type { ChurnPlan, ChurnResult } from "../load/churn.ts";
import { gateway } from "../peers/mod.ts";
import type { Figures, Row, Scenario } from "../scenario.ts";
import { show } from "../figures.ts";
import type { Stage } from "../stage.ts";

const PROGRAM = new URL("../load/churn.ts", import.meta.url).pathname;
const CHANNELS = 5;
/** Publishes a second to each channel. */
const RATE = 50;
/** What leaves in a second, of a hundred clients. */
const LEAVES = 0.1;
/** Points of the picture. */
const POINTS = 20;
const SEED = 1;
/** Share of the time after which histories are full, and memory is compared with that of the end. */
const SETTLED = 0.2;
const MIB = 2 ** 20;
/** Minutes from which on everything that has a bound has reached it after that share of the time… */
const LONG = 5;
/** …and how many times as much of the heap may be in use in the end. */
const MOST_GROWTH = 1.2;

/** A short history, so that it is full soon and what grows is something else. */
const PEER = gateway({
  name: "@push/client's wire, acknowledged",
  wire: "extended",
  acks: "cumulative",
  options: { push: { delivery: { historySize: 100 } } },
});

/** It takes as long as it is told to: 15 minutes tell more than one. */
export const churn: Scenario = {
  name: "churn",
  about: "clients that come, go, resume and crash; --minutes says for how long",
  async run(stage) {
    const { minutes, churners } = stage.scale;
    const row = await measured(stage);
    const points = Array.from({ length: POINTS }, (_, i) => (i + 1) * minutes / POINTS);
    return [{
      name: "churn",
      title: "Coming and going",
      about:
        `For ${minutes} minutes ${show(churners)} clients listen to ${CHANNELS} channels with ` +
        `${RATE} publishes a second each. ${
          show(churners * LEAVES)
        } times a second one of them loses ` +
        "its connection and comes back with its position, or crashes and comes back with its name only, " +
        `or leaves for good and another one comes. Each has to get every message (seed ${SEED}). ` +
        "Memory of the process, and what of the heap is in use, after a fifth of the time and in the end.",
      columns: [
        { key: "received", title: "messages", digits: 0 },
        { key: "lost", title: "lost connections", digits: 0 },
        { key: "crashed", title: "crashes", digits: 0 },
        { key: "left", title: "left for good", digits: 0 },
        { key: "memoryBefore", title: "MiB", digits: 0 },
        { key: "memoryAfter", title: "MiB in the end", digits: 0 },
        { key: "heapBefore", title: "heap, MiB", digits: 1 },
        { key: "heapAfter", title: "heap in the end, MiB", digits: 1 },
        { key: "server", title: "server, % of a core", digits: 0 },
      ],
      rows: [row],
      picture: {
        kind: "lines",
        title: `Memory while ${show(churners)} clients come and go`,
        unit: "MiB",
        keys: points.map((_, i) => `memory${i}`),
        across: { unit: "minutes", values: points },
      },
    }];
  },
};

async function measured(stage: Stage): Promise<Row> {
  const { minutes, churners } = stage.scale;
  const { name } = PEER;
  stage.say(`churn, ${minutes} minutes: ${name}`);
  const server = await stage.start(PEER);
  const { ports: [port], pids } = server;
  const plan: ChurnPlan = {
    port,
    pids,
    clients: churners,
    channels: CHANNELS,
    rate: RATE,
    seconds: minutes * 60,
    leaves: churners * LEAVES,
    seed: SEED,
  };
  const load = stage.keep(Measured.start(PROGRAM, JSON.stringify(plan)));
  try {
    await load.lineAfter("ready");
    await load.go();
    const done = load.lineAfter("done ");
    await within(done, minutes * 60_000 * SETTLED);
    const heapBefore = await server.heap();
    const result: ChurnResult = JSON.parse(await done);
    const { trouble } = result;
    if (trouble.length > 0) return { name, figures: {}, isVoid: trouble.join(", ") };
    const heapAfter = await server.heap();
    if (minutes >= LONG && heapAfter > MOST_GROWTH * heapBefore) {
      const [before, after] = [heapBefore, heapAfter].map((bytes) => (bytes / MIB).toFixed(1));
      return { name, figures: {}, isVoid: `The heap grew from ${before} to ${after} MiB.` };
    }
    return { name, figures: figuresOf(result, minutes, heapBefore, heapAfter) };
  } finally {
    await stage.end(load);
    await stage.end(server);
  }
}

function figuresOf(
  { memory, received, lost, crashed, left, cpu }: ChurnResult,
  minutes: number,
  heapBefore: number,
  heapAfter: number,
): Figures {
  const points = Array.from({ length: POINTS }, (_, i) => {
    const at = Math.ceil((i + 1) * memory.length / POINTS) - 1;
    return [`memory${i}`, memory[at] / MIB] as const;
  });
  return {
    received,
    lost,
    crashed,
    left,
    memoryBefore: memory[Math.floor(memory.length * SETTLED)] / MIB,
    memoryAfter: memory.at(-1)! / MIB,
    heapBefore: heapBefore / MIB,
    heapAfter: heapAfter / MIB,
    server: 100 * cpu / (60 * minutes),
    ...Object.fromEntries(points),
  };
}

/** Waits so many milliseconds, or less if this is over before. @throws whatever this is rejected with */
async function within(it: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise((resolve) => timer = setTimeout(resolve, milliseconds));
  try {
    await Promise.race([it, over]);
  } finally {
    clearTimeout(timer);
  }
}
