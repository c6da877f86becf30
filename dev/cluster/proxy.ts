/**
 * A TCP proxy on loopback that makes the network worse than it is.
 *
 * @module
 */
import net, { type Server, type Socket } from "node:net";
import { seededRandom } from "../../server/testing/seeded_random.ts";
import type { Toxics } from "./lane.ts";
import { Link, type LinkHost } from "./link.ts";
import { onFreePort } from "./ports.ts";

export type { Toxics };

/** How a proxy is started. */
export interface ProxyOptions {
  /** Port of 127.0.0.1 that it leads to. */
  readonly target: number;
  /** Seed of the jitter. @default {1} */
  readonly seed?: number;
  /**
   * Whether what passes is read as commands and replies of Redis: `deaf` needs it, and
   * `swallowAnswer` is exact with it. @default {false}
   */
  readonly redis?: boolean;
}

/** From the client to the server, the other way, or both. */
export type Direction = "up" | "down" | "both";

/** The proxy. Both directions are clean at first. */
export class ToxicProxy implements AsyncDisposable {
  /** Port of 127.0.0.1 that clients connect to. */
  readonly port: number;
  readonly #target: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #host: LinkHost;
  readonly #swallowing: { matches: (command: string) => boolean; done: () => void }[] = [];
  #toxics: { readonly up: Toxics; readonly down: Toxics } = { up: {}, down: {} };
  #accepted = 0;
  #unheard = 0;
  #cut = false;

  private constructor(port: number, { target, seed = 1, redis = false }: ProxyOptions) {
    this.port = port;
    this.#target = target;
    this.#server = net.createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    const toxics = () => this.#toxics;
    this.#host = {
      get toxics() {
        return toxics();
      },
      redis,
      random: seededRandom(seed).next,
      swallows: (command) => {
        const found = this.#swallowing.findIndex(({ matches }) => matches(command));
        return found < 0 ? undefined : this.#swallowing.splice(found, 1)[0].done;
      },
      unheard: () => this.#unheard++,
    };
  }

  /** Starts a proxy on a free port. */
  static start(options: ProxyOptions): Promise<ToxicProxy> {
    return onFreePort(async (port) => {
      const proxy = new ToxicProxy(port, options);
      return await proxy.#listen() ? proxy : undefined;
    });
  }

  /** Connections that were accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#links.size;
  }

  /** Messages of Redis channels that `deaf` dropped. */
  get unheard(): number {
    return this.#unheard;
  }

  /** Sets what is done to the bytes of a direction, in place of what was. */
  set(direction: Direction, toxics: Toxics): void {
    this.#toxics = {
      up: direction === "down" ? this.#toxics.up : toxics,
      down: direction === "up" ? this.#toxics.down : toxics,
    };
    for (const link of this.#links) link.wake();
  }

  /** Ends every connection with a TCP reset, and new ones as they come, until {@linkcode heal}. */
  cut(): void {
    this.#cut = true;
    this.reset();
  }

  /** Ends what {@linkcode set} and {@linkcode cut} began. */
  heal(): void {
    this.#cut = false;
    this.set("both", {});
  }

  /** Ends every connection with a TCP reset. */
  reset(): void {
    for (const link of this.#links) link.reset();
  }

  /**
   * Waits for a command, lets it reach the server, drops its answer and resets the connection: it
   * was carried out, and the client cannot know.
   *
   * @param matches which command, by its text as it travels
   * @returns a promise that resolves once an answer was dropped
   */
  swallowAnswer(matches: (command: string) => boolean = () => true): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#swallowing.push({ matches, done: resolve });
    return promise;
  }

  /** Ends all connections and stops listening; idempotent. */
  async stop(): Promise<void> {
    const links = [...this.#links];
    this.cut();
    if (this.#server.listening) {
      await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    }
    await Promise.all(links.map(({ closed }) => closed));
  }

  /** Same as {@linkcode stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Resolves to false if the port is taken. */
  #listen(): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.#server.once("error", (error) => {
      if ("code" in error && error.code === "EADDRINUSE") resolve(false);
      else reject(error);
    });
    this.#server.listen(this.port, "127.0.0.1", () => resolve(true));
    return promise;
  }

  #accept(client: Socket): void {
    this.#accepted++;
    if (this.#cut) {
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    const server = net.connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true });
    const link = new Link(client, server, this.#host);
    this.#links.add(link);
    link.closed.then(() => this.#links.delete(link));
  }
}
