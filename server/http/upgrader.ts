import type { LimitSettings } from "../options/settings.ts";
import { type Arrived, wholeOf } from "./head.ts";
import type { Socket } from "../transports/websocket.ts";
import type { Timed, TimingWheel } from "../wheel.ts";

/** What happens on a WebSocket. Nothing of it throws: that would end the process. */
export interface SocketEvents {
  /** A text frame arrived. */
  text(text: string): void;
  /** A binary frame arrived. */
  binary(): void;
  /** It is about to close: what has gathered for it must leave before, or never will. */
  closing(): void;
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
    request: Arrived,
    terms: UpgradeTerms,
    accept: (socket: Socket) => SocketEvents,
  ): Response;
}

/** Upgrades by the way that is built into Deno. */
export const denoUpgrader: Upgrader = {
  upgrade(request, { limits, wheel }, accept) {
    const { socket, response } = Deno.upgradeWebSocket(wholeOf(request), {
      idleTimeout: Math.ceil(limits.idleTimeout / 1000),
    });
    new DenoSocket(socket, wheel).begin(accept(socket));
    return response;
  },
};

/** Milliseconds in which the answer of an upgrade leaves. */
const OPENS_WITHIN = 10_000;

/**
 * Hears what happens on a socket, and sees to it that it opens. Deno 2.9 says nothing of one that never
 * will be: its request stood behind another one whose answer had not ended when the peer went.
 *
 * It is one listener for all events, as each costs hundreds of bytes. An error needs none: Deno tells of
 * the close behind it in the same breath. That for the opening goes with it.
 */
class DenoSocket implements EventListenerObject, Timed {
  /** See {@linkcode Timed.slot}. */
  slot = 0;
  readonly #socket: WebSocket;
  readonly #wheel: TimingWheel;
  #events: SocketEvents | undefined;

  constructor(socket: WebSocket, wheel: TimingWheel) {
    this.#socket = socket;
    this.#wheel = wheel;
  }

  begin(events: SocketEvents): void {
    this.#events = events;
    this.#socket.addEventListener("message", this);
    this.#socket.addEventListener("close", this);
    this.#socket.addEventListener("open", this, { once: true });
    this.#wheel.schedule(this, this.#wheel.time + OPENS_WITHIN);
  }

  handleEvent(event: Event): void {
    this.#wheel.cancel(this);
    const events = this.#events;
    if (event.type === "open" || events === undefined) return;
    if (event.type === "close") return events.closed((event as CloseEvent).code);
    const { data } = event as MessageEvent;
    if (typeof data === "string") events.text(data);
    else events.binary();
  }

  onTime(): void {
    const socket = this.#socket;
    // One that this side closed before it was open is never told to be closed either.
    const events = this.#events!;
    this.#events = undefined;
    // Should it open all the same, nobody listens any more.
    socket.addEventListener("open", () => socket.close());
    events.lost();
    events.closed(1006);
  }
}
