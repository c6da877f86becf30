/**
 * A small TCP load balancer on loopback.
 *
 * @module
 */
import net, { type Server, type Socket } from "node:net";
import { freePort } from "./ports.ts";

/** How a balancer is started. */
export interface BalancerOptions {
  /** Ports of 127.0.0.1 that connections are spread over. */
  readonly backends: readonly number[];
  /** Port of 127.0.0.1 to listen on; a free one by default. */
  readonly port?: number;
  /** Hears which backend a connection went to; `undefined` if none took it. */
  readonly onConnection?: (backend: number | undefined) => void;
}

/** Milliseconds that a backend which refused a connection is asked last. */
const SHUNNED = 500;

/** How often a free port is looked for. */
const TRIES = 50;

interface Backend {
  readonly port: number;
  /** Whether it gets new connections. */
  isOpen: boolean;
  /** Until when it is asked last, by the clock of `performance.now()`. */
  shunnedUntil: number;
  readonly pairs: Set<readonly [Socket, Socket]>;
}

/**
 * Passes each connection to the next backend that takes it. What a backend had open when it was
 * closed stays until it ends.
 */
export class Balancer implements AsyncDisposable {
  readonly #server: Server;
  readonly #backends: Backend[];
  readonly #onConnection: BalancerOptions["onConnection"];
  readonly #waiting = new Set<Socket>();
  #next = 0;
  #port = 0;

  private constructor({ backends, onConnection }: BalancerOptions) {
    this.#backends = backends.map((port) => (
      { port, isOpen: true, shunnedUntil: 0, pairs: new Set() }
    ));
    this.#onConnection = onConnection;
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    this.#server = net.createServer(options, (client) => void this.#accept(client));
  }

  /** Starts a balancer. @throws {Error} if the port is taken */
  static async start(options: BalancerOptions): Promise<Balancer> {
    const balancer = new Balancer(options);
    for (let n = 1;; n++) {
      try {
        await balancer.#listen(options.port ?? freePort());
        return balancer;
      } catch (error) {
        if (options.port !== undefined || n === TRIES) throw error;
      }
    }
  }

  /** Port of 127.0.0.1 that clients connect to. */
  get port(): number {
    return this.#port;
  }

  /** Address of a gateway's WebSocket behind it. */
  get ws(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  /** Address of a gateway's routes behind it. */
  get http(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections that are open, by the port of the backend. */
  get open(): ReadonlyMap<number, number> {
    return new Map(this.#backends.map(({ port, pairs }) => [port, pairs.size]));
  }

  /** Sends no new connections to a backend; those that are open go on. */
  drain(port: number): void {
    this.#backend(port).isOpen = false;
  }

  /** Sends connections to a backend again. */
  admit(port: number): void {
    const backend = this.#backend(port);
    backend.isOpen = true;
    backend.shunnedUntil = 0;
  }

  /** Ends all connections and stops listening; idempotent. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
    });
    const sockets = [...this.#waiting, ...this.#backends.flatMap(({ pairs }) => [...pairs].flat())];
    await Promise.all([closed, ...sockets.map(destroy)]);
  }

  /** Same as {@linkcode stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #backend(port: number): Backend {
    const backend = this.#backends.find((it) => it.port === port);
    if (backend === undefined) throw new RangeError(`The balancer has no backend on port ${port}`);
    return backend;
  }

  #listen(port: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(port, "127.0.0.1", () => {
      this.#server.off("error", reject);
      this.#port = port;
      resolve();
    });
    return promise;
  }

  async #accept(client: Socket): Promise<void> {
    client.on("error", () => {});
    client.once("close", () => this.#waiting.delete(client));
    this.#waiting.add(client);
    for (const backend of this.#candidates()) {
      const server = await connect(backend.port);
      if (server === undefined) {
        backend.shunnedUntil = performance.now() + SHUNNED;
        continue;
      }
      this.#waiting.delete(client);
      if (client.destroyed) server.destroy();
      else this.#join(client, server, backend);
      return;
    }
    this.#onConnection?.(undefined);
    client.resetAndDestroy();
  }

  /** Backends in the order in which they are asked: round about, those that just refused last. */
  #candidates(): Backend[] {
    const open = this.#backends.filter(({ isOpen }) => isOpen);
    const first = this.#next++ % Math.max(1, open.length);
    const round = [...open.slice(first), ...open.slice(0, first)];
    const now = performance.now();
    return [
      ...round.filter(({ shunnedUntil }) => shunnedUntil <= now),
      ...round.filter(({ shunnedUntil }) => shunnedUntil > now),
    ];
  }

  #join(client: Socket, server: Socket, backend: Backend): void {
    const pair = [client, server] as const;
    backend.pairs.add(pair);
    this.#onConnection?.(backend.port);
    for (const [from, to] of [[client, server], [server, client]]) {
      from.pipe(to);
      from.once("close", (failed: boolean) => {
        // A crash of one side is no orderly end for the other.
        if (failed) to.resetAndDestroy();
        if (from.destroyed && to.destroyed) backend.pairs.delete(pair);
      });
    }
  }
}

/** A connection to a port of 127.0.0.1; `undefined` if it is refused. */
function connect(port: number): Promise<Socket | undefined> {
  const { promise, resolve } = Promise.withResolvers<Socket | undefined>();
  const options = { port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true };
  const socket = net.connect(options, () => resolve(socket));
  socket.on("error", () => resolve(undefined));
  return promise;
}

function destroy(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (socket.closed) resolve();
  else socket.once("close", () => resolve());
  socket.destroy();
  return promise;
}
