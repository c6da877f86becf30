import type { Clock } from "../clock.ts";
import { denoUpgrader } from "../http/upgrader.ts";
import type { Log } from "../logging/log.ts";
import type { Certificate } from "./certificate.ts";
import { GRACE, type Handler, type Listener, RELISTEN_DELAY } from "./listener.ts";

/** What a {@linkcode DenoListener} listens with. */
export interface DenoTerms {
  readonly hostname: string;
  readonly port: number;
  /** Whether other servers may listen on the port. Default: no. */
  readonly reusePort?: boolean;
  readonly handler: Handler;
  readonly clock: Clock;
  readonly log: Log;
  /** Without it there is no TLS. */
  readonly certificate: Certificate | undefined;
  /** Closes every WebSocket with a code that says come back. */
  letGo(): Promise<void>;
}

/** Milliseconds after which a port is tried again that another server is leaving. */
const REPLACE_DELAY = 5;

/** Of the environment: whether a WebSocket's frames are written from where they are. */
const IN_PLACE = "DENO_USE_WRITEV";

/**
 * Deno 2.9 copies each frame into a buffer of its WebSocket, which stays as large as the largest one was:
 * thousands of connections that were sent much once keep much. It copies none but short ones where this
 * variable is set before the first WebSocket is opened. What the user has set stays.
 */
function writeInPlace(): void {
  const { state } = Deno.permissions.querySync({ name: "env", variable: IN_PLACE });
  // Nobody is asked for a permission that the gateway can do without.
  if (state === "granted" && Deno.env.get(IN_PLACE) === undefined) Deno.env.set(IN_PLACE, "1");
}

/**
 * Listens by `Deno.serve`. A server that dies because the process ran out of file descriptors is
 * replaced: connections that were accepted live on.
 *
 * A server keeps the certificate that it began with, so a renewed one takes another server. The one
 * before ends its requests, but it cannot keep its WebSockets: their clients are told to come back.
 */
export class DenoListener implements Listener {
  readonly #terms: DenoTerms;
  readonly #port: number;
  #abort = new AbortController();
  #server: Deno.HttpServer<Deno.NetAddr>;
  /** Requests whose answer has not left yet. */
  #underWay = 0;
  #onIdle: (() => void) | undefined;
  #closing = false;
  readonly #completed = (): void => {
    if (--this.#underWay === 0) this.#onIdle?.();
  };

  /**
   * Listens at once.
   *
   * @throws {Deno.errors.AddrInUse} if the port is taken
   */
  constructor(terms: DenoTerms) {
    this.#terms = terms;
    writeInPlace();
    this.#server = this.#serve(terms.port);
    // Port 0 was a wish; from now on it is the one that was picked.
    this.#port = this.#server.addr.port;
    terms.certificate?.watch(() => void this.#replace());
  }

  /** See {@linkcode Listener.address}. */
  get address(): { readonly hostname: string; readonly port: number } {
    return { hostname: this.#terms.hostname, port: this.#port };
  }

  /** See {@linkcode Listener.close}. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#terms.certificate?.stop();
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
    const cancel = this.#terms.clock.schedule(GRACE, () => resolve(false));
    start(() => resolve(true));
    const inTime = await promise;
    cancel();
    return inTime;
  }

  #serve(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { hostname, reusePort, handler, certificate } = this.#terms;
    const abort = new AbortController();
    const secure = certificate !== undefined;
    const server = Deno.serve(
      { ...certificate?.pair, hostname, port, reusePort, signal: abort.signal, onListen: () => {} },
      (request, info) => {
        this.#underWay++;
        const remote = info.remoteAddr.hostname;
        // What Deno keeps to tell when an upgrade has left would live as long as the WebSocket, and so would
        // all fields for has().
        const left = request.headers.get("upgrade") === null ? info.completed : undefined;
        const answer = handler(request, { remote, secure, upgrader: denoUpgrader });
        (left ?? answer).then(this.#completed, this.#completed);
        return answer;
      },
    );
    this.#abort = abort;
    server.finished.catch((error) => {
      if (server === this.#server) this.#relisten(error);
    });
    return server;
  }

  #relisten(error: unknown): void {
    if (this.#closing) return;
    const { clock, log } = this.#terms;
    log.failure("listener.lost", error);
    clock.schedule(RELISTEN_DELAY, () => {
      if (this.#closing) return;
      try {
        this.#server = this.#serve(this.#port);
        log.write("listener.back");
      } catch (again) {
        this.#relisten(again);
      }
    });
  }

  /** Takes another server, with the certificate of now. */
  async #replace(): Promise<void> {
    // Whatever fails there must not keep the certificate of before in use.
    await this.#terms.letGo().catch((error) => this.#terms.log.failure("tls.failed", error));
    if (this.#closing) return;
    const before = this.#server;
    before.shutdown().catch(() => {});
    before.unref();
    const retry = (): void => {
      if (this.#closing) return;
      try {
        this.#server = this.#serve(this.#port);
      } catch (error) {
        // The one before has not left the port yet.
        if (!(error instanceof Deno.errors.AddrInUse)) return this.#relisten(error);
        this.#terms.clock.schedule(REPLACE_DELAY, retry);
      }
    };
    retry();
  }
}
