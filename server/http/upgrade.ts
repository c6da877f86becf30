import { isClientId, PushError } from "@push/client/protocol";
import type { Identity } from "../access/identity.ts";
import type { Hub } from "../hub.ts";
import { type Door, parameterOf, type Visitor } from "./door.ts";
import { Gathering } from "../transports/gathered.ts";
import type { Socket } from "../transports/websocket.ts";
import type { Arrived, RequestHead } from "./head.ts";
import { Accepted, type AcceptedHost, type Newcomer } from "./accepted.ts";
import { fail, json } from "./respond.ts";
import type { SocketEvents, Upgrader } from "./upgrader.ts";

/** The WebSockets of one gateway. */
export class Sockets {
  readonly #hub: Hub;
  readonly #door: Door;
  readonly #open = new Set<Accepted>();
  /** Closed by this side, not yet by the peer. */
  readonly #closing = new Set<Accepted>();
  readonly #host: AcceptedHost;
  #onSettled: (() => void) | undefined;
  #isStopped = false;

  /**
   * @param hub whose sessions they carry
   * @param door who is let in
   */
  constructor(hub: Hub, door: Door) {
    this.#hub = hub;
    this.#door = door;
    const { clock, turn, metrics, limits, settings } = hub.context;
    this.#host = {
      hub,
      authenticator: door.authenticator,
      terms: {
        clock,
        turn,
        metrics,
        texts: new Gathering(turn),
        batches: new Gathering(turn),
        maxBufferedBytes: settings.limits.maxBufferedBytes,
        buffers: limits.buffers,
      },
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
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Answers an upgrade request.
   *
   * @param upgrader takes the last step, once nothing speaks against it
   * @throws {PushError} or rejects with one: `token_invalid`, `bad_request`, `too_many_connections`,
   *   `going_away`; the request is then not upgraded
   */
  upgrade(visitor: Visitor<Arrived>, upgrader: Upgrader): Response | Promise<Response> {
    const refusal = refuseUpgrade(visitor.request);
    if (refusal !== undefined) return refusal;
    const identity = this.#door.identifyShown(visitor);
    if (!(identity instanceof Promise)) return this.#upgrade(visitor, upgrader, identity);
    return identity.then((known) => this.#upgrade(visitor, upgrader, known));
  }

  #upgrade(
    visitor: Visitor<Arrived>,
    upgrader: Upgrader,
    identity: Identity | undefined,
  ): Response {
    // Who it is may have been found out only now.
    if (this.#isStopped) throw new PushError("going_away");
    const { request, url } = visitor;
    const clientId = parameterOf(url, "client_id");
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

  /** Takes no more, whoever still asks. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Lets a client speak over a WebSocket. */
  accept(socket: Socket, newcomer: Newcomer): SocketEvents {
    const { metrics } = this.#hub.context;
    const accepted = new Accepted(socket, this.#host, newcomer);
    this.#open.add(accepted);
    metrics.count(metrics.connections, accepted.connection.transport);
    return accepted;
  }

  #leave({ place }: Accepted): void {
    this.#hub.context.limits.connections.leave(place);
  }
}

/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** Why a request cannot be upgraded (RFC 6455 section 4.2.1), if it cannot. */
function refuseUpgrade(request: RequestHead): Response | undefined {
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
  if (!KEY.test(headers.get("sec-websocket-key") ?? "")) {
    return fail("bad_request", "The header Sec-WebSocket-Key must be 16 bytes in base64.");
  }
  const options = (headers.get("connection") ?? "").toLowerCase();
  if (options !== "upgrade" && !options.split(",").some((each) => each.trim() === "upgrade")) {
    return fail("bad_request", "The header Connection must say 'Upgrade'.");
  }
}

function upgradeRequired(error: string, headers: Record<string, string>): Response {
  return json({ ok: false, error, code: "bad_request" }, 426, headers);
}
