import { isClientId, PushError } from "@push/client/protocol";
import { Dialog } from "../dialog/dialog.ts";
import type { Hub } from "../hub.ts";
import type { Authenticator } from "../access/authenticator.ts";
import type { Identity } from "../access/identity.ts";
import { bearerToken } from "../access/secrets.ts";
import { type Socket, WebSocketConnection } from "../transports/websocket.ts";
import { fail, json } from "./respond.ts";

/** The WebSockets of one gateway. */
export class Sockets {
  readonly #hub: Hub;
  readonly #authenticator: Authenticator;
  readonly #open = new Set<WebSocketConnection>();
  /** Closed by this side, not yet by the peer. */
  readonly #closing = new Set<WebSocket>();
  #onSettled: (() => void) | undefined;

  /** @param hub whose sessions they carry */
  constructor(hub: Hub, authenticator: Authenticator) {
    this.#hub = hub;
    this.#authenticator = authenticator;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Answers an upgrade request.
   *
   * @throws {PushError} `token_invalid`, `bad_request`, `too_many_connections`; the request is then
   *   not upgraded
   */
  async upgrade(request: Request, url: URL): Promise<Response> {
    const refusal = refuseUpgrade(request);
    if (refusal !== undefined) return refusal;
    const identity = await this.#identify(request, url);
    const clientId = url.searchParams.get("client_id") ?? undefined;
    if (clientId !== undefined && !isClientId(clientId)) {
      throw new PushError(
        "bad_request",
        "'client_id' must be 1 to 128 of A-Z a-z 0-9 _ : . - + @ = /",
      );
    }
    const { limits } = this.#hub.context.settings;
    // One whose peer does not answer the close still holds a descriptor and a buffer.
    if (this.#open.size + this.#closing.size >= limits.maxConnections) {
      throw new PushError("too_many_connections");
    }
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: Math.ceil(limits.idleTimeout / 1000),
    });
    this.accept(socket, identity, clientId);
    return response;
  }

  /** Lets a client speak over a WebSocket. Its handlers never throw: that would end the process. */
  accept(socket: WebSocket, identity: Identity | undefined, clientId: string | undefined): void {
    const { clock, turn, metrics, settings } = this.#hub.context;
    const terms = { clock, turn, metrics, maxBufferedBytes: settings.limits.maxBufferedBytes };
    const connection: WebSocketConnection = new WebSocketConnection(
      socket as Socket,
      terms,
      () => dialog.drained(),
      () => {
        this.#closing.add(socket);
        ended(1006);
      },
    );
    const dialog = new Dialog(this.#hub, this.#authenticator, connection, {
      identity,
      clientId,
      onExtended: () => connection.batch(),
    });
    // Close events may come twice, or not before the peer pleases.
    const ended = (code: number) => {
      if (!this.#open.delete(connection)) return;
      connection.gone();
      dialog.closed(code);
    };
    this.#open.add(connection);
    metrics.count(metrics.connections, connection.transport);
    socket.onmessage = ({ data }) => {
      try {
        if (typeof data === "string") dialog.receive(data);
        else dialog.receiveBinary();
      } catch (error) {
        console.error("A frame could not be handled.", error);
        connection.close("internal");
      }
    };
    const settled = () => {
      this.#closing.delete(socket);
      if (this.#closing.size === 0) this.#onSettled?.();
    };
    socket.onclose = ({ code }) => {
      ended(code);
      settled();
    };
    socket.onerror = () => ended(1006);
  }

  /**
   * Closes every one that is still open, and waits until the peers have answered, `patience`
   * milliseconds at most.
   */
  async closeAll(patience: number): Promise<void> {
    for (const connection of [...this.#open]) connection.close("going_away");
    if (this.#closing.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onSettled = resolve;
    const cancel = this.#hub.context.clock.schedule(patience, resolve);
    await promise;
    cancel();
  }

  /** Identity that the request shows; none if it shows no token and one is asked for. */
  async #identify(request: Request, url: URL): Promise<Identity | undefined> {
    const token = bearerToken(request.headers.get("authorization")) ??
      url.searchParams.get("token") ?? undefined;
    if (token === undefined && this.#authenticator.isProtected) return undefined;
    return await this.#authenticator.identify(token);
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
