import { isClientId, PushError } from "@push/client/protocol";
import { Dialog, type DialogTerms } from "../dialog/dialog.ts";
import type { Hub } from "../hub.ts";
import type { Door, Visitor } from "./door.ts";
import { type Socket, WebSocketConnection } from "../transports/websocket.ts";
import type { Place } from "../limits/connections.ts";
import type { Log } from "../logging/log.ts";
import { fail, json } from "./respond.ts";
import type { SocketEvents, Upgrader } from "./upgrader.ts";

/** The WebSockets of one gateway. */
export class Sockets {
  readonly #hub: Hub;
  readonly #door: Door;
  readonly #open = new Set<Accepted>();
  /** Closed by this side, not yet by the peer. */
  readonly #closing = new Set<Accepted>();
  readonly #host: AcceptedHost = {
    closing: (accepted) => void this.#closing.add(accepted),
    gone: (accepted) => {
      if (!this.#closing.has(accepted)) this.#leave(accepted);
      return this.#open.delete(accepted);
    },
    settled: (accepted) => {
      this.#closing.delete(accepted);
      this.#leave(accepted);
      if (this.#closing.size === 0) this.#onSettled?.();
    },
  };
  #onSettled: (() => void) | undefined;

  /**
   * @param hub whose sessions they carry
   * @param door who is let in
   */
  constructor(hub: Hub, door: Door) {
    this.#hub = hub;
    this.#door = door;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Answers an upgrade request.
   *
   * @param upgrader takes the last step, once nothing speaks against it
   * @throws {PushError} `token_invalid`, `bad_request`, `too_many_connections`; the request is then
   *   not upgraded
   */
  async upgrade(visitor: Visitor, upgrader: Upgrader): Promise<Response> {
    const { request, url } = visitor;
    const refusal = refuseUpgrade(request);
    if (refusal !== undefined) return refusal;
    const identity = await this.#door.identifyShown(visitor);
    const clientId = url.searchParams.get("client_id") ?? undefined;
    if (clientId !== undefined && !isClientId(clientId)) {
      throw new PushError(
        "bad_request",
        "'client_id' must be 1 to 128 of A-Z a-z 0-9 _ : . - + @ = /",
      );
    }
    const { limits, wheel, settings } = this.#hub.context;
    const { address } = visitor.peer;
    limits.connections.check(address);
    if (identity === undefined) limits.checkHandshake();
    // It is gone once the connection is a WebSocket.
    const about = this.#door.about(visitor);
    return upgrader.upgrade(
      request,
      { limits: settings.limits, wheel },
      (socket) => this.accept(socket, { identity, clientId, request: about, address }),
    );
  }

  /**
   * Closes every one that is still open, and waits until the peers have answered, `patience`
   * milliseconds at most; what can be cut is cut then.
   */
  async closeAll(patience: number): Promise<void> {
    for (const { connection } of [...this.#open]) connection.close("going_away");
    if (this.#closing.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onSettled = resolve;
    const cancel = this.#hub.context.clock.schedule(patience, resolve);
    await promise;
    cancel();
    for (const { socket } of this.#closing) socket.terminate?.();
  }

  /** Lets a client speak over a WebSocket. */
  accept(socket: Socket, terms: Omit<DialogTerms, "onExtended" | "onBacklog">): SocketEvents {
    const { metrics } = this.#hub.context;
    const accepted = new Accepted(
      socket,
      this.#hub,
      this.#host,
      (connection) =>
        new Dialog(this.#hub, this.#door.authenticator, connection, {
          ...terms,
          onExtended: () => connection.batch(),
          onBacklog: (waits) => waits ? socket.pause?.() : socket.resume?.(),
        }),
      this.#hub.context.limits.connections.enter(terms.address),
    );
    this.#open.add(accepted);
    metrics.count(metrics.connections, accepted.connection.transport);
    return accepted;
  }

  #leave({ place }: Accepted): void {
    this.#hub.context.limits.connections.leave(place);
  }
}

/** Who keeps count of accepted sockets. */
interface AcceptedHost {
  /** This side has closed it. */
  closing(accepted: Accepted): void;
  /** It carries nothing any more. @returns whether that is news */
  gone(accepted: Accepted): boolean;
  /** The peer has closed it, too. */
  settled(accepted: Accepted): void;
}

/** One WebSocket and the dialog over it. */
class Accepted implements SocketEvents {
  readonly socket: Socket;
  readonly connection: WebSocketConnection;
  /** That it is counted; one whose peer does not answer the close still holds a descriptor. */
  readonly place: Place;
  readonly #dialog: Dialog;
  readonly #host: AcceptedHost;
  readonly #log: Log;
  /** It carries nothing any more. */
  #isGone = false;

  constructor(
    socket: Socket,
    { context }: Hub,
    host: AcceptedHost,
    begin: (connection: WebSocketConnection) => Dialog,
    place: Place,
  ) {
    this.place = place;
    const { clock, turn, metrics, settings: { limits: { maxBufferedBytes } } } = context;
    const terms = { clock, turn, metrics, maxBufferedBytes, buffers: context.limits.buffers };
    this.socket = socket;
    this.#host = host;
    this.#log = context.log;
    this.connection = new WebSocketConnection(
      socket,
      terms,
      () => this.#dialog.drained(),
      (code) => {
        if (this.#isGone) return this.#dialog.closed(1006, false);
        if (code === "slow_consumer") {
          this.#log.write("connection.slow", { transport: "websocket" });
        }
        host.closing(this);
        this.#ended(1006, false);
      },
    );
    this.#dialog = begin(this.connection);
  }

  text(text: string): void {
    try {
      this.#dialog.receive(text);
    } catch (error) {
      this.#failed(error);
    }
  }

  binary(): void {
    try {
      this.#dialog.receiveBinary();
    } catch (error) {
      this.#failed(error);
    }
  }

  lost(): void {
    this.#ended(1006);
  }

  closed(code: number): void {
    this.#ended(code);
    this.#host.settled(this);
  }

  // The end may come twice, or not before the peer pleases.
  #ended(code: number, byPeer = true): void {
    if (!this.#host.gone(this)) return;
    this.#isGone = true;
    this.connection.gone();
    this.#dialog.closed(code, byPeer);
  }

  #failed(error: unknown): void {
    this.#log.failure("frame.failed", error);
    this.connection.close("internal");
  }
}

/** Why a request cannot be upgraded (RFC 6455 section 4.2.1), if it cannot. */
function refuseUpgrade(request: Request): Response | undefined {
  const { headers, method } = request;
  if (method !== "GET") return fail("method_not_allowed", undefined, { allow: "GET" });
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return upgradeRequired("This address speaks WebSocket: connect with ws:// or wss://.", {
      upgrade: "websocket",
      connection: "upgrade",
    });
  }
  if (headers.get("sec-websocket-version") !== "13") {
    return upgradeRequired("Only version 13 of the WebSocket protocol is spoken here.", {
      "sec-websocket-version": "13",
    });
  }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "")) {
    return fail("bad_request", "The header Sec-WebSocket-Key must be 16 bytes in base64.");
  }
  const options = (headers.get("connection") ?? "").toLowerCase().split(",");
  if (!options.some((option) => option.trim() === "upgrade")) {
    return fail("bad_request", "The header Connection must say 'Upgrade'.");
  }
}

function upgradeRequired(error: string, headers: Record<string, string>): Response {
  return json({ ok: false, error, code: "bad_request" }, 426, headers);
}
