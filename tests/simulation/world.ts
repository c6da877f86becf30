import { PushClient, PushError } from "../../client/mod.ts";
import { Pollers } from "../../server/http/pollers.ts";
import { answer, type PushParts } from "../../server/http/router.ts";
import { Origins } from "../../server/http/origins.ts";
import { EventStreams } from "../../server/http/streams.ts";
import { Sockets } from "../../server/http/upgrade.ts";
import { denoUpgrader } from "../../server/http/upgrader.ts";
import { Hub } from "../../server/hub.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { Authenticator } from "../../server/access/authenticator.ts";
import { Tickets } from "../../server/access/tickets.ts";
import { Door } from "../../server/http/door.ts";
import { MemoryStore } from "../../server/stores/memory/store.ts";
import { MemoryData } from "../../server/stores/memory/data.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import { Hosts } from "../../server/http/hosts.ts";
import { Audit } from "../../server/logging/audit.ts";
import { silentLog } from "../../server/logging/log.ts";
import { ManualClock } from "../../server/testing/manual_clock.ts";
import { type SeededRandom, seededRandom } from "../../server/testing/seeded_random.ts";
import { type Endpoint, Network, type SimulatedSocket } from "./network.ts";

/** One run of a handler. */
export interface Run {
  readonly n: number;
  readonly redelivered: boolean;
  succeeded: boolean;
}

/** One subscriber, and all that its handler saw. */
export interface Listener {
  readonly client: PushClient;
  readonly channel: string;
  readonly runs: Run[];
  /** Numbers of the last message published before each gap that was told. */
  readonly gaps: number[];
}

/** What became of a publish. */
export interface Sent {
  readonly n: number;
  readonly channel: string;
  outcome: "waiting" | "stored" | "unknown" | "refused";
}

const CHANNELS = ["alpha", "beta"];

/** Transports in the order in which a client tries them. */
const ORDERS = [
  ["websocket", "sse", "longpoll"],
  ["websocket", "longpoll"],
  ["sse", "longpoll"],
  ["longpoll"],
] as const;

/**
 * A gateway, its clients and the network between them, in one process under a manual clock. The
 * parts are the real ones; only time, randomness and the wire are simulated.
 */
export class World implements Endpoint {
  readonly clock = new ManualClock();
  readonly #log = silentLog(this.clock);
  readonly random: SeededRandom;
  readonly network: Network;
  readonly listeners: Listener[] = [];
  readonly publishers: PushClient[] = [];
  readonly sent: Sent[] = [];
  readonly errors: unknown[] = [];
  readonly #settings = resolveOptions({
    push: { enabled: true, delivery: { ackTimeout: 4, maxRetries: 50, retryBackoff: 1.2 } },
  });
  #data = new MemoryData();
  #gateway: PushParts | undefined;
  #next = 1;

  /** @param seed decides everything */
  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.network = new Network(this.clock, this.random, this);
  }

  /** See {@linkcode Endpoint.up}. */
  get up(): boolean {
    return this.#gateway !== undefined;
  }

  /** See {@linkcode Endpoint.accept}. */
  accept(socket: SimulatedSocket): void {
    const { sockets } = this.#gateway!;
    const events = sockets.accept(socket, { identity: { subject: "anonymous" } });
    socket.onmessage = ({ data }) => events.text(data);
    socket.onerror = () => events.lost();
    socket.onclose = ({ code }) => events.closed(code);
  }

  /** See {@linkcode Endpoint.answer}. */
  answer(request: Request): Promise<Response> {
    return answer(
      {
        path: "/ws",
        uptime: 0,
        draining: false,
        origins: new Origins([], "127.0.0.1"),
        hosts: new Hosts(undefined, { listensAt: "127.0.0.1", isChecked: false }),
        peer: { address: undefined, secure: false },
        upgrader: denoUpgrader,
        log: this.#log,
        audit: new Audit(this.#log),
        push: this.#gateway,
      },
      request,
    );
  }

  /** Starts the gateway over what its store has. */
  start(): void {
    const { push } = this.#settings;
    const store = new MemoryStore({
      retention: retentionOf(push),
      limits: storeLimitsOf(push),
      random: this.random.bytes,
      data: this.#data,
    });
    const hub = new Hub({ settings: push, store, clock: this.clock, random: this.random.bytes });
    const authenticator = new Authenticator({ clock: this.clock });
    const tickets = new Tickets({ ...hub.context, ttl: push.auth.ticketTtl });
    const door = new Door(authenticator, tickets, push.auth.queryToken);
    const [sockets, pollers] = [new Sockets(hub, door), new Pollers(hub)];
    this.#gateway = { hub, door, sockets, pollers, streams: new EventStreams(hub) };
  }

  /**
   * Ends the gateway as kill -9 does: nothing is stored that was not stored, nobody is told.
   *
   * @param forgets whether the store is lost with it
   */
  crash(forgets: boolean): void {
    this.#gateway?.pollers.stop();
    this.#gateway?.hub.stop();
    this.#gateway = undefined;
    this.network.crashed();
    if (forgets) this.#data = new MemoryData();
  }

  /** Brings clients up: each listener subscribes before anything is published. */
  async populate(listeners: number, publishers: number): Promise<void> {
    const ready: Promise<unknown>[] = [];
    for (let i = 0; i < listeners; i++) {
      const client = this.#client(i % 2 === 0 ? `listener-${i}` : undefined);
      for (const channel of CHANNELS) ready.push(this.#listen(client, channel));
    }
    for (let i = 0; i < publishers; i++) {
      const client = this.#client(undefined);
      this.publishers.push(client);
      ready.push(client.connect());
    }
    let done = false;
    const all = Promise.all(ready).then(() => done = true);
    while (!done) await this.clock.advance(50);
    await all;
  }

  /** Publishes the next message from a random publisher to a random channel. */
  publish(): void {
    const sent: Sent = { n: this.#next++, channel: this.random.pick(CHANNELS), outcome: "waiting" };
    this.sent.push(sent);
    this.random.pick(this.publishers).publish(sent.channel, { n: sent.n }).then(
      () => sent.outcome = "stored",
      (error) => {
        sent.outcome = error instanceof PushError && error.code === "outcome_unknown"
          ? "unknown"
          : "refused";
      },
    );
  }

  /** Whether every publish is settled and every listener has had what it is owed. */
  isSettled(): boolean {
    return this.sent.every(({ outcome }) => outcome !== "waiting") &&
      this.listeners.every((listener) => this.owed(listener).length === 0);
  }

  /** Stored messages that a listener's handler has not finished, and of whose loss it was not told. */
  owed({ channel, runs, gaps }: Listener): number[] {
    const finished = new Set(runs.filter(({ succeeded }) => succeeded).map(({ n }) => n));
    const told = Math.max(0, ...gaps);
    return this.sent
      .filter((sent) => sent.channel === channel && sent.outcome === "stored")
      .map(({ n }) => n)
      .filter((n) => !finished.has(n) && n > told);
  }

  /** Ends every client and the gateway. */
  async end(): Promise<void> {
    const clients = new Set([...this.listeners.map(({ client }) => client), ...this.publishers]);
    let done = false;
    const all = Promise.all([...clients].map((client) => client.disconnect())).then(() =>
      done = true
    );
    for (let i = 0; i < 600 && !done; i++) await this.clock.advance(50);
    if (!done) throw new Error("A client did not disconnect.");
    await all;
    this.crash(false);
  }

  #client(clientId: string | undefined): PushClient {
    const client = new PushClient("ws://gateway/ws", {
      clientId,
      // Which of them works is the network's to say; which of them is tried first, chance's.
      transports: this.random.pick(ORDERS),
      WebSocket: this.network.WebSocket,
      fetch: this.network.fetch,
      clock: this.clock,
      random: this.random.bytes,
    });
    client.on("error", (error) => this.errors.push(error));
    return client;
  }

  async #listen(client: PushClient, channel: string): Promise<void> {
    const listener: Listener = { client, channel, runs: [], gaps: [] };
    this.listeners.push(listener);
    client.on("gap", (gap) => {
      if (gap.channel === channel) listener.gaps.push(this.#next - 1);
    });
    await client.connect();
    await client.subscribe(channel, async (message) => {
      const { n } = message.data as { n: number };
      const run: Run = { n, redelivered: message.redelivered, succeeded: false };
      listener.runs.push(run);
      const fate = this.random.next();
      if (fate < 0.3) await this.#sleep(this.random.below(800));
      if (fate < 0.06) throw new Error("This handler fails now and then.");
      run.succeeded = true;
    });
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.schedule(ms, resolve));
  }
}
