import { assert, assertEquals } from "@std/assert";
import { PushClient, type StateChange, type Transport } from "@push/client";
import { Gateway, type GatewayOptions } from "../../mod.ts";
import { systemClock } from "../../server/clock.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { MemoryData, MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import { MemoryCluster, seededRandom } from "../../server/testing/mod.ts";
import { startCluster } from "../../dev/cluster/cluster.ts";
import { Line, type LineEnd } from "../support/line.ts";
import { type Mover, moves, numbers, publish, type Trial } from "../support/mover.ts";
import { until } from "../support/within.ts";

const TRANSPORTS: readonly Transport[] = ["websocket", "sse", "longpoll"];
const OPTIONS: GatewayOptions = { port: 0, push: { enabled: true } };
const seedOf = (): number =>
  Number(Deno.env.get("PUSH_SEED") ?? Math.floor(Math.random() * 2 ** 31));

/** Gateways that share all, in this process. */
class Nodes implements AsyncDisposable {
  readonly gateways: Gateway[] = [];

  static async start(count: number, seed: number): Promise<Nodes> {
    const nodes = new Nodes();
    const { push } = resolveOptions(OPTIONS);
    const data = new MemoryData();
    const cluster = new MemoryCluster({ clock: systemClock, random: seededRandom(seed) });
    for (let i = 0; i < count; i++) {
      const node = cluster.join();
      const store = new MemoryStore({
        retention: retentionOf(push),
        limits: storeLimitsOf(push),
        random: seededRandom(seed + i).bytes,
        data,
        cluster: node,
      });
      const gateway = new Gateway(OPTIONS, { store: node.clustered(store) });
      await gateway.start();
      nodes.gateways.push(gateway);
    }
    return nodes;
  }

  get ends(): LineEnd[] {
    return this.gateways.map(({ address: { port }, settings: { path } }) => ({
      ws: `ws://127.0.0.1:${port}${path}`,
      http: `http://127.0.0.1:${port}`,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
  }
}

/** Moves a client between gateways in this process. */
async function inProcess(count: number, trial: Omit<Trial, "ends">): Promise<StateChange[]> {
  await using nodes = await Nodes.start(count, trial.seed);
  return await moves({ ends: nodes.ends, ...trial });
}

/** From each transport to the next, by taking it away, and from the last back to the best. */
async function around({ line, reached }: Mover, step: number): Promise<void> {
  const at = step % TRANSPORTS.length;
  line.block(...TRANSPORTS.slice(0, at));
  await reached(TRANSPORTS[at]);
}

for (const nodes of [1, 2]) {
  const where = nodes === 1 ? "on one node" : "across two nodes";

  Deno.test(`switching: WebSocket, stream, polling and back every few messages, ${where}`, async () => {
    const seed = seedOf();
    const changes = await inProcess(nodes, { seed, move: around, steps: 12 });
    assert(TRANSPORTS.every((name) => changes.some(({ transport }) => transport === name)));
  });

  Deno.test(`switching: upwards step by step as transports come back, ${where}`, async () => {
    const seed = seedOf();
    const move = async ({ line, reached }: Mover, step: number): Promise<void> => {
      const at = TRANSPORTS.length - 1 - step % TRANSPORTS.length;
      line.block(...TRANSPORTS.slice(0, at));
      await reached(TRANSPORTS[at]);
    };
    const changes = await inProcess(nodes, { seed, move, steps: 9 });
    // A better transport takes over: the connection is not lost for it.
    const ups = changes.filter(({ state, previous }) => state === previous);
    assert(ups.some(({ transport }) => transport === "sse"));
    assert(ups.some(({ transport }) => transport === "websocket"));
  });

  Deno.test(`switching: by chance, with lost answers and broken connections, ${where}`, async () => {
    const seed = seedOf();
    const random = seededRandom(seed + 1);
    const move = async ({ line, client }: Mover): Promise<void> => {
      line.isGathering = random.next() < 0.3;
      const left = line.isGathering ? "longpoll" : random.pick(TRANSPORTS);
      line.block(...TRANSPORTS.filter((name) => name !== left && random.next() < 0.6));
      if (random.next() < 0.5) line.cut(client.transport ?? left);
      await until(() => client.isConnected, "the client is back");
    };
    await inProcess(nodes, { seed, loss: 0.1, roams: nodes > 1, move, steps: 25 });
  });
}

Deno.test("switching: around, while each request goes to another node", async () => {
  await inProcess(2, { seed: seedOf(), roams: true, move: around, steps: 6 });
});

for (const transport of ["sse", "longpoll"] as const) {
  Deno.test(`switching: a subscription whose answer is lost misses nothing, over ${transport}`, async () => {
    await using nodes = await Nodes.start(1, 1);
    const [end] = nodes.ends;
    const line = new Line(end);
    await using client = new PushClient(end.ws, {
      transports: [transport],
      ...line.options,
    });
    await client.connect();
    const got: unknown[] = [];
    for (const n of numbers(5)) await publish(end, "news", n);
    let losses = 0;
    line.loses = (path) => path.endsWith("/send") && losses++ === 0;
    const subscribing = client.subscribe("news", ({ data }) => void got.push(data), { all: true });
    await until(() => losses > 0, "the answer is lost");
    for (const n of numbers(5)) await publish(end, "news", 5 + n);
    await subscribing;
    await until(() => got.length >= 10, "all has arrived");
    assertEquals(got, numbers(10));
    assertEquals(losses > 1, true);
  });
}

Deno.test("switching: around, across two processes over Redis", async () => {
  await using cluster = await startCluster({ nodes: 2, redis: { appendonly: false } });
  const ends = cluster.gateways.map(({ ws, http }) => ({ ws, http }));
  await moves({ ends, seed: seedOf(), move: around, steps: 9 });
});
