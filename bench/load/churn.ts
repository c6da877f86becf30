/**
 * Clients that come, go, lose their connection and crash, while messages flow: one process with all of
 * them. Each checks that it gets every message of its channel, once and in order, wherever it goes on.
 *
 * It is given a plan, connects, says `ready`, waits for a line, and prints what came of it.
 */
import { Connection } from "./connection.ts";
import { cpuOf, memoryOf } from "./server_stats.ts";
import { told } from "./told.ts";

/** What it does. */
export interface ChurnPlan {
  /** Port of 127.0.0.1. */
  readonly port: number;
  /** Processes whose memory is looked at. */
  readonly pids: readonly number[];
  /** Clients that are there, or about to be. */
  readonly clients: number;
  /** Channels, each with one publisher. */
  readonly channels: number;
  /** Publishes a second of each. */
  readonly rate: number;
  /** For how long, in seconds. */
  readonly seconds: number;
  /** How often somebody leaves, a second. */
  readonly leaves: number;
  /** What chance begins with. */
  readonly seed: number;
}

/** What came of it. */
export interface ChurnResult {
  /** Memory of the processes, in bytes, at equal distances. */
  readonly memory: readonly number[];
  /** Messages that came. */
  readonly received: number;
  /** Publishes. */
  readonly published: number;
  /** CPU time of the processes, in seconds. */
  readonly cpu: number;
  /** How often clients lost their connection, crashed, and left for good. */
  readonly lost: number;
  readonly crashed: number;
  readonly left: number;
  /** What went wrong. */
  readonly trouble: readonly string[];
}

/** How long a client stays away, at most, in milliseconds. */
const AWAY = 2000;
/** How often memory is looked at. */
const LOOKS = 60;
/** How long messages may be under way in the end, in milliseconds. */
const PATIENCE = 20_000;
/** Of what went wrong, so much is told. */
const TOLD = 3;

/** How a client goes. */
type Leaving = "lost" | "crashed" | "left";

/** One client. What number a message has for its publisher is its number in the log, too. */
class Churner {
  readonly channel: number;
  readonly #plan: ChurnPlan;
  readonly #name: string;
  readonly #trouble: (what: string) => void;
  #connection: Connection | undefined;
  #instance = 0;
  #attempt = 0;
  #began: number | undefined;
  #position: { epoch: string; seq: number } | undefined;
  /** All messages up to this number of the log came. */
  last = 0;
  received = 0;

  constructor(plan: ChurnPlan, number: number, trouble: (what: string) => void) {
    this.#plan = plan;
    this.#name = `churner-${number}`;
    this.channel = number % plan.channels;
    this.#trouble = (what) => trouble(`${this.#name}: ${what}`);
  }

  get isThere(): boolean {
    return this.#connection !== undefined;
  }

  /** Connects; one that has been there before goes on where it was. */
  async come(): Promise<void> {
    const connection = await Connection.open({
      port: this.#plan.port,
      wire: "extended",
      acks: "cumulative",
      name: this.#name,
      instance: `${this.#name}-${this.#instance}`,
      channel: `churn-${this.channel}`,
      attempt: ++this.#attempt,
      position: this.#position,
      isNamed: true,
      onPlace: ({ seq }) => this.#start(seq),
      onStamp: (_, number) => this.#take(number),
      onTrouble: this.#trouble,
    });
    this.#position = undefined;
    this.#connection = connection;
  }

  /** Goes. A client that crashed knows nothing any more; one that left for good does not come back. */
  leave(how: Leaving): void {
    const connection = this.#connection!;
    this.#connection = undefined;
    if (how === "left") return connection.leave();
    if (how === "lost") this.#position = connection.position;
    if (how === "crashed") {
      this.#instance++;
      this.#attempt = 0;
    }
    connection.close();
  }

  acknowledge(): void {
    this.#connection?.acknowledge();
  }

  /** The gateway says behind which number it goes on. */
  #start(seq: number): void {
    const position = this.#position?.seq;
    // What was acknowledged is settled, as far as the gateway heard of it.
    const lowest = position ?? this.#began ?? seq;
    const highest = this.#began === undefined ? seq : this.last;
    if (seq < lowest || seq > highest) {
      const how = position === undefined ? "without a position" : `with position ${position}`;
      this.#trouble(`It came back ${how} to go on behind ${seq}, not ${lowest} to ${highest}.`);
    }
    this.#began = this.last = seq;
  }

  #take(number: number): void {
    if (number !== this.last + 1) this.#trouble(`${number} came behind ${this.last}.`);
    this.last = number;
    this.received++;
  }
}

/** Runs all of it. */
export async function churn(plan: ChurnPlan, ready: () => Promise<void>): Promise<ChurnResult> {
  const trouble: string[] = [];
  const onTrouble = (what: string) => trouble.push(what.slice(0, 300));
  const random = chance(plan.seed);
  let born = 0;
  let receivedByOthers = 0;
  const counts: Record<Leaving, number> = { lost: 0, crashed: 0, left: 0 };
  const newClient = () => new Churner(plan, born++, onTrouble);
  const clients = Array.from({ length: plan.clients }, newClient);
  const publishers = await openPublishers(plan, onTrouble);
  for (const client of clients) await client.come();
  await ready();

  const cpu = cpuOf(plan.pids);
  const memory: number[] = [];
  const returns = new Set<Promise<void>>();
  let count = plan.clients;
  const leave = () => {
    const place = Math.floor(random() * plan.clients);
    const client = clients[place];
    if (!client.isThere) return;
    const dice = random();
    const how: Leaving = dice < 0.45 ? "lost" : dice < 0.75 ? "crashed" : "left";
    counts[how]++;
    client.leave(how);
    if (how === "left") {
      receivedByOthers += client.received;
      clients[place] = newClient();
      count++;
    }
    const back = sleep(random() * AWAY)
      .then(() => clients[place].come())
      .catch((error): void => void onTrouble(`It could not come: ${error}`))
      .finally(() => returns.delete(back));
    returns.add(back);
  };
  const began = performance.now();
  let left = 0;
  const tick = setInterval(() => {
    const seconds = (performance.now() - began) / 1000;
    for (const publisher of publishers) publisher.upTo(Math.floor(seconds * plan.rate));
    while (left < Math.floor(seconds * plan.leaves)) {
      left++;
      leave();
    }
  }, 5);
  const acks = setInterval(() => clients.forEach((client) => client.acknowledge()), 200);
  for (let look = 0; look < LOOKS && trouble.length === 0; look++) {
    await sleep(plan.seconds * 1000 / LOOKS);
    memory.push(memoryOf(plan.pids));
  }
  clearInterval(tick);
  await Promise.all(returns);
  const deadline = performance.now() + PATIENCE;
  const isComplete = () =>
    publishers.every(({ sent, answered }) => sent === answered) &&
    clients.every(({ last, channel }) => last === publishers[channel].sent);
  while (!isComplete() && trouble.length === 0 && performance.now() < deadline) await sleep(5);
  await sleep(300);
  clearInterval(acks);
  if (!isComplete()) {
    const behind = clients.filter(({ last, channel }) => last !== publishers[channel].sent);
    onTrouble(`${behind.length} of ${count} clients did not get everything.`);
  }
  return {
    memory,
    received: receivedByOthers + clients.reduce((sum, { received }) => sum + received, 0),
    published: publishers.reduce((sum, { sent }) => sum + sent, 0),
    cpu: cpuOf(plan.pids) - cpu,
    ...counts,
    trouble: trouble.slice(0, TOLD),
  };
}

interface ChannelPublisher {
  sent: number;
  answered: number;
  /** Publishes until it has published so many. */
  upTo(count: number): void;
}

function openPublishers(
  { port, channels }: ChurnPlan,
  onTrouble: (what: string) => void,
): Promise<ChannelPublisher[]> {
  return Promise.all(Array.from({ length: channels }, async (_, i) => {
    const connection = await Connection.open({
      port,
      wire: "extended",
      acks: "none",
      name: `publisher-${i}`,
      channel: undefined,
      attempt: 1,
      onAnswers: (count) => publisher.answered += count,
      onTrouble,
    });
    const publisher: ChannelPublisher = {
      sent: 0,
      answered: 0,
      upTo(count) {
        while (publisher.sent < count) connection.publish(`churn-${i}`, i, ++publisher.sent, 0);
      },
    };
    return publisher;
  }));
}

/** Numbers from 0 to 1 that look like chance, the same for the same seed (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

if (import.meta.main) {
  const result = await churn(JSON.parse(Deno.args[0]), async () => {
    console.log("ready");
    await told();
  });
  console.log(`done ${JSON.stringify(result)}`);
  Deno.exit();
}
