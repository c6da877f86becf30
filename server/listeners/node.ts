import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Cancel, Clock } from "../clock.ts";
import type { Log } from "../logging/log.ts";
import { fail, failure } from "../http/respond.ts";
import type { Upgrader } from "../http/upgrader.ts";
import { AcceptWatch, type WatchPatience } from "./accept_watch.ts";
import type { Certificate } from "./certificate.ts";
import { GRACE, type Handler, type Listener, RELISTEN_DELAY } from "./listener.ts";
import { denoError, mayListen } from "./node_errors.ts";
import { NodeHeading, send } from "./node_bridge.ts";
import { owned, type WsClass, type WsOptions, type WsTerms, WsUpgrader } from "./ws_socket.ts";

/** What a {@linkcode NodeListener} listens with. */
export interface NodeTerms {
  readonly hostname: string;
  readonly port: number;
  /** Whether other servers may listen on the port. Default: no. */
  readonly reusePort?: boolean;
  readonly handler: Handler;
  readonly clock: Clock;
  readonly log: Log;
  /** Without it there is no TLS. */
  readonly certificate: Certificate | undefined;
  /** Bytes of a message above which its connection is closed, all fragments together. */
  readonly maxFrameBytes: number;
  /** Milliseconds for which an answer may be held back. */
  readonly longestHold: number;
  /** Default: what suits the open internet. */
  readonly patience?: Patience;
}

/** How long things may take, in milliseconds. */
export interface Patience extends WatchPatience {
  /** For the head of a request, and for a TLS handshake. */
  readonly head: number;
  /** For a whole request. */
  readonly request: number;
  /** Between two requests of a connection. */
  readonly keepAlive: number;
  /** Without any progress, beyond the longest hold. */
  readonly stuck: number;
  /** For the answer to the close of a WebSocket. */
  readonly close: number;
  /** Between two looks at all connections for one that is late. */
  readonly check: number;
}

const PATIENCE: Patience = {
  head: 10_000,
  request: 30_000,
  keepAlive: 65_000,
  stuck: 30_000,
  close: 2_000,
  check: 2_000,
  watch: 3_000,
  probe: 2_000,
};
/** Bytes of the head of a request: the address of an event stream names many channels. */
const MAX_HEADER_BYTES = 65_536;

/** Upgrades nothing: the request did not ask for it in a way that `node:http` knows. */
const NO_UPGRADER: Upgrader = {
  upgrade: () => fail("bad_request", "The header fields Connection and Upgrade do not agree."),
};

/**
 * Listens by `node:http`, and upgrades by `npm:ws`: both have limits in time and size that the
 * built-in server lacks.
 */
export class NodeListener implements Listener {
  readonly #terms: NodeTerms;
  readonly #sockets = new Set<Socket>();
  /** One for all sockets: an idle connection costs no closures. */
  readonly #forget: (this: Socket) => void;
  readonly #webSockets: WsTerms;
  readonly #server: Server;
  #address: { readonly hostname: string; readonly port: number };
  /** Requests whose answer has not left yet. */
  #underWay = 0;
  #onIdle: (() => void) | undefined;
  readonly #watch: AcceptWatch;
  #cancelRetry: Cancel | undefined;
  #closing: Promise<void> | undefined;

  private constructor(terms: NodeTerms, webSockets: WsTerms) {
    this.#terms = terms;
    const sockets = this.#sockets;
    this.#forget = function () {
      sockets.delete(this);
    };
    this.#webSockets = webSockets;
    this.#address = terms;
    const onRequest: RequestListener = (incoming, response) => {
      this.#limit(incoming.socket);
      this.#answer(incoming, response, NO_UPGRADER);
    };
    const patience = terms.patience ?? PATIENCE;
    this.#watch = new AcceptWatch(terms, patience, () => this.#relisten());
    const options = {
      headersTimeout: patience.head,
      requestTimeout: patience.request,
      keepAliveTimeout: patience.keepAlive,
      connectionsCheckingInterval: patience.check,
      maxHeaderSize: MAX_HEADER_BYTES,
    };
    const { certificate } = terms;
    const server = certificate === undefined
      ? createServer(options, onRequest)
      : secureServer(certificate, { ...options, handshakeTimeout: patience.head }, onRequest);
    // A timer for each connection, of which most become WebSockets; others get theirs with a request.
    server.timeout = 0;
    server.on("connection", (socket) => this.#accept(socket));
    server.on("upgrade", (incoming, socket, head) => {
      const upgrader = new WsUpgrader(this.#webSockets, incoming, socket, head);
      this.#answer(incoming, undefined, upgrader);
      // From here on `node:http` does not hear errors any more.
      if (!upgrader.isDone) socket.on("error", nothing);
    });
    server.on("connect", (incoming, socket) => {
      socket.on("error", nothing);
      this.#answer(incoming, undefined, NO_UPGRADER);
    });
    server.on("clientError", refuse);
    this.#server = server;
  }

  /**
   * Listens.
   *
   * @throws {Deno.errors.AddrInUse} if the port is taken
   */
  static async open(terms: NodeTerms): Promise<NodeListener> {
    const { WebSocket, WebSocketServer } = await import("ws") as unknown as {
      WebSocket: WsClass;
      WebSocketServer: new (options: object) => { readonly options: WsOptions };
    };
    // It listens to nothing: what it is for is the library's own bounds.
    const { options } = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      skipUTF8Validation: false,
      // A turn of the event loop for each message costs ten times as much, as answers leave one by one.
      allowSynchronousEvents: true,
      maxPayload: terms.maxFrameBytes,
      closeTimeout: (terms.patience ?? PATIENCE).close,
    });
    const webSockets = { WebSocket: owned(WebSocket), options };
    const listener = new NodeListener(terms, webSockets);
    await listener.#listen();
    return listener;
  }

  /** See {@linkcode Listener.address}. */
  get address(): { readonly hostname: string; readonly port: number } {
    return this.#address;
  }

  /** See {@linkcode Listener.close}. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #listen(): Promise<void> {
    const { hostname, port } = this.#address;
    await mayListen(hostname, port);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#listenOn(hostname, port, resolve);
    try {
      await promise;
    } catch (error) {
      throw denoError(error);
    } finally {
      this.#server.off("error", reject);
    }
    // Port 0 was a wish; from now on it is the one that was picked.
    this.#address = { hostname, port: (this.#server.address() as AddressInfo).port };
    this.#watch.begin(this.#address);
  }

  #listenOn(host: string, port: number, onListening: () => void): void {
    // What the types of Node 22 lack.
    const options = { host, port, reusePort: this.#terms.reusePort ?? false };
    this.#server.listen(options, onListening);
  }

  async #close(): Promise<void> {
    this.#watch.end();
    this.#cancelRetry?.();
    this.#terms.certificate?.stop();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    if (this.#underWay > 0) {
      const idle = Promise.withResolvers<void>();
      const cancel = this.#terms.clock.schedule(GRACE, idle.resolve);
      this.#onIdle = idle.resolve;
      await idle.promise;
      cancel();
    }
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#watch.accepted();
    this.#sockets.add(socket);
    socket.on("close", this.#forget);
    if (this.#terms.certificate !== undefined) socket.on("error", nothing);
  }

  /** @param response made when it is needed, for a connection that `node:http` has let go of */
  async #answer(
    incoming: IncomingMessage,
    response: ServerResponse | undefined,
    upgrader: Upgrader,
  ): Promise<void> {
    this.#underWay++;
    try {
      const answer = await this.#judge(incoming, response, upgrader);
      if (answer.status === 101) return;
      if (response === undefined) this.#limit(incoming.socket);
      const way = incoming.socket.destroyed ? undefined : response ?? responseOn(incoming);
      if (way !== undefined) return await send(answer, incoming, way);
      incoming.socket.destroy();
      await answer.body?.cancel();
    } catch (error) {
      this.#terms.log.failure("request.failed", error);
      incoming.socket.destroy();
    } finally {
      if (--this.#underWay === 0) this.#onIdle?.();
    }
  }

  #judge(
    incoming: IncomingMessage,
    response: ServerResponse | undefined,
    upgrader: Upgrader,
  ): Response | Promise<Response> {
    const secure = this.#terms.certificate !== undefined;
    const scheme = secure ? "https" : "http";
    let request: NodeHeading;
    try {
      request = new NodeHeading(incoming, scheme, this.#address, response);
    } catch (error) {
      return failure(error);
    }
    const remote = incoming.socket.remoteAddress;
    return this.#terms.handler(request, { remote, secure, upgrader });
  }

  /** From here on a connection on which nothing goes on is closed. */
  #limit(socket: Socket): void {
    const { longestHold, patience = PATIENCE } = this.#terms;
    socket.setTimeout(longestHold + patience.stuck);
  }

  /** Listens again on the same port; connections that were accepted live on. */
  #relisten(): void {
    const { log, clock } = this.#terms;
    log.write("listener.lost");
    this.#server.close();
    const retry = (error: unknown): void => {
      log.failure("listener.lost", error);
      this.#cancelRetry = clock.schedule(RELISTEN_DELAY, () => this.#relisten());
    };
    this.#server.once("error", retry);
    const { hostname, port } = this.#address;
    this.#listenOn(hostname, port, () => {
      this.#server.off("error", retry);
      if (this.#closing !== undefined) return;
      log.write("listener.back");
      this.#watch.begin(this.#address);
    });
  }
}

/** What is to be known of a broken connection, its closing tells. */
function nothing(): void {}

/** A server that speaks TLS; connections that come later see a renewed certificate. */
function secureServer(
  certificate: Certificate,
  options: ServerOptions & { readonly handshakeTimeout: number },
  onRequest: RequestListener,
): Server {
  const server = createTlsServer({ ...options, ...certificate.pair }, onRequest);
  server.on("secureConnection", (socket) => socket.on("error", nothing));
  certificate.watch((pair) => server.setSecureContext(pair));
  return server as unknown as Server;
}

/**
 * The answer to a request whose connection `node:http` has let go of; it is closed behind it. There is
 * none while that to an earlier request has not ended.
 */
function responseOn(incoming: IncomingMessage): ServerResponse | undefined {
  const { socket } = incoming;
  const response = new ServerResponse(incoming);
  response.shouldKeepAlive = false;
  try {
    response.assignSocket(socket);
  } catch {
    return undefined;
  }
  response.once("finish", () => {
    response.detachSocket(socket);
    socket.destroySoon();
  });
  return response;
}

/** Refuses what is no request. */
function refuse({ code = "" }: Error & { readonly code?: string }, socket: Duplex): void {
  const status = code === "HPE_HEADER_OVERFLOW"
    ? "431 Request Header Fields Too Large"
    : code === "ERR_HTTP_REQUEST_TIMEOUT"
    ? "408 Request Timeout"
    : "400 Bad Request";
  // Of a connection that broke, or of which TLS did not come about, nobody reads an answer.
  if (!socket.writable || !/^(HPE|ERR_HTTP)_/.test(code)) {
    socket.destroy();
    return;
  }
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => {
    socket.destroy();
  });
}
