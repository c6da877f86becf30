import { PushClient, PushError } from "../../client/mod.ts";
import type { Clock } from "../../server/clock.ts";
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
import { FixedClient } from "./fixed_client.ts";
import { type Endpoint, Network, type SimulatedSocket } from "./network.ts";

/** One run of a handler. */
export interface Run {
  readonly n: number;
  readonly redelivered: boolean;
  succeeded: boolean;
}

/** One subscriber, and all that its handler saw. */
export interface Listener {
  /** Name of its client, as far as it has one. */
  readonly name: string | undefined;
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

/** Milliseconds after which everybody is connected who was cut off or went dead. */
const CALM = 150_000;
/** Milliseconds in which a message arrives: less than those after which a client acknowledges one. */
const AT_ONCE = 100;

/** How messages leave the gateway of a history. */
interface Delivery {
  /** Least time between two cycles, in seconds. */
  readonly flushInterval: number;
  /**
   * For how many connections each of them stands: among many a turn is soon full, and the rest waits for
   * the next one.
   */
  readonly crowd: number;
  /** Whether sockets of the fixed wire send what has gathered in one write. */
  readonly gathers: boolean;
  /** Whether one listener speaks the fixed wire. */
  readonly isFixed: boolean;
}

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
  readonly #clients: (PushClient | FixedClient)[] = [];
  readonly sent: Sent[] = [];
  readonly errors: unknown[] = [];
  readonly #delivery: Delivery;
  readonly #settings: ReturnType<typeof resolveOptions>;
  #data = new MemoryData();
  #gateway: PushParts | undefined;
  #next = 1;
  /** No handler is slow or fails any more. */
  #isCalm = false;

  /**
   * @param seed decides everything
   * @param forgetful whether the store is to be lost: the fixed wire has no words for that where a
   *   client comes back
   */
  constructor(seed: number, forgetful: boolean) {
    this.random = seededRandom(seed);
    this.network = new Network(this.clock, this.random, this);
    this.#delivery = {
      flushInterval: this.random.pick([0, 0, 0.001 + this.random.below(19) / 1000, 0.02]),
      crowd: this.random.pick([1, 40, 300]),
      gathers: this.random.pick([false, true]),
      isFixed: this.random.pick([false, true]) && !forgetful,
    };
    const { flushInterval } = this.#delivery;
    this.#settings = resolveOptions({
      push: {
        enabled: true,
        flushInterval,
        delivery: { ackTimeout: 4, maxRetries: 50, retryBackoff: 1.2 },
      },
    });
  }

  /** How messages leave the gateway, in words. */
  get delivery(): string {
    return JSON.stringify(this.#delivery);
  }

  /** See {@linkcode Endpoint.up}. */
  get up(): boolean {
    return this.#gateway !== undefined;
  }

  /** See {@linkcode Endpoint.accept}. */
  accept(socket: SimulatedSocket): void {
    const { sockets } = this.#gateway!;
    if (this.#delivery.gathers) {
      socket.sendAll = (gathered, asOne) => {
        for (const text of asOne ? [gathered.joined] : gathered.texts) socket.send(text);
      };
    }
    const clientId = new URL(socket.url).searchParams.get("client_id") ?? undefined;
    const events = sockets.accept(socket, { identity: { subject: "anonymous" }, clientId });
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
    // The gateway's own view of time knows of sockets; nobody else's has to.
    const { clock: time } = this;
    const clock: Clock = {
      now: () => time.now(),
      schedule: (delay, task) => time.schedule(delay, task),
      afterIo: (task) => time.schedule(1, task),
    };
    const hub = new Hub({ settings: push, store, clock, random: this.random.bytes });
    const { context: { turn } } = hub;
    const sends = turn.sends.bind(turn);
    turn.sends = (writes, bytes) => sends(writes * this.#delivery.crowd, bytes);
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
    for (const client of this.#clients) if (client instanceof FixedClient) client.gatewayCrashed();
    if (forgets) this.#data = new MemoryData();
  }

  /** Brings clients up: each listener subscribes before anything is published. */
  async populate(listeners: number, publishers: number): Promise<void> {
    const ready: Promise<unknown>[] = [];
    for (let i = 0; i < listeners; i++) {
      if (i === 0 && this.#delivery.isFixed) {
        ready.push(this.#listenFixed("listener-fixed"));
        continue;
      }
      const name = i % 2 === 0 ? `listener-${i}` : undefined;
      const client = this.#client(name);
      for (const channel of CHANNELS) ready.push(this.#listen(client, name, channel));
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

  /**
   * Publishes one message to each channel, and within the least time between two cycles another one,
   * once nobody has anything else to do; resolves to the listeners that have not got both at once.
   */
  async lastWords(): Promise<Listener[]> {
    this.#isCalm = true;
    this.network.maxLatency = 5;
    await this.clock.advance(CALM);
    const said = new Map(CHANNELS.map((channel): [string, number[]] => [channel, []]));
    for (let word = 0; word < 2; word++) {
      for (const [channel, numbers] of said) {
        const n = this.#next++;
        numbers.push(n);
        this.sent.push({ n, channel, outcome: "stored" });
        this.#gateway!.hub.publish(channel, JSON.stringify({ n }), {}).catch((error) => {
          this.errors.push(error);
        });
      }
      await this.clock.advance(1);
    }
    await this.clock.advance(AT_ONCE);
    return this.listeners.filter(({ channel, runs }) =>
      !said.get(channel)!.every((n) => runs.some((run) => run.n === n))
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
    let done = false;
    const all = Promise.all(this.#clients.map((client) => client.disconnect())).then(() =>
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
    this.#clients.push(client);
    return client;
  }

  /** Somebody of the fixed wire subscribes to all channels. */
  #listenFixed(name: string): Promise<void> {
    const listeners = new Map(CHANNELS.map((channel): [string, Listener] => {
      return [channel, { name, channel, runs: [], gaps: [] }];
    }));
    this.listeners.push(...listeners.values());
    const client = new FixedClient(this.network, name, CHANNELS, {
      handle: (channel, data, redelivered) => {
        return this.#handle(listeners.get(channel)!, (data as { n: number }).n, redelivered);
      },
      gap: (channel) => void listeners.get(channel)!.gaps.push(this.#next - 1),
    });
    this.#clients.push(client);
    return client.connect();
  }

  async #listen(client: PushClient, name: string | undefined, channel: string): Promise<void> {
    const listener: Listener = { name, channel, runs: [], gaps: [] };
    this.listeners.push(listener);
    client.on("gap", (gap) => {
      if (gap.channel === channel) listener.gaps.push(this.#next - 1);
    });
    await client.connect();
    await client.subscribe(channel, ({ data, redelivered }) => {
      return this.#handle(listener, (data as { n: number }).n, redelivered);
    });
  }

  async #handle(listener: Listener, n: number, redelivered: boolean): Promise<void> {
    const run: Run = { n, redelivered, succeeded: false };
    listener.runs.push(run);
    const fate = this.#isCalm ? 1 : this.random.next();
    if (fate < 0.3) await this.#sleep(this.random.below(800));
    if (fate < 0.06) throw new Error("This handler fails now and then.");
    run.succeeded = true;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.schedule(ms, resolve));
  }
}
