import type { Transport } from "@push/client";
import { type SeededRandom, seededRandom } from "../../server/testing/seeded_random.ts";
import type { GatewayNode } from "../cluster/gateways.ts";
import { FrameSubscriber } from "./frames.ts";
import { History } from "./history.ts";
import { collectDeadLetters, notePresence, noteResources } from "./observe.ts";
import { Publisher } from "./publisher.ts";
import { HandlerSubscriber, type Subscriber, type SubscriberOptions } from "./subscriber.ts";
import {
  startTopology,
  type Topology,
  type TopologyName,
  type TopologyOptions,
} from "./topology.ts";
import { View } from "./view.ts";

/** How a run is set up. */
export interface WorldOptions {
  readonly topology: TopologyName;
  /** Seed of everything that is left to chance. */
  readonly seed: number;
  /** Milliseconds of load. */
  readonly duration: number;
  /** More arguments of every gateway. */
  readonly args?: readonly string[];
  /** How Redis is started. */
  readonly redis?: TopologyOptions["redis"];
  /** Hears what happens, a line each. */
  readonly log?: (line: string) => void;
}

/** How many take part in {@linkcode World.load}. */
export interface Load {
  /** Channels. @default {2} */
  readonly channels?: number;
  /** Publishers. @default {2} */
  readonly publishers?: number;
  /** Messages a second of each. @default {60} */
  readonly rate?: number;
  /** Subscribers with `@push/client` over WebSocket. @default {2} */
  readonly sockets?: number;
  /** …over server-sent events. @default {1} */
  readonly streams?: number;
  /** …and over long-polling. @default {1} */
  readonly pollers?: number;
  /** Subscribers of the fixed wire. @default {1} */
  readonly frames?: number;
}

/** What nodes and clients use so that a run takes seconds. */
const QUICK = [
  "--heartbeat-interval=1",
  "--offline-timeout=3",
  "--long-poll-timeout=5",
];

/** …and with a Redis behind them. */
const QUICK_REDIS = ["--redis-lease=2", "--redis-command-timeout=1"];

/** How messages leave the gateways, by the seed: at once or in cycles, in a write each or together. */
const FLUSH_INTERVALS = [0, 0.005, 0.02];
const WEBSOCKETS = ["deno", "ws"];

/** What subscribers are called, by how they are connected. */
const NAMES = { websocket: "socket", sse: "stream", longpoll: "poller" } as const;

/** Longest time in milliseconds until everything has arrived that will. */
const PATIENCE = 30_000;

/** A line that says that something was not caught. */
const COMPLAINT = /\b(uncaught|unhandled|panicked)\b/i;

/** Real processes, clients on them, and the history of both. */
export class World implements AsyncDisposable {
  /** What runs. */
  readonly topology: Topology;
  /** What happened. */
  readonly history: History;
  /** Everything that is left to chance. */
  readonly random: SeededRandom;
  readonly #options: WorldOptions;
  #begun: number;
  readonly #publishers: Publisher[] = [];
  readonly #subscribers: Subscriber[] = [];
  #names = 0;

  private constructor(options: WorldOptions, topology: Topology, history: History) {
    this.#options = options;
    this.topology = topology;
    this.history = history;
    this.#begun = performance.now();
    this.random = seededRandom(options.seed);
  }

  /** Starts everything. */
  static async start(options: WorldOptions): Promise<World> {
    const begun = performance.now();
    const history = new History(() => performance.now() - begun);
    const { topology: name, args = [], redis, seed, log } = options;
    const wayOut = [
      `--flush-interval=${FLUSH_INTERVALS[seed % FLUSH_INTERVALS.length]}`,
      `--websocket=${WEBSOCKETS[seed % WEBSOCKETS.length]}`,
    ];
    const topology = await startTopology(name, {
      args: [...QUICK, ...(name === "kv" ? [] : QUICK_REDIS), ...wayOut, ...args],
      redis,
      seed,
      onLine: (n, line) => {
        if (!COMPLAINT.test(line)) return;
        history.note({ type: "node", node: `gateway ${n}`, what: "complained", detail: line });
      },
      onEnd: (n, { code, signal }, wasAsked) => {
        if (wasAsked) return;
        const detail = signal ?? `code ${code}`;
        history.note({ type: "node", node: `gateway ${n}`, what: "ended", detail });
      },
    });
    const world = new World(options, topology, history);
    log?.(`${world.gateways.length} gateways over ${name} run (${wayOut.join(" ")})`);
    return world;
  }

  /** The gateways. */
  get gateways(): readonly GatewayNode[] {
    return this.topology.cluster.gateways;
  }

  /** Address of the WebSocket behind the balancer. */
  get url(): string {
    return this.topology.cluster.balancer.ws;
  }

  /** Milliseconds that are left of the time that things are broken. */
  get left(): number {
    return this.#options.duration - (performance.now() - this.#begun);
  }

  /** Says what happens. */
  log(line: string): void {
    this.#options.log?.(line);
  }

  /** Waits. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Waits until something happens, or it has been waited for long enough. */
  async happens(what: Promise<unknown>, patience: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patience);
    await Promise.race([what, late]);
    clearTimeout(timer);
  }

  /** Waits until something holds; resolves to whether it came to hold. */
  async until(holds: () => boolean | Promise<boolean>, patience = PATIENCE): Promise<boolean> {
    const end = performance.now() + patience;
    while (!(await holds())) {
      if (performance.now() > end) return false;
      await this.pause(50);
    }
    return true;
  }

  /** Notes a fault, does it, waits until it is over, and notes that. */
  async fault(what: string, act: () => Promise<void>, forgets = 0): Promise<void> {
    this.log(what);
    this.history.note({ type: "fault", what, forgets });
    await act();
    this.history.note({ type: "heal", what });
  }

  /** Ends a gateway as a crash does, and starts it again. */
  crash(gateway: GatewayNode, away = 0): Promise<void> {
    return this.fault(`kill -9 of ${gateway.name}`, async () => {
      await gateway.kill();
      await this.pause(away);
      await gateway.start();
      // Contract: a crash may forget the acknowledgements of its last second.
    }, CRASH_FORGETS);
  }

  /** Names that nobody else in this run has. */
  name(prefix: string): string {
    return `${prefix}-${++this.#names}`;
  }

  /** Somebody subscribes with `@push/client`. */
  async handler(
    channels: readonly string[],
    { policy, transport = "websocket", url = this.url }: {
      policy?: SubscriberOptions["policy"];
      transport?: Transport;
      url?: string;
    } = {},
  ): Promise<HandlerSubscriber> {
    const name = this.name(NAMES[transport]);
    const options = { history: this.history, url, name, channels, policy };
    const subscriber = await HandlerSubscriber.join(options, [transport]);
    this.#subscribers.push(subscriber);
    return subscriber;
  }

  /** Somebody subscribes over the fixed wire. */
  async frames(
    channels: readonly string[],
    { policy, url = this.url }: { policy?: SubscriberOptions["policy"]; url?: string } = {},
  ): Promise<FrameSubscriber> {
    const options = { history: this.history, url, name: this.name("frames"), channels, policy };
    const subscriber = await FrameSubscriber.join(options);
    this.#subscribers.push(subscriber);
    return subscriber;
  }

  /** Somebody who will publish connects. */
  async publisher(channels: readonly string[], rate = 60, url = this.url): Promise<Publisher> {
    const { history, random } = this;
    const name = this.name("publisher");
    const publisher = await Publisher.connect({ history, url, name, channels, rate, random });
    this.#publishers.push(publisher);
    return publisher;
  }

  /** Subscribers of all kinds come, and publishers begin. */
  async load(load: Load = {}): Promise<void> {
    const {
      channels = 2,
      publishers = 2,
      rate,
      sockets = 2,
      streams = 1,
      pollers = 1,
      frames = 1,
    } = load;
    const names = Array.from({ length: channels }, (_, n) => `channel-${n + 1}`);
    await noteResources(this, "before");
    for (let n = 0; n < sockets; n++) await this.handler(names);
    for (let n = 0; n < streams; n++) await this.handler(names, { transport: "sse" });
    for (let n = 0; n < pollers; n++) await this.handler(names, { transport: "longpoll" });
    for (let n = 0; n < frames; n++) await this.frames(names);
    for (let n = 0; n < publishers; n++) (await this.publisher(names, rate)).go();
    this.#begun = performance.now();
  }

  /** Goes on with the load for what is left of its time. */
  async spend(): Promise<void> {
    if (this.left > 0) await this.pause(this.left);
  }

  /**
   * Ends the load, waits until everything has arrived that will, and notes what is to be seen then:
   * who is present, dead letters, the size of the processes.
   */
  async quiet(): Promise<void> {
    this.log(`Waiting for ${this.history.count("publish", "invoke")} publishes to arrive`);
    await this.arrive();
    await notePresence(this, this.#subscribers);
    await collectDeadLetters(this);
    await noteResources(this, "after");
  }

  /** Ends the load; resolves to whether everything has arrived that must, within the patience. */
  async arrive(): Promise<boolean> {
    await Promise.all(this.#publishers.map((publisher) => publisher.rest()));
    // Who was turned away gets nothing any more, and that is wrong enough.
    const isLost = () => this.history.count("closed") > 0;
    return await this.until(() => isLost() || this.#missing() === 0) && !isLost();
  }

  /** Ends clients and processes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [...this.#publishers, ...this.#subscribers].map((it) => it[Symbol.asyncDispose]()),
    );
    await this.topology[Symbol.asyncDispose]();
  }

  /** Messages that have not arrived where they must. */
  #missing(): number {
    const view = new View(this.history.entries);
    let missing = 0;
    // What is refused on purpose is late, and ends as a dead letter.
    for (const seat of view.seats.filter(({ policy }) => policy === "ack")) {
      const got = new Set(seat.deliveries.map(({ id }) => id));
      for (const publish of view.owed(seat)) {
        if (!got.has(publish.id) && !view.isTold(seat, publish)) missing++;
      }
    }
    return missing;
  }
}

/** Milliseconds before a crash whose acknowledgements it may forget: a second, and what is on its way. */
const CRASH_FORGETS = 1_500;
