/**
 * The load generator: one process with all clients of a run. It is given a plan, connects, says
 * `ready`, waits for a line, loads the server, and prints what came of it.
 *
 * It reads what the server uses at the very moments at which it counts messages.
 */
import { Connection } from "./connection.ts";
import { Latencies } from "./latency.ts";
import { Ledger } from "./ledger.ts";
import type { Plan, Result } from "./plan.ts";
import { Poller } from "./poller.ts";
import { Publisher } from "./publisher.ts";
import { cpuOf, memoryOf, ownCpu } from "./server_stats.ts";
import { told } from "./told.ts";

/** Connections that are being opened at a time: as many as a listening socket may well have waiting. */
const AT_ONCE = 128;
/** How often what waits to be acknowledged is, and memory is looked at, in milliseconds. */
const ACK_INTERVAL = 200;
const MEMORY_INTERVAL = 100;
/** Whatever comes too often comes within this time, in milliseconds. */
const AFTERMATH = 150;
/** Signs of life before those that count: for so long, in milliseconds. */
const BEAT_WARM = 2000;
/** Of what went wrong, so much is told. */
const TOLD = 3;

/** The channel that a responder listens to. */
const REQUESTS = "requests";

/** All clients of a run. */
class Generator {
  readonly #plan: Plan;
  readonly #ledger: Ledger;
  readonly #latencies = new Latencies();
  readonly #listeners: (Connection | Poller)[] = [];
  readonly #publishers: Publisher[] = [];
  readonly #connections: Connection[] = [];
  readonly #trouble: string[] = [];
  #peak = 0;
  #now = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    const { subscribers, publishers, isRequests } = plan;
    this.#ledger = new Ledger(isRequests ? publishers + 1 : subscribers, Math.max(1, publishers));
  }

  async run(): Promise<Result> {
    const { pids, warm, seconds, isIdle } = this.#plan;
    const before = memoryOf(pids);
    const connecting = await this.#connect();
    const connected = memoryOf(pids);
    console.log("ready");
    await told();

    const acks = setInterval(() => this.#acknowledge(), ACK_INTERVAL);
    const looks = setInterval(() => this.#look(), MEMORY_INTERVAL);
    const pace = this.#start();
    await sleep(warm * 1000);
    this.#latencies.clear();
    const begin = this.#sample();
    await sleep(seconds * 1000);
    const end = this.#sample();
    const latency = { p50: this.#latencies.quantile(0.5), p99: this.#latencies.quantile(0.99) };
    clearInterval(pace);
    for (const publisher of this.#publishers) publisher.stop();
    const beats = await this.#beat();
    if (isIdle) { for (const publisher of this.#publishers) publisher.publish(); }
    this.#look();
    await this.#settle();
    clearInterval(acks);
    clearInterval(looks);
    return {
      seconds: (end.at - begin.at) / 1000,
      received: end.received - begin.received,
      frames: end.frames - begin.frames,
      accepted: end.accepted - begin.accepted,
      sent: this.#publishers.reduce((sum, { sent }) => sum + sent, 0),
      cpu: end.cpu - begin.cpu,
      ownCpu: end.ownCpu - begin.ownCpu,
      latency,
      memory: { before, connected, end: end.memory, peak: this.#peak },
      connecting,
      beats,
      verdict: this.#ledger.verdict((listener, publisher) => this.#due(listener, publisher)),
      trouble: this.#trouble.slice(0, TOLD),
    };
  }

  async #connect(): Promise<{ seconds: number; cpu: number }> {
    const { pids, subscribers, publishers, isRequests } = this.#plan;
    const cpu = cpuOf(pids);
    const began = performance.now();
    if (isRequests) {
      await this.#respond();
    } else {
      await each(subscribers, async (i) => {
        this.#listeners[i] = await this.#listen(i);
      });
    }
    const connecting = { seconds: (performance.now() - began) / 1000, cpu: cpuOf(pids) - cpu };
    await each(publishers, async (i) => {
      this.#publishers[i] = await this.#publisher(i);
    });
    return connecting;
  }

  #listen(i: number): Promise<Connection | Poller> {
    const { wire, acks, transport, channels } = this.#plan;
    const channel = `bench-${i % channels}`;
    const port = this.#port(i);
    const onStamp = (publisher: number, number: number, time: number) => {
      this.#take(i, publisher, number, time);
    };
    const { onTrouble } = this;
    const name = `subscriber-${i}`;
    if (transport === "polling") return Poller.open({ port, channel, name, onStamp, onTrouble });
    return Connection.open({ port, wire, acks, name, channel, attempt: 1, onStamp, onTrouble });
  }

  /** The last listener answers everybody: what came to it goes to the channel of who sent it. */
  async #respond(): Promise<void> {
    const { wire, acks, publishers } = this.#plan;
    let answered = 0;
    const responder = await Connection.open({
      port: this.#port(0),
      wire,
      acks,
      name: "responder",
      channel: REQUESTS,
      attempt: 1,
      onStamp: (publisher, number, time) => {
        this.#take(publishers, publisher, number, time);
        responder.publish(`reply-${publisher}`, publisher, number, time);
      },
      onAnswers: (count) => answered += count,
      onTrouble: this.onTrouble,
    });
    this.#connections.push(responder);
  }

  async #publisher(i: number): Promise<Publisher> {
    const { wire, acks, channels, subscribers, inFlight, isRequests } = this.#plan;
    const connection = await Connection.open({
      port: this.#port(i),
      wire,
      acks,
      name: `publisher-${i}`,
      channel: isRequests ? `reply-${i}` : undefined,
      attempt: 1,
      onStamp: (publisher, number, time) => this.#take(i, publisher, number, time),
      onAnswers: (count) => publisher.onAnswers(count),
      onTrouble: this.onTrouble,
    });
    this.#connections.push(connection);
    const isAnswered = wire === "fixed" || wire === "extended";
    const place = i % channels;
    const publisher = new Publisher({
      index: i,
      channel: isRequests ? REQUESTS : `bench-${place}`,
      inFlight,
      // A request is over when its answer has come.
      listeners: isRequests ? 1 : Math.ceil((subscribers - place) / channels),
      isAnswered,
    }, connection);
    return publisher;
  }

  #port(i: number): number {
    return this.#plan.ports[i % this.#plan.ports.length];
  }

  #take(listener: number, publisher: number, number: number, time: number): void {
    const { rate, isRequests, publishers } = this.#plan;
    if (!this.#ledger.take(listener, publisher, number)) return;
    if (rate > 0) {
      this.#latencies.add(this.#time() - time);
    } else if (!isRequests) {
      this.#publishers[publisher].onDelivered(number);
    } else if (listener < publishers) {
      this.#latencies.add(this.#time() - time);
      this.#publishers[publisher].onDelivered(number);
    }
  }

  /** In microseconds; asked for once in a turn of the loop is enough. */
  #time(): number {
    if (this.#now === 0) {
      this.#now = performance.now() * 1000;
      queueMicrotask(() => this.#now = 0);
    }
    return this.#now;
  }

  /** Whoever publishes begins; what is returned is to be cleared. */
  #start(): ReturnType<typeof setInterval> | undefined {
    const { rate, isIdle } = this.#plan;
    if (isIdle) return undefined;
    if (rate === 0) {
      for (const publisher of this.#publishers) publisher.start();
      return undefined;
    }
    const began = performance.now();
    let sent = 0;
    return setInterval(() => {
      const due = Math.floor((performance.now() - began) * rate / 1000);
      while (sent < due) this.#publishers[sent++ % this.#publishers.length].publish();
    }, 1);
  }

  /** Each connection says that it lives, one after the other, so that all have had their turn in time. */
  async #beat(): Promise<Result["beats"]> {
    const { beatInterval, beatSeconds, pids } = this.#plan;
    const clients = this.#listeners.filter((it) => it instanceof Connection);
    if (beatInterval === 0 || clients.length === 0) return { seconds: 0, cpu: 0, answered: 0 };
    const count = (key: "beats" | "answeredBeats") =>
      clients.reduce((sum, client) => sum + client[key], 0);
    const sample = () => ({
      at: performance.now(),
      cpu: cpuOf(pids),
      answered: count("answeredBeats"),
    });
    const began = performance.now();
    let next = 0;
    const timer = setInterval(() => {
      const due = (performance.now() - began) * clients.length / (1000 * beatInterval);
      while (next < due) clients[next++ % clients.length].beat();
    }, 5);
    await sleep(BEAT_WARM);
    const begin = sample();
    await sleep(beatSeconds * 1000);
    const end = sample();
    clearInterval(timer);
    const deadline = performance.now() + this.#plan.patience * 1000;
    while (count("answeredBeats") < count("beats") && performance.now() < deadline) await sleep(5);
    const missing = count("beats") - count("answeredBeats");
    if (missing !== 0) {
      this.onTrouble(`${missing} of ${count("beats")} heartbeats were not answered.`);
    }
    return {
      seconds: (end.at - begin.at) / 1000,
      cpu: end.cpu - begin.cpu,
      answered: end.answered - begin.answered,
    };
  }

  #acknowledge(): void {
    for (const it of this.#listeners) if (it instanceof Connection) it.acknowledge();
    for (const it of this.#connections) it.acknowledge();
  }

  #look(): void {
    this.#peak = Math.max(this.#peak, memoryOf(this.#plan.pids));
  }

  #sample() {
    const { pids, publishers, isRequests } = this.#plan;
    return {
      at: performance.now(),
      received: isRequests ? this.#answers(publishers) : this.#ledger.received,
      frames: this.#listeners.reduce((sum, { frames }) => sum + frames, 0),
      accepted: this.#publishers.reduce((sum, { answered }) => sum + answered, 0),
      cpu: cpuOf(pids),
      ownCpu: ownCpu(),
      memory: memoryOf(pids),
    };
  }

  #answers(publishers: number): number {
    let sum = 0;
    for (let i = 0; i < publishers; i++) sum += this.#ledger.last(i, i);
    return sum;
  }

  /** Until everything has come, or nothing more may be waited for. */
  async #settle(): Promise<void> {
    const deadline = performance.now() + this.#plan.patience * 1000;
    while (performance.now() < deadline && this.#trouble.length === 0 && !this.#isComplete()) {
      await sleep(5);
    }
    await sleep(AFTERMATH);
  }

  #isComplete(): boolean {
    const isAnswered = this.#publishers.every(({ sent, answered }) => answered === sent);
    const { wire } = this.#plan;
    if ((wire === "fixed" || wire === "extended") && !isAnswered) return false;
    let expected = 0;
    for (const [i, { sent }] of this.#publishers.entries()) expected += sent * this.#reach(i);
    return this.#ledger.received >= expected;
  }

  /** To how many listeners a publisher's messages go. */
  #reach(publisher: number): number {
    const { subscribers, channels, isRequests } = this.#plan;
    return isRequests ? 2 : Math.ceil((subscribers - publisher % channels) / channels);
  }

  /** How many messages of a publisher a listener should have got. */
  #due(listener: number, publisher: number): number {
    const { channels, publishers, isRequests } = this.#plan;
    const isForIt = isRequests
      ? listener === publishers || listener === publisher
      : listener % channels === publisher % channels;
    return isForIt ? this.#publishers[publisher]?.sent ?? 0 : 0;
  }

  readonly onTrouble = (what: string): void => {
    this.#trouble.push(what.slice(0, 300));
  };
}

/** Does this for 0 to before `count`, some at a time. */
async function each(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, async () => {
    while (next < count) await work(next++);
  }));
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

if (import.meta.main) {
  const result = await new Generator(JSON.parse(Deno.args[0])).run();
  console.log(`done ${JSON.stringify(result)}`);
  Deno.exit();
}
