import type { Clock } from "../../server/clock.ts";
import type { Gathered } from "../../server/transports/gathered.ts";
import type { SeededRandom } from "../../server/testing/seeded_random.ts";

/** What listens at the far end of the network. */
export interface Endpoint {
  /** Whether it runs. */
  readonly up: boolean;
  /** Accepts the far end of a socket. */
  accept(socket: SimulatedSocket): void;
  /** Answers a request. */
  answer(request: Request): Promise<Response>;
}

const OPEN = 1;
const CLOSED = 3;

// deno-lint-ignore no-explicit-any
type Handler = ((event: any) => unknown) | null;

/** One end of a simulated WebSocket: what is sent arrives at the other end, in order, some time later. */
export class SimulatedSocket {
  readyState = 0;
  readonly bufferedAmount = 0;
  onopen: Handler = null;
  onmessage: Handler = null;
  onerror: Handler = null;
  onclose: Handler = null;
  /** The other end. */
  peer: SimulatedSocket | undefined;
  /** Nothing that is sent arrives, and nobody is told. */
  silent = false;
  #arrivesAt = 0;
  readonly #underWay: (() => void)[] = [];

  /** Sends what has gathered in one write; only where the gateway's transport can. */
  sendAll?: (gathered: Gathered, asOne: boolean) => void;

  /** @param url what the client has connected to */
  constructor(readonly network: Network, readonly url: string) {}

  send(text: string): void {
    if (this.readyState !== OPEN) return;
    this.#later(() => this.peer?.readyState === OPEN && this.peer.onmessage?.({ data: text }));
  }

  close(code = 1000, reason = ""): void {
    if (this.readyState === CLOSED) return;
    this.#later(() => this.peer?.ended(code, reason));
    // The peer's answer takes as long again; what counts is that this end is done.
    this.network.clock.schedule(this.network.latency(), () => this.ended(code, reason));
  }

  /** The socket is closed, whoever closed it. */
  ended(code: number, reason = ""): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.onclose?.({ code, reason });
  }

  /** The process at this end has died: it hears of nothing any more. */
  die(): void {
    this.readyState = CLOSED;
    this.onopen =
      this.onmessage =
      this.onerror =
      this.onclose =
        null;
  }

  /** What was sent first arrives first, however the delays turn out. */
  #later(task: () => void): void {
    const { clock } = this.network;
    this.#arrivesAt = Math.max(this.#arrivesAt, clock.now() + this.network.latency());
    this.#underWay.push(task);
    clock.schedule(this.#arrivesAt - clock.now(), () => {
      const first = this.#underWay.shift()!;
      if (!this.silent) first();
    });
  }
}

/** The way between clients and a gateway: slow, and cut now and then. */
export class Network {
  readonly clock: Clock;
  readonly #random: SeededRandom;
  readonly #endpoint: Endpoint;
  readonly #sockets = new Set<SimulatedSocket>();
  readonly #requests = new Set<AbortController>();
  /** Longest delay of one thing in one direction, in milliseconds. */
  maxLatency = 40;
  /** Share of requests that are lost, half of them after they had their effect. */
  lossOfRequests = 0;
  /** Whether sockets are refused, as by a proxy that knows only HTTP. */
  blocksSockets = false;

  constructor(clock: Clock, random: SeededRandom, endpoint: Endpoint) {
    this.clock = clock;
    this.#random = random;
    this.#endpoint = endpoint;
  }

  /** A random delay. */
  latency(): number {
    return 1 + this.#random.below(this.maxLatency);
  }

  /** The class of WebSocket that clients of this network use. */
  get WebSocket(): new (url: string) => SimulatedSocket {
    // deno-lint-ignore no-this-alias
    const network = this;
    return class extends SimulatedSocket {
      constructor(url: string) {
        super(network, url);
        network.clock.schedule(network.latency(), () => network.#connect(this));
      }
    };
  }

  /** The function that clients of this network fetch with. */
  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const server = new AbortController();
    this.#requests.add(server);
    const stop = () => server.abort();
    init.signal?.addEventListener("abort", stop);
    const fate = this.#random.next();
    const lost = fate < this.lossOfRequests;
    let isOpen = false;
    const end = () => {
      init.signal?.removeEventListener("abort", stop);
      this.#requests.delete(server);
    };
    try {
      await this.#travel(init.signal);
      if (!this.#endpoint.up || (lost && fate < this.lossOfRequests / 2)) throw refused();
      const { method, headers } = init;
      const answered = this.#endpoint.answer(
        new Request(url, { method, headers, body: init.body, signal: server.signal }),
      );
      const response = await Promise.race([answered, abortion(server.signal)]);
      const { status, headers: answers } = response;
      isOpen = answers.get("content-type")?.startsWith("text/event-stream") ?? false;
      const body = isOpen
        ? this.#stream(response.body!, server.signal, end)
        : await response.text();
      await this.#travel(init.signal);
      if (!lost) return new Response(body, { status, headers: answers });
      stop();
      throw refused();
    } finally {
      if (!isOpen) end();
    }
  };

  /** What a server streams, chunk by chunk, each some time later, until the request is aborted. */
  #stream(
    source: ReadableStream<Uint8Array<ArrayBuffer>>,
    signal: AbortSignal,
    end: () => void,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const reader = source.getReader();
    const aborted = abortion(signal);
    aborted.catch(() => {
      end();
      reader.cancel().catch(() => {});
    });
    return new ReadableStream({
      pull: async (controller) => {
        const { value, done } = await Promise.race([reader.read(), aborted]);
        await this.#travel(signal);
        if (!done) return controller.enqueue(value);
        end();
        controller.close();
      },
      cancel: () => {
        end();
        return reader.cancel();
      },
    }, { highWaterMark: 0 });
  }

  /** Cuts one socket, or all requests under way; both ends hear of it at times of their own. */
  sever(): void {
    const socket = this.#pick();
    if (socket !== undefined) {
      for (const end of [socket, socket.peer!]) {
        end.silent = true;
        this.clock.schedule(this.latency(), () => end.ended(1006));
      }
    }
    this.#abortRequests();
  }

  /** Lets one socket go dead: nothing arrives any more, and nobody is told. */
  deaden(): void {
    const socket = this.#pick();
    if (socket === undefined) return;
    socket.silent = socket.peer!.silent = true;
  }

  /** The gateway has crashed: its ends are gone, and clients hear of that soon. */
  crashed(): void {
    for (const socket of this.#sockets) {
      socket.peer?.die();
      this.clock.schedule(this.latency(), () => socket.ended(1006));
    }
    this.#sockets.clear();
    this.#abortRequests();
  }

  #connect(socket: SimulatedSocket): void {
    if (socket.readyState === CLOSED) return;
    if (!this.#endpoint.up || this.blocksSockets) {
      socket.readyState = CLOSED;
      socket.onerror?.({});
      socket.onclose?.({ code: 1006, reason: "" });
      return;
    }
    const far = new SimulatedSocket(this, socket.url);
    far.peer = socket;
    socket.peer = far;
    far.readyState = OPEN;
    this.#sockets.add(socket);
    this.#endpoint.accept(far);
    this.clock.schedule(this.latency(), () => {
      if (socket.readyState === CLOSED) return;
      socket.readyState = OPEN;
      socket.onopen?.({});
    });
  }

  #pick(): SimulatedSocket | undefined {
    const open = [...this.#sockets].filter(({ readyState }) => readyState === OPEN);
    return open.length === 0 ? undefined : this.#random.pick(open);
  }

  #abortRequests(): void {
    for (const request of this.#requests) request.abort();
  }

  #travel(signal: AbortSignal | null | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(refused());
      const gone = () => {
        cancel();
        reject(refused());
      };
      const cancel = this.clock.schedule(this.latency(), () => {
        signal?.removeEventListener("abort", gone);
        resolve();
      });
      signal?.addEventListener("abort", gone, { once: true });
    });
  }
}

function refused(): TypeError {
  return new TypeError("The network failed.");
}

function abortion(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(refused());
    signal.addEventListener("abort", () => reject(refused()), { once: true });
  });
}
