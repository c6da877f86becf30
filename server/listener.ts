import type { Clock } from "./clock.ts";

/** Milliseconds that requests under way get to end, and their answers to leave. */
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
  /** Requests whose answer has not left yet. */
  #underWay = 0;
  #onIdle: (() => void) | undefined;
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

  /**
   * Waits a little for the requests under way, and for their answers to leave; then closes every
   * connection.
   */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#underWay > 0 && !await this.#inTime((done) => this.#onIdle = done)) {
      this.#abort.abort();
      await this.#server.finished.catch(() => {});
      return;
    }
    // On Deno 2.9 an abort after shutdown() throws where nobody can catch it: a client that does not
    // read its answer is left to the end of the process.
    const shut = this.#server.shutdown();
    if (!await this.#inTime((done) => shut.then(done, done))) this.#server.unref();
  }

  /** Whether something is done within the grace. */
  async #inTime(start: (done: () => void) => void): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const cancel = this.#clock.schedule(GRACE, () => resolve(false));
    start(() => resolve(true));
    const inTime = await promise;
    cancel();
    return inTime;
  }

  #serve(hostname: string, port: number): Deno.HttpServer<Deno.NetAddr> {
    const server = Deno.serve(
      { hostname, port, signal: this.#abort.signal, onListen: () => {} },
      (request, info) => {
        this.#underWay++;
        info.completed.then(() => this.#completed(), () => this.#completed());
        return this.#handler(request);
      },
    );
    server.finished.catch((error) => this.#relisten(error));
    return server;
  }

  #completed(): void {
    if (--this.#underWay === 0) this.#onIdle?.();
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
