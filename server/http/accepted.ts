import type { Code } from "@push/client/protocol";
import type { Authenticator, AuthRequest } from "../access/authenticator.ts";
import type { Identity } from "../access/identity.ts";
import { Dialog, type DialogTerms } from "../dialog/dialog.ts";
import type { Hub } from "../hub.ts";
import type { Place } from "../limits/connections.ts";
import {
  type Socket,
  type SocketOwner,
  type SocketTerms,
  WebSocketConnection,
} from "../transports/websocket.ts";
import type { SocketEvents } from "./upgrader.ts";

/** What is known of who opened a WebSocket. */
export type Newcomer = Pick<DialogTerms, "identity" | "request" | "address" | "clientId">;

/** What accepted sockets share, and who keeps count of them. */
export interface AcceptedHost {
  readonly hub: Hub;
  /** Who tells identities apart. */
  readonly authenticator: Authenticator;
  readonly terms: SocketTerms;
  /** This side has closed it. */
  closing(accepted: Accepted): void;
  /** It carries nothing any more. @returns whether that is news */
  gone(accepted: Accepted): boolean;
  /** The peer has closed it, too. */
  settled(accepted: Accepted): void;
}

/**
 * One WebSocket and the dialog over it. Each of them is told of the other by this one object: thousands
 * that are idle cost no closures.
 */
export class Accepted implements SocketEvents, SocketOwner, DialogTerms {
  /** See {@linkcode DialogTerms.identity}. */
  readonly identity: Identity | undefined;
  /** See {@linkcode DialogTerms.request}. */
  readonly request: AuthRequest | undefined;
  /** See {@linkcode DialogTerms.address}. */
  readonly address: string | undefined;
  /** See {@linkcode DialogTerms.clientId}. */
  readonly clientId: string | undefined;
  /** The socket. */
  readonly socket: Socket;
  /** The way out over it. */
  readonly connection: WebSocketConnection;
  /** That it is counted; one whose peer does not answer the close still holds a descriptor. */
  readonly place: Place;
  readonly #dialog: Dialog;
  readonly #host: AcceptedHost;
  /** It carries nothing any more. */
  #isGone = false;

  /** @param newcomer what is known of who opened it */
  constructor(socket: Socket, host: AcceptedHost, newcomer: Newcomer) {
    const { hub, authenticator, terms } = host;
    this.identity = newcomer.identity;
    this.request = newcomer.request;
    this.address = newcomer.address;
    this.clientId = newcomer.clientId;
    this.socket = socket;
    this.#host = host;
    this.place = hub.context.limits.connections.enter(newcomer.address);
    this.connection = new WebSocketConnection(socket, terms, this);
    this.#dialog = new Dialog(hub, authenticator, this.connection, this);
  }

  /** See {@linkcode SocketEvents.text}. */
  text(text: string): void {
    try {
      this.#dialog.receive(text);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** See {@linkcode SocketEvents.binary}. */
  binary(): void {
    try {
      this.#dialog.receiveBinary();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** See {@linkcode SocketEvents.closing}. */
  closing(): void {
    this.connection.flush();
  }

  /** See {@linkcode SocketEvents.lost}. */
  lost(): void {
    this.#ended(1006);
  }

  /** See {@linkcode SocketEvents.closed}. */
  closed(code: number): void {
    this.#ended(code);
    this.#host.settled(this);
  }

  /** See {@linkcode SocketOwner.behind}. */
  get behind(): number {
    return this.#dialog.behind;
  }

  /** See {@linkcode SocketOwner.drained}. */
  drained(): void {
    this.#dialog.drained();
  }

  /** See {@linkcode SocketOwner.shut}. */
  shut(code: Code | "normal"): void {
    if (this.#isGone) return this.#dialog.closed(1006, false);
    if (code === "slow_consumer") {
      this.#host.hub.context.log.write("connection.slow", { transport: "websocket" });
    }
    this.#host.closing(this);
    this.#ended(1006, false);
  }

  /** See {@linkcode DialogTerms.onExtended}. */
  onExtended(): void {
    this.connection.batch();
  }

  /** See {@linkcode DialogTerms.onBacklog}. */
  onBacklog(isFull: boolean): void {
    if (isFull) this.socket.pause?.();
    else this.socket.resume?.();
  }

  /** See {@linkcode DialogTerms.onHandled}. */
  onHandled(): void {
    this.connection.handled();
  }

  // The end may come twice, or not before the peer pleases.
  #ended(code: number, byPeer = true): void {
    if (!this.#host.gone(this)) return;
    this.#isGone = true;
    this.connection.gone();
    this.#dialog.closed(code, byPeer);
  }

  #failed(error: unknown): void {
    this.#host.hub.context.log.failure("frame.failed", error);
    this.connection.close("internal");
  }
}
