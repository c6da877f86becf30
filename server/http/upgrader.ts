import type { LimitSettings } from "../options/settings.ts";
import type { Socket } from "../transports/websocket.ts";
import type { Timed, TimingWheel } from "../wheel.ts";

/** What happens on a WebSocket. Nothing of it throws: that would end the process. */
export interface SocketEvents {
  /** A text frame arrived. */
  text(text: string): void;
  /** A binary frame arrived. */
  binary(): void;
  /** It broke; that it is closed may be told later. */
  lost(): void;
  /** It is closed, whoever closed it; may be told twice. */
  closed(code: number): void;
}

/** What an upgraded socket is held to. */
export interface UpgradeTerms {
  readonly limits: LimitSettings;
  readonly wheel: TimingWheel;
}

/** The last step of an upgrade, once a request is found to be in order. */
export interface Upgrader {
  /**
   * Makes a WebSocket of the connection that the request came by.
   *
   * @param accept called with the socket, unless the peer has gone meanwhile
   * @returns the answer: 101
   */
  upgrade(
    request: Request,
    terms: UpgradeTerms,
    accept: (socket: Socket) => SocketEvents,
  ): Response;
}

/** Upgrades by the way that is built into Deno. */
export const denoUpgrader: Upgrader = {
  upgrade(request, { limits, wheel }, accept) {
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: Math.ceil(limits.idleTimeout / 1000),
    });
    const events = accept(socket);
    listen(socket, events);
    new Opening(socket, events, wheel);
    return response;
  },
};

/** Milliseconds in which the answer of an upgrade leaves. */
const OPENS_WITHIN = 10_000;

/**
 * The time until a socket is open. Deno 2.9 says nothing of one that never will be: its request stood
 * behind another one whose answer had not ended when the peer went.
 */
class Opening implements Timed {
  /** See {@linkcode Timed.slot}. */
  slot = 0;
  readonly #socket: WebSocket;
  readonly #events: SocketEvents;

  constructor(socket: WebSocket, events: SocketEvents, wheel: TimingWheel) {
    this.#socket = socket;
    this.#events = events;
    wheel.schedule(this, wheel.time + OPENS_WITHIN);
    socket.onopen = () => wheel.cancel(this);
  }

  onTime(): void {
    const socket = this.#socket;
    if (socket.readyState !== WebSocket.CONNECTING) return;
    // Should it open all the same, nobody listens any more.
    socket.onopen = () => socket.close();
    socket.onmessage = null;
    this.#events.lost();
    this.#events.closed(1006);
  }
}

/** Tells what happens on a WebSocket of the standard interface. */
export function listen(socket: WebSocket, events: SocketEvents): void {
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") events.text(data);
    else events.binary();
  };
  socket.onclose = ({ code }) => events.closed(code);
  socket.onerror = () => events.lost();
}
