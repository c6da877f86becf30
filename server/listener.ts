import type { Clock } from "./clock.ts";

/** Milliseconds that requests under way get to end once the server closes. */
const GRACE = 2_000;
const RELISTEN_DELAY = 200;

/**
 * The gateway's own HTTP server. One that dies because the process ran out of file descriptors is
 * replaced: connections that were accepted live on.
 */
export class Listener {
  readonly #handler: (request: Request) => Promise<Response>;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #hostname: string;
  readonly #port: number;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #closing = false;

  /**
   * Listens at once.
   *
   * @throws {Deno.errors.AddrInUse} if the port is taken
   */
  constructor(
    hostname: string,
    port: number,
    handler: (request: Request) => Promise<Response>,
    clock: Clock,
  ) {
    this.#handler = handler;
    this.#clock = clock;
    this.#server = this.#serve(hostname, port);
    // Port 0 was a wish; from now on it is the one that was picked.
    this.#hostname = hostname;
    this.#port = this.#server.addr.port;
  }

  /** Where it listens. */
  get address(): { readonly hostname: string; readonly port: number } {
    return { hostname: this.#hostname, port: this.#port };
  }

  /** Takes no more requests, and waits a little for those under way. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.schedule(GRACE, () => {
      this.#abort.abort();
      resolve();
    });
    await Promise.race([this.#server.shutdown(), late]);
    cancel();
  }

  #serve(hostname: string, port: number): Deno.HttpServer<Deno.NetAddr> {
    const server = Deno.serve(
      { hostname, port, signal: this.#abort.signal, onListen: () => {} },
      this.#handler,
    );
    server.finished.catch((error) => this.#relisten(error));
    return server;
  }

  #relisten(error: unknown): void {
    if (this.#closing) return;
    console.error("The server stopped accepting connections, and listens again.", error);
    this.#clock.schedule(RELISTEN_DELAY, () => {
      if (this.#closing) return;
      try {
        this.#server = this.#serve(this.#hostname, this.#port);
      } catch (again) {
        this.#relisten(again);
      }
    });
  }
}
